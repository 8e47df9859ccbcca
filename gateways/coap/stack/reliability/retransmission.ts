import { sameBytes } from "#core/lib/bytes.ts";
import { Ring } from "#core/lib/ring.ts";
import { after, type Instant, milliseconds, NEVER } from "#core/lib/time.ts";
import type { Listener, StackCounters } from "../listener.ts";
import { HEADER_LENGTH } from "../message/message.ts";
import { MessageIds } from "./message-ids.ts";
import type { Transmission } from "./transmission.ts";

/** A message of ours that wants an acknowledgement. */
export interface Outgoing {
  /** Bytes of what is cut to blocks, small ones for an unproven address; absent for what is not. */
  readonly payloadLength?: number;
  /** Called when its turn has come; the bytes are sent again until something answers them. */
  encode(messageId: number, now: Instant): Uint8Array;
  /** ACK or a response came. */
  acknowledged(now: Instant): void;
  failed(why: "timeout" | "reset", now: Instant): void;
}

class InFlight {
  readonly outgoing: Outgoing;
  readonly messageId: number;
  readonly bytes: Uint8Array;
  /** Grows by doubling (RFC 7252 §4.2). */
  timeout: number;
  due: Instant;
  readonly begun: Instant;
  retransmissions = 0;
  /** It has not gone out at all: the peer's address has still to be proven. */
  withheld = false;

  constructor(outgoing: Outgoing, messageId: number, bytes: Uint8Array, timeout: number, now: Instant) {
    this.outgoing = outgoing;
    this.messageId = messageId;
    this.bytes = bytes;
    this.timeout = timeout;
    this.begun = now;
    this.due = after(now, milliseconds(timeout));
  }
}

/** Header, token and options of what is encoded when its turn has come. */
export const HEAD_ESTIMATE = 24;

const NONE: readonly InFlight[] = [];

/** What the outbox needs of its channel. */
export interface OutboxHost {
  sendView(bytes: Uint8Array): void;
  /** Whether so much may be sent to the peer's address yet; else it is to be proven by `probe`. */
  allows(bytes: number): boolean;
  probe(): Instant;
  /** Until then the address is being proven; not after now when it is not. */
  readonly provingUntil: Instant;
  /** For the next message: random while the address has not been proven. */
  messageId(): number;
  /** When the peer was heard last. */
  readonly heardAt: Instant;
  /** 0 up to 1. */
  chance(): number;
}

/**
 * Our messages to one peer: at most NSTART confirmable ones in flight, the rest in order behind them, each
 * retransmitted with exponential back-off (RFC 7252 §4.2, §4.7). Owners bound what they put in.
 */
export class Outbox {
  readonly ids: MessageIds;
  readonly #host: OutboxHost;
  readonly #transmission: Transmission;
  readonly #counters: Pick<StackCounters, "retransmissions" | "timeouts" | "heldBack">;
  /** At most NSTART; not changed but replaced. */
  #inFlight: readonly InFlight[] = NONE;
  #waiting: Ring<Outgoing> | undefined = undefined;
  /** What waited for a peer that turned out to be gone, and has still to be told. */
  #forsaken: Ring<Outgoing> | undefined = undefined;
  #deadline: Instant = NEVER;

  constructor(host: OutboxHost, { transmission, counters }: Pick<Listener, "transmission" | "counters">) {
    this.#host = host;
    this.#transmission = transmission;
    this.#counters = counters;
    this.ids = new MessageIds(Math.floor(host.chance() * 0x10000), transmission.EXCHANGE_LIFETIME);
  }

  get busy(): boolean {
    return this.#inFlight.length > 0 || this.waiting > 0;
  }

  get inFlight(): number {
    return this.#inFlight.length;
  }

  get waiting(): number {
    return this.#waiting?.length ?? 0;
  }

  deadline(): Instant {
    return this.#deadline;
  }

  send(outgoing: Outgoing, now: Instant): void {
    this.#waiting ??= new Ring();
    this.#waiting.push(outgoing);
    this.#start(now);
  }

