/** Clients of all gateways: a row of the list, one with all that is known of it, and what belongs to it. */
import { type Static, Type } from "@sinclair/typebox";
import { choice } from "../../settings/kinds.ts";
import { time } from "./parts.ts";

const STATES = ["overdue", "asleep", "awake", "away"] as const;

export const ClientRow = Type.Object({
  clientId: Type.String(),
  gateway: Type.String(),
  endpoint: Type.Optional(Type.String({ description: "Endpoint name of LwM2M and CoAP devices." })),
  user: Type.Optional(Type.String()),
  state: choice(STATES, {
    description:
      "overdue: it promised to be heard by a time that has passed; asleep: it said so; awake; away: no connection, and the session is kept.",
  }),
  phase: Type.String({ description: "As its gateway says it." }),
  protocol: Type.Optional(Type.String()),
  listener: Type.String(),
  transport: Type.Optional(Type.String()),
  address: Type.Optional(Type.String()),
  port: Type.Optional(Type.Integer()),
  node: Type.Optional(Type.String({ description: "Wireless node behind a forwarder." })),
  since: Type.Optional(time("Since when it is connected or away.")),
  heardAt: Type.Optional(time("When something last came from it.")),
  dueAt: Type.Optional(time("Until when it has promised to be heard.")),
  keepAlive: Type.Number({ description: "Seconds that it promised; 0 for nothing." }),
  subscriptions: Type.Integer(),
  waiting: Type.Integer({ description: "Messages that wait for it." }),
  waitingBytes: Type.Integer(),
  onItsWay: Type.Integer({ description: "Messages handed out and not settled." }),
  lost: Type.Integer({
    description: "Messages dropped or given up on the way to it, since the start of this process.",
  }),
});
export type ClientRow = Static<typeof ClientRow>;

const Session = Type.Object({
  expiry: Type.Optional(
    Type.Number({ description: "Seconds that it outlives the connection; absent: for ever." }),
  ),
  endsAt: Type.Optional(time("When it ends if the client stays away.")),
  cleanStart: Type.Boolean(),
  unreleased: Type.Integer({ description: "QoS 2 messages of the client that wait for their release." }),
  will: Type.Optional(
    Type.Object({
      topic: Type.String(),
      qos: Type.Integer(),
      retain: Type.Boolean(),
      bytes: Type.Integer(),
      delay: Type.Number({ description: "In seconds." }),
    }),
  ),
  memo: Type.Optional(Type.Unknown({ description: "What its gateway remembers of it." })),
});

export const ClientDetail = Type.Object({
  ...ClientRow.properties,
  session: Type.Optional(Session),
  mountpoint: Type.String(),
  proven: Type.Optional(Type.String({ description: "Who was proven: user:<name>, client:<id>." })),
  identity: Type.Optional(Type.String({ description: "What the transport has proven." })),
  superuser: Type.Boolean(),
  loginEndsAt: Type.Optional(time("When its login ends.")),
  detail: Type.Record(Type.String(), Type.Unknown(), { description: "What its gateway knows of it." }),
});
export type ClientDetail = Static<typeof ClientDetail>;

export const ClientHistory = Type.Object({
  step: Type.Integer({ description: "Seconds between points." }),
  kept: Type.Boolean({
    description:
      "false: nothing is kept of this client yet, or at all, because api.histories clients have theirs.",
  }),
  from: time("Of the first point."),
  states: Type.Array(Type.Union([choice(STATES, { description: "As in the list." }), Type.Null()]), {
    description:
      "The state of each point that tells most: overdue before away, asleep and awake. null: the client was not here, or the node did not run.",
  }),
  heard: Type.Array(Type.Boolean(), { description: "Whether something came from it." }),
});
export type ClientHistory = Static<typeof ClientHistory>;

export const WaitingMessage = Type.Object({
  id: Type.String({ description: "Names it to DELETE /clients/{id}/waiting/{message}." }),
  topic: Type.String(),
  from: Type.String({ description: "Client id of who published it; empty where the gateway did." }),
  bytes: Type.Integer(),
  qos: Type.Integer(),
  retain: Type.Boolean(),
  publishedAt: time("When it was published."),
  expiresAt: Type.Optional(time("When it is of no use any more.")),
  stage: Type.String({
    description: "queued, handed-out (not acknowledged yet), or received (QoS 2, to be released).",
  }),
  payload: Type.Optional(Type.String()),
  encoding: Type.Optional(Type.String({ description: "text or base64." })),
});
export type WaitingMessage = Static<typeof WaitingMessage>;

export const Subscription = Type.Object({
  filter: Type.String(),
  qos: Type.Integer(),
  noLocal: Type.Boolean(),
  retainAsPublished: Type.Boolean(),
  retainHandling: Type.Integer(),
});
export type Subscription = Static<typeof Subscription>;

export const Kicked = Type.Object({
  succeed: Type.Integer(),
  failed: Type.Array(Type.Object({ gateway: Type.String(), clientId: Type.String(), reason: Type.String() })),
});
export type Kicked = Static<typeof Kicked>;
