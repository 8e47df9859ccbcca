/** A gateway before a real cluster, devices of all five gateways, and applications at the cluster itself. */
import { createSocket } from "node:dgram";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import type { ProfileName } from "#core/upstream/profiles.ts";
import type { Cluster, Node } from "../support/clusters.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { hexOf, message, SnSocket } from "../support/mqtt-sn-socket.ts";
import { StompSocket } from "../support/stomp-socket.ts";
import { Withholding } from "./withholding.ts";

/** What a client has been sent, and who waits for more. */
export class Heard {
  readonly client: MqttClient;
  readonly messages: string[] = [];
  /** What the last CONNACK said. */
  sessionPresent = false;
  sessionExpiry: number | undefined = undefined;
  #changed: (() => void) | undefined = undefined;

  constructor(client: MqttClient) {
    this.client = client;
    client.on("connect", ({ sessionPresent, properties }) => {
      this.sessionPresent = sessionPresent;
      this.sessionExpiry = properties?.sessionExpiryInterval;
    });
    client.on("message", (topic, payload, { qos }) => {
      this.messages.push(`${topic} ${payload} ${qos}`);
      this.#changed?.();
    });
  }

  async until(enough: (messages: readonly string[]) => boolean): Promise<readonly string[]> {
    while (!enough(this.messages)) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    return this.messages;
  }

  /** Asks for what is retained until it comes: other nodes may have to be told of it, or to find it again. */
  async finds(topic: string, wanted: string): Promise<void> {
    for (let found = false; !found; ) {
      // A cluster that has just lost a node may refuse it.
      await this.client.subscribeAsync(topic, { qos: 1 }).catch(() => {});
      const patience = new Promise<false>((resolve) => setTimeout(() => resolve(false), 2_000));
      found = await Promise.race([this.hears(wanted).then(() => true), patience]);
    }
  }

  hears(...wanted: readonly string[]): Promise<readonly string[]> {
    const missing = new Set(wanted);
    let seen = 0;
    return this.until((messages) => {
      for (; seen < messages.length; seen++) missing.delete(messages[seen]!);
      return missing.size === 0;
    });
  }
}

export class Site {
  readonly cluster: Cluster;
  readonly gateway: TestGateway;
  readonly #ends: (() => unknown)[] = [];

  private constructor(cluster: Cluster, gateway: TestGateway) {
    this.cluster = cluster;
    this.gateway = gateway;
  }

  static async open(
    cluster: Cluster,
    { profile, version = "auto" }: { readonly profile: ProfileName; readonly version?: "auto" | "3.1.1" },
    upstream: object = {},
  ): Promise<Site> {
    const servers = cluster.nodes.map(({ port }) => ({ url: `tcp://127.0.0.1:${port}` }));
    const { credentials } = cluster;
    const gateway = await startGateway({
      bus: {
        engine: "upstream",
        upstream: {
          groups: {
            default: {
              servers,
              profile,
              ...(version === "auto" ? {} : { version }),
              health: { failures: 1, retry: { first: "100ms", longest: "2s" }, slowStart: "0s" },
            },
          },
          // Nobody is given up because a machine is slow.
          grace: "10m",
          patience: "2m",
          connackTimeout: "60s",
          reconnect: { first: "100ms", longest: "2s" },
          ...(credentials === undefined ? {} : { credentials: "service", ...credentials }),
          ...upstream,
        },
      },
      gateways: {
        mqtt: {},
        "mqtt-sn": {},
        coap: { stack: { amplification: "off" } },
        stomp: {},
        lwm2m: {},
      },
    });
    return new Site(cluster, gateway);
  }

  async stop(): Promise<void> {
    await this.leave();
    await this.gateway.stop();
  }

