import type { Brand } from "./brand.ts";

/** A length of time in milliseconds; `Infinity` is allowed and means for ever. */
export type Duration = Brand<number, "Duration">;
/** A point in time: milliseconds since the Unix epoch, never running backwards. `NEVER` is allowed. */
export type Instant = Brand<number, "Instant">;

export const milliseconds = (count: number): Duration => count as Duration;
export const seconds = (count: number): Duration => (count * 1000) as Duration;
export const minutes = (count: number): Duration => seconds(count * 60);
export const hours = (count: number): Duration => minutes(count * 60);
export const days = (count: number): Duration => hours(count * 24);

export const ZERO = 0 as Duration;
export const FOREVER = Number.POSITIVE_INFINITY as Duration;
export const NEVER = Number.POSITIVE_INFINITY as Instant;

export const after = (start: Instant, length: Duration): Instant => (start + length) as Instant;
/** From `start` to `end`; negative when `end` lies before `start`. */
export const between = (start: Instant, end: Instant): Duration => (end - start) as Duration;
export const earliest = (a: Instant, b: Instant): Instant => (a < b ? a : b);
export const latest = (a: Instant, b: Instant): Instant => (a > b ? a : b);
/** Whole seconds, rounded down. */
export const inSeconds = (length: Duration): number => Math.floor(length / 1000);

/** The most seconds that four octets can say, 136 years: longer lives are told as that, since 0 would be their end. */
export const SECONDS_MAX = 0xffff_ffff;

/** Where the core reads the time; tests pass a clock that they move by hand. */
export interface Clock {
  now(): Instant;
}
