import { utf8 } from "#core/lib/bytes.ts";
import { type Instant, NEVER } from "#core/lib/time.ts";
import type { Block } from "../blockwise/block.ts";
import { transferKey } from "../blockwise/transfer.ts";
import type { Code } from "../message/codes.ts";
import type { CoapMessage } from "../message/message.ts";
import type { OptionValue } from "../message/options.ts";
import type { PeerObservation } from "../observe/observation.ts";
import type { RememberedExchange } from "../reliability/deduplication.ts";
import type { CoapRequest, CoapResponse, Observation, Observer } from "../site.ts";

/** What an exchange needs of its channel. */
export interface Answering {
  answer(exchange: Exchange, response: CoapResponse): void;
  accept(exchange: Exchange, response: CoapResponse, observer: Observer): Observation | undefined;
  observationOf(exchange: Exchange): Observation | undefined;
}

/**
 * - `open`: nothing was sent yet; the response goes into the ACK.
 * - `acknowledged`: an empty ACK went out; the response comes in a message of its own.
 * - `held`: the response, or the request itself, waits until the peer has proven its address.
 * - `answered`: the response was handed to the transport, or there is none to send.
 */
export type ExchangeState = "open" | "acknowledged" | "held" | "answered";

/** One request of the peer, from its arrival to its answer. */
export class Exchange implements CoapRequest {
  readonly #channel: Answering;
  message: CoapMessage;
  readonly method: Code;
  readonly confirmable: boolean;
  readonly messageId: number;
  /** Bytes of the request on the wire. */
  readonly requestSize: number;
  readonly observe: 0 | 1 | undefined;
  state: ExchangeState = "open";
  /** An empty ACK went out: whatever is sent now is a message of its own. */
  separate = false;
  /** When an empty ACK, or for a held response the decision, is due. */
  due: Instant = NEVER;
  /** The block of the answer that was asked for. */
  wanted: Block | undefined = undefined;
  /** Packed Block1 to send back; -1 for none. */
  block1 = -1;
  /** RFC 7967: bit 2^(class-1) set means: not interested in responses of that class. */
  noResponse = 0;
  remembered: RememberedExchange | undefined = undefined;
  /** A response that waits for the proof of the address. */
  held: CoapResponse | undefined = undefined;
  heldObserve = -1;
  /** Index of the site that the request is for, while it waits for that proof. */
  heldFor = -1;
  /** The observation that this request registered. */
  opened: PeerObservation | undefined = undefined;
  #token: Uint8Array | undefined = undefined;
  #payload: Uint8Array | undefined = undefined;
  #key: string | undefined = undefined;

  constructor(channel: Answering, message: CoapMessage, confirmable: boolean, observe: 0 | 1 | undefined) {
    this.#channel = channel;
    this.message = message;
    this.method = message.code as Code;
    this.confirmable = confirmable;
    this.requestSize = message.size;
    this.messageId = message.messageId;
    this.observe = observe;
  }

  /** The whole body; a view, made when it is asked for. */
  get payload(): Uint8Array {
    this.#payload ??= this.message.payload;
    return this.#payload;
  }

  set payload(body: Uint8Array) {
    this.#payload = body;
  }

  /** Where the token is, without a view of its own: for the encoder. */
  get tokenSource(): Uint8Array {
    return this.#token ?? this.message.bytes;
  }

  get tokenStart(): number {
    return this.#token === undefined ? this.message.tokenStart : 0;
  }

  get tokenLength(): number {
    return this.#token?.length ?? this.message.tokenLength;
  }

  respond(response: CoapResponse): void {
    if (this.state === "answered" || this.state === "held") return;
    this.#channel.answer(this, response);
  }

  refuse(code: Code, diagnostic: string, options?: readonly OptionValue[]): void {
    const payload = utf8(diagnostic);
    this.respond(options === undefined ? { code, payload } : { code, payload, options });
  }

  accept(response: CoapResponse, observer: Observer): Observation | undefined {
    if (this.state === "answered" || this.state === "held") return undefined;
    return this.#channel.accept(this, response, observer);
  }

  get observation(): Observation | undefined {
    return this.#channel.observationOf(this);
  }

  /** The token; a view while the request is being handled. */
  get token(): Uint8Array {
    return this.#token ?? this.message.token;
  }

  /** Names the body of its answer for later blocks. */
  get key(): string {
    this.#key ??= transferKey(this.message, "out");
    return this.#key;
  }

  /** The request itself has to wait for the proof. */
  holdFor(site: number): void {
    this.state = "held";
    this.heldFor = site;
    this.message = this.message.copy();
    this.#payload = this.#payload?.slice();
  }

  /** The request's views end: keeps what a later answer needs. */
  detach(): void {
    this.#token = Uint8Array.from(this.message.token);
    this.#key = transferKey(this.message, "out");
  }
}
