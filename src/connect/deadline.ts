/** The longest that a timer takes, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

/**
 * The time for what is asked of a sink, which ends early where the sink is given up. On Node 20 `AbortSignal.any` of an
 * `AbortSignal.timeout` is forgotten by the next garbage collection, and never aborts.
 */
export class Deadline {
  /** The time is up. */
  late = false;
  readonly #controller = new AbortController();
  readonly #stop: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #stopped = (): void => this.#controller.abort();

  /** `length` in milliseconds. */
  constructor(length: number, stop: AbortSignal) {
    this.#stop = stop;
    if (stop.aborted) this.#stopped();
    else stop.addEventListener("abort", this.#stopped);
    this.#timer = setTimeout(
      () => {
        this.late = true;
        this.#controller.abort();
      },
      Math.min(length, LONGEST),
    ).unref();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** It was done in time: nothing waits any more. */
  end(): void {
    clearTimeout(this.#timer);
    this.#stop.removeEventListener("abort", this.#stopped);
  }
}
