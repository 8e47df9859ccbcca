/** An MQTT client over a virtual stream. Its codec is `mqtt-packet`, so that ours is judged by a foreign one. */
import mqttPacket from "mqtt-packet";
import { loadText } from "#core/config/load.ts";
import type { Peer } from "#core/contract/peer.ts";
import type { ListenerPolicy } from "#core/policy/policy.ts";
import type { MqttConfig } from "#gateways/mqtt/config.ts";
import { mqtt } from "#gateways/mqtt/index.ts";
import { type StreamListener, type VirtualStream, World, type WorldOptions } from "./world.ts";

export type Packet = mqttPacket.Packet;
export type AnyPacket = Record<string, unknown> & { cmd: string };

export interface Site {
  readonly world: World;
  readonly listener: StreamListener;
  device(version?: 3 | 4 | 5, peer?: Partial<Peer>): MqttDevice;
}

let defaults: MqttConfig | undefined;
/** What the configuration says when nobody has written one. */
export const mqttDefaults = (): MqttConfig => {
  defaults ??= loadText([mqtt], "").config.gateways["mqtt"] as unknown as MqttConfig;
  return defaults;
};

/** A world with one MQTT listener. */
export function mqttSite(
  config: Partial<MqttConfig> = {},
  options: WorldOptions = {},
  policy: Partial<ListenerPolicy> = {},
): Site {
  const world = new World(options);
  const gateway = world.open(mqtt, { ...mqttDefaults(), ...config });
  const endpoint = gateway.endpoint({ name: "tcp", transport: "tcp" });
  const listener = world.streams("mqtt", endpoint, policy);
  return {
    world,
    listener,
    device: (version = 4, peer = {}) => new MqttDevice(listener.connect(peer), version),
  };
}

export class MqttDevice {
  readonly stream: VirtualStream;
  readonly version: 3 | 4 | 5;
  readonly #parser: mqttPacket.Parser;
  #arrived: AnyPacket[] = [];

  constructor(stream: VirtualStream, version: 3 | 4 | 5) {
    this.stream = stream;
    this.version = version;
    this.#parser = mqttPacket.parser({ protocolVersion: version } as never);
    this.#parser.on("packet", (packet) => this.#arrived.push(packet as unknown as AnyPacket));
    this.#parser.on("error", (error) => {
      throw error;
    });
  }

  get closed(): boolean {
    return this.stream.closed;
  }

  encode(packet: object): Uint8Array {
    return mqttPacket.generate(packet as Packet, { protocolVersion: this.version } as never);
  }

  /** Sends packets in one chunk and returns what came back. */
  send(...packets: object[]): AnyPacket[] {
    return this.raw(Buffer.concat(packets.map((packet) => this.encode(packet))));
  }

  raw(bytes: Uint8Array): AnyPacket[] {
    this.stream.send(bytes);
    return this.take();
  }

  hex(text: string): AnyPacket[] {
    return this.raw(Buffer.from(text.replaceAll(" ", ""), "hex"));
  }

  /** What the gateway has sent since the last call. */
  take(): AnyPacket[] {
    const bytes = this.stream.takeBytes();
    if (bytes.length > 0) this.#parser.parse(Buffer.from(bytes));
    const arrived = this.#arrived;
    this.#arrived = [];
    return arrived;
  }

  connect(clientId: string, options: Record<string, unknown> = {}): AnyPacket[] {
    return this.send({
      cmd: "connect",
      protocolId: this.version === 3 ? "MQIsdp" : "MQTT",
      protocolVersion: this.version,
      clean: true,
      clientId,
      keepalive: 0,
      ...options,
    });
  }

  subscribe(topic: string, qos: 0 | 1 | 2 = 0, messageId = 1): AnyPacket[] {
    return this.send({ cmd: "subscribe", messageId, subscriptions: [{ topic, qos }] });
  }

  publish(topic: string, payload: string | Uint8Array, options: Record<string, unknown> = {}): AnyPacket[] {
    return this.send({ cmd: "publish", topic, payload: Buffer.from(payload as string), qos: 0, ...options });
  }
}
