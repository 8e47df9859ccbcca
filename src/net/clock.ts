import { performance } from "node:perf_hooks";
import { between, type Clock, type Duration, type Instant } from "../lib/time.ts";

const start = performance.timeOrigin;

/**
 * The real clock. It takes the date once, when the process starts, and then follows the monotonic clock: a step
 * of the wall clock (NTP at boot, an operator) neither expires every client at once nor stops time. The price is
 * that such a step is seen only after a restart, which moves the times in the store by it.
 */
export const systemClock: Clock = {
  now: () => (start + performance.now()) as Instant,
};

/** How far it is behind the date of the machine, which was set since; negative where it is ahead. */
export const behindTheDate = (): Duration => between(systemClock.now(), Date.now() as Instant);
