import { FOREVER } from "../lib/time.ts";
import type { ListenerLimits } from "./policy.ts";

/** No limit at all: for tests and for listeners that the configuration does not know. */
export const UNLIMITED: ListenerLimits = {
  connections: Number.POSITIVE_INFINITY,
  connectionRate: Number.POSITIVE_INFINITY,
  messageRate: Number.POSITIVE_INFINITY,
  byteRate: Number.POSITIVE_INFINITY,
  packetSize: Number.POSITIVE_INFINITY,
  topicLevels: Number.POSITIVE_INFINITY,
  subscriptions: Number.POSITIVE_INFINITY,
  connectTimeout: FOREVER,
  stallTimeout: FOREVER,
};
