/** What statements of connectors have found for a client: subscriptions that it shall have, messages for it alone. */
import { Message, type QoS } from "./bus/message.ts";
import { topicMatches, topicNameProblem } from "./bus/topic.ts";
import type { ConnectHost, Item, Row } from "./connect/connector.ts";
import type { CoreParts } from "./core.ts";
import { Clients } from "./operate/clients.ts";
import { octetsOf } from "./rules/value.ts";
import type { Session } from "./session/session.ts";

/** Rows that one lookup may give: it is what a client gets at once. */
const ROWS_MAX = 10_000;

const qosOf = (value: unknown): QoS => {
  const qos = Number(value ?? 0);
  return qos === 1 || qos === 2 ? qos : 0;
};

const textOf = (value: unknown): string =>
  value instanceof Uint8Array ? Buffer.from(value).toString("utf8") : String(value ?? "");

const contentOf = (value: unknown): Uint8Array =>
  value instanceof Uint8Array ? Uint8Array.from(value) : octetsOf(textOf(value));

type Parts = Pick<CoreParts, "core" | "gate" | "gateways">;

export function rowsToClients({ core, gate, gateways }: Parts): NonNullable<ConnectHost["found"]> {
  const clients = new Clients(core, gateways);
  return (item, rows) => {
    const at = item.client.indexOf(":");
    const [gateway, clientId] = [item.client.slice(0, at), item.client.slice(at + 1)];
    const attendance = core.directory.find(gateway, clientId)?.attendance;
    // It has gone meanwhile, for good.
    if (attendance === undefined) return;
    core.tick();
    const wrong = (problem: string): void =>
      core.note("rules", { level: "warn", event: "row-unusable", detail: { rule: item.rule, problem } });
    const takes = gateways.get(gateway)?.module.anyTopic === true;
    if (!takes) wrong(`clients of gateway ${gateway} take only what they ask for themselves`);
    const deliver = (session: Session, row: Row): void => {
      const message = messageIn(row, item, core.now, wrong);
      if (message === undefined || (message.retain && gate.bus.retained(message.topic, 1).length > 0)) return;
      const qos = grantedQos(session, message.topic);
      if (qos === undefined) return;
      session.deliver(message, { qos, retainAsPublished: true, identifiers: [], group: undefined });
    };
    for (const row of takes ? rows.slice(0, ROWS_MAX) : []) {
      if (item.parameters["rows"] === "subscribe") {
        const done = clients.subscribe(gateway, clientId, textOf(row["topic"]), {
          qos: qosOf(textOf(row["qos"])),
        });
        if (!done.ok) wrong(done.reason);
      } else deliver(attendance as Session, row);
    }
  };
}

/** The highest of the client's subscriptions to this topic; undefined where it has none any more. */
function grantedQos(session: Session, topic: string): QoS | undefined {
  const own = session.mountpoint === "" ? topic : session.unmounted(topic);
  let highest: QoS | undefined;
  for (const [filter, { qos }] of session.subscriptions)
    if (topicMatches(filter, own) && (highest === undefined || qos > highest)) highest = qos;
  return highest;
}

function messageIn(
  row: Row,
  { rule, parameters }: Item,
  now: Message["publishedAt"],
  wrong: (problem: string) => void,
): Message | undefined {
  const topic = textOf(row["topic"]);
  const problem = topicNameProblem(topic);
  if (problem !== undefined) {
    wrong(`the topic ${topic.slice(0, 60)}: ${problem}`);
    return undefined;
  }
  const retain = parameters["rows"] === "retained";
  const message = new Message(topic, contentOf(row["payload"]), qosOf(textOf(row["qos"])), retain, now);
  const id = textOf(row["msgid"] ?? row["id"]);
  // What its acknowledgement is told of bears the id that it was stored by.
  message.id = id === "" ? undefined : id;
  message.publisher = `rules:${rule}`;
  return message;
}
