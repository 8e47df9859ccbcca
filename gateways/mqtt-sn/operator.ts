/** What operators see of a device beside what the core knows of every client: its sleep, and its topic ids. */
import { type Static, Type } from "@sinclair/typebox";
import { after, FOREVER } from "#core/lib/time.ts";
import type { Connection } from "./connection.ts";

export const MqttSnDescription = Type.Object({
  cleanSession: Type.Boolean(),
  lostAt: Type.Optional(
    Type.Integer({
      description: "When it counts as lost if nothing comes from it; milliseconds since 1970.",
    }),
  ),
  patience: Type.Optional(
    Type.Integer({ description: "Milliseconds that it may be silent, asleep or awake, with the tolerance." }),
  ),
  topicIds: Type.Array(
    Type.Object({
      id: Type.Integer(),
      topic: Type.String(),
      state: Type.Unsafe<TopicState>({
        enum: ["known", "assumed", "refused", "untold"],
        description:
          "Whether the device has acknowledged the id in this connection, never answered, refused it, or was not told.",
      }),
    }),
  ),
  inFlight: Type.Integer({ description: "Messages sent and not acknowledged." }),
});

type TopicState = "known" | "assumed" | "refused" | "untold";

export function describe(connection: Connection): Static<typeof MqttSnDescription> {
  const { topics, downlink, cleanSession, heardAt, patience } = connection;
  return {
    cleanSession,
    inFlight: downlink.inFlight,
    topicIds: topics.names.map((topic, at) => ({ id: at + 1, topic, state: topics.stateOf(at + 1) })),
    ...(patience === FOREVER ? {} : { patience, lostAt: after(heardAt, patience) }),
  };
}
