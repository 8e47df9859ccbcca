import type { Message } from "../bus/message.ts";
import { Ring } from "../lib/ring.ts";
import type { Exchange } from "./exchange.ts";
import type { UpstreamOptions } from "./options.ts";

/** What of one session waits to be sent to its server, in order and within `buffer`. */
export class Outbox {
  readonly #limits: UpstreamOptions["buffer"];
  /** Made at the first use. */
  #waiting: Ring<Exchange> | undefined = undefined;
  #bytes = 0;

  constructor(limits: UpstreamOptions["buffer"]) {
    this.#limits = limits;
  }

  get length(): number {
    return this.#waiting?.length ?? 0;
  }

  fits({ weight }: Message): boolean {
    return this.length < this.#limits.messages && this.#bytes + weight <= this.#limits.bytes;
  }

  push(exchange: Exchange): void {
    this.#waiting ??= new Ring();
    this.#waiting.push(exchange);
    this.#bytes += weightOf(exchange);
  }

  /** In front of all others. */
  putBack(exchange: Exchange): void {
    this.#waiting ??= new Ring();
    this.#waiting.unshift(exchange);
    this.#bytes += weightOf(exchange);
  }

  peek(): Exchange | undefined {
    return this.#waiting?.peek();
  }

  shift(): void {
    const next = this.#waiting?.shift();
    if (next !== undefined) this.#bytes -= weightOf(next);
  }

  /** Takes out all that `which` says. */
  withdraw(which: (exchange: Exchange) => boolean): Exchange[] {
    const withdrawn: Exchange[] = [];
    this.#waiting?.filter((exchange) => {
      if (!which(exchange)) return true;
      this.#bytes -= weightOf(exchange);
      withdrawn.push(exchange);
      return false;
    });
    return withdrawn;
  }

  clear(): void {
    this.#waiting = undefined;
    this.#bytes = 0;
  }

  *[Symbol.iterator](): Generator<Exchange> {
    if (this.#waiting !== undefined) yield* this.#waiting;
  }
}

const weightOf = ({ message }: Exchange): number => message?.weight ?? 0;
