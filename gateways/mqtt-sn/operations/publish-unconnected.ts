/** PUBLISH with QoS -1: under the sender's own identity if it has one, else under that of all who have none (§6.8, §7.1). */
import { Message } from "#core/bus/message.ts";
import { topicMatches, topicNameProblem } from "#core/bus/topic.ts";
import type { Ticket } from "#core/contract/answers.ts";
import type { ChannelHost } from "#core/contract/channel.ts";
import type { ConnectAnswer, ConnectRequest } from "#core/contract/client.ts";
import { text } from "#core/lib/bytes.ts";
import type { Instant } from "#core/lib/time.ts";
import type { MqttSnChannel } from "../channel.ts";
import type { Connection } from "../connection.ts";
import * as p from "../packets.ts";
import type { Setup } from "../setup.ts";
import { publishTicket, UNASKED } from "../tickets.ts";
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

/** It asks for no connection, and changes none that is being made here. */
export function publishUnconnected(channel: MqttSnChannel, packet: p.Publish, now: Instant): void {
  const { setup, host } = channel;
  const { clientId } = setup.config.qosMinusOne;
  const message = messageOf(setup, undefined, packet, now);
  const login = setup.login(clientId, host.peer);
  if (message === undefined || login === undefined || !setup.mayPublishUnconnected(host.peer.address)) {
    refuse(host, packet);
    channel.drop();
    channel.finishIfNew("publish without a connection refused");
    return;
  }
  channel.unconnected.ask(message, {
    kind: "single",
    clientId,
    username: login.username,
    password: login.password,
    protocol: "MQTT-SN 1.2",
    aggregate: setup.aggregate,
  });
}

/** Publishes of this sender whose identity the core has not confirmed yet, by their asks. */
export class UnconnectedPublishes {
  readonly #channel: MqttSnChannel;
  #asked = UNASKED;
  #waiting: Map<Ticket, Message> | undefined = undefined;

  constructor(channel: MqttSnChannel) {
    this.#channel = channel;
  }

  get wait(): boolean {
    return this.#waiting !== undefined && this.#waiting.size > 0;
  }

  ask(message: Message, request: ConnectRequest): void {
    const { host } = this.#channel;
    const ticket = --this.#asked;
    const answer = host.connect(request, ticket);
    if (answer !== "pending") this.#answered(message, answer);
    // Without room for it the answer finds nothing.
    else if (host.reserve(roomOf(message))) {
      this.#waiting ??= new Map();
      this.#waiting.set(ticket, message.kept());
    }
  }

  /** True when the answer was to one of them. */
  answered(ticket: Ticket, answer: ConnectAnswer): boolean {
    if (ticket >= UNASKED) return false;
    const message = this.#waiting?.get(ticket);
    if (message !== undefined) {
      this.#waiting?.delete(ticket);
      this.#channel.host.release(roomOf(message));
    }
    this.#answered(message, answer);
    return true;
  }

  #answered(message: Message | undefined, answer: ConnectAnswer): void {
    const channel = this.#channel;
    if (answer.ok && message !== undefined) {
      channel.setup.counters.anonymous.value++;
      answer.client.publish(message, TICKET);
    } else channel.drop();
    if (answer.ok) answer.client.end("closed");
    channel.finishIfNew("published without a connection");
  }
}

/** A message in a map costs about this much beside its octets. */
const MESSAGE_BYTES = 128;
const roomOf = ({ topic, payload }: Message): number => MESSAGE_BYTES + topic.length + payload.length;

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
