import type { Duration, Instant } from "#core/lib/time.ts";
import { NEVER } from "#core/lib/time.ts";
import type { Room } from "../blockwise/transfer.ts";
import type { Carrier } from "../carrier.ts";
import { type CoapMessage, tokenKey } from "../message/message.ts";
import type { Outgoing } from "../reliability/retransmission.ts";
import type { Ask, Asker, AskFailure, OutgoingRequest } from "../site.ts";
import { type Asking, PendingAsk } from "./ask.ts";

/** 64 bits of chance: a response that has them comes from who was asked (RFC 7252 §5.3.1), which proves its address. */
const TOKEN_LENGTH = 8;

/** Under which an observed peer claims its notifications. By `join`, which holds on to nothing else. */
export const observedClaim = (key: string): string => ["observe", key].join("/");

/** Our requests to one peer, by token. */
export class Asks implements Asking {
  readonly #carrier: Carrier;
  #byToken: Map<string, PendingAsk> | undefined = undefined;
  /** Askers of asks that never began, told after the input at hand. */
  #refused: Asker[] | undefined = undefined;

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
  }

  get asking(): number {
    let count = 0;
    for (const ask of this.#byToken?.values() ?? []) if (!ask.observing) count++;
    return count;
  }

  get busy(): boolean {
    return this.#byToken !== undefined;
  }

  get reliable(): boolean {
    return this.#carrier.reliable;
  }

  get payloadMax(): number {
    return this.#carrier.payloadMax;
  }

  get szxMax(): number {
    return this.#carrier.szxMax;
  }

  get askTimeout(): Duration {
    return this.#carrier.listener.settings.ask.timeout;
  }

  get bodyMax(): number {
    return this.#carrier.listener.settings.blockwise.maxBodySize;
  }

  get room(): Room {
    return this.#carrier.host;
  }

  get now(): Instant {
    return this.#carrier.now;
  }

  start(request: OutgoingRequest, asker: Asker, now: Instant): Ask {
    const ask = new PendingAsk(this, request, asker);
    if (this.asking >= this.#carrier.listener.settings.ask.perPeer) {
      ask.cancel();
      this.#refused ??= [];
      this.#refused.push(asker);
    } else ask.start(now);
    return ask;
  }

  newToken(): Uint8Array {
    return Uint8Array.from(this.#carrier.host.random(TOKEN_LENGTH));
  }

  enter(ask: PendingAsk): void {
    this.#byToken ??= new Map();
    this.#byToken.set(ask.key, ask);
  }

  leave(ask: PendingAsk): void {
    if (this.#byToken?.get(ask.key) === ask) this.#byToken.delete(ask.key);
    if (this.#byToken?.size === 0) this.#byToken = undefined;
    if (!ask.observing || this.reliable) return;
    this.#carrier.listener.observed.delete(ask.key);
    this.#carrier.host.unclaim(observedClaim(ask.key));
  }

  /** Behind a NAT the next notification may come from another port; who knows the token is our peer. */
  observing(ask: PendingAsk): void {
    if (this.reliable) return;
    this.#carrier.listener.observed.add(ask.key);
    this.#carrier.host.claim(observedClaim(ask.key));
  }

  transmit(ask: PendingAsk): void {
    this.#carrier.ask(ask);
  }

  encodeAsk(ask: PendingAsk, messageId: number): Uint8Array {
    return this.#carrier.encodeAsk(ask, messageId);
  }

  withdraw(outgoing: Outgoing): void {
    this.#carrier.withdraw(outgoing);
  }

  /** The ask whose token a response carries. */
  find(message: CoapMessage): PendingAsk | undefined {
    if (this.#byToken === undefined) return undefined;
    return this.#byToken.get(tokenKey(message.bytes, message.tokenStart, message.tokenLength));
  }

  deadline(): Instant {
    let next = NEVER;
    if (this.#byToken !== undefined) {
      for (const ask of this.#byToken.values()) if (ask.due < next) next = ask.due;
    }
    return next;
  }

  /** Tells those that were refused in the input at hand. */
  tell(now: Instant): void {
    while (this.#refused !== undefined) {
      const refused = this.#refused;
      this.#refused = undefined;
      for (const asker of refused) asker.failed("full", now);
    }
  }

  wake(now: Instant): void {
    this.#failWhere((ask) => ask.due <= now, "timeout", now);
  }

  /** The peer is gone. */
  fail(why: AskFailure, now: Instant): void {
    this.#failWhere(() => true, why, now);
  }

  #failWhere(chosen: (ask: PendingAsk) => boolean, why: AskFailure, now: Instant): void {
    if (this.#byToken === undefined) return;
    for (const ask of [...this.#byToken.values()]) if (ask.active && chosen(ask)) ask.fail(why, now);
  }
}
