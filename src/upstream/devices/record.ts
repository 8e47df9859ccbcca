/** What is remembered of one device, as a text that another version of this gateway can read or leave. */
import type { SubscribeOptions } from "../../contract/client.ts";
import { type Duration, FOREVER, type Instant } from "../../lib/time.ts";
import type { Attendance } from "../../session/attendance.ts";

/** Changes when an older text can no longer be read. */
const FORMAT = 1;
/** Stands for `FOREVER`. */
const UNBOUNDED = -1;

export interface DeviceRecord {
  /** The gateway that wrote it. */
  readonly by: string;
  readonly gateway: string;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly proven: string | undefined;
  readonly mountpoint: string;
  readonly expiry: Duration;
  readonly expectedUntil: Instant | undefined;
  /** All that was published before had been handed out when this was written; undefined in older texts. */
  readonly since?: Instant | undefined;
  readonly memo: unknown;
  /** The other name under which it is found. */
  readonly alias: string | undefined;
  readonly subscriptions: readonly (readonly [filter: string, options: SubscribeOptions])[];
}

export function writeRecord(
  by: string,
  session: Attendance,
  { alias, since }: Pick<DeviceRecord, "alias" | "since">,
): string {
  const { gateway, clientId, username, proven, mountpoint, expiry, expectedUntil, memo } = session;
  const written = {
    ...{ format: FORMAT, by, gateway, clientId, username, proven, mountpoint, expectedUntil, memo, alias },
    since,
    expiry: expiry === FOREVER ? UNBOUNDED : expiry,
    subscriptions: [...session.subscriptions],
  };
  return JSON.stringify(written);
}

/** Undefined: somebody else's writing, or another make's. */
export function readRecord(text: string): DeviceRecord | undefined {
  const found = parsed(text);
  if (found === undefined || found["format"] !== FORMAT) return undefined;
  const { by, gateway, clientId, mountpoint, expiry, subscriptions } = found;
  const texts = [by, gateway, clientId, mountpoint].every((each) => typeof each === "string");
  if (!texts || typeof expiry !== "number" || !Array.isArray(subscriptions)) return undefined;
  return {
    ...(found as unknown as DeviceRecord),
    expiry: (expiry === UNBOUNDED ? FOREVER : expiry) as Duration,
  };
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
