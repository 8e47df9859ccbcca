import type { Hold } from "../bus/gate.ts";

/** What of one message sinks still have to take before its publisher is answered. */
export class SinkHold implements Hold {
  #left = 0;
  #run: (() => void) | undefined = undefined;

  /** One thing more is waited for. Returns what to call when it is over, whatever became of it. */
  add(): () => void {
    this.#left++;
    let over = false;
    return () => {
      if (over) return;
      over = true;
      if (--this.#left === 0) this.#over();
    };
  }

  get isOver(): boolean {
    return this.#left === 0;
  }

  whenOver(run: () => void): void {
    this.#run = run;
    if (this.#left === 0) this.#over();
  }

  #over(): void {
    const run = this.#run;
    this.#run = undefined;
    run?.();
  }
}
