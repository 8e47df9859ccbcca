/** Will data: in the handshake, and updated later (MQTT-SN 1.2 §6.3, §6.4). The gateway itself holds the will. */

import { topicNameProblem } from "#core/bus/topic.ts";
import type { Will } from "#core/contract/client.ts";
import { NO_BYTES, text } from "#core/lib/bytes.ts";
import { type Instant, ZERO } from "#core/lib/time.ts";
import type { MqttSnChannel } from "../channel.ts";
import { encodeReturnCode } from "../encode.ts";
import { remember } from "../memo.ts";
import * as p from "../packets.ts";
import { abortHandshake, askNext, openSession } from "./connect.ts";
import { answerOnceKept } from "./kept.ts";
import { expectWithin } from "./supervision.ts";

export interface StoredWill {
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly payload: Uint8Array;
}

export const busWill = (will: StoredWill | undefined): Will | undefined =>
  will === undefined ? undefined : { ...will, delay: ZERO, options: {} };

/** The will that a topic message describes; `undefined` when its topic or QoS is none. */
function willOf(packet: p.WillTopic, payload: Uint8Array): StoredWill | undefined {
  const topic = packet.topic === undefined ? undefined : text(packet.topic);
  if (topic === undefined || topicNameProblem(topic) !== undefined || packet.qos === -1) return undefined;
  return { topic, qos: packet.qos, retain: packet.retain, payload };
}

export function receiveWillTopic(channel: MqttSnChannel, packet: p.WillTopic, now: Instant): void {
  const { handshake } = channel;
  if (handshake === undefined || packet.type !== p.WILLTOPIC) {
    channel.drop();
    return;
  }
  // A repeat: the client has not got our question for the message.
  if (channel.state === "will-message") {
    askNext(channel, handshake, now);
    return;
  }
  if (channel.state !== "will-topic") {
    channel.drop();
    return;
  }
  // Empty: the client wants no will (§5.4.7).
  if (packet.topic === undefined) {
    openSession(channel, now);
    return;
  }
  handshake.will = willOf(packet, NO_BYTES);
  if (handshake.will === undefined) {
    abortHandshake(channel, p.NOT_SUPPORTED);
    return;
  }
  askNext(channel, handshake, now);
}

export function receiveWillMessage(channel: MqttSnChannel, packet: p.WillMessage, now: Instant): void {
  const { handshake } = channel;
  if (channel.state !== "will-message" || handshake?.will === undefined || packet.type !== p.WILLMSG) {
    channel.drop();
    return;
  }
  handshake.will = { ...handshake.will, payload: packet.payload.slice() };
  openSession(channel, now);
}

/** Topic, QoS and RETAIN are replaced, the message stays; the empty form deletes both (§6.4). */
export function updateWillTopic(channel: MqttSnChannel, packet: p.WillTopic, now: Instant): void {
  if (packet.type !== p.WILLTOPICUPD) {
    channel.drop();
    return;
  }
  if (packet.topic === undefined) {
    replace(channel, undefined, now);
    answerOnceKept(channel, p.WILLTOPICRESP, 0, now);
    return;
  }
  const will = willOf(packet, channel.will?.payload ?? NO_BYTES);
  if (will === undefined) {
    channel.send(encodeReturnCode(p.WILLTOPICRESP, p.NOT_SUPPORTED));
    return;
  }
  replace(channel, will, now);
  answerOnceKept(channel, p.WILLTOPICRESP, 0, now);
}

/** Without a will topic there is nothing that the message could belong to. */
export function updateWillMessage(channel: MqttSnChannel, packet: p.WillMessage, now: Instant): void {
  if (packet.type !== p.WILLMSGUPD) {
    channel.drop();
    return;
  }
  const { will } = channel;
  if (will === undefined) {
    channel.send(encodeReturnCode(p.WILLMSGRESP, p.NOT_SUPPORTED));
    return;
  }
  replace(channel, { ...will, payload: packet.payload.slice() }, now);
  answerOnceKept(channel, p.WILLMSGRESP, 0, now);
}

function replace(channel: MqttSnChannel, will: StoredWill | undefined, now: Instant): void {
  channel.will = will;
  channel.client?.setWill(busWill(will));
  if (channel.state === "active") expectWithin(channel, channel.patience, now);
  remember(channel);
}
