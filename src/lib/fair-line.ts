import { Ring } from "./ring.ts";

/** All that waits from one address, by name. */
class Address<Waiting> {
  readonly names = new Map<string, Ring<Waiting>>();
  count = 0;

  push(name: string, waiting: Waiting): void {
    let ring = this.names.get(name);
    if (ring === undefined) {
      ring = new Ring();
      this.names.set(name, ring);
    }
    ring.push(waiting);
    this.count++;
  }

  /** The oldest of the name whose turn it is. */
  shift(): Waiting | undefined {
    const next = this.names.entries().next();
    if (next.done === true) return undefined;
    const [name, ring] = next.value;
    const waiting = ring.shift();
    this.count--;
    this.names.delete(name);
    if (ring.length > 0) this.names.set(name, ring);
    return waiting;
  }
}

/**
 * A line in which addresses take turns, and of one address the names: whoever asks a thousand times waits a thousand
 * times as long, and nobody else does.
 */
export class FairLine<Waiting> {
  readonly #addresses = new Map<string, Address<Waiting>>();
  #longest: Address<Waiting> | undefined = undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(address: string, name: string, waiting: Waiting): void {
    let line = this.#addresses.get(address);
    if (line === undefined) {
      line = new Address();
      this.#addresses.set(address, line);
    }
    line.push(name, waiting);
    this.#length++;
    if (line.count > (this.#longest?.count ?? 0)) this.#longest = line;
  }

  shift(): Waiting | undefined {
    const next = this.#addresses.entries().next();
    if (next.done === true) return undefined;
    const [address, line] = next.value;
    const waiting = line.shift();
    this.#length--;
    this.#addresses.delete(address);
    if (line.count > 0) this.#addresses.set(address, line);
    return waiting;
  }

  /** Makes room: takes one out of an address that has more waiting than this one. Undefined when none has. */
  makeRoomFor(address: string): Waiting | undefined {
    const own = this.#addresses.get(address)?.count ?? 0;
    if (this.#longest === undefined || this.#longest.count <= own + 1) this.#findLongest();
    const longest = this.#longest;
    if (longest === undefined || longest.count <= own + 1) return undefined;
    this.#length--;
    return longest.shift();
  }

  #findLongest(): void {
    this.#longest = undefined;
    for (const line of this.#addresses.values()) {
      if (line.count > (this.#longest?.count ?? 0)) this.#longest = line;
    }
  }
}
