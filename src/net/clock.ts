import { performance } from "node:perf_hooks";
import type { Clock, Instant } from "../lib/time.ts";

const start = performance.timeOrigin;

/**
 * The real clock. It takes the date once, when the process starts, and then follows the monotonic clock: a step
 * of the wall clock (NTP at boot, an operator) neither expires every client at once nor stops time. The price is
 * that such a step is seen only after a restart.
 */
export const systemClock: Clock = {
  now: () => (start + performance.now()) as Instant,
};
