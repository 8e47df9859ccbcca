/** MQTT-SN's messages for people: topic ids get the names under which they were agreed on. */
import { type Dissection, type Dissector, type Sender, unreadable } from "#core/contract/dissection.ts";
import { lossyText } from "#core/lib/bytes.ts";
import { decode } from "./codec.ts";
import * as p from "./packets.ts";

/** Names that a trace remembers for one device; above that, ids stand for themselves. */
const NAMES_MAX = 4096;

const RETURN_CODES: readonly string[] = ["accepted", "congestion", "invalid topic id", "not supported"];
const ID_KINDS: readonly string[] = ["id", "predefined id", "short name", "reserved"];

const quoted = (name: Uint8Array): string => JSON.stringify(lossyText(name));
const shortName = (id: number): string => String.fromCharCode(id >> 8, id & 0xff);
const returnCode = (code: number): string => RETURN_CODES[code] ?? `return code ${code}`;

interface Said {
  readonly summary: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly exchanges?: readonly string[];
  readonly begins?: boolean;
  readonly expects?: boolean;
}

export class MqttSnDissector implements Dissector {
  /** By kind and id. */
  readonly #names = new Map<string, string>();
  /** Names that wait for the id that a SUBACK or REGACK gives them, by exchange. */
  readonly #asked = new Map<string, string>();

  dissect(frame: Uint8Array, from: Sender): Dissection {
    const decoded = decode(frame);
    if (!decoded.ok) return unreadable(frame, decoded.error.problem, decoded.error.clause);
    const packet = decoded.value;
    if (packet.type === p.ENCAPSULATED) return this.#forwarded(packet, from);
    const { summary, fields, exchanges = [], begins = true, expects = false } = this.#say(packet, from);
    const name = p.MESSAGE_NAMES[packet.type] ?? "reserved";
    return { name, summary, fields, exchanges, begins, expects, secrets: [] };
  }

  #forwarded({ radius, node, message }: p.Encapsulated, from: Sender): Dissection {
    const inner = this.dissect(message, from);
    const name = Buffer.from(node).toString("hex");
    return {
      ...inner,
      summary: `${inner.summary} (node ${name})`.trimStart(),
      fields: { ...inner.fields, radius, node: name },
      secrets: [],
    };
  }

  #say(packet: Exclude<p.Packet, p.Encapsulated>, from: Sender): Said {
    switch (packet.type) {
      case p.PUBLISH:
        return this.#publish(packet, from);
      case p.REGISTER:
      case p.REGACK:
      case p.SUBSCRIBE:
      case p.UNSUBSCRIBE:
      case p.SUBACK:
        return this.#topics(packet, from);
      case p.PUBACK: {
        const { topicId, messageId, returnCode: code } = packet;
        const summary = `${messageId} ${returnCode(code)}`;
        return goesOn({ topicId, messageId, returnCode: code }, summary, publishOf(other(from), messageId));
      }
      case p.PUBREC:
      case p.PUBCOMP:
        return goesOn({ ...packet }, `${packet.messageId}`, publishOf(other(from), packet.messageId));
      case p.PUBREL:
        return {
          ...goesOn({ ...packet }, `${packet.messageId}`, publishOf(from, packet.messageId)),
          expects: true,
        };
      case p.UNSUBACK:
        return goesOn({ ...packet }, `${packet.messageId}`, `subscribe ${packet.messageId}`);
      default:
        return connection(packet);
    }
  }

  #publish(packet: p.Publish, from: Sender): Said {
    const { duplicate, qos, retain, topicIdType, topicId, messageId, payload } = packet;
    const topic = this.#topicOf(topicIdType, topicId);
    const flags = `${duplicate ? " DUP" : ""}${retain ? " RETAIN" : ""}`;
    const id = qos > 0 ? `, ${messageId}` : "";
    return {
      summary: `${topic} QoS ${qos}${id}${flags}, ${payload.length} B`,
      fields: {
        topicIdType: ID_KINDS[topicIdType],
        topicId,
        topic,
        qos,
        retain,
        duplicate,
        messageId,
        payload,
      },
      exchanges: qos > 0 ? [publishOf(from, messageId)] : [],
      begins: !duplicate,
      expects: qos > 0,
    };
  }

  #topics(packet: p.Register | p.TopicAck | p.Subscribe | p.SubAck, from: Sender): Said {
    switch (packet.type) {
      case p.REGISTER: {
        const { topicId, messageId, topic } = packet;
        const name = lossyText(topic);
        const exchange = `register ${from} ${messageId}`;
        if (from === "gateway") this.#name(p.NORMAL, topicId, name);
        else this.#ask(exchange, name);
        const summary = from === "gateway" ? `${topicId} ${quoted(topic)}` : quoted(topic);
        return { summary, fields: { topicId, messageId, topic: name }, exchanges: [exchange], expects: true };
      }
      case p.REGACK: {
        const { topicId, messageId, returnCode: code } = packet as p.TopicAck;
        const exchange = `register ${other(from)} ${messageId}`;
        if (code === p.ACCEPTED) this.#answered(exchange, topicId);
        const fields = { topicId, messageId, returnCode: code };
        return goesOn(fields, `${topicId} ${returnCode(code)}`, exchange);
      }
      case p.SUBSCRIBE:
      case p.UNSUBSCRIBE: {
        const { qos, topicIdType, messageId, topic, duplicate } = packet;
        const named =
          topicIdType === p.PREDEFINED ? `predefined id ${(topic[0]! << 8) | topic[1]!}` : lossyText(topic);
        const exchange = `subscribe ${messageId}`;
        if (packet.type === p.SUBSCRIBE && topicIdType === p.NORMAL) this.#ask(exchange, named);
        const summary = packet.type === p.SUBSCRIBE ? `${named} QoS ${qos}` : named;
        const fields = { topicIdType: ID_KINDS[topicIdType], topic: named, qos, messageId, duplicate };
        return { summary, fields, exchanges: [exchange], begins: !duplicate, expects: true };
      }
      default: {
        const { qos, topicId, messageId, returnCode: code } = packet as p.SubAck;
        const exchange = `subscribe ${messageId}`;
        if (code === p.ACCEPTED && topicId !== 0) this.#answered(exchange, topicId);
        return goesOn(
          { qos, topicId, messageId, returnCode: code },
          `QoS ${qos} ${returnCode(code)}`,
          exchange,
        );
      }
    }
  }

  #ask(exchange: string, name: string): void {
    if (this.#asked.size < NAMES_MAX) this.#asked.set(exchange, name);
  }

  #answered(exchange: string, id: number): void {
    const name = this.#asked.get(exchange);
    this.#asked.delete(exchange);
    if (name !== undefined) this.#name(p.NORMAL, id, name);
  }

  #name(kind: number, id: number, name: string): void {
    if (this.#names.size < NAMES_MAX) this.#names.set(`${kind} ${id}`, name);
  }

  #topicOf(kind: number, id: number): string {
    if (kind === p.SHORT) return JSON.stringify(shortName(id));
    const name = this.#names.get(`${kind} ${id}`);
    return name === undefined ? `${ID_KINDS[kind]} ${id}` : `${id} ${JSON.stringify(name)}`;
  }
}

