import type { Reply } from "../blockwise/reply.ts";
import type { Outgoing } from "../reliability/retransmission.ts";
import type { Exchange } from "./exchange.ts";

interface Encoder {
  encodeSeparate(messageId: number, token: Uint8Array, reply: Reply): Uint8Array;
}

/** A response in a CON of its own, after an empty ACK (RFC 7252 §5.2.2). */
export class SeparateResponse implements Outgoing {
  readonly #encoder: Encoder;
  readonly #exchange: Exchange;
  readonly #reply: Reply;

  constructor(encoder: Encoder, exchange: Exchange, reply: Reply) {
    this.#encoder = encoder;
    this.#exchange = exchange;
    this.#reply = reply;
  }

  encode(messageId: number): Uint8Array {
    return this.#encoder.encodeSeparate(messageId, this.#exchange.token, this.#reply);
  }

  acknowledged(): void {
    this.#exchange.opened?.begin();
  }

  failed(why: "timeout" | "reset"): void {
    this.#exchange.opened?.fail(why);
  }
}
