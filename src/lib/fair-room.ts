import { addressBlock } from "./address-block.ts";

interface Seat {
  block: string;
  since: number;
}

/**
 * Places for guests that have not yet shown what they want, shared by address (IPv4, or the /64 of IPv6). When all are
 * taken, a newcomer gets that of the guest who has waited longest of the address that has most: many silent guests
 * from one address keep nobody else out.
 */
export class FairRoom<Guest> {
  readonly #places: number;
  readonly #grace: number;
  readonly #seats = new Map<Guest, Seat>();
  /** By address, each in the order in which they came. */
  readonly #blocks = new Map<string, Set<Guest>>();

  /** `grace`: so many milliseconds a guest keeps its place when the newcomer is of the same address, or of one that has as many. */
  constructor(places: number, grace: number) {
    this.#places = places;
    this.#grace = grace;
  }

  get size(): number {
    return this.#seats.size;
  }

  /** How many guests of this address are in. */
  of(address: string): number {
    return this.#blocks.get(addressBlock(address, 32))?.size ?? 0;
  }

  /** Takes a guest in. Returns who has to go for it and is out already: nobody, another, or the newcomer itself. */
  enter(guest: Guest, address: string, now: number): Guest | undefined {
    const seat = { block: addressBlock(address, 32), since: now };
    const loser = this.#seats.size < this.#places ? undefined : this.#loser(guest, seat);
    if (loser !== undefined) this.leave(loser);
    if (loser !== guest) this.#sit(guest, seat);
    return loser;
  }

  /** Its address turned out to be another. */
  move(guest: Guest, address: string): void {
    const seat = this.#seats.get(guest);
    if (seat === undefined) return;
    this.leave(guest);
    this.#sit(guest, { ...seat, block: addressBlock(address, 32) });
  }

  /** It has shown what it wants: from now on it is the last of its address that came. */
  renew(guest: Guest, now: number): void {
    const seat = this.#seats.get(guest);
    if (seat === undefined) return;
    this.leave(guest);
    this.#sit(guest, { ...seat, since: now });
  }

  leave(guest: Guest): void {
    const seat = this.#seats.get(guest);
    if (seat === undefined) return;
    this.#seats.delete(guest);
    const block = this.#blocks.get(seat.block);
    block?.delete(guest);
    if (block?.size === 0) this.#blocks.delete(seat.block);
  }

  guests(): IterableIterator<Guest> {
    return this.#seats.keys();
  }

  #sit(guest: Guest, seat: Seat): void {
    this.#seats.set(guest, seat);
    const block = this.#blocks.get(seat.block);
    if (block === undefined) this.#blocks.set(seat.block, new Set([guest]));
    else block.add(guest);
  }

  #loser(newcomer: Guest, { block, since }: Seat): Guest {
    let most = this.#blocks.get(block);
    const own = most?.size ?? 0;
    let size = own;
    for (const other of this.#blocks.values()) {
      if (other.size <= size) continue;
      most = other;
      size = other.size;
    }
    const oldest = most?.values().next().value;
    if (oldest === undefined) return newcomer;
    // More than its own address would have with the newcomer in.
    if (size > own + 1) return oldest;
    return since - this.#seats.get(oldest)!.since >= this.#grace ? oldest : newcomer;
  }
}
