import { Type } from "@sinclair/typebox";
import type { OperatorAlarm } from "../../observe/alarms.ts";
import { choice } from "../../settings/kinds.ts";
import { Alarm } from "../answers/alarms.ts";
import { listQuery, pageOf, pageOfArray, sortQuery } from "../lists.ts";
import { Refused } from "../problem.ts";
import { route } from "../route.ts";
import { timeText } from "../schemas.ts";

const rowOf = ({ raisedAt, clearedAt, ...alarm }: OperatorAlarm) => ({
  ...alarm,
  raisedAt: timeText(raisedAt),
  ...(clearedAt === undefined ? {} : { clearedAt: timeText(clearedAt) }),
});

export const alarmRoutes = [
  route({
    method: "GET",
    path: "/alarms",
    role: "viewer",
    tag: "alarms",
    summary: "Alarms that are raised, or those that are over",
    query: Type.Object({
      ...listQuery,
      sort: sortQuery(["name", "severity", "raisedAt"]),
      state: Type.Optional(
        choice(["raised", "cleared"], {
          description: "cleared: those of the last 24 hours, 1,000 at most, the latest first.",
          default: "raised",
        }),
      ),
    }),
    answer: pageOf(Alarm),
    example: { query: { state: "cleared" } },
    handle: ({ ports: { alarms }, query }) => {
      const { state, ...page } = query as { state?: string };
      return pageOfArray((state === "cleared" ? alarms.history : alarms.active).map(rowOf), page);
    },
  }),
  route({
    method: "DELETE",
    path: "/alarms/{name}",
    role: "operator",
    tag: "alarms",
    summary: "Clear an alarm by hand; it comes again when its condition has been over in between",
    params: Type.Object({
      name: Type.String({ minLength: 1, maxLength: 128, description: "Of the alarm." }),
    }),
    refusals: [{ code: "not-found", path: { name: "no-such-alarm" } }],
    handle: ({ path, ports, who, changed }) => {
      if (!ports.alarms.dismiss(path.name, who.name))
        throw new Refused("not-found", `no alarm ${path.name} is raised`);
      changed({ object: `alarm ${path.name}` });
    },
  }),
  route({
    method: "DELETE",
    path: "/alarms",
    role: "operator",
    tag: "alarms",
    summary: "Forget the alarms that are over",
    example: {},
    handle: ({ ports }) => ports.alarms.forgetHistory(),
  }),
];
