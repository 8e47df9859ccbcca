/** What operators see of a connection beside what the core knows of every client. */
import { type Static, Type } from "@sinclair/typebox";
import type { Connection } from "./connection.ts";

export const StompDescription = Type.Object({
  version: Type.String(),
  session: Type.String({ description: "As in CONNECTED." }),
  heartBeat: Type.Object({
    send: Type.Integer({ description: "Milliseconds between our heart-beats; 0 for none." }),
    receive: Type.Integer({ description: "Milliseconds between the client's; 0 for none." }),
  }),
  subscriptions: Type.Array(
    Type.Object({
      id: Type.Optional(Type.String()),
      destination: Type.String(),
      ack: Type.String(),
      prefetch: Type.Integer({ description: "Unacknowledged messages that it takes." }),
      unacknowledged: Type.Integer(),
      queued: Type.Integer({ description: "Messages that wait for it." }),
      durable: Type.Optional(Type.String({ description: "Name under which it outlives the connection." })),
      draining: Type.Boolean({ description: "UNSUBSCRIBE came, and messages are still unacknowledged." }),
    }),
  ),
  transactions: Type.Integer(),
});

export function describe({
  login,
  openSubscriptions,
  transactions,
}: Connection): Static<typeof StompDescription> {
  const { version, session, heart } = login;
  return {
    version,
    session,
    heartBeat: { send: heart.sendPeriod, receive: heart.receivePeriod },
    subscriptions: openSubscriptions.map(({ options, unacknowledged, client, draining }) => ({
      destination: options.destination,
      ack: options.mode,
      prefetch: options.prefetch,
      unacknowledged: unacknowledged.size,
      queued: client.queued,
      draining,
      ...(options.id === undefined ? {} : { id: options.id }),
      ...(options.durable === undefined ? {} : { durable: options.durable }),
    })),
    transactions: transactions.count,
  };
}
