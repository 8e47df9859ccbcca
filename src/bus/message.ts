import { own } from "../lib/bytes.ts";
import { after, type Duration, FOREVER, type Instant, NEVER } from "../lib/time.ts";
import type { Errand } from "./errand.ts";

export type QoS = 0 | 1 | 2;

/** The MQTT 5 application properties that travel with a message through every gateway. */
export interface MessageProperties {
  /** 1 when the payload is declared to be UTF-8 text [MQTT-3.3.2.3.2]. */
  readonly payloadFormat?: 0 | 1;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  readonly userProperties?: readonly (readonly [name: string, value: string])[];
}

/** What a gateway hands to `Client.publish`; the core stamps the rest. */
export interface MessageOptions {
  readonly qos?: QoS;
  readonly retain?: boolean;
  readonly properties?: MessageProperties | undefined;
  /** Message expiry counted from `publishedAt`; absent means never. */
  readonly expiry?: Duration | undefined;
}

/**
 * One application message on the bus. Immutable but for `encodings`, a scratch place where gateways keep
 * the bytes they made of it, so that a broadcast is encoded once per protocol version and not per subscriber.
 */
export class Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: MessageProperties | undefined;
  readonly publishedAt: Instant;
  /** `NEVER` when the message does not expire. */
  readonly expiresAt: Instant;
  /** Client id of the publisher; empty for messages that the gateway itself makes. */
  publisher = "";
  /** Its publisher is told when somebody's queue is full, and then it is given to nobody. */
  declinable = false;
  /** A member of a shared subscription was handed it and left it behind, for this one (STOMP's `redelivered`). */
  redelivered = false;
  /** What set it off, by its number in a trace; 0 while none runs. */
  cause = 0;
  /** As rules name it, where one of them hears what becomes of its deliveries: the same in all events about it. */
  id: string | undefined = undefined;
  /** Rules that it came through: none of them sees it again. */
  through: readonly string[] | undefined = undefined;
  /** What pipelines want done with it when it passes the gate. */
  errand: Errand | undefined = undefined;
  /** Deliveries and tables that hold it: the account of memory has it once (`Memory`). */
  holders = 0;
  /** Encoded forms by slot; a slot belongs to the codec that asked `encodingSlot` for it. */
  encodings: unknown[] | undefined = undefined;
  /** Made once, so that a message that waits in many queues is held, and stored, once. */
  #kept: Message | undefined = undefined;
  /** Weighed once: there may be many. */
  #propertiesWeight = -1;

  constructor(
    topic: string,
    payload: Uint8Array,
    qos: QoS,
    retain: boolean,
    publishedAt: Instant,
    properties?: MessageProperties,
    expiry: Duration = FOREVER,
  ) {
    this.topic = topic;
    this.payload = payload;
    this.qos = qos;
    this.retain = retain;
    this.publishedAt = publishedAt;
    this.properties = properties;
    this.expiresAt = expiry === FOREVER ? NEVER : after(publishedAt, expiry);
  }

  /** Approximate memory held by a queued copy, in bytes; what queue limits count. */
  get weight(): number {
    if (this.properties === undefined) return OWN_WEIGHT + this.topic.length + this.payload.length;
    if (this.#propertiesWeight < 0) this.#propertiesWeight = weightOf(this.properties);
    return OWN_WEIGHT + this.topic.length + this.payload.length + this.#propertiesWeight;
  }

  /** The same message under another topic (mountpoint, rewrite, delayed publish). */
  withTopic(topic: string): Message {
    return this.#copy(topic, this.payload, this.retain);
  }

  /** The same message at another QoS. */
  at(qos: QoS): Message {
    return this.#copy(this.topic, this.payload, this.retain, undefined, qos);
  }

  /** The same message for the next member of a group. A copy: others may have it for the first time. */
  leftBehind(): Message {
    if (this.redelivered) return this;
    const copy = this.#copy(this.topic, this.payload, this.retain);
    copy.redelivered = true;
    return copy;
  }

  /** The same message, gone after this time at the latest. */
  within(expiry: Duration): Message {
    if (expiry === FOREVER || after(this.publishedAt, expiry) >= this.expiresAt) return this;
    return this.#copy(this.topic, this.payload, this.retain, expiry);
  }

  /** A copy fit to be kept: its payload does not hold on to a read buffer. */
  kept(): Message {
    if (this.#kept !== undefined) return this.#kept;
    const payload = own(this.payload);
    if (payload === this.payload) return this;
    this.#kept = this.#copy(this.topic, payload, this.retain);
    return this.#kept;
  }

  /** The same object, or the kept copy of it. */
  isOneWith(other: Message): boolean {
    return this === other || this.#kept === other || other.#kept === this;
  }

  #copy(
    topic: string,
    payload: Uint8Array,
    retain: boolean,
    within?: Duration,
    qos: QoS = this.qos,
  ): Message {
    const left = this.expiresAt === NEVER ? FOREVER : ((this.expiresAt - this.publishedAt) as Duration);
    const expiry = within ?? left;
    const copy = new Message(topic, payload, qos, retain, this.publishedAt, this.properties, expiry);
    copy.publisher = this.publisher;
    copy.declinable = this.declinable;
    copy.redelivered = this.redelivered;
    copy.cause = this.cause;
    copy.id = this.id;
    copy.through = this.through;
    copy.errand = this.errand;
    return copy;
  }
}

/** A message without its contents. */
const OWN_WEIGHT = 128;
/** A pair of user properties without its texts. */
const PAIR_WEIGHT = 64;

function weightOf(properties: MessageProperties): number {
  const { contentType = "", responseTopic = "", correlationData, userProperties = [] } = properties;
  let weight = contentType.length + responseTopic.length + (correlationData?.length ?? 0);
  for (const [name, value] of userProperties) weight += PAIR_WEIGHT + name.length + value.length;
  return weight;
}

let slots = 0;
/** Reserves a place in `Message.encodings`; called once per codec and version at module load. */
export const encodingSlot = (): number => slots++;
