/** An MQTT client that does what it is told as fast as it can, and tells how long it took. */
import { Message } from "../bus/message.ts";
import { copyOf } from "../lib/bytes.ts";
import { type Instant, milliseconds } from "../lib/time.ts";
import { type Arrived, Link, type LinkUser } from "../mqtt/client/link.ts";
import { publishHeader } from "../mqtt/codec/encode-publish.ts";
import {
  type Acknowledgement,
  type CodesPacket,
  type ConnackPacket,
  PacketType,
  type ReasonPacket,
} from "../mqtt/packets.ts";
import { NO_PROPERTIES } from "../mqtt/properties.ts";
import { isFailure, ReasonCode } from "../mqtt/reason-codes.ts";
import type { Dialler } from "../net/dial.ts";
import type { DialError, StreamConnection, StreamReceiver } from "../net/transport.ts";
import { type ClientOptions, Declined, type LoadClient, type LoadUser } from "./client.ts";

const CAPS = { maximumQoS: 2, retain: true, shared: true, wildcards: true, notInTopics: "" } as const;
const OPTIONS = {
  connackTimeout: milliseconds(30_000),
  pingTimeout: milliseconds(30_000),
  packetSize: 256 * 1024 * 1024,
  topicAliases: 0,
} as const;

interface Awaited {
  resolve(): void;
  reject(error: Declined): void;
}

const nameOf = (reason: number): string =>
  Object.entries(ReasonCode).find(([, code]) => code === reason)?.[0] ?? `reason ${reason}`;

export class MqttClient implements LoadClient, LinkUser, StreamReceiver {
  readonly id: string;
  readonly #dialler: Dialler;
  readonly #user: LoadUser;
  readonly #options: ClientOptions;
  readonly #link: Link;
  #connection: StreamConnection | undefined = undefined;
  /** Who waits for CONNACK or SUBACK. */
  #awaited: Awaited | undefined = undefined;
  #in = false;
  /** What was said before the connection ended. */
  #why = "closed without a word";
  #leaving: (() => void) | undefined = undefined;
  /** The kernel takes no more. */
  #held = false;
  #packetId = 0;
  /** When each message without an answer was sent. */
  readonly #unanswered = new Map<number, number>();

  constructor(id: string, dialler: Dialler, options: ClientOptions, user: LoadUser) {
    this.id = id;
    this.#dialler = dialler;
    this.#options = options;
    this.#user = user;
    const output = {
      send: (bytes: Uint8Array) => this.#write(copyOf(bytes)),
      sendView: (bytes: Uint8Array) => this.#write(bytes),
    };
    this.#link = new Link(options.version, CAPS, output, this, OPTIONS);
  }

  get full(): boolean {
    return !this.#in || this.#held || this.#unanswered.size >= this.#options.inflight;
  }

  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#awaited = { resolve, reject };
      this.#dialler.dial(
        (connection) => {
          this.#connection = connection;
          this.#login();
          return this;
        },
        (error: DialError) => this.#decline(error.failure),
      );
    });
  }

  #login(): void {
    const { version, keepAlive, username, password } = this.#options;
    this.#link.connect(
      {
        ...{ version, bridge: false, clientId: this.id, cleanStart: true, keepAlive, username },
        ...{ properties: NO_PROPERTIES, will: undefined },
        password: password === undefined ? undefined : Buffer.from(password),
      },
      now(),
    );
  }

  subscribe(filter: string, qos: 0 | 1 | 2): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#awaited = { resolve, reject };
      if (!this.#link.subscribe(this.#nextId(), filter, { qos }, now())) this.#decline("filter too long");
    });
  }

  publish(topic: string, payload: Uint8Array, sentAt: number): void {
    const { qos, retain } = this.#options;
    const message = new Message(topic, payload, qos, retain, now());
    const id = qos === 0 ? 0 : this.#nextId();
    if (qos !== 0) this.#unanswered.set(id, sentAt);
    if (this.#link.publish(message, publishHeader(qos, retain, false), id, now())) return;
    this.#unanswered.delete(id);
    this.#user.answered(this, sentAt, false);
  }

  tick(): void {
    this.#link.wake(now());
  }

  end(): Promise<void> {
    if (this.#connection === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#leaving = resolve;
      this.#link.disconnect(ReasonCode.success);
      this.#connection?.end();
    });
  }

  #write(bytes: Uint8Array): void {
    if (this.#connection?.write(bytes) === false) this.#held = true;
  }

  #nextId(): number {
    do this.#packetId = (this.#packetId % 0xffff) + 1;
    while (this.#unanswered.has(this.#packetId));
    return this.#packetId;
  }

  #settle(): void {
    this.#awaited?.resolve();
    this.#awaited = undefined;
  }

  #decline(why: string): void {
    this.#awaited?.reject(new Declined(why));
    this.#awaited = undefined;
  }

  // ---- what the gateway says

  accepted(): void {
    this.#in = true;
    this.#settle();
  }

  refused({ reason }: ConnackPacket): void {
    this.#decline(nameOf(reason));
    this.#connection?.end();
  }

  challenged(): void {
    this.#decline("asks for more than a password");
    this.#connection?.end();
  }

  arrived({ message, qos, packetId }: Arrived): void {
    if (qos !== 0) this.#link.acknowledge(qos === 1 ? PacketType.PUBACK : PacketType.PUBREC, packetId, now());
    this.#user.received(message.payload);
  }

  acknowledged(type: Acknowledgement, packetId: number, { reason }: ReasonPacket): void {
    if (type === PacketType.PUBREL) this.#link.acknowledge(PacketType.PUBCOMP, packetId, now());
    else if (type === PacketType.PUBREC && !isFailure(reason))
      this.#link.acknowledge(PacketType.PUBREL, packetId, now());
    else {
      const sentAt = this.#unanswered.get(packetId);
      if (sentAt === undefined) return;
      this.#unanswered.delete(packetId);
      this.#user.answered(this, sentAt, !isFailure(reason));
      this.#user.writable(this);
    }
  }

  subscribed({ codes }: CodesPacket): void {
    const refused = codes.find(isFailure);
    if (refused === undefined) this.#settle();
    else this.#decline(`subscribing: ${nameOf(refused)}`);
  }

  unsubscribed(): void {}

  ponged(): void {}

  dismissed({ reason }: ReasonPacket): void {
    this.#why = nameOf(reason);
  }

  failed(problem: string): void {
    this.#why = problem;
    this.#connection?.destroy();
  }

  // ---- the stream

  received(bytes: Uint8Array): void {
    this.#link.receive(bytes, now());
  }

  drained(): void {
    this.#held = false;
    this.#user.writable(this);
  }

  ended(): void {
    this.#connection?.end();
  }

  closed(): void {
    this.#connection = undefined;
    this.#link.end();
    this.#decline(this.#why);
    for (const sentAt of this.#unanswered.values()) this.#user.answered(this, sentAt, false);
    this.#unanswered.clear();
    if (this.#leaving !== undefined) this.#leaving();
    else if (this.#in) this.#user.lost(this, this.#why);
    this.#in = false;
  }
}

/** Its own clock is good enough for keep-alive. */
const now = (): Instant => Math.round(performance.now()) as Instant;
