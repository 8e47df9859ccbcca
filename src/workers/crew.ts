/** What a worker hears of the others, and lets them know. */
import type { FromWorker, ToWorker, Worker, WorkerRow } from "./worker.ts";

/** To the supervisor: this process, or a test. */
export interface Channel {
  send(message: FromWorker): void;
  listen(hear: (message: ToWorker) => void): void;
}

export class Crew {
  readonly worker: Worker;
  readonly #channel: Channel;
  readonly #heeded = new Map<string, (value: never) => void>();
  #workers: readonly WorkerRow[] = [];

  constructor(worker: Worker, channel: Channel) {
    this.worker = worker;
    this.#channel = channel;
    channel.listen((message) => this.#hear(message));
  }

  /** As the supervisor has said last. */
  get workers(): readonly WorkerRow[] {
    return this.#workers;
  }

  /** How it is here now: all of it, for the others, and for those who come later. */
  tell(what: string, value: unknown): void {
    this.#channel.send({ kind: "tell", what, value });
  }

  /** Makes it here as another one tells. */
  heed<Value>(what: string, run: (value: Value) => void): void {
    this.#heeded.set(what, run);
  }

  #hear(message: ToWorker): void {
    if (message.kind === "crew") this.#workers = message.workers;
    else this.#heeded.get(message.what)?.(message.value as never);
  }
}
