/** A scripted MQTT-SN 1.2 device in virtual time: says what a test tells it to, and shows what it hears as text. */
import { UnitConversion } from "#core/config/convert.ts";
import type { ListenerPolicy } from "#core/policy/policy.ts";
import { fillDefaults } from "#core/settings/defaults.ts";
import type { JsonSchema } from "#core/settings/json-schema.ts";
import { type MqttSnConfig, mqttSnSchema } from "#gateways/mqtt-sn/config.ts";
import { mqttSn } from "#gateways/mqtt-sn/index.ts";
import * as p from "./mqtt-sn-wire.ts";
import { decode, encode, encodeEncapsulated } from "./mqtt-sn-wire.ts";
import { type DatagramNetwork, World, type WorldOptions } from "./world.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (octets: Uint8Array): string => new TextDecoder().decode(octets);

/** The configuration as the loader would make it. */
export function snConfig(given: Record<string, unknown> = {}): MqttSnConfig {
  const schema = mqttSnSchema as unknown as JsonSchema;
  const units = new UnitConversion(() => undefined);
  return units.convert(schema, fillDefaults(schema, given)) as MqttSnConfig;
}

/** Where senders cannot be forged: what is sent needs no proof of the address. `unproven` is about those where they can. */
export const TRUSTED = { unprovenFactor: 0 };

export interface SnWorld {
  readonly world: World;
  readonly network: DatagramNetwork;
  device(port?: number, address?: string): SnDevice;
  /** Milliseconds. */
  wait(length: number): void;
}

export function snWorld(
  config: Record<string, unknown> = {},
  options: WorldOptions = {},
  policy: Partial<ListenerPolicy> = {},
): SnWorld {
  const world = new World(options);
  const gateway = world.open(mqttSn, snConfig(config));
  const endpoint = gateway.endpoint({ name: "test", transport: "udp" });
  const network = world.datagrams("mqtt-sn", endpoint, policy);
  return {
    world,
    network,
    device: (port = 10_000, address = "10.0.0.1") => new SnDevice(network, port, address),
    wait: (length) => world.advance(length as Parameters<World["advance"]>[0]),
  };
}

export interface ConnectOptions {
  readonly clean?: boolean;
  readonly will?: boolean;
  readonly keepAlive?: number;
  readonly version?: number;
}
export interface PublishOptions {
  readonly qos?: p.WireQoS;
  readonly type?: p.TopicIdType;
  readonly id?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
}

export class SnDevice {
  address: string;
  port: number;
  /** Behind a forwarder at this address: the wireless node id. */
  node: Uint8Array | undefined = undefined;
  readonly #network: DatagramNetwork;

  constructor(network: DatagramNetwork, port: number, address: string) {
    this.#network = network;
    this.port = port;
    this.address = address;
  }

  move(port: number, address = this.address): this {
    this.port = port;
    this.address = address;
    return this;
  }

  behind(node: string): this {
    this.node = Uint8Array.from(Buffer.from(node, "hex"));
    return this;
  }

  /** Sends octets as they are; answers what comes back. */
  raw(hex: string): string[] {
    return this.#exchange(Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex")));
  }

  say(packet: p.Packet): string[] {
    return this.#exchange(encode(packet));
  }

  /** What has come since the last time, as text. */
  hear(): string[] {
    return this.hearBytes().map((datagram) => this.#show(datagram));
  }

  hearBytes(): Uint8Array[] {
    const key = `${this.address}:${this.port}`;
    const heard = this.#network.sent.get(key) ?? [];
    this.#network.sent.delete(key);
    return heard;
  }

  #exchange(message: Uint8Array): string[] {
    const datagram = this.node === undefined ? message : encodeEncapsulated(0, this.node, message);
    this.#network.deliver(datagram, this.address, this.port);
    return this.hear();
  }

