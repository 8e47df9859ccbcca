/** What a broker may say instead of what it should. */
import type { AnyPacket } from "../../support/mqtt-device.ts";
import type { Link } from "./hostile-broker.ts";

type Lie = (link: Link, packet: AnyPacket) => Buffer;

const noise = (link: Link): Buffer =>
  Buffer.from(
    Array.from({ length: 1 + Math.floor(link.broker.random() * 40) }, () =>
      Math.floor(link.broker.random() * 256),
    ),
  );

const someId = ({ kept, broker }: Link): number =>
  broker.random() < 0.5
    ? 1 + Math.floor(broker.random() * 65_535)
    : broker.pick([...(kept?.received ?? []), ...(kept?.inFlight.keys() ?? []), 1, 2, 65_535, 65_534]);

/** Octets of a two-byte packet with an id, of any type and with any flags that such a packet may have. */
const acknowledgement = (type: number, id: number, reason?: number): Buffer => {
  const flags = type === 6 || type === 8 || type === 10 ? 2 : 0;
  const body = [id >> 8, id & 0xff, ...(reason === undefined ? [] : [reason])];
  return Buffer.from([(type << 4) | flags, body.length, ...body]);
};

const REASONS = [0x04, 0x10, 0x7f, 0x80, 0x83, 0x87, 0x8b, 0x8e, 0x91, 0x92, 0x93, 0x97, 0x99, 0x9c, 0xff];
const CONNACKS = [0x00, 0x01, 0x02, 0x03, 0x05, 0x80, 0x84, 0x86, 0x87, 0x88, 0x89, 0x8c, 0x95, 0x9c, 0x9f];

const LIES: Readonly<Record<string, Lie>> = {
  noise,
  silence: () => Buffer.alloc(0),
  "wrong id": (link, packet) =>
    link.encode(packet["messageId"] === undefined ? packet : { ...packet, messageId: someId(link) }),
  "wrong type": (link, packet) => {
    const id = (packet["messageId"] as number | undefined) ?? someId(link);
    return acknowledgement(link.broker.pick([3, 4, 5, 6, 7, 8, 9, 10, 11]), id);
  },
  "wrong reason": (link, packet) =>
    packet["messageId"] === undefined
      ? noise(link)
      : acknowledgement(
          link.broker.pick([4, 5, 6, 7]),
          packet["messageId"] as number,
          link.broker.pick(REASONS),
        ),
  "refused subscription": (link, packet) =>
    packet.cmd === "suback"
      ? Buffer.from([
          0x90,
          3,
          (packet["messageId"] as number) >> 8,
          (packet["messageId"] as number) & 255,
          0x80,
        ])
      : link.encode(packet),
  "unasked acknowledgement": (link, packet) =>
    Buffer.concat([acknowledgement(link.broker.pick([4, 5, 6, 7]), someId(link)), link.encode(packet)]),
  "flipped bit": (link, packet) => {
    const bytes = link.encode(packet);
    const at = Math.floor(link.broker.random() * bytes.length);
    bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(link.broker.random() * 8));
    return bytes;
  },
  twice: (link, packet) => Buffer.concat([link.encode(packet), link.encode(packet)]),
  "a second CONNACK": (link, packet) =>
    Buffer.concat([
      link.encode({ cmd: "connack", sessionPresent: false, reasonCode: 0, returnCode: 0 }),
      link.encode(packet),
    ]),
  "CONNACK of another kind": (link, packet) => {
    if (packet.cmd !== "connack") return link.encode(packet);
    const { broker } = link;
    const code = broker.random() < 0.5 ? 0 : broker.pick(CONNACKS);
    const sessionPresent = code === 0 && broker.random() < 0.5;
    const properties = broker.pick<object>([
      {},
      { receiveMaximum: 1 },
      { maximumPacketSize: 20 },
      { maximumQoS: 1 },
      { serverKeepAlive: 1 },
      { topicAliasMaximum: 5 },
      { retainAvailable: false, sharedSubscriptionAvailable: false },
      { sessionExpiryInterval: 0 },
      { assignedClientIdentifier: "somebody else" },
    ]);
    return link.encode({
      cmd: "connack",
      sessionPresent,
      reasonCode: code,
      returnCode: code & 7,
      properties,
    });
  },
  "a message nobody asked for": (link, packet) =>
    Buffer.concat([
      link.encode({
        cmd: "publish",
        topic: link.broker.pick(["", "x", "to/+", "$SYS/x"]) || "y",
        payload: "?",
        qos: 2,
        messageId: someId(link),
      }),
      link.encode(packet),
    ]),
  "a packet of clients": (link) =>
    link.encode(
      link.broker.pick<object>([
        { cmd: "pingreq" },
        { cmd: "subscribe", messageId: 7, subscriptions: [{ topic: "x", qos: 1 }] },
        {
          cmd: "connect",
          protocolId: "MQTT",
          protocolVersion: 4,
          clean: true,
          clientId: "you",
          keepalive: 0,
        },
      ]),
    ),
  "a goodbye": (link) => Buffer.from([0xe0, 1, link.broker.pick([0, ...REASONS])]),
  "a login": () => Buffer.from([0xf0, 2, 0x18, 0]),
  "a length of 200 MB": () => Buffer.from([0x30, 0x80, 0x80, 0x80, 0x64, 0, 1, 0x61]),
};

export function lieAbout(link: Link, packet: AnyPacket): Buffer {
  const name = link.broker.pick(Object.keys(LIES));
  link.broker.count(name);
  return (LIES[name] as Lie)(link, packet);
}
