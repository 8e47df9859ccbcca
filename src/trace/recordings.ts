import { type Ended, Recording, type RecordingOptions } from "./recording.ts";

/** Traces that run at one time, and that are remembered; the oldest that have ended go. */
export const RUNNING_MAX = 10;
const RECORDINGS_MAX = 30;
/** Octets that all recordings hold together; the oldest that have ended go for a new one. */
const BYTES_MAX = 128 * 1024 * 1024;

/** Bounds of one trace. */
export const ROWS_DEFAULT = 5_000;
export const ROWS_MAX = 50_000;
export const SECONDS_DEFAULT = 600;
export const SECONDS_MAX = 3_600;

/** What somebody asks for who starts a trace; what is left out has its default. */
export type TraceRequest = Pick<RecordingOptions, "client" | "topic" | "address" | "gateway"> & {
  readonly name?: string | undefined;
  readonly owner?: string | undefined;
  readonly seconds?: number | undefined;
  readonly rows?: number | undefined;
};

/** All traces of this process, running and ended. */
export class Recordings {
  readonly #all = new Map<string, Recording>();
  #running: readonly Recording[] = [];
  #started = 0;
  /** Called when the first begins and when the last has ended. */
  readonly #changed: (running: readonly Recording[]) => void;
  readonly #now: () => number;

  constructor(now: () => number, changed: (running: readonly Recording[]) => void) {
    this.#now = now;
    this.#changed = changed;
  }

  get running(): readonly Recording[] {
    return this.#running;
  }

  list(): Recording[] {
    return [...this.#all.values()];
  }

  get(id: string): Recording | undefined {
    return this.#all.get(id);
  }

  /** `full`: as many run as may. Bounds above the greatest are cut to it. */
  start(request: TraceRequest): Recording | "full" {
    this.expire();
    if (this.#running.length >= RUNNING_MAX) return "full";
    const {
      client,
      topic,
      address,
      gateway,
      name,
      owner = "",
      seconds = SECONDS_DEFAULT,
      rows = ROWS_DEFAULT,
    } = request;
    const id = `t${++this.#started}`;
    const now = this.#now();
    const options: RecordingOptions = {
      client,
      topic,
      address,
      gateway,
      name: name ?? id,
      owner,
      until: now + Math.min(seconds, SECONDS_MAX) * 1000,
      rows: Math.min(rows, ROWS_MAX),
    };
    const recording = new Recording(id, options, now);
    this.#all.set(id, recording);
    this.#makeRoom();
    recording.listen((row) => {
      if (row === undefined) this.#ended();
    });
    this.#run([...this.#running, recording]);
    return recording;
  }

  /** Ends those whose time is over. */
  expire(): void {
    const now = this.#now();
    for (const recording of this.#running) if (recording.options.until <= now) recording.end("time");
  }

  stop(id: string, why: Ended = "stopped"): boolean {
    const recording = this.#all.get(id);
    recording?.end(why);
    return recording !== undefined;
  }

  /** Stops it, and forgets its rows. */
  remove(id: string): boolean {
    this.stop(id);
    return this.#all.delete(id);
  }

  #ended(): void {
    this.#run(this.#running.filter(({ ended }) => ended === undefined));
  }

  #run(running: readonly Recording[]): void {
    this.#running = running;
    this.#changed(running);
  }

  #makeRoom(): void {
    const bytes = (): number => this.list().reduce((sum, recording) => sum + recording.bytes, 0);
    for (const [id, { ended }] of this.#all) {
      if (this.#all.size <= RECORDINGS_MAX && bytes() <= BYTES_MAX) return;
      if (ended !== undefined) this.#all.delete(id);
    }
  }
}
