import type { Peer } from "#core/contract/peer.ts";
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
  /** The ping that is out, and when its answer is late. */
  #ping: { messageId: number; readonly due: Instant } | undefined = undefined;
  #echo: { readonly value: Uint8Array; expires: Instant } | undefined = undefined;

  constructor(peer: Peer, settings: Pick<StackSettings, "amplification" | "ackTimeout" | "echoLifetime">) {
    this.#settings = settings;
    this.given = false;
    this.forget(peer);
  }

  /** A new address starts anew. */
  forget(peer: Peer): void {
    this.given = this.#settings.amplification === "off" || peer.transport !== "udp";
    this.#ping = undefined;
    this.#echo = undefined;
  }

  allows(bytes: number, requested: number): boolean {
    return this.given || bytes <= AMPLIFICATION_MAX * requested;
  }

  /** True when it was not given before. */
  give(): boolean {
    if (this.given) return false;
    this.given = true;
    this.#ping = undefined;
    this.#echo = undefined;
    return true;
  }

  /**
   * Begins a ping, which serves all that waits, and returns its message id; undefined while one is out. A peer
   * that has not answered one gets another with each large answer, because the first may have been lost, but
   * nothing waits for it: `due` has come.
   */
  ask(now: Instant, ids: { next(now: Instant): number }): number | undefined {
    if (this.#ping === undefined) {
      this.#ping = { messageId: ids.next(now), due: after(now, this.#settings.ackTimeout) };
    } else {
      if (now < this.#ping.due) return undefined;
      this.#ping.messageId = ids.next(now);
    }
    return this.#ping.messageId;
  }

  /** When the answer to the ping is late. */
  get due(): Instant {
    return this.#ping?.due ?? NEVER;
  }

  /** An empty ACK or RST: true when it answers the ping. */
  answeredBy(messageId: number): boolean {
    return this.#ping?.messageId === messageId && this.give();
  }

  newEcho(value: Uint8Array, now: Instant): Uint8Array {
    const expires = after(now, this.#settings.echoLifetime);
    if (this.#echo === undefined || this.#echo.expires <= now) {
      this.#echo = { value: Uint8Array.from(value), expires };
    }
    this.#echo.expires = expires;
    return this.#echo.value;
  }

  checkEcho(value: Uint8Array | undefined, now: Instant): void {
    if (value === undefined || this.#echo === undefined || this.#echo.expires <= now) return;
    if (sameBytes(value, this.#echo.value)) this.give();
  }
}
