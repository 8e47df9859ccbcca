/** What of this process and its machine is worth an alarm, looked at on a beat. */
import { existsSync, statfsSync } from "node:fs";
import { totalmem } from "node:os";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import { firstCertificateToEnd } from "./certificates.ts";
import type { Composition } from "./compose.ts";
import { timerLength } from "./lib/timer-length.ts";
import { behindTheDate } from "./net/clock.ts";
import { descriptors } from "./net/descriptors.ts";
import { type Watermark, watch } from "./observe/alarms.ts";
import { CLOCK_STEP } from "./session/durable-state.ts";

const DAY_MS = 86_400_000;
/** Below its mark by this factor an alarm is over, so that it does not come and go. */
const RELIEF = 0.8;

/** What is measured of the loop is the time between two looks at it: this, where nothing is late. */
const LOOK_MS = 20;

/** Looks at everything now and then, until it is stopped. */
export function startAlarms(running: Composition, isOpen: () => boolean): { stop(): void } {
  const { interval, enable } = running.config.alarms;
  if (!enable) return { stop() {} };
  const delay = monitorEventLoopDelay({ resolution: LOOK_MS });
  delay.enable();
  const marks = watermarks(running, isOpen, delay);
  const timer = setInterval(() => watch(running.alarms, marks), timerLength(interval)).unref();
  return {
    stop() {
      clearInterval(timer);
      delay.disable();
    },
  };
}

type Watched = Pick<Composition, "config" | "sessionCounters" | "kept"> & {
  readonly core: Pick<Composition["core"], "healthy">;
};
type Delay = Pick<ReturnType<typeof monitorEventLoopDelay>, "count" | "percentile" | "reset">;

/** Everything that is looked at, with its marks. */
export const watermarks = (running: Watched, isOpen: () => boolean, delay: Delay): readonly Watermark[] => [
  ...marksOf(running, delay),
  ...conditionsOf(running, isOpen),
];

function marksOf({ config, sessionCounters }: Watched, delay: Delay): Watermark[] {
  const { cpu, memory, heap, eventLoopDelay, diskFree, queueDrops, certificates } = config.alarms;
  const part = (name: string, high: number, message: string, measure: Watermark["measure"]): Watermark => ({
    ...{ name, high, low: high * RELIEF, message, measure },
    severity: "warning",
  });
  const dropped = rate(() => sessionCounters.droppedFull.value);
  const busy = rate(() => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  return [
    part("high-cpu", cpu, "the process is busy: one core is all that its clients can have", busy),
    part("high-memory", memory, "the machine, or the container, is short of memory", usedMemory),
    part("high-heap", heap, "the heap of this process is nearly full: raise --max-old-space-size", () => {
      const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
      return used / limit;
    }),
    part("event-loop-late", eventLoopDelay, "clients wait: the event loop is late (value in ms)", () => {
      const late = delay.count === 0 ? 0 : Math.max(0, delay.percentile(99) / 1e6 - LOOK_MS);
      delay.reset();
      return late;
    }),
    part(
      "queues-overflow",
      queueDrops,
      "messages are dropped because queues are full (value a second)",
      dropped,
    ),
    {
      ...part("disk-nearly-full", 1 - diskFree, "the disk under the data folder is nearly full", () =>
        usedDisk(config.dataFolder),
      ),
      low: 1 - 2 * diskFree,
      severity: "critical",
    },
    {
      ...part(
        "certificate-expiring",
        -certificates,
        "a certificate ends soon (value: minus the days left)",
        () => {
          const first = firstCertificateToEnd(config);
          return first === undefined ? undefined : (Date.now() - first.at) / DAY_MS;
        },
      ),
      low: -certificates - 1,
      severity: "error",
    },
  ];
}

/** What holds or does not. */
function conditionsOf({ core, kept }: Watched, isOpen: () => boolean): Watermark[] {
  const condition = (
    name: string,
    message: string,
    holds: () => boolean,
    severity: Watermark["severity"] = "critical",
  ): Watermark => ({ name, severity, message, high: 1, low: 0, measure: () => (holds() ? 1 : 0) });
  return [
    condition("store-failing", "the store cannot write: what it would have to keep is refused", () =>
      kept === undefined ? false : !core.healthy(),
    ),
    condition("listeners-closed", "not all listeners are open", () => !isOpen()),
    condition("file-descriptors-short", descriptors.fix, () => descriptors.short),
    condition(
      "clock-stepped",
      "the clock of this machine was set since this process began, which goes on by its own: restart it",
      () => Math.abs(behindTheDate()) >= CLOCK_STEP,
      "warning",
    ),
  ];
}

/** How much a sum grows a second, since it was looked at last. */
function rate(sum: () => number): () => number {
  let before = sum();
  let at = performance.now();
  return () => {
    const now = performance.now();
    const total = sum();
    const grown = ((total - before) * 1000) / Math.max(1, now - at);
    before = total;
    at = now;
    return grown;
  };
}

const usedMemory = (): number => {
  const total = process.constrainedMemory();
  // Without a limit of its own a container reports none, or more than there is.
  const all = total === undefined || total === 0 || total > totalmem() ? totalmem() : total;
  return 1 - process.availableMemory() / all;
};

function usedDisk(folder: string): number | undefined {
  if (!existsSync(folder)) return undefined;
  const { bavail, blocks } = statfsSync(folder);
  return blocks === 0 ? undefined : 1 - bavail / blocks;
}
