import { Ring } from "#core/lib/ring.ts";
import { after, type Instant, seconds } from "#core/lib/time.ts";
import { Reply } from "../blockwise/reply.ts";
import type { Room } from "../blockwise/transfer.ts";
import { isError } from "../message/codes.ts";
import { tokenOf } from "../message/message.ts";
import type { Outgoing } from "../reliability/retransmission.ts";
import type { StackSettings } from "../settings.ts";
import type { CoapResponse, Observation, ObservationEnd, Observer } from "../site.ts";

/**
 * RFC 7641 §4.5.1: a NON in three seconds, where the round trip is not known. To a peer that was heard meanwhile they go
 * as they come; one that was not gets a CON after a few, behind which the rest waits.
 */
const UNHEARD = seconds(3);
const UNHEARD_MAX = 5;

const SEQUENCE = 0x1000000;
const HALF = 0x800000;

/** Orders 24-bit sequence numbers of notifications (RFC 7641 §3.4, §4.4). */
export const isNewer = (value: number, than: number): boolean => {
  const ahead = (value - than + SEQUENCE) % SEQUENCE;
  return ahead > 0 && ahead < HALF;
};

/** The first number of an observation: a quarter of the milliseconds, so that numbers rise over a restart. */
const firstSequence = (now: Instant): number => Math.floor(now / 4) % SEQUENCE;

/** Rises by one: some clients take a jump for an old notification that comes late. */
const nextSequence = (last: number): number => (last + 1) % SEQUENCE;

interface Waiting {
  readonly response: CoapResponse;
  readonly confirmable: boolean;
  readonly reference: number;
  /** Room that it has taken. */
  reserved: number;
}

/** One that waits, without its payload. */
const WAITING = 100;

/** What an observation needs of its channel. */
export interface Notifying {
  readonly reliable: boolean;
  readonly observeSettings: StackSettings["observe"];
  readonly now: Instant;
  /** When the peer was heard last. */
  readonly heardAt: Instant;
  /** A message id is free; else even a NON waits its turn with the CONs. */
  readonly idReady: boolean;
  /** Else every notification is confirmable: its ACK proves the address. */
  readonly proven: boolean;
  /** Encodes and sends a NON, or a message on a stream. */
  sendNotification(observation: PeerObservation): void;
  /** Hands it to the outbox, which comes back with `encode`. */
  confirmNotification(observation: PeerObservation): void;
  encodeNotification(observation: PeerObservation, messageId: number, now: Instant): Uint8Array;
  withdraw(outgoing: Outgoing): void;
  readonly room: Room;
  /** Takes it out of the peer's table; `ended` is the channel's to call later. */
  remove(observation: PeerObservation): void;
  /** Runs after the input at hand, because observers are not called from within `notify`. */
  report(observation: PeerObservation, reference: number, outcome: "done" | "dropped" | "failed"): void;
  reportEnd(observation: PeerObservation, why: ObservationEnd): void;
  /** A notification was never acknowledged: the peer is gone, for its other observations too. */
  silent(): void;
  /** Runs as an input of its peer: another peer is the cause. */
  turn(run: () => void): void;
}

/** How an observation was asked for. */
type Registration = Pick<PeerObservation, "key" | "method" | "szx" | "blocks">;

/** One peer observing one resource; is what the outbox retransmits while a notification is unacknowledged. */
export class PeerObservation implements Observation, Outgoing {
  readonly #channel: Notifying;
  observer: Observer;
  readonly token: string;
  /** Names the bodies of its notifications, and how they were asked for. */
  key: string;
  method: number;
  szx: number;
  /** The registration asked for blocks of that size; else they are only for what is too large for one message. */
  blocks: boolean;
  /** What the current notification is sent from. */
  readonly reply = new Reply();
  sequence: number;
  #waiting: Ring<Waiting> | undefined = undefined;
  #current: Waiting | undefined = undefined;
  #unconfirmed = 0;
  #confirmedAt: Instant;
  #over = false;
  /** Until the response to the registration is out, nothing may overtake it. */
  #paused = true;

  constructor(channel: Notifying, observer: Observer, token: string, origin: Registration, now: Instant) {
    this.#channel = channel;
    this.observer = observer;
    this.token = token;
    this.key = origin.key;
    this.method = origin.method;
    this.szx = origin.szx;
    this.blocks = origin.blocks;
    this.sequence = firstSequence(now);
    this.#confirmedAt = now;
  }

  get tokenBytes(): Uint8Array {
    return tokenOf(this.token);
  }

