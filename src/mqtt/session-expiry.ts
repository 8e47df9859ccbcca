import { type Duration, FOREVER, inSeconds, SECONDS_MAX, seconds } from "../lib/time.ts";

/** A session that does not end by itself (MQTT 5 §3.1.2.11.2). */
const EXPIRY_NEVER = SECONDS_MAX;

/** A Session Expiry Interval as a length of time (MQTT 5 §3.1.2.11.2). */
export const expiryDuration = (interval: number): Duration =>
  interval === EXPIRY_NEVER ? FOREVER : seconds(interval);

export const expiryInterval = (expiry: Duration): number =>
  expiry === FOREVER ? EXPIRY_NEVER : Math.min(EXPIRY_NEVER - 1, inSeconds(expiry));
