import { Type } from "@sinclair/typebox";
import { REFUSALS } from "../../lib/refusals.ts";
import type { Refusal } from "../../observe/refusals.ts";
import { choice } from "../../settings/kinds.ts";
import { Refusal as RefusalRow } from "../answers/refusals.ts";
import { listQuery, pageOf, pageOfWalk } from "../lists.ts";
import { route } from "../route.ts";
import { timeText } from "../schemas.ts";

const rowOf = ({
  last,
  first,
  count,
  gateway,
  listener,
  address,
  port,
  clientId,
  username,
  ...why
}: Refusal) => ({
  last: timeText(last),
  first: timeText(first),
  count,
  gateway,
  listener,
  address,
  port,
  ...(clientId === undefined ? {} : { client: clientId }),
  ...(username === undefined ? {} : { user: username }),
  what: why.what,
  ...(why.asked === undefined ? {} : { asked: why.asked }),
  refusal: why.refusal,
  by: why.by,
});

type Wanted = { gateway?: string; refusal?: string; client?: string; address?: string };

/** The latest first; `after` is the time of the last row of the page before. */
function* matching(rows: Iterable<Refusal>, { gateway, refusal, client, address }: Wanted) {
  for (const row of rows) {
    if (gateway !== undefined && row.gateway !== gateway) continue;
    if (refusal !== undefined && row.refusal !== refusal) continue;
    if (client !== undefined && row.clientId !== client) continue;
    if (address !== undefined && row.address !== address) continue;
    yield row;
  }
}

export const refusalRoutes = [
  route({
    method: "GET",
    path: "/refusals",
    role: "viewer",
    tag: "refusals",
    summary: "What was refused to whom, and by which rule; the latest first, one row for what is repeated",
    description:
      "The last 10,000, of one network 200. Each refusal is also counted in isthmus_refusals_total.",
    query: Type.Object({
      limit: listQuery.limit,
      columns: listQuery.columns,
      gateway: Type.Optional(Type.String({ maxLength: 64, description: "Name of a gateway." })),
      refusal: Type.Optional(choice(REFUSALS, { description: "Why." })),
      client: Type.Optional(Type.String({ maxLength: 1_024, description: "Client id that it claims." })),
      address: Type.Optional(Type.String({ maxLength: 64, description: "IP address." })),
    }),
    answer: pageOf(RefusalRow),
    example: { query: { refusal: "forbidden" } },
    handle: ({ ports, query }) => {
      const rows = matching(ports.refusals.rows(), query as Wanted);
      const { items } = pageOfWalk(rows, { limit: query.limit ?? 100 }, ({ last }) => last);
      return { items: items.map(rowOf) };
    },
  }),
];
