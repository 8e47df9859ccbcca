/** An application's MQTT 5 connection to the gateway, as much of it as one needs (QoS 0 and 1). */
import { Message } from "../../bus/message.ts";
import { copyOf } from "../../lib/bytes.ts";
import { FOREVER, type Instant } from "../../lib/time.ts";
import { type Arrived, Link, type LinkUser } from "../../mqtt/client/link.ts";
import { publishHeader } from "../../mqtt/codec/encode-publish.ts";
import { type CodesPacket, PacketType } from "../../mqtt/packets.ts";
import { NO_PROPERTIES } from "../../mqtt/properties.ts";
import { isFailure, ReasonCode } from "../../mqtt/reason-codes.ts";
import type { StreamConnection, StreamReceiver } from "../../net/transport.ts";

const VERSION = 5;
const CAPS = { maximumQoS: 2, retain: true, shared: true, wildcards: true, notInTopics: "" } as const;
/** The application looks after time itself: the link is never woken. */
const OPTIONS = {
  connackTimeout: FOREVER,
  pingTimeout: FOREVER,
  packetSize: 1024 * 1024,
  topicAliases: 0,
} as const;

export interface MqttListener {
  connected(): void;
  /** All filters that were asked for. */
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

export class MqttConnection implements StreamReceiver, LinkUser {
  readonly #connection: StreamConnection;
  readonly #listener: MqttListener;
  readonly #link: Link;
  readonly #now: () => Instant;
  #packetId = 0;
  /** Filters that have no answer yet. */
  #subscribing = 0;
  #refused = false;

  constructor(
    connection: StreamConnection,
    listener: MqttListener,
    { clientId, keepAlive, username, password }: MqttIdentity,
    now: () => Instant,
  ) {
    this.#connection = connection;
    this.#listener = listener;
    this.#now = now;
    const output = {
      send: (bytes: Uint8Array) => void connection.write(copyOf(bytes)),
      sendView: (bytes: Uint8Array) => void connection.write(bytes),
    };
    this.#link = new Link(VERSION, CAPS, output, this, OPTIONS);
    this.#link.connect(
      {
        ...{ version: VERSION, bridge: false, clientId, cleanStart: true, keepAlive, username },
        ...{ properties: NO_PROPERTIES, will: undefined },
        password: password === undefined ? undefined : Buffer.from(password),
      },
      now(),
    );
  }

  subscribe(filters: readonly string[], qos: 0 | 1): void {
    this.#subscribing = filters.length;
    for (const filter of filters)
      this.#link.subscribe(this.#nextId(), filter, { qos, noLocal: true }, this.#now());
  }

  publish(topic: string, payload: Uint8Array, qos: 0 | 1, retain: boolean): void {
    const message = new Message(topic, payload, qos, retain, this.#now());
    const id = qos === 0 ? 0 : this.#nextId();
    this.#link.publish(message, publishHeader(qos, retain, false), id, this.#now());
  }

  ping(): void {
    this.#link.ping(this.#now());
  }

  /** In order: the gateway forgets the session with it, which ends with its connection. */
  end(): void {
    this.#link.disconnect(ReasonCode.success);
    this.#connection.end();
  }

  // ---- what the gateway says

  accepted(): void {
    this.#listener.connected();
  }

  refused(): void {
    this.#refuse();
  }

  challenged(): void {
    this.#refuse();
  }

  arrived({ message, qos, packetId }: Arrived): void {
    if (qos !== 0) this.#link.acknowledge(PacketType.PUBACK, packetId, this.#now());
    this.#listener.published(message.topic, message.payload);
  }

  acknowledged(): void {
    this.#listener.acknowledged();
  }

  subscribed({ codes }: CodesPacket): void {
    if (codes.some(isFailure)) this.#refuse();
    else if (--this.#subscribing === 0) this.#listener.subscribed();
  }

  unsubscribed(): void {}

  ponged(): void {}

  dismissed(): void {
    this.#refuse();
  }

  failed(): void {
    this.#connection.destroy();
  }

  #refuse(): void {
    this.#refused = true;
    this.#link.end();
    this.#connection.end();
  }

  #nextId(): number {
    this.#packetId = (this.#packetId % 0xffff) + 1;
    return this.#packetId;
  }

  // ---- the stream

  received(bytes: Uint8Array): void {
    this.#link.receive(bytes, this.#now());
  }

  drained(): void {}

  ended(): void {
    this.#connection.end();
  }

  closed(): void {
    this.#listener.closed(this.#refused);
  }
}
