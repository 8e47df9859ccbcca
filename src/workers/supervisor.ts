/** Keeps the workers of a machine running: starts them, starts again who ends, and tells each what the others did. */
import type { BannerFacts } from "../cli/banner.ts";
import type { FromWorker, Told, ToWorker, Worker, WorkerRow, WorkerState } from "./worker.ts";

/** The pause before a worker that has ended is started again; it doubles up to the longest. */
export const FIRST_PAUSE = 100;
export const LONGEST_PAUSE = 30_000;
/** Who has been up for so long has done well, and its next pause is the first one. */
export const WELL_AFTER = 60_000;

export type WorkerSignal = "SIGTERM" | "SIGHUP";

/** A process that was started. */
export interface WorkerProcess {
  readonly pid: number | undefined;
  say(message: ToWorker): void;
  signal(signal: WorkerSignal): void;
}

export interface WorkerEvents {
  said(message: FromWorker): void;
  /** `how`: its exit code or signal, in words. */
  ended(how: string): void;
}

export interface SupervisorPorts {
  start(worker: Pick<Worker, "number" | "restarts">, events: WorkerEvents): WorkerProcess;
  /** In milliseconds. */
  now(): number;
  later(pause: number, run: () => void): () => void;
  ended(worker: { worker: number; how: string; pause: number; restarts: number }): void;
  back(worker: { worker: number; pid: number | undefined }): void;
}

interface Failure {
  readonly code: string;
  readonly problem: string;
}

/** A worker could not start, in its own words. */
export class WorkerFailed extends Error {
  readonly code: string;

  constructor({ code, problem }: Failure) {
    super(problem);
    this.code = code;
    this.stack = problem;
  }
}

/** Where one of the workers is, or was, or will be. */
interface Place {
  readonly number: number;
  state: WorkerState;
  process: WorkerProcess | undefined;
  upSince: number;
  restarts: number;
  pause: number;
  cancel: (() => void) | undefined;
  failure: Failure | undefined;
  api: string | undefined;
  /** Of its first start. */
  begun: { resolve(banner: BannerFacts): void; reject(error: Error): void } | undefined;
}

export class Supervisor {
  readonly #places: readonly Place[];
  readonly #ports: SupervisorPorts;
  /** What was told last of each thing, for those who were not there. */
  readonly #told = new Map<string, unknown>();
  #stopping = false;
  #gone: (() => void) | undefined;

  constructor(workers: number, ports: SupervisorPorts) {
    this.#ports = ports;
    this.#places = Array.from({ length: workers }, (_, index) => newPlace(index + 1));
  }

  get workers(): readonly WorkerRow[] {
    return this.#places.map(({ number, state, process, restarts, api }) => ({
      ...{ number, state, restarts },
      ...(process?.pid === undefined ? {} : { pid: process.pid }),
      ...(api === undefined ? {} : { api }),
    }));
  }

  /** The first alone, so that what is wrong is said once, and what all need is made once. Throws `WorkerFailed`. */
  async start(): Promise<readonly BannerFacts[]> {
    const [first, ...others] = this.#places as readonly [Place, ...Place[]];
    try {
      return [await this.#begin(first), ...(await Promise.all(others.map((place) => this.#begin(place))))];
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Resolves when none is left. */
  stop(): Promise<void> {
    this.#stopping = true;
    for (const place of this.#places) {
      place.cancel?.();
      if (place.process === undefined) place.state = "stopped";
      else place.process.signal("SIGTERM");
    }
    return new Promise((resolve) => {
      this.#gone = resolve;
      this.#seeWhetherGone();
    });
  }

  reload(): void {
    for (const { process } of this.#places) process?.signal("SIGHUP");
  }

  #begin(place: Place): Promise<BannerFacts> {
    return new Promise((resolve, reject) => {
      place.begun = { resolve, reject };
      this.#start(place);
    });
  }

  #start(place: Place): void {
    place.state = "starting";
    place.failure = undefined;
    place.cancel = undefined;
    const { number, restarts } = place;
    place.process = this.#ports.start(
      { number, restarts },
      { said: (message) => this.#said(place, message), ended: (how) => this.#ended(place, how) },
    );
    this.#tellCrew();
  }

  #said(place: Place, message: FromWorker): void {
    if (message.kind === "failed") place.failure = message;
    else if (message.kind === "tell") this.#tellOthers(place, message);
    else {
      place.state = "up";
      place.upSince = this.#ports.now();
      place.api = message.banner.api;
      if (place.begun === undefined) this.#ports.back({ worker: place.number, pid: place.process?.pid });
      place.begun?.resolve(message.banner);
      place.begun = undefined;
      for (const [what, value] of this.#told) place.process?.say({ kind: "told", what, value });
      this.#tellCrew();
    }
  }

  #tellOthers(from: Place, { what, value }: Told): void {
    this.#told.set(what, value);
    for (const place of this.#places) {
      if (place !== from && place.state === "up") place.process?.say({ kind: "told", what, value });
    }
  }

  #tellCrew(): void {
    const { workers } = this;
    for (const { state, process } of this.#places)
      if (state === "up") process?.say({ kind: "crew", workers });
  }

  #ended(place: Place, how: string): void {
    const wasUp = place.state === "up";
    place.process = undefined;
    place.api = undefined;
    if (this.#stopping || place.begun !== undefined) {
      place.state = "stopped";
      const problem = `worker ${place.number} ${how}`;
      place.begun?.reject(new WorkerFailed(place.failure ?? { code: "internal-error", problem }));
      place.begun = undefined;
      this.#seeWhetherGone();
      return;
    }
    const well = wasUp && this.#ports.now() - place.upSince >= WELL_AFTER;
    const pause = well ? FIRST_PAUSE : place.pause;
    place.pause = Math.min(2 * pause, LONGEST_PAUSE);
    place.restarts++;
    place.state = "waiting";
    this.#ports.ended({
      worker: place.number,
      how: place.failure?.problem ?? how,
      pause,
      restarts: place.restarts,
    });
    place.cancel = this.#ports.later(pause, () => this.#start(place));
    this.#tellCrew();
  }

  #seeWhetherGone(): void {
    if (this.#places.every(({ process }) => process === undefined)) this.#gone?.();
  }
}

const newPlace = (number: number): Place => ({
  number,
  state: "stopped",
  process: undefined,
  upSince: 0,
  restarts: 0,
  pause: FIRST_PAUSE,
  cancel: undefined,
  failure: undefined,
  api: undefined,
  begun: undefined,
});
