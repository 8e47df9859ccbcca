/** Numbers over time: what plots begin with, and what comes each second. */

import { Type } from "@sinclair/typebox";
import { STEPS, type Step } from "../../operate/series.ts";
import { Points } from "../answers/node.ts";
import { time } from "../answers/parts.ts";
import { Live, route } from "../route.ts";
import { timeText } from "../schemas.ts";

const NAMES =
  "Names with commas between: in.mqtt and out.mqtt (each gateway), clients.awake, clients.overdue, refused.forbidden, lost.queue-full, waiting, bytes.in, bytes.out, memory, alarms. Absent: all.";

export const seriesRoutes = [
  route({
    method: "GET",
    path: "/series",
    role: "viewer",
    tag: "node",
    summary:
      "The node's most important numbers over time: 15 min by the second, 6 h by 10 s, 7 d by the minute",
    query: Type.Object({
      names: Type.Optional(Type.String({ maxLength: 2_048, description: NAMES })),
      step: Type.Optional(
        Type.Unsafe<Step>({ type: "integer", enum: [...STEPS], default: 1, description: "Seconds a point." }),
      ),
      since: Type.Optional(time("From when on; absent: all that is kept.")),
    }),
    answer: Points,
    example: { query: { names: "clients.awake,waiting", step: 10 } },
    handle: ({ ports, query }) => {
      const { step = 1, since, names } = query;
      const { from, series } = ports.series.points(
        names?.split(","),
        step,
        since === undefined ? 0 : Date.parse(since),
      );
      return { step, from: timeText(from), series };
    },
  }),
  route({
    method: "GET",
    path: "/series/events",
    role: "viewer",
    tag: "node",
    summary:
      "The same numbers each second, as server-sent events: event `point` with `at` and `values` by name",
    answerType: "text/event-stream",
    answer: Type.String(),
    handle: ({ ports }) =>
      new Live((stream) => {
        const send = (at: number, values: object): void => {
          stream.send("point", { at, values });
        };
        send(ports.now(), ports.series.latest());
        return ports.series.watch(send);
      }),
  }),
];
