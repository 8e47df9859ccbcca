import type { Metric } from "./sys-names.ts";

/** Reads how many packets of a type the MQTT gateway has received or sent; undefined when nobody counts them. */
export type PacketCount = (direction: "received" | "sent", packet: string) => number | undefined;

type Direction = "received" | "sent";

/** Types that go both ways have the direction in their topic; the others only ever go one way. */
const ONE_WAY: readonly (readonly [Metric, Direction, packet: string])[] = [
  ["packets/connect", "received", "connect"],
  ["packets/connack", "sent", "connack"],
  ["packets/subscribe", "received", "subscribe"],
  ["packets/suback", "sent", "suback"],
  ["packets/unsubscribe", "received", "unsubscribe"],
  ["packets/unsuback", "sent", "unsuback"],
  ["packets/pingreq", "received", "pingreq"],
  ["packets/pingresp", "sent", "pingresp"],
  ["packets/auth", "received", "auth"],
];
const BOTH_WAYS = ["publish", "puback", "pubrec", "pubrel", "pubcomp", "disconnect"] as const;
const ALL = [...new Set([...BOTH_WAYS, ...ONE_WAY.map(([, , packet]) => packet)])];

/** Reads how many acknowledgements of a type were of nothing that was on its way. */
export type MissedCount = (packet: string) => number | undefined;

const ACKNOWLEDGEMENTS = ["puback", "pubrec", "pubrel", "pubcomp"] as const;

/** The `packets/` metrics of `$SYS`, from counters by packet type. */
export function packetMetrics(
  count: PacketCount,
  missed: MissedCount,
): Partial<Record<Metric, () => number>> {
  const metrics: Partial<Record<Metric, () => number>> = {};
  const add = (name: Metric, direction: Direction, packets: readonly string[]): void => {
    metrics[name] = () => packets.reduce((sum, packet) => sum + (count(direction, packet) ?? 0), 0);
  };
  for (const direction of ["received", "sent"] as const) {
    add(`packets/${direction}`, direction, ALL);
    for (const packet of BOTH_WAYS) add(`packets/${packet}/${direction}`, direction, [packet]);
  }
  for (const [name, direction, packet] of ONE_WAY) add(name, direction, [packet]);
  for (const packet of ACKNOWLEDGEMENTS) metrics[`packets/${packet}/missed`] = () => missed(packet) ?? 0;
  return metrics;
}
