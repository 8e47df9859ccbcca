/** How far something is that takes long: one line on a terminal that is gone when it has ended, and nothing in a pipe. */

export interface ProgressIo {
  error(text: string): void;
  /** Standard error is a terminal. */
  readonly progress?: boolean | undefined;
}

/** Says what it is about and for how long it has gone on; `at` says how far. */
export class Progress {
  readonly #io: ProgressIo;
  readonly #what: string;
  readonly #began = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;
  #how = "";

  constructor(io: ProgressIo, what: string) {
    this.#io = io;
    this.#what = what;
    if (io.progress !== true) return;
    this.#timer = setInterval(() => this.#show(), 500);
    this.#show();
  }

  /** Costs nothing but a look at a field until it is shown again. */
  at(how: string): void {
    this.#how = how;
  }

  /** So many of all; of 0, where that is not known. */
  readonly count = (done: number, all: number): void => {
    if (this.#timer === undefined) return;
    const part = all === 0 ? "" : ` of ${all}, ${Math.floor((Math.min(done, all) / all) * 100)} %`;
    this.#how = `${done}${part}`;
  };

  end(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#io.error("\r\u001b[2K");
  }

  #show(): void {
    const seconds = Math.floor((performance.now() - this.#began) / 1000);
    this.#io.error(
      `\r\u001b[2K${this.#what}${this.#how === "" ? "" : `: ${this.#how}`}${seconds === 0 ? "" : ` (${seconds} s)`}`,
    );
  }
}

/** Shows progress as long as the work takes, however it ends. */
export async function withProgress<Result>(
  io: ProgressIo,
  what: string,
  work: (progress: Progress) => Promise<Result>,
): Promise<Result> {
  const progress = new Progress(io, what);
  try {
    return await work(progress);
  } finally {
    progress.end();
  }
}
