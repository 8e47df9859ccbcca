import type { Association } from "./association.ts";

/** Of an association: its objects, keys, window and entries in tables; measured by test/bench/dtls. */
const ASSOCIATION_OCTETS = 3_000;
/** Of a handshake beside the messages that it may have to hold. */
const HANDSHAKE_OCTETS = 8_000;

export const octetsOf = ({ identity }: Association): number =>
  ASSOCIATION_OCTETS + 2 * (identity?.length ?? 0);
export const handshakeOctets = (messageMax: number): number => HANDSHAKE_OCTETS + messageMax;

/** One that takes of the memory, and can give something back. */
export interface MemoryHolder {
  readonly octets: number;
  /** Ends the association that was idle for longest; false when it has none. */
  giveBack(): boolean;
}

/** What the associations and handshakes of all listeners may take together, as estimated. */
export class DtlsMemory {
  readonly #limit: number;
  readonly #holders = new Set<MemoryHolder>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  join(holder: MemoryHolder): void {
    this.#holders.add(holder);
  }

  leave(holder: MemoryHolder): void {
    this.#holders.delete(holder);
  }

  /** The listener that has most gives back, until there is enough for so much more. */
  makeRoom(octets: number): void {
    while (this.#used() + octets > this.#limit) {
      const most = [...this.#holders].sort((a, b) => b.octets - a.octets);
      if (!most.some((holder) => holder.giveBack())) return;
    }
  }

  #used(): number {
    let used = 0;
    for (const { octets } of this.#holders) used += octets;
    return used;
  }
}
