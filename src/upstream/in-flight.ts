import type { Exchange } from "./exchange.ts";
import type { PacketIds } from "./packet-ids.ts";

/** What was sent to a server and is not done, in order, by packet id. */
export class InFlight {
  readonly #ids: PacketIds;
  /** Made at the first use. */
  #open: Map<number, Exchange> | undefined = undefined;

  constructor(ids: PacketIds) {
    this.#ids = ids;
  }

  get size(): number {
    return this.#open?.size ?? 0;
  }

  get(packetId: number): Exchange | undefined {
    return this.#open?.get(packetId);
  }

  /** They may come and go meanwhile. */
  all(): Exchange[] {
    return [...(this.#open?.values() ?? [])];
  }

  /** Has a packet id for it. False while its own one is in use, or none is free. */
  identify(exchange: Exchange): boolean {
    if (exchange.identified) return true;
    if (exchange.own) {
      exchange.identified = this.#ids.claim(exchange.packetId);
      return exchange.identified;
    }
    const id = this.#ids.take();
    if (id === undefined) return false;
    exchange.packetId = id;
    exchange.identified = true;
    return true;
  }

  /** Behind all others. */
  add(exchange: Exchange): void {
    this.#open ??= new Map();
    this.#open.delete(exchange.packetId);
    this.#open.set(exchange.packetId, exchange);
  }

  /** It is done, wherever it was, and its packet id is free. */
  remove(exchange: Exchange): void {
    const { packetId } = exchange;
    if (this.#open?.get(packetId) === exchange) this.#open.delete(packetId);
    if (exchange.identified) this.#ids.free(packetId);
    exchange.identified = false;
  }

  /** The packet ids stay taken. */
  takeAll(): Exchange[] {
    const all = this.all();
    this.#open = undefined;
    return all;
  }

  /** Nothing stays but these. */
  keep(these: readonly Exchange[]): void {
    this.#open = undefined;
    this.#ids.clear();
    for (const exchange of these) {
      this.#ids.claim(exchange.packetId);
      this.add(exchange);
    }
  }
}
