/** Will data (MQTT-SN 1.2 §6.3): as a client describes it, as the gateway holds it, and as the bus takes it. */

import { topicNameProblem } from "#core/bus/topic.ts";
import type { Will } from "#core/contract/client.ts";
import { text } from "#core/lib/bytes.ts";
import { ZERO } from "#core/lib/time.ts";
import type * as p from "./packets.ts";

export interface StoredWill {
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly payload: Uint8Array;
}

export const busWill = (will: StoredWill | undefined): Will | undefined =>
  will === undefined ? undefined : { ...will, delay: ZERO, options: {} };

/** The will that a topic message describes; `undefined` when its topic or QoS is none. */
export function willOf(packet: p.WillTopic, payload: Uint8Array): StoredWill | undefined {
  const topic = packet.topic === undefined ? undefined : text(packet.topic);
  if (topic === undefined || topicNameProblem(topic) !== undefined || packet.qos === -1) return undefined;
  return { topic, qos: packet.qos, retain: packet.retain, payload };
}
