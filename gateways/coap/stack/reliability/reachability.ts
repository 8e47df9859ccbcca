import type { ChannelHost } from "#core/contract/channel.ts";
import { sameBytes } from "#core/lib/bytes.ts";
import { after, type Duration, type Instant, milliseconds, NEVER } from "#core/lib/time.ts";
import type { StackSettings } from "../settings.ts";

/** An unproven address is sent at most this many times what it sent (RFC 9175 §2.4). */
export const AMPLIFICATION_MAX = 3;
/** A message id drawn at random is worth this much: two of them, without a wrong one in between, prove an address. */
const ID_BITS = 16;
const ECHO_LENGTH = 8;
/** A ping is repeated after this long and twice it: libcoap answers no more than four a second with RST. */
const PING_AGAIN = milliseconds(300);
/** Ids of the last CONs to an unproven address: their acknowledgements, come late or twice, are no guesses. */
const DRAWN_MAX = 16;

type Settings = Pick<StackSettings, "ackTimeout" | "echoLifetime">;

/**
 * Whether a peer's address is real: by an Echo (RFC 9175), by the token of a request of ours in its response, by the
 * answers to two pings of ours, which every CoAP endpoint gives (RFC 7252 §4.3), or to other CONs. Message ids to an
 * unproven address are drawn at random, so that one tells nothing of the next.
 */
export class ReachabilityProof {
  readonly #host: ChannelHost;
  readonly #settings: Settings;
  /** The ping that is out, and when its answer is late. */
  #ping: { messageId: number; again: Instant; readonly due: Instant } | undefined = undefined;
  #echo: { readonly value: Uint8Array; expires: Instant } | undefined = undefined;
  #drawn: readonly number[] = [];

  constructor(host: ChannelHost, settings: Settings) {
    this.#host = host;
    this.#settings = settings;
  }

  get given(): boolean {
    return this.#host.reachability.allowance === Number.POSITIVE_INFINITY;
  }

  /** A new address starts anew. */
  forget(): void {
    this.#ping = undefined;
    this.#echo = undefined;
    this.#drawn = [];
  }

  allows(bytes: number): boolean {
    return bytes <= this.#host.reachability.allowance;
  }

  /** The id of a CON to an unproven address. */
  draw(): number {
    const [high = 0, low = 0] = this.#host.random(2);
    const id = (high << 8) | low;
    this.#drawn = this.#drawn.slice(1 - DRAWN_MAX).concat(id);
    return id;
  }

  /**
   * A CON with an id of `draw` was answered, one of so many that were out: a guess may have met any of them. True when
   * that completes the proof.
   */
  repeated(messageId: number, outstanding: number): boolean {
    if (!this.#drawn.includes(messageId)) return false;
    return this.#host.reachability.evidence(ID_BITS - Math.ceil(Math.log2(outstanding)));
  }

  /** A secret of 64 bits and more was repeated: true when the address was not proven before. */
  unguessable(length: number): boolean {
    return this.#host.reachability.evidence(8 * length);
  }

  /** An ACK or RST of nothing that waits for one: unless it comes late, somebody is trying ids. */
  stray(messageId: number): void {
    if (!this.#drawn.includes(messageId)) this.#host.reachability.doubt();
  }

  /**
   * Begins a ping, which serves all that waits, and returns its message id; undefined while one is out. A peer
   * that has not answered one gets another with each large answer, because the first may have been lost, but
   * nothing waits for it: `due` has come.
   */
  ask(now: Instant): number | undefined {
    if (this.#ping === undefined) {
      const due = after(now, this.#settings.ackTimeout);
      this.#ping = { messageId: this.draw(), again: after(now, PING_AGAIN), due };
    } else {
      if (now < this.#ping.due) return undefined;
      this.#ping.messageId = this.draw();
    }
    return this.#ping.messageId;
  }

  /** When the ping is to be repeated; not after its answer is late. */
  get again(): Instant {
    return this.#ping === undefined || this.#ping.again >= this.#ping.due ? NEVER : this.#ping.again;
  }

  /** The id of the ping that is due again. */
  repeat(now: Instant): number | undefined {
    if (this.#ping === undefined || this.again > now) return undefined;
    const wait =
      PING_AGAIN * (this.#ping.again + 2 * PING_AGAIN < this.#ping.due ? 2 : Number.POSITIVE_INFINITY);
    this.#ping.again = after(now, wait as Duration);
    return this.#ping.messageId;
  }

  /** When the answer to the ping is late. */
  get due(): Instant {
    return this.#ping?.due ?? NEVER;
  }

  /** An ACK or RST: whether it answers the ping, and that completes the proof or a further ping is due. */
  answeredBy(messageId: number, others: number): "no" | "more" | "proven" {
    if (this.#ping?.messageId !== messageId) return "no";
    this.#ping = undefined;
    return this.repeated(messageId, others + 1) || this.given ? "proven" : "more";
  }

  /** A ping is out. */
  get pinging(): boolean {
    return this.#ping !== undefined;
  }

  newEcho(now: Instant): Uint8Array {
    const expires = after(now, this.#settings.echoLifetime);
    if (this.#echo === undefined || this.#echo.expires <= now) {
      this.#echo = { value: Uint8Array.from(this.#host.random(ECHO_LENGTH)), expires };
    }
    this.#echo.expires = expires;
    return this.#echo.value;
  }

  /** True when it completes the proof. */
  checkEcho(value: Uint8Array | undefined, now: Instant): boolean {
    if (value === undefined || this.#echo === undefined || this.#echo.expires <= now) return false;
    return sameBytes(value, this.#echo.value) && this.unguessable(ECHO_LENGTH);
  }
}
