/** Devices of all gateways before a server that does what a test tells it to, in virtual time. */
import type { ServerCaps } from "#core/mqtt/client/server-limits.ts";
import { DialError } from "#core/net/transport.ts";
import type { UpstreamCounters } from "#core/upstream/context.ts";
import type { UpstreamOptions } from "#core/upstream/options.ts";
import type { Server } from "#core/upstream/server-choice.ts";
import { mqtt } from "#gateways/mqtt/index.ts";
import { mqttSn } from "#gateways/mqtt-sn/index.ts";
import { CoapDevice } from "./coap-device.ts";
import { pubsubOf } from "./coap-site.ts";
import { engineOf } from "./engine-of-run.ts";
import type { Lwm2mDevice } from "./lwm2m-device.ts";
import { Lwm2mWorld } from "./lwm2m-world.ts";
import { type AnyPacket, MqttDevice, mqttDefaults } from "./mqtt-device.ts";
import { SnDevice, snConfig } from "./mqtt-sn-device.ts";
import { ScriptedServer, virtualServer } from "./scripted-server.ts";
import { StompClient, stompListener } from "./stomp-client.ts";
import { header, type ServerFrame } from "./stomp-frames.ts";
import { onlyServer } from "./upstream-world.ts";
import { World, type WorldOptions } from "./world.ts";

export type Script = ScriptedServer["answer"];

/** Of the gateway itself. */
export const isOwn = (clientId: string): boolean => clientId.startsWith("gateway-");

/** CONNECT of a session that stays. */
export const KEPT = { clean: false, properties: { sessionExpiryInterval: 100_000 } };
/** A short topic name of MQTT-SN. */
export const ZZ = 0x7a7a;
export const EVERYTHING: ServerCaps = {
  ...{ maximumQoS: 2, retain: true, shared: true, wildcards: true, notInTopics: "" },
};

export const commands = (packets: readonly AnyPacket[]): string[] => packets.map(({ cmd }) => cmd);
/** Payloads of the messages among them. */
export const texts = (packets: readonly AnyPacket[]): string[] =>
  packets.filter(({ cmd }) => cmd === "publish").map(({ payload }) => String(payload));
/** What is asked for in SUBSCRIBE. */
export const wanted = (packets: readonly AnyPacket[]): AnyPacket[] =>
  packets.flatMap(({ subscriptions }) => subscriptions as AnyPacket[]);
/** `RECEIPT r` or `ERROR access refused`. */
export const said = (frame: ServerFrame | undefined): string =>
  `${frame?.command} ${header(frame, frame?.command === "ERROR" ? "message" : "receipt-id")}`;

export const swallowsPublish: Script = (_line, { cmd }) => cmd === "publish";
export const answersPublish =
  (reasonCode: number): Script =>
  (line, { cmd, messageId, qos }) => {
    if (cmd === "publish" && qos !== 0)
      line.say({ cmd: qos === 1 ? "puback" : "pubrec", messageId, reasonCode });
    return cmd === "publish";
  };
export const welcomes =
  (properties: object, present = false): Script =>
  (line, { cmd }) => {
    if (cmd === "connect") line.welcome(present, properties);
    return cmd === "connect";
  };

/** What differs from a server that can do all that MQTT 5 has. */
export interface Setting {
  readonly options?: Partial<UpstreamOptions>;
  readonly server?: Partial<Pick<Server, "version" | "caps">>;
  /** Settings of gateways. */
  readonly sn?: Record<string, unknown>;
  readonly stomp?: Record<string, unknown>;
  readonly world?: WorldOptions;
}

const once = <T>(make: () => T): (() => T) => {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
};

/** `script`: what the server does with a packet of a device; true: that is all, else it is answered as by any server. */
export class ScriptedSite<W extends World = World> {
  readonly servers = new ScriptedServer();
  readonly world: W;
  /** Nobody listens: connections are refused. */
  down = false;
  readonly #mqtt = once(() => {
    const endpoint = this.world.open(mqtt, mqttDefaults()).endpoint({ name: "tcp", transport: "tcp" });
    return this.world.streams("mqtt", endpoint);
  });
  readonly #sn = once(() => {
    const endpoint = this.world
      .open(mqttSn, snConfig(this.#setting.sn))
      .endpoint({ name: "udp", transport: "udp" });
    return this.world.datagrams("mqtt-sn", endpoint);
  });
  readonly #coap = once(() => pubsubOf(this.world).network);
  readonly #stomp = once(() => stompListener(this.world, this.#setting.stomp));
  readonly #setting: Setting;

  constructor(script: Script, setting: Setting, make: (options: WorldOptions) => W) {
    this.#setting = setting;
    this.script = script;
    const virtual = virtualServer(() => this.world, this.servers);
    const server: Server = {
      ...virtual,
      ...setting.server,
      dial: (connected, failed) => {
        if (!this.down) return virtual.dial(connected, failed);
        this.world.defer(() => failed(new DialError("connection-refused", "nobody listens")));
        return { cancel: () => {} };
      },
    };
    const before = { choice: () => onlyServer(server), options: setting.options ?? {} };
    this.world = make({ ...setting.world, before });
  }

  /** Also of what the gateway's own connections say. */
  set scriptForAll(script: Script) {
    this.servers.answer = script;
  }

  set script(script: Script) {
    this.servers.answer = (line, packet) => (isOwn(line.clientId) ? undefined : script(line, packet));
  }

  /** The server closes a device's latest connection without a word. */
  cut(clientId: string): void {
    this.servers.last(clientId).end();
    this.world.settle();
  }

  get counters(): UpstreamCounters {
    return engineOf(this.world).context.counters;
  }

  device(version: 4 | 5 = 5): MqttDevice {
    return new MqttDevice(this.#mqtt().connect(), version);
  }

  sensor(port = 10_000): SnDevice {
    return new SnDevice(this.#sn(), port, "10.0.0.1");
  }

  coap(port = 10_000): CoapDevice {
    return new CoapDevice(this.#coap(), port);
  }

  /** A STOMP connection that has not logged in. */
  backend(): StompClient {
    return new StompClient(this.#stomp());
  }

  /** Logged in; its session is known by this name at the server. */
  stomp(clientId: string): StompClient {
    return StompClient.connected(this.#stomp(), { "client-id": clientId });
  }

  /** What a device's latest connection has been sent of a kind. */
  got(clientId: string, cmd: string): AnyPacket[] {
    return this.servers.last(clientId).got(cmd);
  }

  /** What the gateway itself has said, over all of its connections. */
  own(cmd: string): AnyPacket[] {
    return this.servers.lines.filter(({ clientId }) => isOwn(clientId)).flatMap((line) => line.got(cmd));
  }
}

export const scriptedSite = (script: Script = () => undefined, setting: Setting = {}): ScriptedSite =>
  new ScriptedSite(script, setting, (options) => new World(options));

/** With LwM2M devices. */
export function scriptedMeters(script: Script = () => undefined, setting: Setting = {}) {
  const site = new ScriptedSite(script, setting, (options) => new Lwm2mWorld({}, options));
  const meter = (ep: string): Lwm2mDevice => site.world.device(ep);
  return { site, meter };
}
