/** What was changed, by whom and from where. */

import { Type } from "@sinclair/typebox";
import { Change } from "../answers/changes.ts";
import { decodeCursor, encodeCursor, LIMIT, listQuery, narrowed, pageOf } from "../lists.ts";
import { route } from "../route.ts";
import { timeText } from "../schemas.ts";

export const changeRoutes = [
  route({
    method: "GET",
    path: "/changes",
    role: "viewer",
    tag: "access",
    summary: "What was changed, by whom and from where, newest first",
    query: Type.Object({
      ...listQuery,
      object: Type.Optional(
        Type.String({
          maxLength: 1_024,
          description: "Only what is about this: `config log.level`, or its beginning.",
        }),
      ),
      who: Type.Optional(Type.String({ maxLength: 128, description: "Only what this user or key did." })),
    }),
    answer: pageOf(Change),
    example: { query: { limit: 5 } },
    handle: ({ ports, query }) => {
      const { object = "", who, limit = LIMIT, cursor, columns } = query;
      const below = decodeCursor(cursor);
      const rows: object[] = [];
      let last = 0;
      for (const change of ports.access.audit.recent()) {
        if (typeof below === "number" && change.id >= below) continue;
        if (who !== undefined && change.who !== who) continue;
        if (!(change.object ?? "").startsWith(object)) continue;
        if (rows.length === limit) return { items: narrowed(rows, columns), next: encodeCursor(last) };
        rows.push({ ...change, at: timeText(change.at) });
        last = change.id;
      }
      return { items: narrowed(rows, columns) };
    },
  }),
];
