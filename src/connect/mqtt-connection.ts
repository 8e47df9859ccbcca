import type { Message } from "../bus/message.ts";
import type { Duration, Instant } from "../lib/time.ts";
import { type Arrived, Link, type LinkUser } from "../mqtt/client/link.ts";
import { publishHeader } from "../mqtt/codec/encode-publish.ts";
import { type ConnectPacket, PacketType, type ReasonPacket } from "../mqtt/packets.ts";
import { isFailure, ReasonCode } from "../mqtt/reason-codes.ts";
import type { StreamConnection, StreamReceiver } from "../net/transport.ts";
import { SinkFailure } from "./connector.ts";

export interface MqttConnectionParts {
  readonly connect: ConnectPacket;
  readonly timeout: Duration;
  readonly packetSize: number;
  now(): Instant;
  /** A message of the broker; `taken` is called when it is safe here, or cannot be. */
  arrived(message: Message, retain: boolean, taken: (ok: boolean) => void): void;
  /** It is of no use any more. */
  ended(): void;
}

const CAPS = { maximumQoS: 2, retain: true, shared: true, wildcards: true, notInTopics: "" } as const;
const BEAT_MS = 1_000;
const PACKET_IDS = 65_535;

interface Waiting {
  readonly done: () => void;
  readonly failed: (failure: SinkFailure) => void;
}

/** One connection to a broker, from CONNECT to its end: the client half of MQTT, and what waits for its answers. */
export class MqttConnection implements LinkUser, StreamReceiver {
  readonly #parts: MqttConnectionParts;
  readonly #stream: StreamConnection;
  readonly #link: Link;
  readonly #beat: NodeJS.Timeout;
  readonly #waiting = new Map<number, Waiting>();
  /** Waits for CONNACK. */
  #opening: Waiting | undefined;
  #lastId = 0;
  #over = false;

  constructor(stream: StreamConnection, parts: MqttConnectionParts, opening: Waiting) {
    this.#parts = parts;
    this.#stream = stream;
    this.#opening = opening;
    const output = {
      send: (bytes: Uint8Array) => void stream.write(Uint8Array.from(bytes)),
      sendView: (bytes: Uint8Array) => void stream.write(bytes),
    };
    const { version } = parts.connect;
    this.#link = new Link(version, CAPS, output, this, {
      connackTimeout: parts.timeout,
      pingTimeout: parts.timeout,
      packetSize: parts.packetSize,
      topicAliases: 0,
    });
    this.#beat = setInterval(() => this.#link.wake(parts.now()), BEAT_MS).unref();
    this.#link.connect(parts.connect, parts.now());
  }

  get open(): boolean {
    return this.#link.open && !this.#over;
  }

  /** Messages that the broker takes at QoS 1 without having acknowledged any. */
  get window(): number {
    return this.#link.limits.receiveMaximum;
  }

  /** Settled when the broker has it: at QoS 0 when it is on its way. */
  publish(message: Message): Promise<void> {
    if (!this.open) return Promise.reject(new SinkFailure("the broker is not connected", true));
    const id = message.qos === 0 ? 0 : this.#newId();
    const header = publishHeader(message.qos, message.retain && this.#link.limits.retain, false);
    if (!this.#link.publish(message, header, id, this.#parts.now()))
      return Promise.reject(new SinkFailure("the broker takes no packet as large as this", false));
    return id === 0 ? Promise.resolve() : this.#answerTo(id);
  }

  subscribe(filter: string, qos: 0 | 1, noLocal: boolean): Promise<void> {
    const id = this.#newId();
    const options = { qos, noLocal: noLocal && this.#link.limits.options };
    if (!this.#link.subscribe(id, filter, options, this.#parts.now()))
      return Promise.reject(new SinkFailure(`the filter ${filter} is too long`, false));
    return this.#answerTo(id);
  }

  #answerTo(id: number): Promise<void> {
    return new Promise((done, failed) => {
      this.#waiting.set(id, { done, failed });
    });
  }

  #newId(): number {
    do this.#lastId = (this.#lastId % PACKET_IDS) + 1;
    while (this.#waiting.has(this.#lastId));
    return this.#lastId;
  }

  #settle(id: number, reason: ReasonCode): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (!isFailure(reason)) waiting?.done();
    else waiting?.failed(new SinkFailure(`the broker answers ${reasonName(reason)}`, HEALS.has(reason)));
  }

  // ---- what the broker says

  accepted(): void {
    const opening = this.#opening;
    this.#opening = undefined;
    opening?.done();
  }

  refused({ reason }: ReasonPacket): void {
    this.#fail(new SinkFailure(`the broker refuses the connection: ${reasonName(reason)}`, true));
  }

  challenged(): void {
    this.#fail(new SinkFailure("the broker asks for an exchange of authentication", true));
  }

  arrived({ message, qos, retain, packetId }: Arrived): void {
    this.#parts.arrived(message, retain, (ok) => {
      if (this.#over) return;
      // Not acknowledged, it comes again with the next connection.
      if (!ok) this.#fail(new SinkFailure("a message of the broker cannot be taken now", true));
      else if (qos === 1) this.#link.acknowledge(PacketType.PUBACK, packetId, this.#parts.now());
    });
  }

  acknowledged(_type: number, packetId: number, { reason }: ReasonPacket): void {
    this.#settle(packetId, reason);
  }

  subscribed({
    packetId,
    codes,
  }: {
    readonly packetId: number;
    readonly codes: readonly ReasonCode[];
  }): void {
    this.#settle(packetId, codes[0] ?? ReasonCode.unspecifiedError);
  }

  unsubscribed(): void {}

  ponged(): void {}

  dismissed({ reason }: ReasonPacket): void {
    this.#fail(new SinkFailure(`the broker ends the connection: ${reasonName(reason)}`, true));
  }

  failed(problem: string): void {
    this.#fail(new SinkFailure(problem, true));
  }

  // ---- the stream

  received(bytes: Uint8Array): void {
    this.#link.receive(bytes, this.#parts.now());
  }

  drained(): void {}

  ended(): void {
    this.#fail(new SinkFailure("the broker has closed the connection", true));
  }

  closed(error?: string): void {
    this.#fail(new SinkFailure(error ?? "the connection to the broker is closed", true));
  }

  #fail(failure: SinkFailure): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#beat);
    this.#link.end();
    this.#stream.destroy();
    this.#opening?.failed(failure);
    for (const { failed } of this.#waiting.values()) failed(failure);
    this.#waiting.clear();
    this.#parts.ended();
  }

  close(): void {
    if (this.#over) return;
    this.#link.disconnect(ReasonCode.success);
    this.#stream.end();
    this.#fail(new SinkFailure("the connector is closed", true));
  }
}

/** Later it may be otherwise: the broker's trouble, or too much at once. */
const HEALS: ReadonlySet<ReasonCode> = new Set<ReasonCode>([
  ReasonCode.unspecifiedError,
  ReasonCode.serverUnavailable,
  ReasonCode.serverBusy,
  ReasonCode.quotaExceeded,
  ReasonCode.messageRateTooHigh,
]);

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ReasonCode).map(([name, code]) => [Number(code), name]),
);
const reasonName = (reason: ReasonCode): string =>
  `0x${reason.toString(16).padStart(2, "0")} ${(NAMES.get(reason) ?? "").replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)}`.trim();
