import type { ChannelHost } from "#core/contract/channel.ts";
import { Type } from "../message/message.ts";
import { emptyMessage } from "../message/writer.ts";
import type { Acknowledgement } from "../site.ts";
import type { ExchangeMemory, RememberedExchange } from "./deduplication.ts";

const scratch = new Uint8Array(4);

/** The ACK of one confirmable response. While it is not given, repeats of the response are not answered either. */
export class PendingAck implements Acknowledgement {
  readonly #host: ChannelHost;
  readonly #memory: ExchangeMemory;
  readonly #messageId: number;
  readonly #exchange: RememberedExchange;
  #state: "open" | "held" | "given" = "open";

  constructor(host: ChannelHost, memory: ExchangeMemory, messageId: number, exchange: RememberedExchange) {
    this.#host = host;
    this.#memory = memory;
    this.#messageId = messageId;
    this.#exchange = exchange;
  }

  hold(): void {
    if (this.#state === "open") this.#state = "held";
  }

  give(): void {
    if (this.#state === "given") return;
    this.#state = "given";
    this.#host.sendView(this.#memory.keep(this.#exchange, emptyMessage(Type.ACK, this.#messageId, scratch)));
  }

  /** The response has been processed. */
  heard(): void {
    if (this.#state === "open") this.give();
  }
}