  #show(datagram: Uint8Array): string {
    const packet = decode(datagram);
    if (!packet.ok) return `malformed ${Buffer.from(datagram).toString("hex")}`;
    if (packet.value.type === p.ENCAPSULATED) {
      const inside = decode(packet.value.message);
      const node = Buffer.from(packet.value.node).toString("hex");
      return `[${node}] ${inside.ok ? show(inside.value) : "malformed"}`;
    }
    return show(packet.value);
  }

  connect(id: string, { clean = true, will = false, keepAlive = 60, version = 1 }: ConnectOptions = {}) {
    return this.say({
      type: p.CONNECT,
      will,
      cleanSession: clean,
      protocolId: version,
      duration: keepAlive,
      clientId: bytes(id),
    });
  }

  willTopic(topic: string | undefined, qos: p.WireQoS = 0, retain = false, update = false): string[] {
    const type = update ? p.WILLTOPICUPD : p.WILLTOPIC;
    return this.say({ type, qos, retain, topic: topic === undefined ? undefined : bytes(topic) });
  }

  willMessage(payload: string, update = false): string[] {
    return this.say({ type: update ? p.WILLMSGUPD : p.WILLMSG, payload: bytes(payload) });
  }

  register(topic: string, messageId = 1, topicId = 0): string[] {
    return this.say({ type: p.REGISTER, topicId, messageId, topic: bytes(topic) });
  }

  regack(topicId: number, messageId: number, returnCode = 0): string[] {
    return this.say({ type: p.REGACK, topicId, messageId, returnCode });
  }

  publish(topicId: number, payload: string, options: PublishOptions = {}): string[] {
    const { qos = 0, type = 0, retain = false, dup = false } = options;
    return this.say({
      type: p.PUBLISH,
      duplicate: dup,
      qos,
      retain,
      topicIdType: type,
      topicId,
      messageId: options.id ?? (qos > 0 ? 1 : 0),
      payload: bytes(payload),
    });
  }

  puback(topicId: number, messageId: number, returnCode = 0): string[] {
    return this.say({ type: p.PUBACK, topicId, messageId, returnCode });
  }

  pubrec(messageId: number): string[] {
    return this.say({ type: p.PUBREC, messageId });
  }

  pubrel(messageId: number): string[] {
    return this.say({ type: p.PUBREL, messageId });
  }

  pubcomp(messageId: number): string[] {
    return this.say({ type: p.PUBCOMP, messageId });
  }

  subscribe(topic: string | number, qos: p.WireQoS = 0, type: p.TopicIdType = 0, messageId = 1): string[] {
    const name = typeof topic === "string" ? bytes(topic) : Uint8Array.of(topic >> 8, topic & 0xff);
    return this.say({ type: p.SUBSCRIBE, duplicate: false, qos, topicIdType: type, messageId, topic: name });
  }

  unsubscribe(topic: string | number, type: p.TopicIdType = 0, messageId = 1): string[] {
    const name = typeof topic === "string" ? bytes(topic) : Uint8Array.of(topic >> 8, topic & 0xff);
    return this.say({
      type: p.UNSUBSCRIBE,
      duplicate: false,
      qos: 0,
      topicIdType: type,
      messageId,
      topic: name,
    });
  }

  ping(clientId = ""): string[] {
    return this.say({ type: p.PINGREQ, clientId: bytes(clientId) });
  }

  disconnect(duration?: number): string[] {
    return this.say({ type: p.DISCONNECT, duration });
  }

  /** Connected, subscribed with QoS 1 unless said otherwise, and asleep. */
  asleep(id: string, filter: string, { clean = false, sleep = 3600, qos = 1 as p.WireQoS } = {}): this {
    this.connect(id, { clean });
    this.subscribe(filter, qos);
    this.disconnect(sleep);
    return this;
  }
}

/** One line a message: `PUBLISH 5 #1 qos1 dup "text"`, `PUBACK 5 #1 code 0`. */
export function show(packet: p.Packet): string {
  const name = p.nameOf(packet.type);
  switch (packet.type) {
    case p.PUBLISH: {
      const { topicIdType, topicId, messageId, qos, duplicate, retain, payload } = packet;
      const short = String.fromCharCode(topicId >> 8, topicId & 0xff);
      const topic = [`${topicId}`, `predefined ${topicId}`, `short ${short}`, `reserved ${topicId}`][
        topicIdType
      ];
      const flags = `${duplicate ? " dup" : ""}${retain ? " retain" : ""}`;
      return `PUBLISH ${topic}${qos === 0 ? "" : ` #${messageId}`} qos${qos}${flags} "${text(payload)}"`;
    }
    case p.REGISTER:
      return `REGISTER ${packet.topicId} #${packet.messageId} "${text(packet.topic)}"`;
    case p.PUBACK:
    case p.REGACK:
      return `${name} ${packet.topicId} #${packet.messageId} code ${packet.returnCode}`;
    case p.SUBACK:
      return `SUBACK ${packet.topicId} #${packet.messageId} qos${packet.qos} code ${packet.returnCode}`;
    case p.PUBREC:
    case p.PUBREL:
    case p.PUBCOMP:
    case p.UNSUBACK:
      return `${name} #${packet.messageId}`;
    case p.CONNACK:
    case p.WILLTOPICRESP:
    case p.WILLMSGRESP:
      return `${name} code ${packet.returnCode}`;
    case p.DISCONNECT:
      return packet.duration === undefined ? name : `${name} ${packet.duration}`;
    case p.GWINFO:
      return `GWINFO ${packet.gatewayId}${packet.address.length === 0 ? "" : " with an address"}`;
    case p.ADVERTISE:
      return `ADVERTISE ${packet.gatewayId} ${packet.duration}`;
    default:
      return name;
  }
}
