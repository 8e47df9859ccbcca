/** What becomes of workers, without processes and in time that is moved by hand. */
import { beforeEach, describe, expect, it } from "vitest";
import {
  FIRST_PAUSE,
  LONGEST_PAUSE,
  Supervisor,
  WELL_AFTER,
  type WorkerEvents,
  WorkerFailed,
} from "#core/workers/supervisor.ts";
import type { ToWorker } from "#core/workers/worker.ts";

interface Run {
  readonly number: number;
  readonly restarts: number;
  readonly events: WorkerEvents;
  readonly heard: ToWorker[];
  readonly signals: string[];
}

let runs: Run[];
let now: number;
let timers: { readonly at: number; readonly run: () => void }[];
let ends: { readonly worker: number; readonly how: string; readonly pause: number }[];
let backs: number;
let supervisor: Supervisor;

beforeEach(() => {
  [runs, timers, ends, now, backs] = [[], [], [], 0, 0];
  supervisor = new Supervisor(3, {
    start(worker, events) {
      const run: Run = { ...worker, events, heard: [], signals: [] };
      runs.push(run);
      return {
        pid: 100 + runs.length,
        say: (message) => void run.heard.push(message),
        signal: (signal) => void run.signals.push(signal),
      };
    },
    now: () => now,
    later(pause, run) {
      const timer = { at: now + pause, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    ended: (end) => void ends.push(end),
    back: () => void backs++,
  });
});

const settled = () => new Promise((resolve) => setImmediate(resolve));
const up = (run: Run) => run.events.said({ kind: "ready", banner: { api: `http://${run.number}` } as never });
const last = (): Run => runs.at(-1)!;

async function started(): Promise<void> {
  const start = supervisor.start();
  up(runs[0]!);
  await settled();
  for (const run of runs.slice(1)) up(run);
  await start;
}

function pass(length: number): void {
  now += length;
  for (const timer of timers.filter(({ at }) => at <= now)) {
    timers = timers.filter((other) => other !== timer);
    timer.run();
  }
}

describe("a supervisor", () => {
  it("starts the first worker alone, and the others when it is up", async () => {
    const start = supervisor.start();
    await settled();
    expect(runs.map(({ number }) => number)).toEqual([1]);
    up(runs[0]!);
    await settled();
    expect(runs.map(({ number }) => number)).toEqual([1, 2, 3]);
    for (const run of runs.slice(1)) up(run);
    expect((await start).map(({ api }) => api)).toEqual(["http://1", "http://2", "http://3"]);
  });

  it("says once, in its own words, what the first could not start for, and starts no other", async () => {
    const start = supervisor.start();
    runs[0]!.events.said({ kind: "failed", code: "port-in-use", problem: "1883 is in use" });
    runs[0]!.events.ended("has ended with code 1");
    const failure = await start.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(WorkerFailed);
    expect(failure).toMatchObject({ code: "port-in-use", message: "1883 is in use" });
    expect(runs).toHaveLength(1);
  });

  it("stops the others when a further one cannot start", async () => {
    const start = supervisor.start().catch((error: unknown) => error);
    up(runs[0]!);
    await settled();
    runs[2]!.events.ended("was ended by SIGKILL");
    await settled();
    expect(runs.slice(0, 2).map(({ signals }) => signals)).toEqual([["SIGTERM"], ["SIGTERM"]]);
    for (const run of runs.slice(0, 2)) run.events.ended("has ended with code 0");
    expect(await start).toMatchObject({ code: "internal-error", message: "worker 3 was ended by SIGKILL" });
  });

  it("starts again who ends, after pauses that double up to the longest, and counts it", async () => {
    await started();
    const pauses: number[] = [];
    for (let time = 1; time <= 12; time++) {
      const run = runs.findLast(({ number }) => number === 2)!;
      run.events.ended("was ended by SIGKILL");
      pauses.push(ends.at(-1)!.pause);
      expect(supervisor.workers[1]).toMatchObject({ state: "waiting", restarts: time });
      pass(ends.at(-1)!.pause - 1);
      expect(runs).toHaveLength(2 + time);
      pass(1);
      expect(last()).toMatchObject({ number: 2, restarts: time });
    }
    expect(pauses.slice(0, 4)).toEqual([1, 2, 4, 8].map((times) => times * FIRST_PAUSE));
    expect(pauses.at(-1)).toBe(LONGEST_PAUSE);
    expect([...new Set(ends.map(({ worker }) => worker))]).toEqual([2]);
    expect(backs).toBe(0);
    up(last());
    expect(backs).toBe(1);
    expect(supervisor.workers[1]).toMatchObject({ state: "up", restarts: 12, api: "http://2" });
  });

  it("begins with the first pause again after a worker that did well", async () => {
    await started();
    for (let time = 0; time < 4; time++) {
      last().events.ended("was ended by SIGKILL");
      pass(ends.at(-1)!.pause);
      up(last());
    }
    expect(ends.at(-1)!.pause).toBeGreaterThan(FIRST_PAUSE);
    pass(WELL_AFTER);
    last().events.ended("was ended by SIGKILL");
    expect(ends.at(-1)!.pause).toBe(FIRST_PAUSE);
  });

  it("passes on how one has it to those who are up, and to who comes up later", async () => {
    await started();
    runs[1]!.events.ended("was ended by SIGKILL");
    runs[0]!.events.said({ kind: "tell", what: "bans", value: ["a"] });
    runs[0]!.events.said({ kind: "tell", what: "bans", value: ["a", "b"] });
    const told = (run: Run) =>
      run.heard.flatMap((message) => (message.kind === "told" ? [message.value] : []));
    expect(runs.map(told)).toEqual([[], [], [["a"], ["a", "b"]]]);
    pass(FIRST_PAUSE);
    expect(told(last())).toEqual([]);
    up(last());
    expect(told(last())).toEqual([["a", "b"]]);
  });

  it("lets each know how all are", async () => {
    await started();
    runs[1]!.events.ended("was ended by SIGKILL");
    const heard = runs[2]!.heard.at(-1);
    expect(heard).toMatchObject({
      kind: "crew",
      workers: [{ state: "up" }, { state: "waiting", restarts: 1 }, { state: "up" }],
    });
  });

  it("hands on SIGHUP to all", async () => {
    await started();
    supervisor.reload();
    expect(runs.map(({ signals }) => signals)).toEqual([["SIGHUP"], ["SIGHUP"], ["SIGHUP"]]);
  });

  it("stops when all have stopped, and starts none again", async () => {
    await started();
    runs[2]!.events.ended("was ended by SIGKILL");
    let stopped = false;
    const stop = supervisor.stop().then(() => {
      stopped = true;
    });
    expect(runs.map(({ signals }) => signals)).toEqual([["SIGTERM"], ["SIGTERM"], []]);
    runs[0]!.events.ended("has ended with code 0");
    await settled();
    expect(stopped).toBe(false);
    runs[1]!.events.ended("has ended with code 0");
    await stop;
    pass(LONGEST_PAUSE);
    expect(runs).toHaveLength(3);
    expect(supervisor.workers.map(({ state }) => state)).toEqual(["stopped", "stopped", "stopped"]);
  });
});