  get pending(): number {
    return (this.#waiting?.length ?? 0) + (this.#current === undefined ? 0 : 1);
  }

  /** What is being sent. */
  get response(): CoapResponse | undefined {
    return this.#current?.response;
  }

  get payloadLength(): number {
    return this.#current?.response.payload?.length ?? 0;
  }

  get last(): CoapResponse | undefined {
    return this.reply.source.payload === undefined ? undefined : this.reply.source;
  }

  /**
   * The client registers once more (RFC 7641 §4.1: replace or update), as some do whenever Max-Age is over. What it
   * has not acknowledged follows the new response, with a higher number than that.
   */
  renew(observer: Observer, origin: Registration): void {
    this.#channel.reportEnd(this, "replaced");
    this.observer = observer;
    this.key = origin.key;
    this.method = origin.method;
    this.szx = origin.szx;
    this.blocks = origin.blocks;
    this.#paused = true;
    this.sequence = nextSequence(this.sequence);
    if (this.#current === undefined) return;
    this.#channel.withdraw(this);
    this.#waiting ??= new Ring();
    this.#waiting.unshift(this.#current);
    this.#current = undefined;
  }

  notify(response: CoapResponse, confirmable: boolean, reference: number): void {
    if (this.#over) return;
    const next = { response, confirmable, reference, reserved: 0 };
    if (this.#current === undefined && !this.#paused) this.#send(next);
    else this.#queue(next);
  }

  /** The response to the registration has gone out. */
  begin(): void {
    this.#paused = false;
    this.#pump();
  }

  end(): void {
    this.#giveUp("dropped");
  }

  /** Ends it for a reason that the observer is told, after what was queued has been given up. */
  fail(why: ObservationEnd): void {
    if (this.#over) return;
    // Who vanished may come back for what it has not got; who asked for the end, or reset, has no use for it.
    this.#giveUp(why === "timeout" || why === "gone" ? "failed" : "dropped");
    this.#channel.reportEnd(this, why);
  }

  /** Its address has proven nothing, and others want its place. */
  giveWay(): void {
    this.#channel.turn(() => this.fail("timeout"));
  }

  /** Each is reported, the newest first: put back in front of a queue one by one, they are in order again. */
  #giveUp(outcome: "dropped" | "failed"): void {
    if (this.#over) return;
    this.#over = true;
    const left = [...(this.#waiting ?? [])].reverse();
    if (this.#current !== undefined) {
      this.#channel.withdraw(this);
      left.push(this.#current);
    }
    this.#current = undefined;
    this.#waiting = undefined;
    this.#channel.remove(this);
    for (const each of left) this.#report(each, outcome);
  }

  /** Settled messages are in the account of memory until then; those at QoS 0, which nobody settles, are put there. */
  #keeps(waiting: Waiting): boolean {
    if (waiting.reference !== 0 || waiting.reserved > 0) return true;
    const bytes = WAITING + (waiting.response.payload?.length ?? 0);
    if (!this.#channel.room.reserve(bytes)) return false;
    waiting.reserved = bytes;
    return true;
  }

  #report(waiting: Waiting, outcome: "done" | "dropped" | "failed"): void {
    if (waiting.reserved > 0) this.#channel.room.release(waiting.reserved);
    this.#channel.report(this, waiting.reference, outcome);
  }

  encode(messageId: number, now: Instant): Uint8Array {
    return this.#channel.encodeNotification(this, messageId, now);
  }

  acknowledged(now: Instant): void {
    this.#confirmedAt = now;
    this.#unconfirmed = 0;
    this.#settled();
    this.#pump();
  }

  failed(why: "timeout" | "reset"): void {
    if (why === "timeout") this.#channel.silent();
    else this.fail(why);
  }

  #queue(next: Waiting): void {
    this.#waiting ??= new Ring();
    const limit = this.observer.coalesce === true ? 1 : this.#channel.observeSettings.queue;
    while (this.#waiting.length >= limit) {
      this.#report(this.#waiting.shift() as Waiting, "dropped");
    }
    if (this.#keeps(next)) this.#waiting.push(next);
    else this.#report(next, "dropped");
  }

  #pump(): void {
    while (!this.#over && this.#current === undefined && this.#waiting !== undefined) {
      const next = this.#waiting.shift() as Waiting;
      if (this.#waiting.length === 0) this.#waiting = undefined;
      this.#send(next);
    }
  }

  #send(next: Waiting): void {
    const channel = this.#channel;
    this.#current = next;
    this.sequence = nextSequence(this.sequence);
    if (!channel.reliable && this.#mustConfirm(next)) {
      if (this.#keeps(next)) {
        channel.confirmNotification(this);
        return;
      }
      this.#current = undefined;
      this.#report(next, "dropped");
      return;
    }
    this.#unconfirmed++;
    channel.sendNotification(this);
    this.#settled();
  }

  /** RFC 7641 §4.5: a CON now and then finds out whether anybody still listens. */
  #mustConfirm(next: Waiting): boolean {
    const { confirmEvery, confirmInterval: usual } = this.#channel.observeSettings;
    const confirmInterval = this.observer.confirmInterval ?? usual;
    return (
      next.confirmable ||
      !this.#channel.idReady ||
      !this.#channel.proven ||
      this.#unconfirmed >= confirmEvery ||
      (this.#unconfirmed >= UNHEARD_MAX && this.#channel.now >= after(this.#channel.heardAt, UNHEARD)) ||
      this.#channel.now >= after(this.#confirmedAt, confirmInterval)
    );
  }

  #settled(): void {
    const current = this.#current;
    this.#current = undefined;
    if (current === undefined) return;
    this.#report(current, "done");
    // RFC 7641 §4.2: an error is the last notification.
    if (isError(current.response.code)) this.end();
  }
}
