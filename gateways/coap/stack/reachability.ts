import type { Peer } from "#core/gateway/contract.ts";
import { sameBytes } from "#core/lib/bytes.ts";
import { after, type Instant, NEVER } from "#core/lib/time.ts";
import type { StackSettings } from "./settings.ts";

/** An unproven address is sent at most this many times what it sent (RFC 9175 §2.4). */
export const AMPLIFICATION_MAX = 3;

/**
 * Whether a peer's address is real. It is proven by the answer to a ping of ours (which every CoAP endpoint
 * gives, RFC 7252 §4.3), by any other acknowledged CON, by an Echo (RFC 9175), or by DTLS.
 */
export class ReachabilityProof {
  readonly #settings: Pick<StackSettings, "amplification" | "ackTimeout" | "echoLifetime">;
  given: boolean;
  /** Of the ping that is out; -1 for none. */
  messageId = -1;
  /** When the answer to the ping is late. */
  due: Instant = NEVER;
  #echo: Uint8Array | undefined = undefined;
  #echoExpires: Instant = NEVER;

  constructor(peer: Peer, settings: Pick<StackSettings, "amplification" | "ackTimeout" | "echoLifetime">) {
    this.#settings = settings;
    this.given = false;
    this.forget(peer);
  }

  /** A new address starts anew. */
  forget(peer: Peer): void {
    this.given = this.#settings.amplification === "off" || peer.transport !== "udp";
    this.messageId = -1;
    this.#echo = undefined;
  }

  allows(bytes: number, requested: number): boolean {
    return this.given || bytes <= AMPLIFICATION_MAX * requested;
  }

  /** True when it was not given before. */
  give(): boolean {
    if (this.given) return false;
    this.given = true;
    this.messageId = -1;
    this.#echo = undefined;
    return true;
  }

  /**
   * Begins a ping, which serves all that waits. False while one is out. A peer that has not answered one gets
   * another with each large answer, because the first may have been lost, but nothing waits for it: `due` has come.
   */
  ask(now: Instant, ids: { next(now: Instant): number }): boolean {
    if (this.messageId < 0) this.due = after(now, this.#settings.ackTimeout);
    else if (now < this.due) return false;
    this.messageId = ids.next(now);
    return true;
  }

  /** An empty ACK or RST: true when it answers the ping. */
  answeredBy(messageId: number): boolean {
    return this.messageId === messageId && this.give();
  }

  newEcho(value: Uint8Array, now: Instant): Uint8Array {
    if (this.#echo === undefined || this.#echoExpires <= now) this.#echo = Uint8Array.from(value);
    this.#echoExpires = after(now, this.#settings.echoLifetime);
    return this.#echo;
  }

  checkEcho(value: Uint8Array | undefined, now: Instant): void {
    if (value === undefined || this.#echo === undefined || this.#echoExpires <= now) return;
    if (sameBytes(value, this.#echo)) this.give();
  }
}
