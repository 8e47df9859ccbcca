/** Messages of one gateway since the start. */
export interface GatewayTraffic {
  /** From its clients to the bus. */
  in: number;
  /** From the bus to its clients; one handed out again counts again. */
  out: number;
}

/** Messages by gateway: cells that the hot path adds to, and nobody else. */
export class Traffic {
  readonly #of = new Map<string, GatewayTraffic>();

  of(gateway: string): GatewayTraffic {
    let cells = this.#of.get(gateway);
    if (cells === undefined) {
      cells = { in: 0, out: 0 };
      this.#of.set(gateway, cells);
    }
    return cells;
  }
}
