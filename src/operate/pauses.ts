/** So long others may have to wait for a slice of something long. */
const SLICE_MS = 2;

/** Says when a slice is over, and lets others have their turn. */
export class Pauses {
  #began = performance.now();
  #steps = 0;

  /** Looks at the clock now and then: reading it costs as much as a step. */
  get due(): boolean {
    return (++this.#steps & 15) === 0 && performance.now() - this.#began >= SLICE_MS;
  }

  async take(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#began = performance.now();
  }
}
