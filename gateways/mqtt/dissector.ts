/** MQTT's control packets for people. */
import {
  type Dissected,
  type Dissection,
  type Dissector,
  type Sender,
  unreadable,
} from "#core/contract/dissection.ts";
import { decodeConnack } from "#core/mqtt/codec/decode-connack.ts";
import { decodeConnect, decodeGreeting } from "#core/mqtt/codec/decode-connect.ts";
import { decodeProperties } from "#core/mqtt/codec/decode-properties.ts";
import {
  decodeAcknowledgement,
  decodeAuth,
  decodeDisconnect,
  decodeServerDisconnect,
} from "#core/mqtt/codec/decode-reason.ts";
import { decodeSuback, decodeUnsuback } from "#core/mqtt/codec/decode-suback.ts";
import { decodeSubscribe, decodeUnsubscribe } from "#core/mqtt/codec/decode-subscribe.ts";
import { Reader } from "#core/mqtt/codec/reader.ts";
import { PACKET_NAMES, PacketType, type ProtocolVersion, VERSION_NAMES } from "#core/mqtt/packets.ts";
import type { Properties } from "#core/mqtt/properties.ts";
import { ReasonCode } from "#core/mqtt/reason-codes.ts";

/** Packets with more filters or user properties than this are shown as malformed. */
const ITEMS_MAX = 1000;
/** Topic aliases that a trace remembers for one direction. */
const ALIASES_MAX = 1024;

const REASONS: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(ReasonCode).map(([name, code]) => [code, spaced(name)]),
);
const reasonText = (code: number): string => REASONS[code] ?? `reason 0x${code.toString(16)}`;

function spaced(name: string): string {
  return name.replace(/([a-z])([A-Z0-9])/g, "$1 $2").toLowerCase();
}

interface Said {
  readonly summary: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly exchange?: string;
  readonly begins?: boolean;
  readonly expects?: boolean;
  readonly secrets?: Dissection["secrets"];
}

export class MqttDissector implements Dissector {
  #version: ProtocolVersion;
  readonly #aliases: Record<Sender, Map<number, string>> = { device: new Map(), gateway: new Map() };

  constructor({ protocol }: Pick<Dissected, "protocol">) {
    this.#version = protocol === VERSION_NAMES[5] ? 5 : protocol === VERSION_NAMES[3] ? 3 : 4;
  }

  /** MQTT 5 §2.1.4. */
  lengthOf(bytes: Uint8Array, at: number): number | undefined {
    let remaining = 0;
    for (let index = 0; index < 4; index++) {
      const octet = bytes[at + 1 + index];
      if (octet === undefined) return undefined;
      remaining += (octet & 0x7f) * 2 ** (7 * index);
      if (octet < 0x80) return 2 + index + remaining;
    }
    return bytes.length - at;
  }

  dissect(frame: Uint8Array, from: Sender): Dissection {
    const type = (frame[0] ?? 0) >> 4;
    let body = 2;
    while (body < 5 && (frame[body - 1] ?? 0) >= 0x80) body++;
    const reader = new Reader(frame, 0, body, frame.length, ITEMS_MAX);
    const said = this.#say(type, reader, from);
    if (said === undefined) return unreadable(frame, `packet type ${type} is reserved`, "MQTT 5 §2.1.2");
    const { error } = reader;
    if (error !== undefined) return unreadable(frame, error.problem, error.clause);
    const { summary, fields, exchange, begins = true, expects = false, secrets = [] } = said;
    const exchanges = exchange === undefined ? [] : [exchange];
    return { name: PACKET_NAMES[type] ?? "", summary, fields, exchanges, begins, expects, secrets };
  }

  #say(type: number, reader: Reader, from: Sender): Said | undefined {
    switch (type) {
      case PacketType.CONNECT:
        return this.#connect(reader);
      case PacketType.CONNACK: {
        const { sessionPresent, reason, properties } = decodeConnack(reader, this.#version);
        const present = sessionPresent ? ", session present" : "";
        const fields = { sessionPresent, reason, ...withoutSecrets(properties) };
        const secrets = hidden(reader.bytes, properties);
        return {
          ...GOES_ON,
          summary: `${reasonText(reason)}${present}`,
          fields,
          exchange: "connect",
          secrets,
        };
      }
      case PacketType.PUBLISH:
        return this.#publish(reader, from);
      case PacketType.PUBACK:
      case PacketType.PUBREC:
      case PacketType.PUBREL:
      case PacketType.PUBCOMP:
        return this.#acknowledgement(type, reader, from);
      case PacketType.PINGREQ:
        return { summary: "", fields: {}, exchange: "ping", expects: true };
      case PacketType.PINGRESP:
        return { ...GOES_ON, exchange: "ping" };
      case PacketType.DISCONNECT: {
        const server = from === "gateway";
        const { reason, properties } = server
          ? decodeServerDisconnect(reader)
          : decodeDisconnect(reader, this.#version);
        return { summary: reasonText(reason), fields: { reason, ...properties } };
      }
      case PacketType.AUTH: {
        const { reason, properties } = decodeAuth(reader);
        const fields = { reason, ...withoutSecrets(properties) };
        const secrets = hidden(reader.bytes, properties);
        return {
          summary: reasonText(reason),
          fields,
          exchange: "connect",
          begins: false,
          expects: true,
          secrets,
        };
      }
      default:
        return this.#subscribing(type, reader);
    }
  }

  #connect(reader: Reader): Said {
    const greeting = decodeGreeting(reader);
    if (greeting.kind !== "speaks") {
      reader.malformed(
        "MQTT 5 §3.1.2",
        greeting.kind === "stranger" ? "not MQTT" : `level ${greeting.level}`,
      );
      return { summary: "", fields: {} };
    }
    this.#version = greeting.version;
    const packet = decodeConnect(reader, greeting.version, greeting.bridge);
    const { clientId, cleanStart, keepAlive, username, password, will, properties } = packet;
    const { bytes } = reader;
    const secrets: (readonly [number, number])[] = [...hidden(bytes, properties)];
    // The password is the last field (MQTT 5 §3.1.3.6).
    if (password !== undefined) secrets.push([bytes.length - password.length, bytes.length]);
    const version = VERSION_NAMES[greeting.version];
    const user = username === undefined ? "" : ` user ${JSON.stringify(username)}`;
    const flags = `${cleanStart ? " clean" : ""}${will === undefined ? "" : " with a will"}`;
    return {
      summary: `${version} ${JSON.stringify(clientId)}${user} keep-alive ${keepAlive} s${flags}`,
      fields: {
        version,
        clientId,
        cleanStart,
        keepAlive,
        username,
        password: password === undefined ? undefined : "••",
        will: will === undefined ? undefined : { topic: will.topic, qos: will.qos, retain: will.retain },
        ...withoutSecrets(properties),
      },
      exchange: "connect",
      expects: true,
      secrets,
    };
  }

