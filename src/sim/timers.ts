/** What a device waits with was ended: its script unwinds. */
export class Over extends Error {
  constructor() {
    super("the simulation is over");
  }
}

/** All timers of a simulation: when it ends, none of them is left, and whoever waits is told so. */
export class Timers {
  readonly #waiting = new Map<ReturnType<typeof setTimeout>, (() => void) | undefined>();
  #over = false;

  /** Milliseconds since the epoch. */
  now(): number {
    return Date.now();
  }

  /** Runs it later; returns what forgets it. */
  after(length: number, run: () => void, dropped?: () => void): () => void {
    if (this.#over) {
      dropped?.();
      return () => {};
    }
    const timer = setTimeout(
      () => {
        this.#waiting.delete(timer);
        run();
      },
      Math.min(length, 2 ** 31 - 1),
    );
    this.#waiting.set(timer, dropped);
    return () => {
      clearTimeout(timer);
      this.#waiting.delete(timer);
    };
  }

  pause(length: number): Promise<void> {
    return new Promise((resolve, reject) => this.after(length, resolve, () => reject(new Over())));
  }

  /** Once more, for what is said at the end. */
  begin(): void {
    this.#over = false;
  }

  end(): void {
    this.#over = true;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const [timer] of waiting) clearTimeout(timer);
    for (const [, dropped] of waiting) dropped?.();
  }
}