  /** All clients go. */
  async leave(): Promise<void> {
    for (const end of this.#ends.splice(0)) await end();
  }

  async #connect(port: number, options: IClientOptions): Promise<Heard> {
    const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
      manualConnect: true,
      connectTimeout: 120_000,
      reconnectPeriod: 200,
      ...options,
    });
    this.#ends.push(() => client.endAsync(true));
    const heard = new Heard(client);
    // A node that has just come may close the first: it tries again.
    const up = new Promise<void>((resolve) => client.once("connect", () => resolve()));
    client.on("error", () => {});
    client.connect();
    await up;
    return heard;
  }

  /** In which version of MQTT a client's session is at its node. */
  versionOf(clientId: string): number | undefined {
    const sessions = [...this.gateway.composition.upstream!.engine.sessions()];
    return sessions.find((session) => session.clientId === clientId)?.server.link?.version;
  }

  /** The node that a client's session is at. */
  nodeOf(clientId: string): Node {
    for (const { clientId: id, server } of this.gateway.composition.upstream!.engine.sessions()) {
      const node = this.cluster.nodes.find(({ port }) => server.serverName?.endsWith(`:${port}`));
      if (id === clientId && node !== undefined) return node;
    }
    throw new Error(`no session of ${clientId}`);
  }

  /** An application at a node of the cluster. */
  app(node: number, options: IClientOptions = {}): Promise<Heard> {
    const { port } = this.cluster.nodes[node]!;
    return this.#connect(port, { protocolVersion: 4, ...this.cluster.credentials, ...options });
  }

  /** Whether a node lets in who says this. */
  async admits(node: number, options: IClientOptions): Promise<boolean> {
    const { port } = this.cluster.nodes[node]!;
    const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
      reconnectPeriod: 0,
      connectTimeout: 120_000,
      ...options,
    });
    const admitted = new Promise<boolean>((resolve) =>
      client
        .on("connect", () => resolve(true))
        .on("error", () => resolve(false))
        .on("close", () => resolve(false)),
    );
    try {
      return await admitted;
    } finally {
      await client.endAsync(true);
    }
  }

  /** An MQTT device at the gateway. */
  device(options: IClientOptions = {}): Promise<Heard> {
    return this.#connect(this.gateway.port("mqtt", "tcp"), { protocolVersion: 4, ...options });
  }

  /** An MQTT 5 device at the gateway that takes so many messages at a time and acknowledges none. */
  async withholding(clientId: string, receiveMaximum: number): Promise<Withholding> {
    const device = await Withholding.connected(this.gateway.port("mqtt", "tcp"), clientId, receiveMaximum);
    this.#ends.push(() => device.close());
    return device;
  }

  /** Publishes `hi` to `up/sn` at QoS 1, and is told that the cluster has it. */
  async mqttSn(): Promise<string> {
    const sensor = await SnSocket.open(this.gateway.port("mqtt-sn", "udp"));
    this.#ends.push(() => sensor.close());
    await sensor.ask(message(`04 04 01 003c ${hexOf("sn1")}`));
    const topicId = (await sensor.ask(message(`0a 0000 0001 ${hexOf("up/sn")}`))).slice(4, 8);
    return sensor.ask(message(`0c 20 ${topicId} 0002 ${hexOf("hi")}`));
  }

  /** The answer to a receipt that is asked for. */
  async stomp(): Promise<string> {
    const backend = await StompSocket.connected(this.gateway.port("stomp", "tcp"));
    this.#ends.push(() => backend.socket.destroy());
    backend.say("SEND", { destination: "up/stomp", receipt: "r1" }, "hi");
    return (await backend.next()).command;
  }

  /** Confirmable PUT of `/ps/up/coap`: the code of the answer. */
  coap(): Promise<number> {
    return this.#coap([
      "41 03 0003 02 b2",
      text("ps"),
      "02",
      text("up"),
      "04",
      text("coap"),
      "ff",
      text("hi"),
    ]);
  }

  /** A registration, on CoAP's own listener. */
  lwm2m(): Promise<number> {
    const query = ["34", text("ep=d"), "06", text("lt=600"), "03", text("b=U"), "09", text("lwm2m=1.1")];
    return this.#coap(["41 02 0004 03 b2", text("rd"), "11 28", ...query, "ff", text("</3/0>")]);
  }

  /** Sends until it is answered, and says with which code. */
  async #coap(parts: readonly string[]): Promise<number> {
    const socket = createSocket("udp4");
    this.#ends.push(() => socket.close());
    const datagram = Buffer.from(parts.join("").replaceAll(" ", ""), "hex");
    const port = this.gateway.port("coap", "udp");
    return new Promise((resolve) => {
      const send = (): void => void socket.send(datagram, port, "127.0.0.1");
      const again = setInterval(send, 2_000);
      socket.on("message", (bytes) => {
        // An empty acknowledgement says that the answer comes later.
        if (bytes[1] === 0) return;
        clearInterval(again);
        resolve(bytes[1] as number);
      });
      send();
    });
  }
}

const text = (ascii: string): string => Buffer.from(ascii).toString("hex");
