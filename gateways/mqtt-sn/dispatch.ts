/** Which operation a message belongs to, with a connection and without one. */
import type { Instant } from "#core/lib/time.ts";
import type { MqttSnChannel } from "./channel.ts";
import { encodeMessageAck, encodeSubAck, encodeTopicAck } from "./encode.ts";
import { receiveConnect, repeatConnack } from "./operations/connect.ts";
import { receivePublish, receivePubrel } from "./operations/publish-in.ts";
import { receivePuback, receivePubcomp, receivePubrec } from "./operations/publish-out.ts";
import { receiveRegack, receiveRegister } from "./operations/register.ts";
import { receiveDisconnect, receivePingreq } from "./operations/sleep.ts";
import { receiveSubscribe, receiveUnsubscribe } from "./operations/subscribe.ts";
import {
  receiveWillMessage,
  receiveWillTopic,
  updateWillMessage,
  updateWillTopic,
} from "./operations/will.ts";
import * as p from "./packets.ts";

/** What the client says to get a connection. */
export const isOfHandshake = (type: number): boolean =>
  type === p.CONNECT || type === p.WILLTOPIC || type === p.WILLMSG;

export function receiveConnected(channel: MqttSnChannel, packet: p.Packet, now: Instant): void {
  switch (packet.type) {
    case p.PUBLISH:
      receivePublish(channel, packet, now);
      return;
    case p.PUBACK:
      receivePuback(channel, packet, now);
      return;
    case p.PUBREC:
      receivePubrec(channel, packet, now);
      return;
    case p.PUBREL:
      receivePubrel(channel, packet, now);
      return;
    case p.PUBCOMP:
      receivePubcomp(channel, packet, now);
      return;
    case p.REGISTER:
      receiveRegister(channel, packet, now);
      return;
    case p.REGACK:
      receiveRegack(channel, packet, now);
      return;
    case p.SUBSCRIBE:
    case p.UNSUBSCRIBE:
      if (packet.type === p.SUBSCRIBE) {
        receiveSubscribe(channel, packet, now);
        return;
      }
      receiveUnsubscribe(channel, packet, now);
      return;
    case p.PINGREQ:
      receivePingreq(channel, packet, now);
      return;
    case p.PINGRESP:
      // It was a sign of life, and nothing more (§6.11).
      return;
    case p.DISCONNECT:
      receiveDisconnect(channel, packet, now);
      return;
    case p.CONNECT:
      receiveConnect(channel, packet, now);
      return;
    case p.WILLTOPICUPD:
      updateWillTopic(channel, packet, now);
      return;
    case p.WILLMSGUPD:
      updateWillMessage(channel, packet, now);
      return;
    case p.WILLTOPIC:
    case p.WILLMSG:
      repeatConnack(channel, packet);
      return;
    default:
      // What only a gateway sends.
      channel.drop();
  }
}

/** In the will handshake, or while the core makes the connection (§6.2). */
export function receiveInHandshake(channel: MqttSnChannel, packet: p.Packet, now: Instant): void {
  switch (packet.type) {
    case p.CONNECT:
      receiveConnect(channel, packet, now);
      return;
    case p.WILLTOPIC:
      receiveWillTopic(channel, packet, now);
      return;
    case p.WILLMSG:
      receiveWillMessage(channel, packet, now);
      return;
    case p.DISCONNECT:
      receiveDisconnect(channel, packet, now);
      return;
    // A request is refused and not left without an answer; the client is not connected yet.
    case p.PUBLISH:
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
        receivePublish(channel, packet, now);
        return;
      }
      break;
    case p.PINGREQ:
      if (packet.clientId.length > 0) {
        receivePingreq(channel, packet, now);
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
  turnAway(channel, now);
}

/** The message maps to no client: DISCONNECT, so that the device connects anew; not too often. */
export function turnAway(channel: MqttSnChannel, now: Instant): void {
  const { address, port } = channel.host.peer;
  if (channel.setup.strangers.mayAnswer(address, port, now)) {
    channel.dismiss("not connected");
    return;
  }
  channel.drop();
  channel.finish("not connected");
}
