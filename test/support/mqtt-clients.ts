/** Foreign MQTT clients over real sockets: the npm client, and mosquitto's command line tools. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { Certificates } from "../unit/net/certificates.ts";
import { freeTcpPort } from "./free-ports.ts";
import { startGateway, type TestGateway } from "./gateway.ts";

export const TRANSPORTS = ["tcp", "tls", "ws", "wss"] as const;
export type TransportName = (typeof TRANSPORTS)[number];

/** A gateway with all four MQTT listeners open, and clients that find them. */
export class MqttBench {
  readonly gateway: TestGateway;
  readonly certificates: Certificates;
  readonly #clients: MqttClient[] = [];
  readonly #children: ChildProcess[] = [];

  private constructor(gateway: TestGateway, certificates: Certificates) {
    this.gateway = gateway;
    this.certificates = certificates;
  }

  static async open(settings: Record<string, unknown> = {}): Promise<MqttBench> {
    const certificates = new Certificates();
    certificates.issue("server", "/CN=localhost");
    const tls = { cert: certificates.path("server.pem"), key: certificates.path("server.key") };
    // A client that the machine has no time for is no slow reader here.
    const session = { queue: { wait: "1m" } };
    return new MqttBench(await startGateway({ tls, session, gateways: { mqtt: settings } }), certificates);
  }

  port(transport: TransportName): number {
    return this.gateway.port("mqtt", transport);
  }

  /** `where`: a listener of the gateway, or the TCP port of another broker. */
  async client(where: TransportName | number, options: IClientOptions = {}): Promise<Listener> {
    const transport = typeof where === "number" ? "tcp" : where;
    const port = typeof where === "number" ? where : this.port(where);
    const scheme = { tcp: "mqtt", tls: "mqtts", ws: "ws", wss: "wss" }[transport];
    // What the client asks for by itself, and what most people tell it.
    const path = transport === "wss" ? "/mqtt" : "";
    const client = mqtt.connect(`${scheme}://127.0.0.1:${port}${path}`, {
      reconnectPeriod: 0,
      rejectUnauthorized: false,
      manualConnect: true,
      ...options,
    });
    this.#clients.push(client);
    const listener = new Listener(client);
    client.connect();
    await listener.connected;
    return listener;
  }

  /** Starts a mosquitto broker that bridges to the gateway; resolves to its TCP port. `topics`: its bridge rule. */
  async mosquittoBridge(topics: string): Promise<number> {
    const port = await freeTcpPort();
    const settings = [
      ...[`listener ${port} 127.0.0.1`, "allow_anonymous true", "log_dest none"],
      ...["connection isthmus", `address 127.0.0.1:${this.port("tcp")}`, `topic ${topics}`],
    ];
    const file = this.certificates.path("bridge.conf");
    writeFileSync(file, `${settings.join("\n")}\n`);
    // Debian installs it where only root looks.
    const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` };
    this.#children.push(spawn("mosquitto", ["-c", file], { stdio: "ignore", env }));
    return port;
  }

  /** Runs `mosquitto_pub` or `mosquitto_sub`. */
  mosquitto(tool: "pub" | "sub", transport: "tcp" | "tls", ...options: string[]): Tool {
    const secure = transport === "tls" ? ["--cafile", this.certificates.path("ca.pem"), "--insecure"] : [];
    const where = ["-h", "127.0.0.1", "-p", String(this.port(transport)), ...secure];
    const child = spawn(`mosquitto_${tool}`, [...where, ...options], { stdio: ["pipe", "pipe", "pipe"] });
    this.#children.push(child);
    return new Tool(child);
  }

  /** A tool says nothing until it ends, so the gateway is asked whether somebody has this subscription. */
  async subscribed(filter: string): Promise<void> {
    const { sessions } = this.gateway.composition;
    for (;;) {
      for (const session of sessions.all()) if (session.subscriptions.has(filter)) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.end(true);
    for (const child of this.#children) child.kill();
    await this.gateway.stop();
    this.certificates.remove();
  }
}

export interface Heard {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: number;
  readonly retain: boolean;
  readonly properties: Record<string, unknown>;
}

/** An npm client and what it has heard. */
export class Listener {
  readonly client: MqttClient;
  readonly heard: Heard[] = [];
  readonly connected: Promise<unknown>;
  sessionPresent = false;
  #waiting: { count: number; done: () => void } | undefined;

  constructor(client: MqttClient) {
    this.client = client;
    client.on("message", (topic, payload, { qos, retain, properties }) => {
      this.heard.push({ topic, payload, qos, retain, properties: { ...properties } });
      if (this.#waiting !== undefined && this.heard.length >= this.#waiting.count) this.#waiting.done();
    });
    this.connected = new Promise((resolve, reject) => {
      client.once("connect", (connack) => {
        this.sessionPresent = connack.sessionPresent;
        resolve(connack);
      });
      client.once("error", reject);
    });
  }

  /** Resolves when this many messages in all have been heard. */
  async until(count: number): Promise<readonly Heard[]> {
    if (this.heard.length < count) {
      await new Promise<void>((done) => {
        this.#waiting = { count, done };
      });
    }
    return this.heard;
  }

  /** The connection ends without a DISCONNECT. */
  async cut(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.client.once("close", () => resolve()));
    this.client.stream.destroy();
    await closed;
  }
}

/** A command line tool. */
export class Tool {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; out: Buffer; err: string }>;
  #out: Buffer[] = [];
  #err = "";

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.on("data", (bytes: Buffer) => this.#out.push(bytes));
    child.stderr?.on("data", (bytes: Buffer) => {
      this.#err += bytes.toString();
    });
    this.ended = once(child, "close").then(([code]) => ({
      code: code as number | null,
      out: Buffer.concat(this.#out),
      err: this.#err,
    }));
  }

  write(bytes: Uint8Array | string): void {
    this.child.stdin?.end(bytes);
  }
}
