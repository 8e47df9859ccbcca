/**
 * MQTT-SN 1.2 on the wire as the tables of its §5 have it, for devices under test: nothing of the gateway's own codec is
 * in it, so that neither judges itself.
 */
import type { Packet } from "#gateways/mqtt-sn/packets.ts";

export type { Packet, Publish, TopicIdType, WireQoS } from "#gateways/mqtt-sn/packets.ts";

/** §5.2.2, Table 3. */
export const ADVERTISE = 0x00;
export const SEARCHGW = 0x01;
export const GWINFO = 0x02;
export const CONNECT = 0x04;
export const CONNACK = 0x05;
export const WILLTOPICREQ = 0x06;
export const WILLTOPIC = 0x07;
export const WILLMSGREQ = 0x08;
export const WILLMSG = 0x09;
export const REGISTER = 0x0a;
export const REGACK = 0x0b;
export const PUBLISH = 0x0c;
export const PUBACK = 0x0d;
export const PUBCOMP = 0x0e;
export const PUBREC = 0x0f;
export const PUBREL = 0x10;
export const SUBSCRIBE = 0x12;
export const SUBACK = 0x13;
export const UNSUBSCRIBE = 0x14;
export const UNSUBACK = 0x15;
export const PINGREQ = 0x16;
export const PINGRESP = 0x17;
export const DISCONNECT = 0x18;
export const WILLTOPICUPD = 0x1a;
export const WILLTOPICRESP = 0x1b;
export const WILLMSGUPD = 0x1c;
export const WILLMSGRESP = 0x1d;
export const ENCAPSULATED = 0xfe;

/** §5.3.10. */
export const INVALID_TOPIC_ID = 0x02;

type Kind =
  | "octet"
  /** The most significant octet first (§5.1). */
  | "number"
  /** §5.3.4, Table 4: those of its bits that the message uses. */
  | "flags"
  /** The rest of the message. */
  | "octets";
interface Field {
  readonly kind: Kind;
  readonly name: string;
}
interface Layout {
  readonly name: string;
  readonly fields: readonly Field[];
  /** The message may end after its type: what is then not there (§5.4.7, §5.4.21, §5.4.22). */
  readonly optional?: string;
}

/** `name:1` an octet, `name:2` a number, `flags`, `name` the rest. */
function layout(name: string, spec: string, optional?: string): Layout {
  const fields = spec
    .split(" ")
    .filter((part) => part !== "")
    .map((part): Field => {
      const [field = "", length] = part.split(":");
      if (field.startsWith("flags")) return { kind: "flags", name: field.slice("flags=".length) };
      return { name: field, kind: length === "1" ? "octet" : length === "2" ? "number" : "octets" };
    });
  return optional === undefined ? { name, fields } : { name, fields, optional };
}

/** §5.4, Tables 6 to 31. */
const LAYOUTS: Readonly<Record<number, Layout>> = {
  0: layout("ADVERTISE", "gatewayId:1 duration:2"),
  1: layout("SEARCHGW", "radius:1"),
  2: layout("GWINFO", "gatewayId:1 address"),
  4: layout("CONNECT", "flags=will,cleanSession protocolId:1 duration:2 clientId"),
  5: layout("CONNACK", "returnCode:1"),
  6: layout("WILLTOPICREQ", ""),
  7: layout("WILLTOPIC", "flags=qos,retain topic", "topic"),
  8: layout("WILLMSGREQ", ""),
  9: layout("WILLMSG", "payload"),
  10: layout("REGISTER", "topicId:2 messageId:2 topic"),
  11: layout("REGACK", "topicId:2 messageId:2 returnCode:1"),
  12: layout("PUBLISH", "flags=duplicate,qos,retain,topicIdType topicId:2 messageId:2 payload"),
  13: layout("PUBACK", "topicId:2 messageId:2 returnCode:1"),
  14: layout("PUBCOMP", "messageId:2"),
  15: layout("PUBREC", "messageId:2"),
  16: layout("PUBREL", "messageId:2"),
  18: layout("SUBSCRIBE", "flags=duplicate,qos,topicIdType messageId:2 topic"),
  19: layout("SUBACK", "flags=qos topicId:2 messageId:2 returnCode:1"),
  20: layout("UNSUBSCRIBE", "flags=duplicate,qos,topicIdType messageId:2 topic"),
  21: layout("UNSUBACK", "messageId:2"),
  22: layout("PINGREQ", "clientId"),
  23: layout("PINGRESP", ""),
  24: layout("DISCONNECT", "duration:2", "duration"),
  26: layout("WILLTOPICUPD", "flags=qos,retain topic", "topic"),
  27: layout("WILLTOPICRESP", "returnCode:1"),
  28: layout("WILLMSGUPD", "payload"),
  29: layout("WILLMSGRESP", "returnCode:1"),
};

