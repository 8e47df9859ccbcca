import type { Duration } from "./time.ts";

const TIMER_MS_MAX = 2 ** 31 - 1;

/** What a timer of the event loop can be given: beyond 24 days it would run at once instead. */
export const timerLength = (length: Duration): number => Math.min(length, TIMER_MS_MAX);