  #publish(reader: Reader, from: Sender): Said {
    const flags = reader.bytes[0] as number;
    const qos = (flags >> 1) & 3;
    const duplicate = (flags & 8) !== 0;
    const retain = (flags & 1) !== 0;
    const named = reader.string();
    const packetId = qos > 0 ? reader.packetId() : 0;
    const properties = this.#version === 5 ? decodeProperties(reader, PacketType.PUBLISH) : {};
    const payload = reader.bytes.subarray(reader.at, reader.end);
    const topic = this.#unaliased(named, properties, from);
    const id = qos > 0 ? `, ${packetId}` : "";
    const marks = `${duplicate ? " DUP" : ""}${retain ? " RETAIN" : ""}`;
    return {
      summary: `${JSON.stringify(topic)} QoS ${qos}${id}${marks}, ${payload.length} B`,
      fields: { topic, qos, retain, duplicate, packetId: packetId || undefined, ...properties, payload },
      ...(qos > 0 ? { exchange: publishOf(from, packetId) } : {}),
      begins: !duplicate,
      expects: qos > 0,
    };
  }

  /** MQTT 5 §3.3.2.3.4. */
  #unaliased(named: string, { topicAlias }: Properties, from: Sender): string {
    if (topicAlias === undefined) return named;
    const aliases = this.#aliases[from];
    if (named === "") return aliases.get(topicAlias) ?? `alias ${topicAlias}`;
    if (aliases.size < ALIASES_MAX || aliases.has(topicAlias)) aliases.set(topicAlias, named);
    return named;
  }

  #acknowledgement(type: number, reader: Reader, from: Sender): Said {
    const { bytes, at } = reader;
    const packetId = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    const { reason } = decodeAcknowledgement(reader, type, this.#version);
    const sender = type === PacketType.PUBREL ? from : other(from);
    const why = reason === ReasonCode.success ? "" : ` ${reasonText(reason)}`;
    const expects = type === PacketType.PUBREC || type === PacketType.PUBREL;
    return {
      ...GOES_ON,
      summary: `${packetId}${why}`,
      fields: { packetId, reason },
      exchange: publishOf(sender, packetId),
      expects,
    };
  }

  #subscribing(type: number, reader: Reader): Said | undefined {
    switch (type) {
      case PacketType.SUBSCRIBE: {
        const { packetId, properties, subscriptions } = decodeSubscribe(reader, this.#version);
        const summary = subscriptions
          .map(({ filter, qos }) => `${JSON.stringify(filter)} QoS ${qos}`)
          .join(", ");
        const fields = { packetId, subscriptions, ...properties };
        return { summary, fields, exchange: `subscribe ${packetId}`, expects: true };
      }
      case PacketType.UNSUBSCRIBE: {
        const { packetId, properties, filters } = decodeUnsubscribe(reader, this.#version);
        const fields = { packetId, filters, ...properties };
        return { summary: filters.join(", "), fields, exchange: `subscribe ${packetId}`, expects: true };
      }
      case PacketType.SUBACK:
      case PacketType.UNSUBACK: {
        const decode = type === PacketType.SUBACK ? decodeSuback : decodeUnsuback;
        const { packetId, properties, codes } = decode(reader, this.#version);
        const summary = codes.map(reasonText).join(", ");
        const fields = { packetId, codes, ...properties };
        return { ...GOES_ON, summary, fields, exchange: `subscribe ${packetId}` };
      }
      default:
        return undefined;
    }
  }
}

const GOES_ON = { summary: "", fields: {}, begins: false } as const;
const other = (from: Sender): Sender => (from === "device" ? "gateway" : "device");
const publishOf = (from: Sender, packetId: number): string => `publish ${from} ${packetId}`;

const withoutSecrets = (properties: Readonly<Properties>): Readonly<Properties> =>
  properties.authenticationData === undefined
    ? properties
    : { ...properties, authenticationData: new Uint8Array(0) };

/** Where the octets of an authentication exchange stand (MQTT 5 §4.12). */
function hidden(bytes: Uint8Array, { authenticationData }: Readonly<Properties>): [number, number][] {
  if (authenticationData === undefined || authenticationData.length === 0) return [];
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(authenticationData);
  return at < 0 ? [] : [[at, at + authenticationData.length]];
}
