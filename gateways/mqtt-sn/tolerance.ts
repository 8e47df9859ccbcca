import { type Duration, milliseconds } from "#core/lib/time.ts";

/** A client may be silent for longer than it says: "50 % up to a minute, 10 % above, for example" (MQTT-SN 1.2 §7.2). */
export const withTolerance = (duration: number): Duration =>
  milliseconds(Math.round(duration * (duration <= 60 ? 1500 : 1100)));
