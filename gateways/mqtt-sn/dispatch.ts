/** Which operation a message belongs to, with a connection and without one. */
import type { Answer, PublishAnswer, SubscribeAnswer } from "#core/contract/answers.ts";
import type { Instant } from "#core/lib/time.ts";
import { isDone } from "./answers.ts";
import type { Attempt, MqttSnChannel } from "./channel.ts";
import type { Connection } from "./connection.ts";
import { encodeMessageAck, encodeSubAck, encodeTopicAck } from "./encode.ts";
import {
  type Handshake,
  receiveConnect,
  receiveWillMessage,
  receiveWillTopic,
  repeatConnack,
} from "./operations/connect.ts";
import { answerPublish, receivePublish, receivePubrel } from "./operations/publish-in.ts";
import { publishAsClient, publishUnconnected } from "./operations/publish-unconnected.ts";
import { receiveRegister } from "./operations/register.ts";
import { receiveDisconnect, receivePingreq, resumeSleeper } from "./operations/sleep.ts";
import { answerSubscribe, receiveSubscribe, receiveUnsubscribe } from "./operations/subscribe.ts";
import { updateWillMessage, updateWillTopic } from "./operations/will-update.ts";
import * as p from "./packets.ts";
import { isKeptTicket, isSubscribeTicket } from "./tickets.ts";

/** What the client says to get a connection. */
export const isOfHandshake = (type: number): boolean =>
  type === p.CONNECT || type === p.WILLTOPIC || type === p.WILLMSG;

export function receiveConnected(
  channel: MqttSnChannel,
  connection: Connection,
  packet: p.Packet,
  now: Instant,
): void {
  switch (packet.type) {
    case p.PUBLISH:
      if (packet.qos === -1) publishAsClient(connection, packet, now);
      else receivePublish(connection, packet as p.ConnectedPublish, now);
      return;
    case p.PUBACK:
      connection.downlink.puback(packet, now);
      return;
    case p.PUBREC:
      connection.downlink.pubrec(packet, now);
      return;
    case p.PUBREL:
      receivePubrel(connection, packet, now);
      return;
    case p.PUBCOMP:
      connection.downlink.pubcomp(packet, now);
      return;
    case p.REGISTER:
      receiveRegister(connection, packet, now);
      return;
    case p.REGACK:
      connection.downlink.regack(packet, now);
      return;
    case p.SUBSCRIBE:
      receiveSubscribe(connection, packet, now);
      return;
    case p.UNSUBSCRIBE:
      receiveUnsubscribe(connection, packet, now);
      return;
    case p.PINGREQ:
      receivePingreq(connection, packet, now);
      return;
    case p.PINGRESP:
      // It was a sign of life, and nothing more (§6.11).
      return;
    case p.DISCONNECT:
      receiveDisconnect(channel, connection, packet, now);
      return;
    case p.CONNECT:
      receiveConnect(channel, packet, now);
      return;
    case p.WILLTOPICUPD:
      updateWillTopic(connection, packet, now);
      return;
    case p.WILLMSGUPD:
      updateWillMessage(connection, packet, now);
      return;
    case p.WILLTOPIC:
    case p.WILLMSG:
      repeatConnack(connection, packet);
      return;
    default:
      // What only a gateway sends.
      channel.drop();
  }
}

/** An answer of the bus or the store that was due. */
export function answerRequest(connection: Connection, ticket: number, answer: Answer, now: Instant): void {
  if (isKeptTicket(ticket)) {
    // What could not be kept is not answered, and asked for again.
    if (isDone(answer)) connection.answers.giveKept(ticket, now);
  } else if (isSubscribeTicket(ticket)) {
    answerSubscribe(connection, ticket, answer as SubscribeAnswer, now);
  } else {
    answerPublish(connection, ticket, answer as PublishAnswer, now);
  }
}

type Pending =
  | { readonly kind: "handshake"; readonly handshake: Handshake }
  | { readonly kind: "connecting"; readonly attempt: Attempt };

/** In the will handshake, or while the core makes the connection (§6.2). */
export function receiveInHandshake(
  channel: MqttSnChannel,
  state: Pending,
  packet: p.Packet,
  now: Instant,
): void {
  switch (packet.type) {
    case p.CONNECT:
      receiveConnect(channel, packet, now);
      return;
    case p.WILLTOPIC:
      if (state.kind === "handshake") receiveWillTopic(channel, state.handshake, packet, now);
      else channel.drop();
      return;
    case p.WILLMSG:
      if (state.kind === "handshake") receiveWillMessage(channel, state.handshake, packet, now);
      else channel.drop();
      return;
    case p.DISCONNECT:
      channel.connection?.client.end("closed");
      channel.dismiss("disconnected");
      return;
    // A request is refused and not left without an answer; the client is not connected yet.
    case p.PUBLISH:
      if (packet.qos === -1) {
        if (channel.connection === undefined) publishUnconnected(channel, packet, now);
        else publishAsClient(channel.connection, packet, now);
        return;
      }
      if (packet.qos !== 1 && packet.qos !== 2) {
        channel.drop();
        return;
      }
      channel.send(encodeTopicAck(p.PUBACK, packet.topicId, packet.messageId, p.NOT_SUPPORTED));
      return;
    case p.REGISTER:
      channel.send(encodeTopicAck(p.REGACK, 0, packet.messageId, p.NOT_SUPPORTED));
      return;
    case p.SUBSCRIBE:
      channel.send(encodeSubAck(0, 0, packet.messageId, p.NOT_SUPPORTED));
      return;
    case p.UNSUBSCRIBE:
      channel.send(encodeMessageAck(p.UNSUBACK, packet.messageId));
      return;
    default:
      channel.drop();
  }
}

/** A sender without a connection (§5.4.21): it may connect, publish with QoS -1, or be a sleeper that comes back. */
export function receiveUnconnected(channel: MqttSnChannel, packet: p.Packet, now: Instant): void {
  switch (packet.type) {
    case p.CONNECT:
      receiveConnect(channel, packet, now);
      return;
    case p.PUBLISH:
      if (packet.qos === -1) {
        publishUnconnected(channel, packet, now);
        return;
      }
      break;
    case p.PINGREQ:
      if (packet.clientId.length > 0) {
        resumeSleeper(channel, packet, now);
        return;
      }
      break;
    case p.ADVERTISE:
    case p.SEARCHGW:
    case p.GWINFO:
    case p.CONNACK:
    case p.WILLTOPICREQ:
    case p.WILLMSGREQ:
    case p.SUBACK:
    case p.UNSUBACK:
    case p.WILLTOPICRESP:
    case p.WILLMSGRESP:
      channel.drop();
      channel.finish("not from a client");
      return;
    default:
      break;
  }
  channel.turnAway(now);
}
