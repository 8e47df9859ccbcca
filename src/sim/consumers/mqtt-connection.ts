/** The client's half of an MQTT 5 connection, as much of it as an application needs (QoS 0 and 1). */
import { Message, type QoS } from "../../bus/message.ts";
import { copyOf } from "../../lib/bytes.ts";
import { type Instant, seconds } from "../../lib/time.ts";
import { decodeConnack } from "../../mqtt/codec/decode-connack.ts";
import { decodePublish, publishHead } from "../../mqtt/codec/decode-publish.ts";
import { decodeSuback } from "../../mqtt/codec/decode-suback.ts";
import { encodeConnect } from "../../mqtt/codec/encode-connect.ts";
import { encodeIndividualPublish, publishHeader } from "../../mqtt/codec/encode-publish.ts";
import { encodeAcknowledgement, encodeDisconnect } from "../../mqtt/codec/encode-reason.ts";
import { encodeSubscribe } from "../../mqtt/codec/encode-subscribe.ts";
import { frame, readFixedHeader } from "../../mqtt/codec/fixed-header.ts";
import { PINGREQ } from "../../mqtt/codec/ping.ts";
import { Reader } from "../../mqtt/codec/reader.ts";
import { TopicCache } from "../../mqtt/codec/topic-cache.ts";
import { UnfinishedPacket } from "../../mqtt/codec/unfinished-packet.ts";
import { PacketType } from "../../mqtt/packets.ts";
import { NO_PROPERTIES } from "../../mqtt/properties.ts";
import { isFailure, ReasonCode } from "../../mqtt/reason-codes.ts";
import type { StreamConnection, StreamReceiver } from "../../net/transport.ts";

const VERSION = 5;
const PACKET_MAX = 1024 * 1024;
const ITEMS_MAX = 100;

export interface MqttListener {
  connected(): void;
  subscribed(): void;
  published(topic: string, payload: Uint8Array): void;
  acknowledged(): void;
  /** Once, after whatever ended it; `refused`: the gateway has said no. */
  closed(refused: boolean): void;
}

export interface MqttIdentity {
  readonly clientId: string;
  /** Seconds. */
  readonly keepAlive: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

export class MqttConnection implements StreamReceiver {
  readonly #connection: StreamConnection;
  readonly #listener: MqttListener;
  readonly #topics = new TopicCache();
  readonly #head = publishHead();
  #unfinished: UnfinishedPacket | undefined = undefined;
  #packetId = 0;
  #refused = false;

  constructor(connection: StreamConnection, listener: MqttListener, identity: MqttIdentity) {
    this.#connection = connection;
    this.#listener = listener;
    const { clientId, keepAlive, username, password } = identity;
    this.#write(
      encodeConnect({
        ...{ version: VERSION, bridge: false, clientId, cleanStart: true, keepAlive, username },
        ...{ properties: NO_PROPERTIES, will: undefined },
        password: password === undefined ? undefined : Buffer.from(password),
      }),
    );
  }

  subscribe(filters: readonly string[], qos: QoS): void {
    const rest = { qos, noLocal: true, retainAsPublished: false, retainHandling: 0 } as const;
    const subscriptions = filters.map((filter) => ({ filter, ...rest }));
    this.#write(
      encodeSubscribe({ packetId: this.#nextId(), properties: NO_PROPERTIES, subscriptions }, VERSION),
    );
  }

  publish(topic: string, payload: Uint8Array, qos: 0 | 1, retain: boolean): void {
    const message = new Message(topic, payload, qos, retain, 0 as Instant);
    const head = {
      ...{ header: publishHeader(qos, retain, false), topic, packetId: qos === 0 ? 0 : this.#nextId() },
      ...{ topicAlias: undefined, subscriptionIds: [] },
    };
    this.#write(encodeIndividualPublish(VERSION, message, head, false, 0 as Instant));
  }

  ping(): void {
    this.#write(PINGREQ);
  }

  /** In order: the gateway forgets the session with it, which ends with its connection. */
  end(): void {
    this.#write(encodeDisconnect(ReasonCode.success));
    this.#connection.end();
  }

  received(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length && !this.#refused) {
      if (this.#unfinished !== undefined) at = this.#gather(this.#unfinished, bytes, at);
      else {
        const state = readFixedHeader(bytes, at, PACKET_MAX);
        if (state === "incomplete") {
          this.#unfinished = new UnfinishedPacket(PACKET_MAX, 0 as Instant, seconds(60));
          continue;
        }
        if (state !== "whole") {
          this.#connection.destroy();
          return;
        }
        const { body, end } = frame;
        this.#packet(bytes, at, body, end);
        at = end;
      }
    }
  }

  #gather(unfinished: UnfinishedPacket, bytes: Uint8Array, at: number): number {
    const { taken, state } = unfinished.append(bytes, at);
    if (state === "whole") {
      const { body, end } = frame;
      this.#unfinished = undefined;
      this.#packet(unfinished.bytes, 0, body, end);
    } else if (state !== "incomplete") this.#connection.destroy();
    return taken;
  }

  #packet(bytes: Uint8Array, start: number, body: number, end: number): void {
    const reader = new Reader(bytes, start, body, end, ITEMS_MAX);
    switch ((bytes[start] as number) >> 4) {
      case PacketType.CONNACK: {
        const { reason } = decodeConnack(reader, VERSION);
        if (isFailure(reason)) this.#refuse();
        else this.#listener.connected();
        return;
      }
      case PacketType.SUBACK:
        if (decodeSuback(reader, VERSION).codes.some(isFailure)) this.#refuse();
        else this.#listener.subscribed();
        return;
      case PacketType.PUBLISH:
        this.#published(bytes, start, body, end);
        return;
      case PacketType.PUBACK:
        this.#listener.acknowledged();
        return;
      case PacketType.DISCONNECT:
        this.#refuse();
    }
  }

  #published(bytes: Uint8Array, start: number, body: number, end: number): void {
    const source = { version: VERSION, topics: this.#topics, maximumItems: ITEMS_MAX } as const;
    if (decodePublish(this.#head, source, bytes, start, body, end) !== undefined) {
      this.#connection.destroy();
      return;
    }
    const { topic, packetId, payloadAt } = this.#head;
    if (packetId !== 0) this.#write(encodeAcknowledgement(PacketType.PUBACK, packetId));
    this.#listener.published(topic, bytes.subarray(payloadAt, end));
  }

  #refuse(): void {
    this.#refused = true;
    this.#connection.end();
  }

  /** What is encoded is good until the next packet only. */
  #write(bytes: Uint8Array | undefined): void {
    if (bytes !== undefined) this.#connection.write(copyOf(bytes));
  }

  #nextId(): number {
    this.#packetId = (this.#packetId % 0xffff) + 1;
    return this.#packetId;
  }

  drained(): void {}

  ended(): void {
    this.#connection.end();
  }

  closed(): void {
    this.#listener.closed(this.#refused);
  }
}
