import { type PacketError, PacketType, type ProtocolVersion } from "../packets.ts";
import { NO_PROPERTIES, type Properties } from "../properties.ts";
import { ReasonCode } from "../reason-codes.ts";
import { decodeProperties } from "./decode-properties.ts";
import { Reader } from "./reader.ts";
import type { TopicCache } from "./topic-cache.ts";

/** What stands before the payload of a PUBLISH. One object is filled again and again: nothing keeps it. */
export interface PublishHead {
  /** Empty when a topic alias stands for it. */
  topic: string;
  /** 0 at QoS 0. */
  packetId: number;
  properties: Readonly<Properties>;
  /** Offset of the payload, which goes to the end of the packet. */
  payloadAt: number;
}

export const publishHead = (): PublishHead => ({
  topic: "",
  packetId: 0,
  properties: NO_PROPERTIES,
  payloadAt: 0,
});

/** The connection that a PUBLISH came on. */
export interface PublishSource {
  readonly version: ProtocolVersion;
  readonly topics: TopicCache;
  /** How many user properties and subscription identifiers a packet may hold. */
  readonly maximumItems: number;
}

const problem = (code: ReasonCode, clause: string, at: number, what: string): PacketError => ({
  code,
  clause,
  at,
  problem: what,
});

/**
 * Decodes a PUBLISH that lies in `bytes[start, end)`, its fixed header in `[start, body)`, into `head`.
 * Returns what is wrong with it.
 */
export function decodePublish(
  head: PublishHead,
  source: PublishSource,
  bytes: Uint8Array,
  start: number,
  body: number,
  end: number,
): PacketError | undefined {
  const { version } = source;
  const flags = bytes[start] as number;
  if ((flags & 0x06) === 0x06) return malformed("[MQTT-3.3.1-4]", 0, "QoS 3");
  if ((flags & 0x0e) === 0x08 && version !== 3) return malformed("[MQTT-3.3.1-2]", 0, "DUP at QoS 0");
  if (body + 2 > end) return malformed("MQTT 5 §2.1.4", body - start, "packet ends within the topic");
  const topicEnd = body + 2 + (((bytes[body] as number) << 8) | (bytes[body + 1] as number));
  if (topicEnd > end) return malformed("MQTT 5 §2.1.4", body - start, "packet ends within the topic");
  if (topicEnd === body + 2) {
    if (version !== 5) return malformed("[MQTT-4.7.3-1]", body - start, "empty topic");
    head.topic = "";
  } else {
    const topic = source.topics.read(bytes, body + 2, topicEnd);
    if (topic === undefined) return badTopic(bytes, body + 2, topicEnd, start);
    head.topic = topic;
  }
  let at = topicEnd;
  head.packetId = 0;
  if ((flags & 0x06) !== 0) {
    if (at + 2 > end) return malformed("MQTT 5 §2.1.4", at - start, "packet ends within its identifier");
    head.packetId = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
    if (head.packetId === 0) {
      return problem(ReasonCode.protocolError, "[MQTT-2.2.1-3]", at - start, "packet identifier 0");
    }
    at += 2;
  }
  head.properties = NO_PROPERTIES;
  head.payloadAt = at;
  if (version !== 5) return undefined;
  // One octet 0 is an empty property section, which is the rule.
  if (bytes[at] === 0 && at < end) {
    head.payloadAt = at + 1;
    return undefined;
  }
  return decodePublishProperties(head, new Reader(bytes, start, at, end, source.maximumItems));
}

function decodePublishProperties(head: PublishHead, reader: Reader): PacketError | undefined {
  head.properties = decodeProperties(reader, PacketType.PUBLISH);
  head.payloadAt = reader.at;
  return reader.error;
}

const malformed = (clause: string, at: number, what: string): PacketError =>
  problem(ReasonCode.malformedPacket, clause, at, what);

/** A wildcard has a reason of its own; anything else is no string that MQTT knows. */
function badTopic(bytes: Uint8Array, from: number, to: number, start: number): PacketError {
  for (let at = from; at < to; at++) {
    const octet = bytes[at];
    if (octet === 0x23 || octet === 0x2b) {
      return problem(ReasonCode.topicNameInvalid, "[MQTT-3.3.2-2]", at - start, "wildcard in a topic name");
    }
  }
  return malformed(
    "[MQTT-1.5.4-1]",
    from - start,
    "topic is not well-formed UTF-8, or holds a NUL character",
  );
}
