/** Watches over code that others wrote and that runs in this thread: how long it takes, and whether it returns at all. */
import { Worker } from "node:worker_threads";

/** A plug-in, and after how many milliseconds in it the process is given up; Infinity: never. */
export interface Watched {
  readonly gateway: string;
  readonly module: string;
  readonly stuckAfter: number;
}

/** In shared memory: which plug-in runs, counted from 1, and how often one was entered so far. */
const RUNNING = 0;
const ENTERED = 1;

export class PlugInWatch {
  readonly #shared = new Int32Array(new SharedArrayBuffer(8));
  readonly #numbers = new Map<string, number>();
  /** Of those entered and not left: when, and how much of that was spent in others. */
  readonly #since: number[] = [];
  readonly #within: number[] = [];
  readonly #running: number[] = [];
  #worker: Worker | undefined = undefined;

  enter(gateway: string): void {
    const number = this.#numbers.get(gateway) ?? 0;
    this.#since.push(performance.now());
    this.#within.push(0);
    this.#running.push(number);
    Atomics.store(this.#shared, RUNNING, number);
    Atomics.add(this.#shared, ENTERED, 1);
  }

  leave(): number {
    const took = performance.now() - this.#since.pop()!;
    const within = this.#within.pop()!;
    this.#running.pop();
    const outer = this.#within.length - 1;
    if (outer >= 0) this.#within[outer]! += took;
    Atomics.store(this.#shared, RUNNING, this.#running.at(-1) ?? 0);
    return took - within;
  }

  /** A thread of its own looks whether they return: this one cannot, while one of them does not. */
  start(watched: readonly Watched[]): void {
    for (const [index, { gateway }] of watched.entries()) this.#numbers.set(gateway, index + 1);
    const limited = watched.filter(({ stuckAfter }) => Number.isFinite(stuckAfter));
    if (limited.length === 0) return;
    this.#worker = new Worker(WATCHDOG, {
      eval: true,
      workerData: { shared: this.#shared, watched, pid: process.pid },
    });
    this.#worker.unref();
  }

  stop(): void {
    void this.#worker?.terminate();
  }
}

/**
 * Asks the thread that stands still where it is, as a debugger would, says it and ends the process: nothing else can
 * end a loop of another thread and leave a sound state behind.
 */
const WATCHDOG = `
const { workerData: { shared, watched, pid } } = require("node:worker_threads");
const { Session } = require("node:inspector");
const { writeSync } = require("node:fs");
const PERIOD = 250;
let entered = -1, stood = 0, asked = false;
setInterval(() => {
  const running = Atomics.load(shared, ${RUNNING});
  const now = Atomics.load(shared, ${ENTERED});
  if (running === 0 || now !== entered) { entered = now; stood = 0; return; }
  stood += PERIOD;
  const { gateway, module, stuckAfter } = watched[running - 1];
  if (stood < stuckAfter || asked) return;
  asked = true;
  const end = (where) => {
    writeSync(2, "isthmus: gateway " + gateway + " (" + module + ") has not returned for " + Math.round(stood / 1000) +
      " s" + where + ": everything stands still, so this process ends. Mend the plug-in, or give it more time with gateways." +
      gateway + ".stuckAfter. What was acknowledged is kept.\\n");
    process.kill(pid, "SIGKILL");
  };
  setTimeout(end, 5000, "");
  try {
    const session = new Session();
    session.connectToMainThread();
    const urls = new Map();
    session.on("Debugger.scriptParsed", ({ params: { scriptId, url } }) => urls.set(scriptId, url));
    session.on("Debugger.paused", ({ params: { callFrames: [{ functionName, location }] } }) =>
      end(", in " + (functionName || "a function") + " at " + urls.get(location.scriptId) + ":" + (location.lineNumber + 1)));
    session.post("Debugger.enable", () => session.post("Debugger.pause"));
  } catch {}
}, PERIOD);
`;
