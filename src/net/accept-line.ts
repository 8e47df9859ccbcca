import type { Note } from "../contract/note.ts";
import { FairLine } from "../lib/fair-line.ts";
import type { Duration } from "../lib/time.ts";
import { timerLength } from "../lib/timer-length.ts";

/** A connection that was accepted, and of which nothing is read yet. */
export interface Accepted {
  readonly remoteAddress?: string | undefined;
  readonly destroyed: boolean;
  destroy(): void;
}

interface Waiting<S extends Accepted> {
  readonly socket: S;
  readonly since: number;
}

export interface AcceptLineOptions {
  /** How many may wait. */
  readonly places: number;
  /** How long one may wait, in milliseconds. */
  readonly patience: number;
  /** How many are taken in one turn of the event loop. */
  readonly aTurn: number;
  /** How many may be under way, from `accept` until `done`; without, all. */
  readonly parallel?: number | undefined;
  /** How long until there is room for one more; 0: now. Without, nobody ever waits. */
  readonly roomIn: (() => Duration) | undefined;
}

/** How often it is said that connections wait, in milliseconds. */
const SAY_AGAIN = 60_000;

/** Taken in one turn of the event loop: what they say next takes a few milliseconds, and others have words, too. */
export const A_TURN = 16;
/** The same over TLS, where each has a millisecond of cryptography before it says anything. */
export const A_TURN_OF_HANDSHAKES = 4;
/** TLS handshakes under way: their answers may all come in one turn, and the system's library takes all that it finds. */
export const HANDSHAKES_UNDER_WAY = 128;
/** One that has taken this long waits for its client, who may be far away or silent, and is counted no more. */
export const UNDER_WAY_MS = 1_000;

/**
 * Connections of a burst, accepted and not yet read from, until the rate at which connections are taken has room for
 * them, and this turn of the event loop: addresses take turns. Who would be one too many is refused.
 */
export class AcceptLine<S extends Accepted> {
  readonly #options: AcceptLineOptions;
  readonly #accept: (socket: S) => void;
  readonly #note: (note: Note) => void;
  readonly #line = new FairLine<Waiting<S>>();
  #timer: NodeJS.Timeout | undefined = undefined;
  #underWay = 0;
  /** Taken in this turn of the event loop. */
  #taken = 0;
  #waitSayAt = 0;
  #refusalsSayAt = 0;
  /** Refused since it was said last. */
  #unsaid = 0;

  constructor(options: AcceptLineOptions, accept: (socket: S) => void, note: (note: Note) => void) {
    this.#options = options;
    this.#accept = accept;
    this.#note = note;
  }

  get length(): number {
    return this.#line.length;
  }

  offer(socket: S): void {
    const wait = this.#options.roomIn?.() ?? 0;
    // A rate of nothing at all is the policy's to refuse.
    if (wait === Number.POSITIVE_INFINITY || (wait <= 0 && this.#line.length === 0 && this.#hasRoom)) {
      this.#take(socket);
      return;
    }
    const address = socket.remoteAddress ?? "";
    let loser: Waiting<S> | undefined;
    if (this.#line.length >= this.#options.places) {
      loser = this.#line.makeRoomFor(address);
      if (loser === undefined) {
        this.#refuse(socket);
        return;
      }
    }
    if (loser !== undefined) this.#refuse(loser.socket);
    this.#line.push(address, "", { socket, since: performance.now() });
    // The next turn looks at the line by itself, and so does the next one that is done.
    if (wait <= 0 && !this.#hasRoom) return;
    this.#sayWaiting();
    this.#expect(wait);
  }

  /** One of those that were accepted costs no more than any connection. */
  done(): void {
    this.#underWay--;
    if (this.#line.length > 0) this.#letIn();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (let next = this.#line.shift(); next !== undefined; next = this.#line.shift()) next.socket.destroy();
  }

  #expect(wait: number): void {
    this.#timer ??= setTimeout(this.#goOn, timerLength(Math.max(1, wait) as Duration));
  }

  readonly #goOn = (): void => {
    this.#timer = undefined;
    this.#letIn();
  };

  readonly #nextTurn = (): void => {
    this.#taken = 0;
    this.#letIn();
  };

  get #hasRoom(): boolean {
    const { aTurn, parallel = Number.POSITIVE_INFINITY } = this.#options;
    return this.#taken < aTurn && this.#underWay < parallel;
  }

  #take(socket: S): void {
    if (this.#taken++ === 0) setImmediate(this.#nextTurn);
    if (this.#options.parallel !== undefined) this.#underWay++;
    this.#accept(socket);
  }

  #letIn(): void {
    const oldest = performance.now() - this.#options.patience;
    while (this.#line.length > 0 && this.#hasRoom) {
      const wait = this.#options.roomIn?.() ?? 0;
      if (wait > 0) {
        this.#expect(wait);
        return;
      }
      const { socket, since } = this.#line.shift()!;
      if (since < oldest) this.#refuse(socket);
      else if (!socket.destroyed) this.#take(socket);
    }
  }

  #refuse(socket: S): void {
    socket.destroy();
    this.#unsaid++;
    if (performance.now() < this.#refusalsSayAt) return;
    this.#refusalsSayAt = performance.now() + SAY_AGAIN;
    const fix = "raise limits.connectionRate, or tcp.waiting where bursts are short";
    this.#note({ level: "warn", event: "connections-refused", detail: { refused: this.#unsaid, fix } });
    this.#unsaid = 0;
  }

  #sayWaiting(): void {
    if (performance.now() < this.#waitSayAt) return;
    this.#waitSayAt = performance.now() + SAY_AGAIN;
    const fix = "more come than limits.connectionRate takes: they wait, unread";
    this.#note({ level: "info", event: "connections-wait", detail: { waiting: this.#line.length, fix } });
  }
}