  /** Withdraws it, sent or not; it hears nothing more. */
  withdraw(outgoing: Outgoing, now: Instant): void {
    const found = this.#inFlight.find((each) => each.outgoing === outgoing);
    if (found !== undefined) this.#remove(found);
    else for (const line of [this.#waiting, this.#forsaken]) line?.filter((each) => each !== outgoing);
    this.#start(now);
  }

  /**
   * An ACK, an RST, or a response in the ACK, of which the owner hears otherwise. False when it answers
   * nothing that is in flight.
   */
  settle(messageId: number, how: "acknowledged" | "answered" | "reset", now: Instant): boolean {
    const found = this.#find(messageId);
    if (found === undefined) return false;
    const { outgoing } = found;
    this.#remove(found);
    if (how === "reset") outgoing.failed("reset", now);
    else if (how === "acknowledged") outgoing.acknowledged(now);
    this.#start(now);
    return true;
  }

  /** Whose message this id is, if it is in flight. */
  owner(messageId: number): Outgoing | undefined {
    return this.#find(messageId)?.outgoing;
  }

  /** The message of this id is in flight and has this token. */
  carries(messageId: number, token: Uint8Array): boolean {
    const bytes = this.#find(messageId)?.bytes;
    if (bytes === undefined || ((bytes[0] as number) & 0x0f) !== token.length) return false;
    return sameBytes(bytes.subarray(HEADER_LENGTH, HEADER_LENGTH + token.length), token);
  }

  wake(now: Instant): void {
    for (const each of this.#inFlight) {
      if (each.due > now || !this.#inFlight.includes(each)) continue;
      if (each.retransmissions >= this.#transmission.MAX_RETRANSMIT) {
        this.#remove(each);
        this.#counters.timeouts.value++;
        each.outgoing.failed("timeout", now);
        if (this.#host.heardAt <= each.begun) this.#forsake(now);
        continue;
      }
      each.retransmissions++;
      each.timeout *= 2;
      each.due = after(now, milliseconds(each.timeout));
      this.#counters.retransmissions.value++;
      this.#transmit(each);
    }
    this.#start(now);
  }

  /**
   * Not a word of the peer in all the time that this one took: then it is gone, for what waits as well. One by one they
   * would take half an hour.
   */
  #forsake(now: Instant): void {
    const forsaken = this.#waiting;
    this.#waiting = undefined;
    this.#forsaken = forsaken;
    for (let next = forsaken?.shift(); next !== undefined; next = forsaken?.shift())
      next.failed("timeout", now);
    this.#forsaken = undefined;
  }

  /** The address is proven: what could not go out goes now, with all its time before it. */
  release(now: Instant): void {
    for (const each of this.#inFlight) {
      if (!each.withheld) continue;
      each.due = after(now, milliseconds(each.timeout));
      this.#transmit(each);
    }
    this.#start(now);
  }

  #transmit(each: InFlight): void {
    each.withheld = !this.#host.allows(each.bytes.length);
    if (!each.withheld) {
      this.#host.sendView(each.bytes);
      return;
    }
    this.#counters.heldBack.value++;
    this.#host.probe();
  }

  clear(): void {
    this.#inFlight = NONE;
    this.#waiting = undefined;
    this.#deadline = NEVER;
  }

  #find(messageId: number): InFlight | undefined {
    for (const each of this.#inFlight) if (each.messageId === messageId) return each;
    return undefined;
  }

  #remove(answered: InFlight): void {
    this.#inFlight = this.#inFlight.length === 1 ? NONE : this.#inFlight.filter((each) => each !== answered);
  }

  #start(now: Instant): void {
    const { ACK_TIMEOUT, ACK_RANDOM_FACTOR, NSTART } = this.#transmission;
    while (this.#inFlight.length < NSTART && this.#readyAt(now) <= now) {
      const outgoing = this.#waiting?.shift() as Outgoing;
      const messageId = this.#host.messageId();
      const bytes = outgoing.encode(messageId, now);
      const timeout = ACK_TIMEOUT * (1 + this.#host.chance() * (ACK_RANDOM_FACTOR - 1));
      const begun = new InFlight(outgoing, messageId, bytes, timeout, now);
      this.#inFlight = this.#inFlight.concat(begun);
      this.#transmit(begun);
    }
    if (this.#waiting?.length === 0) this.#waiting = undefined;
    this.#schedule(now);
  }

  /** When the next may go; `NEVER` when none waits. What would be cut small waits for a proof that is under way. */
  #readyAt(now: Instant): Instant {
    const next = this.#waiting?.peek();
    if (next === undefined) return NEVER;
    const { provingUntil } = this.#host;
    const waits = provingUntil > now && !this.#host.allows((next.payloadLength ?? 0) + HEAD_ESTIMATE);
    return waits ? provingUntil : this.ids.readyAt(now);
  }

  #schedule(now: Instant): void {
    let next = this.#inFlight.length === 0 ? this.#readyAt(now) : NEVER;
    for (const each of this.#inFlight) if (each.due < next) next = each.due;
    this.#deadline = next;
  }
}
