/**
 * TypeBox kinds for configuration values that carry a unit. In the file they are text (`30s`, `64KB`) or a plain
 * number; once loaded they are a `Duration` (milliseconds) or a number. A `default` is written as in the file.
 */
import { type TUnsafe, Type } from "@sinclair/typebox";
import type { Duration } from "./time.ts";
import { COUNT_PATTERN, DURATION_PATTERN, SIZE_PATTERN } from "./units.ts";

/** The keyword by which the loader knows what to convert. */
export const UNIT = "x-unit";
export type Unit = "duration" | "size" | "count";

/** What a setting with a unit is declared with. */
export interface SettingOptions {
  /** What it does; the unit is added by the documentation. */
  readonly description: string;
  /** As in the file, for example `"30s"`. Without one the setting is absent until somebody sets it. */
  readonly default?: string | number;
  /** As in the file; smaller values are refused. */
  readonly minimum?: string | number;
  /** As in the file; larger values are refused. */
  readonly maximum?: string | number;
}

function setting<Value>(unit: Unit, pattern: string, options: SettingOptions): TUnsafe<Value> {
  const { minimum, maximum, ...rest } = options;
  return Type.Unsafe<Value>({
    ...rest,
    type: ["number", "string"],
    minimum: 0,
    pattern,
    [UNIT]: unit,
    ...(minimum === undefined ? {} : { "x-minimum": minimum }),
    ...(maximum === undefined ? {} : { "x-maximum": maximum }),
  });
}

/** A length of time: `100ms`, `30s`, `5m`, `1h`, `7d`, `forever`, or plain seconds. Loaded as `Duration`. */
export const durationSetting = (options: SettingOptions): TUnsafe<Duration> =>
  setting<Duration>("duration", DURATION_PATTERN, options);

/** A size: `512B`, `64KB`, `1MB`, `2GB`, `unlimited`, or plain bytes. Loaded as a number of bytes. */
export const sizeSetting = (options: SettingOptions): TUnsafe<number> =>
  setting<number>("size", SIZE_PATTERN, options);

/** A count or rate that may be `unlimited`, which is loaded as `Infinity`. */
export const countSetting = (options: SettingOptions): TUnsafe<number> =>
  setting<number>("count", COUNT_PATTERN, options);
