import type { ChangeMessage, Hook, HookClient, Refuse } from "../hooks/plugin.ts";
import type { Packet, PacketType, Sender } from "./filter.ts";
import type { Pipeline } from "./pipeline.ts";

/** A pipeline as a hook: it is asked and told where a module of one's own would be. */
export function hookOf(pipeline: Pipeline): Hook {
  const run = (packet: Packet) => pipeline.run(packet);
  return MEMBERS[pipeline.settings.packetType](run);
}

type Run = (packet: Packet) => ReturnType<Pipeline["run"]>;

const senderOf = ({ gateway, clientId, username, address }: HookClient | Sender): Sender => ({
  ...{ gateway, clientId, username, address },
});

function refusalIn(outcome: ReturnType<Run>): Refuse | undefined {
  return outcome.kind === "refuse" ? ({ refuse: outcome.reason, as: outcome.refusal } as Refuse) : undefined;
}

const MEMBERS: Readonly<Record<PacketType, (run: Run) => Hook>> = {
  Connect: (run) => ({
    authConnect: (login) =>
      refusalIn(run({ type: "Connect", sender: senderOf(login), password: login.password })),
  }),
  Publish: (run) => ({
    authPublish(client, message) {
      const { topic, qos } = message;
      const outcome = run({ type: "Publish", sender: senderOf(client), message, topic, qos });
      if (outcome.kind === "drop") return { drop: true };
      if (outcome.kind === "refuse") return refusalIn(outcome);
      return outcome.errand === undefined ? undefined : ({ errand: outcome.errand } as ChangeMessage);
    },
  }),
  Subscribe: (run) => ({
    authSubscribe: (client, { filter, qos }) =>
      refusalIn(run({ type: "Subscribe", sender: senderOf(client), topic: filter, qos })),
  }),
  Unsubscribe: (run) => ({
    unsubscribed(client, filter, why) {
      // No packet of its client ends what ends with a session.
      if (why === "asked") run({ type: "Unsubscribe", sender: senderOf(client), topic: filter });
    },
  }),
  Disconnect: (run) => ({
    disconnected(client, reason) {
      run({ type: "Disconnect", sender: senderOf(client), reason });
    },
  }),
};
