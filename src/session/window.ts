import type { DeliveryId } from "../contract/delivery.ts";
import { Memory } from "../lib/memory.ts";
import type { Outgoing } from "./outgoing.ts";

const ID_MAX = 65_535;
/** For windows that stand for themselves. */
const UNCOUNTED = new Memory();

/**
 * Unsettled deliveries by id, in the order in which they were handed out. Ids go up and wrap at 65,535, and
 * are settled nearly in order, so a circular array indexed by the low bits of the id does without hashing.
 */
export class Window {
  #slots: (Outgoing | undefined)[] = [];
  #size = 0;
  #last = 0;
  readonly #memory: Memory;
  /** Weight of its messages. */
  bytes = 0;

  constructor(memory: Memory = UNCOUNTED) {
    this.#memory = memory;
  }

  get size(): number {
    return this.#size;
  }

  /** True when all 65,535 ids are in use. */
  get full(): boolean {
    return this.#size >= ID_MAX;
  }

  /** Gives a delivery the next free id and remembers it. */
  add(delivery: Outgoing): DeliveryId {
    let id = this.#last;
    do {
      id = id === ID_MAX ? 1 : id + 1;
    } while (this.get(id as DeliveryId) !== undefined);
    this.put(delivery, id as DeliveryId);
    return id as DeliveryId;
  }

  /** Remembers a delivery under an id that it already has. */
  put(delivery: Outgoing, id: DeliveryId): void {
    delivery.id = id;
    if (this.#slots.length === 0) this.#slots = new Array(8).fill(undefined);
    while (this.#slots[id & (this.#slots.length - 1)] !== undefined) this.#grow();
    this.#slots[id & (this.#slots.length - 1)] = delivery;
    this.#size++;
    this.#memory.take(delivery.message);
    this.bytes += delivery.message.weight;
    // Those that come back from a store come in the order in which they were handed out: ids go on from the last.
    this.#last = id;
  }

  get(id: DeliveryId): Outgoing | undefined {
    const found = this.#slots[id & (this.#slots.length - 1)];
    return found !== undefined && found.id === id ? found : undefined;
  }

  remove(id: DeliveryId): Outgoing | undefined {
    const found = this.get(id);
    if (found === undefined) return undefined;
    this.#slots[id & (this.#slots.length - 1)] = undefined;
    this.#size--;
    this.#memory.give(found.message);
    this.bytes -= found.message.weight;
    // An idle session gives back what a burst made it grow to.
    if (this.#size === 0 && this.#slots.length > 64) this.#slots = [];
    return found;
  }

  /** All, oldest first. */
  inOrder(): Outgoing[] {
    const all: Outgoing[] = [];
    for (const delivery of this.#slots) if (delivery !== undefined) all.push(delivery);
    return all.sort((a, b) => a.sequence - b.sequence);
  }

  clear(): void {
    for (const delivery of this.#slots) if (delivery !== undefined) this.#memory.give(delivery.message);
    this.#slots = [];
    this.#size = 0;
    this.bytes = 0;
  }

  /** Nothing holds on to a read buffer any more. */
  keep(): void {
    for (const delivery of this.#slots) {
      if (delivery === undefined) continue;
      const kept = delivery.message.kept();
      this.#memory.give(delivery.message);
      this.#memory.take(kept);
      delivery.message = kept;
    }
  }

  #grow(): void {
    const former = this.#slots;
    let length = former.length;
    for (;;) {
      length *= 2;
      const grown: (Outgoing | undefined)[] = new Array(length).fill(undefined);
      let collision = false;
      for (const delivery of former) {
        if (delivery === undefined) continue;
        if (grown[delivery.id & (length - 1)] !== undefined) collision = true;
        grown[delivery.id & (length - 1)] = delivery;
      }
      if (collision) continue;
      this.#slots = grown;
      return;
    }
  }
}
