/** In which states clients were, and when they were heard: so that who looks now sees whether one was silent last night. */
import { sessionKey } from "../session/context.ts";
import { type ClientState, STATES } from "./client-state.ts";

/** Seconds a point, and how many are kept: 1 h, 24 h, 7 d. */
export const HISTORY_STEPS = [60, 900, 3_600] as const;
export type HistoryStep = (typeof HISTORY_STEPS)[number];
const POINTS: Readonly<Record<HistoryStep, number>> = { 60: 60, 900: 96, 3600: 168 };

/** Where the points of a step lie in what is kept of a client: half an octet each. */
const STRIPS = HISTORY_STEPS.map((step, index) => ({
  step,
  points: POINTS[step],
  start: HISTORY_STEPS.slice(0, index).reduce((sum, before) => sum + POINTS[before], 0),
}));
const BYTES = HISTORY_STEPS.reduce((sum, step) => sum + POINTS[step] / 2, 0);

/** Half an octet: the state that tells most of those in a point (0: none was noted), and whether the client was heard. */
const RANKED: readonly ClientState[] = ["awake", "asleep", "away", "overdue"];
const RANK = Object.fromEntries(STATES.map((state) => [state, RANKED.indexOf(state) + 1])) as Readonly<
  Record<ClientState, number>
>;
const STATE = 0b0111;
const HEARD = 0b1000;

/** Clients whose points lie in one piece of memory. */
const PIECE = 128;
/** A client's key, its place in the map, and the numbers beside its points: about so many bytes. */
const ENTRY = 120;
/** Seconds: of who was not seen for longer nobody says that it was there in between. */
const STAYED_MAX = 600;
/** Seconds after which one that is gone makes room for another, and how many are looked at for it. */
const GONE = 600;
const LOOKS = 32;

/** What is looked at of a client. */
export interface SeenClient {
  readonly gateway: string;
  readonly clientId: string;
  readonly heardAt: number | undefined;
}

export interface ClientHistory {
  /** Of the first point, in milliseconds since the epoch. */
  readonly from: number;
  /** The state that tells most in each point; null: it was not seen, or this process did not run. */
  readonly states: readonly (ClientState | null)[];
  readonly heard: readonly boolean[];
}

/**
 * The last week of so many clients, in memory alone: what was before the start of this process is not known. A client is
 * noted when the census comes by, and no message costs anything for it.
 */
export class ClientHistories {
  readonly #max: number;
  readonly #places = new Map<string, number>();
  readonly #keys: string[] = [];
  readonly #pieces: Uint8Array[] = [];
  /** When each was noted last, in seconds, and in which round. */
  readonly #noted: number[] = [];
  readonly #rounds: number[] = [];
  #hand = 0;
  /** How often a client found no room. */
  refused = 0;

  /** `max`: clients; 0 keeps nothing. */
  constructor(max: number) {
    this.#max = max;
  }

  get bytes(): number {
    return this.#pieces.length * PIECE * BYTES + this.#keys.length * ENTRY;
  }

  /** `now`: milliseconds since the epoch. `round`: in each of them every client is seen once. */
  note({ gateway, clientId, heardAt }: SeenClient, state: ClientState, now: number, round: number): void {
    if (this.#max === 0) return;
    const second = Math.floor(now / 1_000);
    const place = this.#placeOf(sessionKey(gateway, clientId), second);
    if (place === undefined) {
      this.refused++;
      return;
    }
    const before = this.#noted[place]!;
    // A clock that was set back: what it had written there stands.
    if (second < before) return;
    const stayed = this.#rounds[place]! >= round - 1 && second - before <= STAYED_MAX;
    this.#noted[place] = second;
    this.#rounds[place] = round;
    const rank = RANK[state];
    for (const { step, points, start } of STRIPS) {
      const last = Math.floor(before / step);
      const at = Math.floor(second / step);
      // Of what is skipped nothing old may be left.
      for (let skipped = Math.max(last + 1, at - points + 1); skipped <= at; skipped++) {
        this.#set(place, start + (skipped % points), stayed ? rank : 0);
      }
      const now = start + (at % points);
      const known = this.#get(place, now);
      if ((known & STATE) < rank) this.#set(place, now, (known & HEARD) | rank);
      if (heardAt === undefined) continue;
      const heard = Math.floor(heardAt / 1_000 / step);
      if (heard > at || heard <= at - points) continue;
      const then = start + (heard % points);
      this.#set(place, then, this.#get(place, then) | HEARD);
    }
  }

  /** From then on, or from the oldest that is kept, until now; undefined: nothing is kept of it. */
  of(
    { gateway, clientId }: Pick<SeenClient, "gateway" | "clientId">,
    step: HistoryStep,
    since: number,
    now: number,
  ): ClientHistory | undefined {
    const place = this.#places.get(sessionKey(gateway, clientId));
    if (place === undefined) return undefined;
    const { points, start } = STRIPS.find((strip) => strip.step === step)!;
    const last = Math.floor(this.#noted[place]! / step);
    const until = Math.max(last, Math.floor(now / 1_000 / step));
    const first = Math.max(Math.floor(since / 1_000 / step), until - points + 1);
    const states: (ClientState | null)[] = [];
    const heard: boolean[] = [];
    for (let at = first; at <= until; at++) {
      const kept = at <= last && at > last - points ? this.#get(place, start + (at % points)) : 0;
      states.push(RANKED[(kept & STATE) - 1] ?? null);
      heard.push((kept & HEARD) !== 0);
    }
    return { from: first * step * 1_000, states, heard };
  }

  #placeOf(key: string, second: number): number | undefined {
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const place = this.#keys.length < this.#max ? this.#keys.length : this.#freed(second);
    if (place === undefined) return undefined;
    const piece = Math.floor(place / PIECE);
    this.#pieces[piece] ??= new Uint8Array(PIECE * BYTES);
    const start = (place % PIECE) * BYTES;
    this.#pieces[piece].fill(0, start, start + BYTES);
    this.#places.set(key, place);
    this.#keys[place] = key;
    this.#noted[place] = second;
    this.#rounds[place] = Number.NEGATIVE_INFINITY;
    return place;
  }

  /** The place of one that has gone, if there is one among the next few. */
  #freed(second: number): number | undefined {
    for (let looks = 0; looks < LOOKS; looks++) {
      const place = this.#hand;
      this.#hand = (this.#hand + 1) % this.#keys.length;
      if (second - this.#noted[place]! <= GONE) continue;
      this.#places.delete(this.#keys[place]!);
      return place;
    }
    return undefined;
  }

  #get(place: number, point: number): number {
    const octet = this.#pieces[Math.floor(place / PIECE)]![(place % PIECE) * BYTES + (point >> 1)]!;
    return (point & 1) === 0 ? octet & 0x0f : octet >> 4;
  }

  #set(place: number, point: number, value: number): void {
    const piece = this.#pieces[Math.floor(place / PIECE)]!;
    const at = (place % PIECE) * BYTES + (point >> 1);
    piece[at] = (point & 1) === 0 ? (piece[at]! & 0xf0) | value : (piece[at]! & 0x0f) | (value << 4);
  }
}
