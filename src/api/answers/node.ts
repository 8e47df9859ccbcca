import { type Static, Type } from "@sinclair/typebox";
import { time } from "./parts.ts";

export const Node = Type.Object({
  name: Type.String(),
  version: Type.String(),
  startedAt: time("When it was started."),
  uptime: Type.Integer({ description: "In seconds." }),
  time: time("Its clock."),
  platform: Type.String(),
  runtime: Type.String({ description: "Version of Node." }),
  pid: Type.Integer(),
  numbers: Type.Record(Type.String(), Type.Number(), {
    description: "What an overview shows: clients, sessions, messages, bytes, memory.",
  }),
});
export type Node = Static<typeof Node>;

/** A question of health, and its answer. */
export const Check = Type.Object({
  name: Type.String(),
  ok: Type.Boolean(),
  detail: Type.Optional(Type.String({ description: "What is wrong, or how much is left." })),
});
export type Check = Static<typeof Check>;

const points = (description: string) =>
  Type.Array(Type.Union([Type.Number(), Type.Null()]), {
    description: `${description} null: nothing was noted.`,
  });

/** Its numbers over time. */
export const Points = Type.Object({
  step: Type.Integer({ description: "Seconds between points." }),
  from: time("Of the first point."),
  series: Type.Array(
    Type.Object({
      name: Type.String(),
      kind: Type.String({ description: "rate: a second; level: as it was." }),
      unit: Type.String(),
      mean: points("The mean of the seconds of each point."),
      max: points("The highest of them."),
    }),
  ),
});
export type Points = Static<typeof Points>;
