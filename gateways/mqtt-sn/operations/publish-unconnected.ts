/** PUBLISH with QoS -1: under the sender's own identity if it has one, else under that of all who have none (§6.8, §7.1). */
import { Message } from "#core/bus/message.ts";
import { topicMatches, topicNameProblem } from "#core/bus/topic.ts";
import type { ChannelHost } from "#core/contract/channel.ts";
import type { ConnectAnswer } from "#core/contract/client.ts";
import { text } from "#core/lib/bytes.ts";
import type { Instant } from "#core/lib/time.ts";
import type { Attempt, MqttSnChannel } from "../channel.ts";
import type { Connection } from "../connection.ts";
import * as p from "../packets.ts";
import type { Setup } from "../setup.ts";
import { publishTicket } from "../tickets.ts";
import { topicOf } from "../topics.ts";

const TICKET = publishTicket(0, 0, 0);

export function publishAsClient(connection: Connection, packet: p.Publish, now: Instant): void {
  const { setup, client } = connection;
  const message = messageOf(setup, connection, packet, now);
  if (message === undefined) refuse(connection.host, packet);
  if (message === undefined || setup.config.qosMinusOne.mode === "off") {
    setup.counters.dropped.value++;
    return;
  }
  setup.counters.anonymous.value++;
  client.publish(message, TICKET);
}

export function publishUnconnected(channel: MqttSnChannel, packet: p.Publish, now: Instant): void {
  const { setup, host } = channel;
  const { clientId } = setup.config.qosMinusOne;
  const message = messageOf(setup, undefined, packet, now);
  const login = setup.login(clientId, host.peer);
  if (message === undefined || login === undefined || !setup.mayPublishUnconnected(host.peer.address)) {
    refuse(host, packet);
    channel.drop();
    channel.finish("publish without a connection refused");
    return;
  }
  channel.attempt(
    new AnonymousPublish(channel, message.kept()),
    {
      kind: "single",
      clientId,
      username: login.username,
      password: login.password,
      protocol: "MQTT-SN 1.2",
      aggregate: setup.aggregate,
    },
    now,
  );
}

/** A publish whose identity the core has not confirmed yet. */
class AnonymousPublish implements Attempt {
  readonly kind = "publish";
  readonly connection = undefined;
  readonly #channel: MqttSnChannel;
  readonly #message: Message;

  constructor(channel: MqttSnChannel, message: Message) {
    this.#channel = channel;
    this.#message = message;
  }

  answered(answer: ConnectAnswer): void {
    if (answer.ok) {
      this.#channel.setup.counters.anonymous.value++;
      answer.client.publish(this.#message, TICKET);
      answer.client.end("closed");
    } else {
      this.#channel.drop();
    }
    this.#channel.finish("published without a connection");
  }
}

/** Nobody is answered at QoS -1, so the log is the only place where this can be seen. */
function refuse(host: ChannelHost, { topicIdType, topicId }: p.Publish): void {
  const asked = `${topicIdType === p.PREDEFINED ? "predefined topic id" : "topic"} ${topicId}`;
  const by = (): string =>
    "QoS -1: not in gateways.mqtt-sn.predefinedTopics or qosMinusOne.topics, or its client id is not listed";
  host.refused({ what: "publish", asked, refusal: "forbidden", by });
}

/** Predefined id or short name, and nothing else (§6.8); never answered. */
function messageOf(
  setup: Setup,
  connection: Connection | undefined,
  packet: p.Publish,
  now: Instant,
): Message | undefined {
  const { topics: filters, nameForm } = setup.config.qosMinusOne;
  let topic: string | undefined;
  let { payload } = packet;
  if (packet.topicIdType === p.PREDEFINED || packet.topicIdType === p.SHORT) {
    const clientId = connection?.client.id ?? "";
    topic = topicOf(setup.predefined, clientId, connection?.topics, packet.topicIdType, packet.topicId);
  } else if (packet.topicIdType === p.NORMAL && nameForm && packet.topicId <= payload.length) {
    topic = text(payload.subarray(0, packet.topicId));
    payload = payload.subarray(packet.topicId);
  }
  if (topic === undefined || topicNameProblem(topic) !== undefined) return undefined;
  const name = topic;
  if (!filters.some((filter) => topicMatches(filter, name))) return undefined;
  return new Message(name, payload, 0, packet.retain, now);
}
