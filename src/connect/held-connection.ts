import { SinkFailure } from "./connector.ts";
import { within } from "./within.ts";

/** How a library's connection is made, ended, and understood. */
interface How<Opened> {
  /**
   * `lost`: to be called when it has ended by itself, with the reason where that is known. `unwanted`: nobody waits for it
   * any more.
   */
  open(lost: (why?: unknown) => void, unwanted: AbortSignal): Promise<Opened>;
  close(opened: Opened): unknown;
  failureOf(error: unknown): SinkFailure;
}

interface Held<Opened> {
  readonly opening: Promise<Opened>;
  /** Fails when the connection ends by itself: libraries leave some without an answer then. */
  readonly ended: Promise<never>;
  /** Of this one alone: what listens goes with it. */
  readonly unwanted: AbortController;
}

/** One connection for all batches: opened for the first, and anew after a failure that may be the connection's. */
export class HeldConnection<Opened> {
  readonly #how: How<Opened>;
  #held: Held<Opened> | undefined = undefined;

  constructor(how: How<Opened>) {
    this.#how = how;
  }

  /** Throws `SinkFailure`, also when it takes longer than the signal allows. */
  async use<Result>(signal: AbortSignal, work: (opened: Opened) => Promise<Result>): Promise<Result> {
    this.#held ??= this.#open();
    const held = this.#held;
    try {
      return await within(signal, Promise.race([held.opening.then(work), held.ended]));
    } catch (error) {
      const failure = this.#how.failureOf(error);
      if (failure.heals) void this.#drop(held);
      throw failure;
    }
  }

  async close(): Promise<void> {
    if (this.#held !== undefined) await this.#drop(this.#held);
  }

  #open(): Held<Opened> {
    let end: (error: unknown) => void = () => {};
    const ended = new Promise<never>((_, reject) => {
      end = reject;
    });
    ended.catch(() => {});
    const lost = (why?: unknown): void => {
      end(why ?? new SinkFailure("the connection has ended", true));
      void this.#drop(held);
    };
    const unwanted = new AbortController();
    const held: Held<Opened> = { opening: this.#how.open(lost, unwanted.signal), ended, unwanted };
    return held;
  }

  async #drop(held: Held<Opened>): Promise<void> {
    if (this.#held !== held) return;
    this.#held = undefined;
    held.unwanted.abort();
    await held.opening.then(
      (opened) => this.#how.close(opened),
      () => {},
    );
  }
}
