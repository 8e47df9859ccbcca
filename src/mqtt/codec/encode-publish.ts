import type { Message } from "../../bus/message.ts";
import { between, type Instant, NEVER, SECONDS_MAX } from "../../lib/time.ts";
import { PacketType, type ProtocolVersion } from "../packets.ts";
import { PROPERTY_RULES, type PropertyRule } from "../properties.ts";
import { encodePropertyList } from "./encode-properties.ts";
import { variableLength, Writer } from "./writer.ts";

const HEADER = PacketType.PUBLISH << 4;
const EXPIRY_ID = 0x02;
const TOPIC_ALIAS_ID = 0x23;
const SUBSCRIPTION_ID = 0x0b;
const NO_SUBSCRIPTION_IDS: readonly number[] = [];
/** What a message carries from its publisher to all who receive it. */
const CARRIED: readonly PropertyRule[] = PROPERTY_RULES.filter(({ name }) =>
  ["payloadFormat", "contentType", "responseTopic", "correlationData", "userProperties"].includes(name),
);

/** First octet of a PUBLISH (MQTT 5 §3.3.1). */
export const publishHeader = (qos: number, retain: boolean, duplicate: boolean): number =>
  HEADER | (qos << 1) | (retain ? 1 : 0) | (duplicate && qos > 0 ? 0x08 : 0);

/** Seconds that are left of a message's life, as they go onward [MQTT-3.3.2-6]. */
const remainingExpiry = (message: Message, now: Instant): number =>
  Math.min(Math.max(0, Math.ceil(between(now, message.expiresAt) / 1000)), SECONDS_MAX);

/**
 * The last message in one form: a message for many receivers is written once, and for each of them only the
 * flags, the packet identifier and the remaining expiry are put in. Used for all connections alike.
 */
class LastPublish {
  readonly #version: ProtocolVersion;
  readonly #withId: boolean;
  readonly #writer = new Writer();
  #message: Message | undefined = undefined;
  /** It stands at the beginning of the writer's body, and stays there while messages have the same one. */
  #topic = "";
  #topicEnd = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #idAt = 0;
  /** 0: the message does not expire. */
  #expiryAt = 0;

  constructor(version: ProtocolVersion, withId: boolean) {
    this.#version = version;
    this.#withId = withId;
  }

  encode(
    message: Message,
    topic: string,
    header: number,
    packetId: number,
    now: Instant,
  ): Uint8Array | undefined {
    if (message !== this.#message || topic !== this.#topic) {
      if (!this.#write(message, topic, now)) return undefined;
    }
    const bytes = this.#bytes;
    bytes[0] = header;
    if (this.#withId) {
      bytes[this.#idAt] = packetId >> 8;
      bytes[this.#idAt + 1] = packetId;
    }
    if (this.#expiryAt !== 0) writeUint32(bytes, this.#expiryAt, remainingExpiry(message, now));
    return bytes;
  }

  #write(message: Message, topic: string, now: Instant): boolean {
    const writer = this.#writer;
    // Nothing is remembered of what is being overwritten, should this not come to its end.
    this.#message = undefined;
    if (topic === this.#topic) {
      writer.rewind(this.#topicEnd);
    } else {
      this.#topic = "";
      writer.begin();
      writer.string(topic);
      if (writer.overlong) return false;
      this.#topicEnd = writer.length;
      this.#topic = topic;
    }
    const idAt = this.#topicEnd;
    if (this.#withId) writer.uint16(0);
    let expiryAt = 0;
    if (this.#version === 5) expiryAt = writeProperties(writer, message, undefined, NO_SUBSCRIPTION_IDS, now);
    if (writer.overlong) return false;
    writer.raw(message.payload);
    const bodyLength = writer.length;
    const bytes = writer.finish(HEADER);
    const headerLength = bytes.length - bodyLength;
    this.#message = message;
    this.#bytes = bytes;
    this.#idAt = headerLength + idAt;
    this.#expiryAt = expiryAt === 0 ? 0 : headerLength + expiryAt;
    return true;
  }
}

const last3 = [new LastPublish(4, false), new LastPublish(4, true)] as const;
const last5 = [new LastPublish(5, false), new LastPublish(5, true)] as const;

/**
 * A whole PUBLISH without anything of one receiver but its packet identifier. Valid until the next call.
 * Undefined when the message has a field that is too long for MQTT.
 */
export function encodeSharedPublish(
  version: ProtocolVersion,
  message: Message,
  topic: string,
  header: number,
  packetId: number,
  now: Instant,
): Uint8Array | undefined {
  const forms = version === 5 ? last5 : last3;
  return forms[packetId === 0 ? 0 : 1].encode(message, topic, header, packetId, now);
}

const writer = new Writer();

/** A PUBLISH that says something to one receiver only (MQTT 5 §3.3.2.3.4, §3.3.2.3.8). */
export interface IndividualPublish {
  /** First octet, see `publishHeader`. */
  readonly header: number;
  /** Empty when the alias is known already and stands for it. */
  readonly topic: string;
  /** 0 at QoS 0. */
  readonly packetId: number;
  readonly topicAlias: number | undefined;
  readonly subscriptionIds: readonly number[];
}

/** A whole PUBLISH, or, with `payloadFollows`, what stands before its payload. As above. */
export function encodeIndividualPublish(
  version: ProtocolVersion,
  message: Message,
  { header, topic, packetId, topicAlias, subscriptionIds }: IndividualPublish,
  payloadFollows: boolean,
  now: Instant,
): Uint8Array | undefined {
  writer.begin();
  writer.string(topic);
  if (packetId !== 0) writer.uint16(packetId);
  if (version === 5) writeProperties(writer, message, topicAlias, subscriptionIds, now);
  if (writer.overlong) return undefined;
  if (payloadFollows) return writer.finish(header, message.payload.length);
  writer.raw(message.payload);
  return writer.finish(header);
}

/** Returns where the four octets of the expiry stand in the body, or 0. */
function writeProperties(
  into: Writer,
  message: Message,
  topicAlias: number | undefined,
  subscriptionIds: readonly number[],
  now: Instant,
): number {
  const { properties } = message;
  const expires = message.expiresAt !== NEVER;
  if (!expires && properties === undefined && topicAlias === undefined && subscriptionIds.length === 0) {
    into.octet(0);
    return 0;
  }
  const mark = into.length;
  if (expires) {
    into.octet(EXPIRY_ID);
    into.uint32(remainingExpiry(message, now));
  }
  if (properties !== undefined) encodePropertyList(into, CARRIED, properties);
  if (topicAlias !== undefined) {
    into.octet(TOPIC_ALIAS_ID);
    into.uint16(topicAlias);
  }
  for (const id of subscriptionIds) {
    into.octet(SUBSCRIPTION_ID);
    into.variable(id);
  }
  const length = into.length - mark;
  into.prefixLength(mark);
  return expires ? mark + variableLength(length) + 1 : 0;
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
