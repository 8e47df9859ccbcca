/** What operators see of a connection beside what the core knows of every client. */
import { type Static, Type } from "@sinclair/typebox";
import type { Connection } from "./connection.ts";

export const MqttDescription = Type.Object({
  keepAlive: Type.Integer({ description: "Seconds, as the connection was granted; 0 for none." }),
  receiveMaximum: Type.Integer({ description: "QoS 1 and 2 messages that the client takes at a time." }),
  maximumPacketSize: Type.Optional(Type.Integer({ description: "Bytes; absent for no limit." })),
  outgoingAliases: Type.Integer({ description: "Topic aliases that the client lets us set." }),
  bridge: Type.Boolean({ description: "It is a broker that passes messages on." }),
  unanswered: Type.Integer({ description: "Packets of the client whose answers wait for the core." }),
});

export function describe({ terms, unanswered }: Connection): Static<typeof MqttDescription> {
  const { keepAlive, receiveMaximum, maximumPacketSize, outgoingAliases, bridge } = terms;
  return {
    ...{ keepAlive, receiveMaximum, outgoingAliases, bridge, unanswered },
    ...(Number.isFinite(maximumPacketSize) ? { maximumPacketSize } : {}),
  };
}