const other = (from: Sender): Sender => (from === "device" ? "gateway" : "device");
const publishOf = (from: Sender, messageId: number): string => `publish ${from} ${messageId}`;

const goesOn = (fields: Readonly<Record<string, unknown>>, summary: string, exchange: string): Said => ({
  summary,
  fields,
  exchanges: [exchange],
  begins: false,
});

const CONNECTING: Said = { summary: "", fields: {}, exchanges: ["connect"], begins: false, expects: true };

type OfConnection =
  | p.Advertise
  | p.SearchGw
  | p.GwInfo
  | p.Connect
  | p.WithReturnCode
  | p.Bare
  | p.WillTopic
  | p.WillMessage
  | p.PingReq
  | p.Disconnect;

/** Discovery, connecting, wills, keep-alive, sleep. */
function connection(packet: OfConnection): Said {
  switch (packet.type) {
    case p.CONNECT: {
      const { clientId, cleanSession, will, duration, protocolId } = packet;
      const flags = `${cleanSession ? " clean" : ""}${will ? " with a will" : ""}`;
      return {
        summary: `${quoted(clientId)} keep-alive ${duration} s${flags}`,
        fields: { clientId: lossyText(clientId), cleanSession, will, duration, protocolId },
        exchanges: ["connect"],
        expects: true,
      };
    }
    case p.CONNACK:
      return { ...CONNECTING, ...coded(packet), expects: false };
    case p.WILLTOPICREQ:
    case p.WILLMSGREQ:
      return CONNECTING;
    case p.WILLTOPIC:
    case p.WILLTOPICUPD: {
      const topic = packet.topic === undefined ? undefined : lossyText(packet.topic);
      const { qos, retain } = packet;
      return { ...CONNECTING, summary: topic ?? "no will", fields: { topic, qos, retain } };
    }
    case p.WILLMSG:
    case p.WILLMSGUPD:
      return { ...CONNECTING, summary: `${packet.payload.length} B`, fields: { payload: packet.payload } };
    case p.PINGREQ: {
      const clientId = lossyText(packet.clientId);
      const fields = clientId === "" ? {} : { clientId };
      return { summary: clientId, fields, exchanges: ["ping"], expects: true };
    }
    case p.PINGRESP:
      return { summary: "", fields: {}, exchanges: ["ping"], begins: false };
    case p.DISCONNECT: {
      const { duration } = packet;
      const summary = duration === undefined ? "" : `sleeps ${duration} s`;
      return { summary, fields: duration === undefined ? {} : { duration }, exchanges: ["disconnect"] };
    }
    case p.ADVERTISE:
    case p.GWINFO:
      return { summary: `gateway ${packet.gatewayId}`, fields: { ...packet } };
    case p.SEARCHGW:
      return { summary: `radius ${packet.radius}`, fields: { radius: packet.radius }, expects: true };
    default:
      return { ...coded(packet), exchanges: ["will"], begins: false };
  }
}

const coded = ({ returnCode: code }: p.WithReturnCode): Said => ({
  summary: returnCode(code),
  fields: { returnCode: code },
});
