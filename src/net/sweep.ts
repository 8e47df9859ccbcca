/** Something that must be over by `expiresAt`, in milliseconds of the monotonic clock. */
export interface Expiring {
  readonly expiresAt: number;
  expired(): void;
}

/** How late an expiry may be noticed, in milliseconds. */
const PERIOD = 250;

/**
 * Bounds handshakes and lingering sockets of all listeners with one timer, which runs only while there is
 * something to watch: a timer per connection would cost an idle connection memory.
 */
export class Sweep {
  readonly #watched = new Set<Expiring>();
  #timer: NodeJS.Timeout | undefined;

  add(item: Expiring): void {
    this.#watched.add(item);
    this.#timer ??= setInterval(() => this.#run(), PERIOD).unref();
  }

  delete(item: Expiring): void {
    this.#watched.delete(item);
  }

  get size(): number {
    return this.#watched.size;
  }

  #run(): void {
    const now = performance.now();
    for (const item of this.#watched) {
      if (item.expiresAt > now) continue;
      this.#watched.delete(item);
      item.expired();
    }
    if (this.#watched.size > 0 || this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** The one sweep of this process. */
export const sweep = new Sweep();
