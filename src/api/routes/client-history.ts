/** In which states a client was: what the dashboard shows of its last hour, day and week (D-054). */

import { Type } from "@sinclair/typebox";
import { HISTORY_STEPS, type HistoryStep } from "../../operate/client-histories.ts";
import { ClientHistory } from "../answers/clients.ts";
import { time } from "../answers/parts.ts";
import { route } from "../route.ts";
import { timeText } from "../schemas.ts";
import { client, clientIn, nobody, whichGateway } from "./clients.ts";

const STEP = 900;

export const clientHistoryRoutes = [
  route({
    method: "GET",
    path: "/clients/{id}/history",
    role: "viewer",
    tag: "clients",
    params: client.params,
    summary: "In which states a client was: 1 h by the minute, 24 h by 15 min, 7 d by the hour",
    description:
      "Kept in memory alone: what was before the node started is not known. Of more clients than api.histories those that have gone make room.",
    query: Type.Object({
      ...client.query,
      ...whichGateway,
      step: Type.Optional(
        Type.Unsafe<HistoryStep>({
          type: "integer",
          enum: [...HISTORY_STEPS],
          default: STEP,
          description: "Seconds a point.",
        }),
      ),
      since: Type.Optional(time("From when on; absent: all that is kept.")),
    }),
    answer: ClientHistory,
    refusals: [
      { code: "not-found", ...nobody },
      { code: "invalid-request", ...nobody, query: { step: 10 } },
      { code: "invalid-request", ...nobody, query: { since: "yesterday" } },
    ],
    handle: (asked) => {
      const found = clientIn(asked);
      const { step = STEP, since } = asked.query;
      const { now, histories } = asked.ports;
      const kept = histories.of(found, step, since === undefined ? 0 : Date.parse(since), now());
      if (kept === undefined) return { step, kept: false, from: timeText(now()), states: [], heard: [] };
      return { step, kept: true, from: timeText(kept.from), states: kept.states, heard: kept.heard };
    },
  }),
];
