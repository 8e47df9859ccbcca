import { type Static, Type } from "@sinclair/typebox";
import { durationSetting } from "../lib/setting.ts";
import { flag, integer } from "../settings/kinds.ts";

const share = (description: string, byDefault: number) =>
  Type.Number({ description, default: byDefault, minimum: 0.01, maximum: 1 });

/** When an operator is told: by the log, under $SYS, at /api/v1/alarms and in metrics. */
export const Alarms = Type.Object(
  {
    enable: flag({ description: "Watch this process and its machine.", default: true }),
    interval: durationSetting({
      description: "How often everything is looked at.",
      default: "10s",
      minimum: "1s",
    }),
    cpu: share("high-cpu: part of one core that the process uses.", 0.85),
    memory: share("high-memory: part of the machine's or container's memory that is used.", 0.9),
    heap: share("high-heap: part of the process's heap limit that is used.", 0.85),
    eventLoopDelay: Type.Number({
      description: "event-loop-late: milliseconds by which the event loop is late, at the 99th percentile.",
      default: 250,
      minimum: 1,
    }),
    diskFree: Type.Number({
      description: "disk-nearly-full: part of the disk under the data folder that must be free.",
      default: 0.05,
      minimum: 0.001,
      maximum: 0.5,
    }),
    queueDrops: Type.Number({
      description: "queues-overflow: messages a second that are dropped because queues are full.",
      default: 10,
      minimum: 0.1,
    }),
    certificates: integer(0, 3_650, {
      description: "certificate-expiring: days that a listener's certificate must still be good for.",
      default: 21,
    }),
  },
  { description: "When to raise an alarm. One is over when its value is back at four fifths of its mark." },
);

export type AlarmsConfig = Static<typeof Alarms>;
