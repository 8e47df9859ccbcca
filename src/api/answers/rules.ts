/** Rules and connectors: what they do, and what a rule would do. */
import { type Static, Type } from "@sinclair/typebox";
import { choice } from "../../settings/kinds.ts";
import { count, time } from "./parts.ts";

/** How it is configured. */
export const configured = {
  definition: Type.Optional(
    Type.Unknown({ description: "As in the configuration, defaults filled in, secrets hidden." }),
  ),
  origin: Type.Optional(
    Type.String({
      description: "api: made here; else where it stands: a line of the file, a variable, a flag.",
    }),
  ),
};

export const Action = Type.Object({
  kind: Type.String(),
  to: Type.String({ description: "The connector, or the kind." }),
  matched: count("Outputs given to it."),
  success: count("Of those, what has arrived."),
  failed: count("What never will."),
  dropped: count("What found no room, expired, or had come from there."),
});
export type Action = Static<typeof Action>;

export const Rule = Type.Object({
  id: Type.String(),
  enable: Type.Boolean(),
  description: Type.String(),
  sql: Type.String(),
  ack: choice(["store", "after_sink"], { description: "When publishers are answered." }),
  matched: count("Events that it was run for."),
  passed: count("Runs that had an output."),
  noResult: count("Runs whose conditions said no."),
  failed: count("Runs that failed."),
  loops: count(
    "Events that it was not run for, because they came from it, or were not sent on, because they came back.",
  ),
  rate: Type.Object(
    {
      current: Type.Number({ description: "In the last ten seconds that are over." }),
      max: Type.Number({ description: "The most so far." }),
      last5m: Type.Number({ description: "In five minutes." }),
    },
    { description: "Runs a second." },
  ),
  actions: Type.Array(Action),
});
export type Rule = Static<typeof Rule>;

export const OneRule = Type.Object({ ...Rule.properties, ...configured });
export type OneRule = Static<typeof OneRule>;

export const Tested = Type.Object({
  outputs: Type.Array(Type.Unknown(), { description: "None: the conditions say no." }),
  actions: Type.Array(
    Type.Object({
      kind: Type.String(),
      to: Type.String(),
      parameters: Type.Array(Type.Unknown(), { description: "What each output would lead to." }),
    }),
  ),
  failure: Type.Optional(Type.String({ description: "Why the run failed." })),
});
export type Tested = Static<typeof Tested>;

export const Connector = Type.Object({
  name: Type.String(),
  kind: Type.String(),
  enable: Type.Boolean({ description: "It is given what waits for it." }),
  state: choice(["connecting", "connected", "disconnected", "stopped"], {
    description: "connecting: nothing is known yet.",
  }),
  reason: Type.Optional(Type.String({ description: "Why it is disconnected." })),
  tookMilliseconds: Type.Optional(count("How long the sink took to acknowledge the last batch.")),
  lastFailure: Type.Optional(
    Type.Object(
      { reason: Type.String(), at: time("When.") },
      { description: "The last that failed, also when all is well again." },
    ),
  ),
  taken: count("Given to it in this life of the gateway."),
  restored: count("Waited in the store when that began."),
  success: count("Acknowledged by the sink."),
  failed: count("Dead-lettered."),
  failedRefused: count("Of failed, what the sink refuses for good."),
  failedTried: count("Of failed, what was tried as often as may be."),
  failedUnexpected: count("Of failed, what had an error that nobody has thought of."),
  failedUnread: count("Of failed, what another version has written."),
  expired: count("Expired before the sink had it."),
  full: count("Dropped because the queue was full."),
  inflight: count("With the sink."),
  queuing: count("Waits."),
  queuedBytes: count("Memory of what waits."),
  retriedSuccess: count("Of success, what needed more than one try."),
  retriedFailed: count("Of failed, what was tried more than once."),
  batches: count("Batches begun."),
  tries: count("Requests to the sink."),
  late: count("Of those, what it did not answer in time."),
  latency: Type.Number({
    minimum: 0,
    description: "Milliseconds from event to acknowledgement, of all in success together.",
  }),
  cameAgain: count("Messages of a broker that had come over it before, and were left out."),
});
export type Connector = Static<typeof Connector>;

export const OneConnector = Type.Object({ ...Connector.properties, ...configured });
export type OneConnector = Static<typeof OneConnector>;

/** Whether the sink of a connector is there. */
export const Reached = Type.Object({
  reached: Type.Boolean({ description: "The sink is there." }),
  detail: Type.Optional(Type.String({ description: "Why it is not." })),
  milliseconds: Type.Integer({ minimum: 0, description: "How long that took." }),
});
export type Reached = Static<typeof Reached>;
