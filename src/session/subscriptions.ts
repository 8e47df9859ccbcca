import type { SubscribeOptions } from "../contract/client.ts";
import type { Memory } from "../lib/memory.ts";
import { SmallMap } from "../lib/small-map.ts";

/** One without its filter: in the session, and on the bus. */
const SUBSCRIPTION = 300;
/** Who holds so little may hold more while nothing is taken in: those who are here are served. */
const LITTLE = 65_536;

const weightOf = (filter: string): number => SUBSCRIPTION + filter.length;

/** What a client is subscribed to. In the account of memory it stands with its will and what the gateway remembers of it. */
export class Subscriptions extends SmallMap<string, SubscribeOptions> {
  /** Bytes of all that. */
  weight = 0;
  #memo = 0;
  readonly #memory: Memory | undefined;

  constructor(memory: Memory | undefined) {
    super();
    this.#memory = memory;
  }

  /** So much more, or less, is held. */
  weigh(more: number): void {
    this.weight += more;
    if (this.#memory !== undefined) this.#memory.held += more;
  }

  /** Bytes that what the gateway remembers holds, where they are more than a little. */
  get memo(): number {
    return this.#memo;
  }

  set memo(weight: number) {
    if (weight !== this.#memo) this.weigh(weight - this.#memo);
    this.#memo = weight;
  }

  /** There is no memory for so much more. */
  refuses(more: number): boolean {
    return this.#memory?.refuses === true && this.weight + more > LITTLE;
  }

  override set(filter: string, options: SubscribeOptions): this {
    if (!this.has(filter)) this.weigh(weightOf(filter));
    return super.set(filter, options);
  }

  override delete(filter: string): boolean {
    if (!super.delete(filter)) return false;
    this.weigh(-weightOf(filter));
    return true;
  }

  /** The session has ended: nothing of it is held any more. */
  gone(): void {
    this.clear();
    this.weigh(-this.weight);
  }
}