export const nameOf = (type: number): string => LAYOUTS[type]?.name ?? "?";

/** §5.3.4, Table 4: (bit 7) DUP, QoS, QoS, Retain, Will, CleanSession, TopicIdType, TopicIdType (bit 0). */
const FLAGS: Readonly<Record<string, { write(value: unknown): number; read(octet: number): unknown }>> = {
  duplicate: bit(7),
  qos: {
    // 0b11 is QoS -1.
    write: (qos) => ((qos === -1 ? 3 : Number(qos)) & 3) * 0b0010_0000,
    read: (octet) => [0, 1, 2, -1][(octet >> 5) & 3],
  },
  retain: bit(4),
  will: bit(3),
  cleanSession: bit(2),
  topicIdType: { write: (type) => Number(type), read: (octet) => octet & 3 },
};

function bit(number: number) {
  return {
    write: (value: unknown) => (value === true ? 1 << number : 0),
    read: (octet: number) => (octet & (1 << number)) !== 0,
  };
}

type Values = Readonly<Record<string, unknown>>;

function octetsOf(field: Field, values: Values): Uint8Array {
  const value = values[field.name];
  switch (field.kind) {
    case "octet":
      return Uint8Array.of(Number(value));
    case "number":
      return Uint8Array.of(Number(value) >> 8, Number(value) & 0xff);
    case "flags": {
      let octet = 0;
      for (const flag of field.name.split(",")) octet |= FLAGS[flag]!.write(values[flag]);
      return Uint8Array.of(octet);
    }
    case "octets":
      return value as Uint8Array;
  }
}

/** §5.2.1: one octet of length up to 255, else 0x01 and two of them. */
function framed(type: number, body: Uint8Array): Uint8Array {
  const length = body.length + 2;
  const long = body.length + 4;
  const header = length < 256 ? [length, type] : [0x01, long >> 8, long & 0xff, type];
  return Uint8Array.from([...header, ...body]);
}

export function encode(packet: Packet): Uint8Array {
  const values = packet as unknown as Values;
  if (packet.type === ENCAPSULATED) return encodeEncapsulated(packet.radius, packet.node, packet.message);
  const { fields, optional } = LAYOUTS[packet.type]!;
  const bare = optional !== undefined && values[optional] === undefined;
  return framed(packet.type, Buffer.concat(bare ? [] : fields.map((field) => octetsOf(field, values))));
}

/** §5.5: the length does not count the message inside. */
export const encodeEncapsulated = (radius: number, node: Uint8Array, message: Uint8Array): Uint8Array =>
  Uint8Array.from([node.length + 3, ENCAPSULATED, radius, ...node, ...message]);

type Decoded = { readonly ok: true; readonly value: Packet } | { readonly ok: false };

const MALFORMED: Decoded = { ok: false };

/** A message of the gateway; `ok: false` where it is none, to the octet. */
export function decode(bytes: Uint8Array): Decoded {
  const [first = 0, second = 0, third = 0] = bytes;
  if (second === ENCAPSULATED && first >= 3) {
    const [node, message] = [bytes.slice(3, first), bytes.slice(first)];
    return { ok: true, value: { type: ENCAPSULATED, radius: third & 3, node, message } };
  }
  const long = first === 0x01;
  const length = long ? (second << 8) | third : first;
  const header = long ? 4 : 2;
  const type = bytes[header - 1] ?? -1;
  const found = LAYOUTS[type];
  if (length !== bytes.length || length < header || found === undefined) return MALFORMED;
  const values = read(found, bytes.slice(header));
  return values === undefined ? MALFORMED : { ok: true, value: { type, ...values } as unknown as Packet };
}

function read({ fields, optional }: Layout, body: Uint8Array): Values | undefined {
  const values: Record<string, unknown> = {};
  let at = 0;
  if (optional !== undefined && body.length === 0) {
    values[optional] = undefined;
    for (const { kind, name } of fields) {
      if (kind === "flags") for (const flag of name.split(",")) values[flag] = FLAGS[flag]!.read(0);
    }
    return values;
  }
  for (const { kind, name } of fields) {
    const size = kind === "octets" ? body.length - at : kind === "number" ? 2 : 1;
    if (at + size > body.length) return undefined;
    const octet = body[at] ?? 0;
    if (kind === "octets") values[name] = body.slice(at);
    else if (kind === "number") values[name] = (octet << 8) | (body[at + 1] ?? 0);
    else if (kind === "octet") values[name] = octet;
    else for (const flag of name.split(",")) values[flag] = FLAGS[flag]!.read(octet);
    at += size;
  }
  return at === body.length ? values : undefined;
}
