/** Connections to mosquitto over TLS and WebSocket, and through what looks at names and protocols before it. */

import { readFileSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { connect as connectTcp, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import mqtt, { type MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { freeTcpPort } from "../../support/free-ports.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startMosquitto } from "../../support/servers.ts";
import { Certificates } from "../../unit/net/certificates.ts";

const PATIENCE = 120_000;
const NAME = "broker.test";

describe.skipIf(lacks("mosquitto", "openssl"))("a way to mosquitto", { timeout: PATIENCE }, () => {
  const files = new Certificates();
  let broker: Server;
  let mutual: number;
  let web: number;
  let shared: number;
  const ends: (() => unknown)[] = [];

  beforeAll(() => {
    files.issue("broker", `/CN=${NAME}`, 30, { names: `DNS:${NAME}` });
    files.issue("gateway", "/CN=gateway");
  });
  afterAll(() => files.remove());

  beforeEach(async () => {
    mutual = await freeTcpPort();
    web = await freeTcpPort();
    shared = await freeTcpPort();
    writeFileSync(files.path("keys"), "meter:0102030405060708090a0b0c0d0e0f10\n");
    broker = await startMosquitto(
      ...[`listener ${mutual} 127.0.0.1`, `cafile ${files.path("ca.pem")}`],
      ...[`certfile ${files.path("broker.pem")}`, `keyfile ${files.path("broker.key")}`],
      "require_certificate true",
      ...[`listener ${web} 127.0.0.1`, "protocol websockets"],
      ...[`certfile ${files.path("broker.pem")}`, `keyfile ${files.path("broker.key")}`],
      ...[`listener ${shared} 127.0.0.1`, "psk_hint isthmus", `psk_file ${files.path("keys")}`],
    );
  }, PATIENCE);
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
    await broker.stop();
  }, PATIENCE);

  const gateway = (url: string, tls: object, patience = "10m"): Promise<TestGateway> =>
    before({ servers: [url], tls, grace: "10m", patience });

  async function before(upstream: object): Promise<TestGateway> {
    const started = await startGateway({
      bus: { engine: "upstream", upstream },
      gateways: { mqtt: {} },
    });
    ends.push(() => started.stop());
    return started;
  }

  async function client(port: number): Promise<MqttClient> {
    const made = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
      protocolVersion: 5,
      connectTimeout: PATIENCE,
      reconnectPeriod: 0,
    });
    ends.push(() => made.end(true));
    return made;
  }

  /** A message from a device to an application at the broker, and one back. */
  async function talk(through: TestGateway): Promise<string[]> {
    const app = await client(broker.port);
    const device = await client(through.port("mqtt", "tcp"));
    const heard = (by: MqttClient) =>
      new Promise<string>((resolve) =>
        by.once("message", (topic, payload) => resolve(`${topic} ${payload.length}`)),
      );
    await app.subscribeAsync("up", { qos: 1 });
    await device.subscribeAsync("down", { qos: 2 });
    const both = Promise.all([heard(app), heard(device)]);
    await device.publishAsync("up", Buffer.alloc(100_000), { qos: 1 });
    await app.publishAsync("down", Buffer.alloc(200_000), { qos: 2 });
    return both;
  }
  const TALKED = ["up 100000", "down 200000"];

  const trusted = (more: object = {}) => ({ ca: files.path("ca.pem"), serverName: NAME, ...more });
  const own = () => ({ cert: files.path("gateway.pem"), key: files.path("gateway.key") });

  it("leads over TLS with certificates on both sides", async () => {
    expect(await talk(await gateway(`tls://127.0.0.1:${mutual}`, trusted(own())))).toEqual(TALKED);
  });

  it("is closed where nobody knows the broker's authority: a device is told that the server is unavailable, and the log why", async () => {
    const through = await gateway(`tls://127.0.0.1:${mutual}`, { ...own(), serverName: NAME }, "10s");
    const refused = await client(through.port("mqtt", "tcp")).catch((error: { code?: number }) => error.code);
    expect(refused).toBe(0x88);
    expect(through.log.join("")).toMatch(/certificate/i);
  });

  /** Passes bytes on to mosquitto. */
  function relay(from: Socket): void {
    const to = connectTcp(broker.port, "127.0.0.1");
    from.pipe(to).pipe(from);
    from.on("error", () => to.destroy());
    to.on("error", () => from.destroy());
  }

  it("asks for the server by name and offers its protocol (SNI, ALPN), as what stands before brokers wants", async () => {
    const asked: unknown[] = [];
    const before: TlsServer = createTlsServer(
      {
        key: readFileSync(files.path("broker.key")),
        cert: readFileSync(files.path("broker.pem")),
        ALPNProtocols: ["mqtt"],
      },
      (socket) => {
        asked.push([(socket as { servername?: string }).servername, socket.alpnProtocol]);
        relay(socket);
      },
    );
    const port = await new Promise<number>((resolve) =>
      before.listen(0, "127.0.0.1", () => resolve((before.address() as { port: number }).port)),
    );
    ends.push(() => before.close());
    expect(await talk(await gateway(`tls://127.0.0.1:${port}`, trusted({ alpn: ["mqtt"] })))).toEqual(TALKED);
    expect(new Set(asked.map(String))).toEqual(new Set([`${NAME},mqtt`]));
  });

  it("leads over WebSocket and TLS to mosquitto's own listener (wss)", async () => {
    expect(await talk(await gateway(`wss://127.0.0.1:${web}/mqtt`, trusted()))).toEqual(TALKED);
  });

  const withKey = (pskKey: string, patience = "10m") =>
    before({
      groups: {
        default: {
          servers: [{ url: `tls://127.0.0.1:${shared}` }],
          tls: { pskIdentity: "meter", pskKey },
        },
      },
      grace: "10m",
      patience,
    });

  it("leads over TLS with a shared key (PSK)", async () => {
    expect(await talk(await withKey("0102030405060708090a0b0c0d0e0f10"))).toEqual(TALKED);
  });

  it("is closed where the shared key is another one", async () => {
    const through = await withKey("00", "5s");
    const refused = await client(through.port("mqtt", "tcp")).catch((error: { code?: number }) => error.code);
    expect(refused).toBe(0x88);
  });

  it("leads over WebSocket, in binary messages of the subprotocol mqtt", async () => {
    const http = createHttpServer();
    const seen = new Set<string>();
    const sockets = new WebSocketServer({ server: http, handleProtocols: () => "mqtt" });
    sockets.on("connection", (socket, { url, headers }) => {
      seen.add(`${url} ${headers["sec-websocket-protocol"]}`);
      const to = connectTcp(broker.port, "127.0.0.1");
      socket.on("message", (bytes, binary) => {
        seen.add(binary ? "binary" : "text");
        to.write(bytes as Buffer);
      });
      to.on("data", (bytes) => socket.send(bytes));
      to.on("close", () => socket.close());
      to.on("error", () => socket.terminate());
      socket.on("close", () => to.destroy());
    });
    const port = await new Promise<number>((resolve) =>
      http.listen(0, "127.0.0.1", () => resolve((http.address() as { port: number }).port)),
    );
    ends.push(() => {
      sockets.close();
      http.close();
    });
    expect(await talk(await gateway(`ws://127.0.0.1:${port}/broker`, {}))).toEqual(TALKED);
    expect(seen).toEqual(new Set(["/broker mqtt", "binary"]));
  });
});
