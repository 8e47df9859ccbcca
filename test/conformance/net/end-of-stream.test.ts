/** What came before a FIN, a close frame or a reset has its effect: real sockets, a login that hashes, a store. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqttPacket from "mqtt-packet";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { hashPassword } from "#core/authenticate/password-hash.ts";
import type { Message } from "#core/bus/message.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { frame } from "../../support/stomp-frames.ts";

const ROUNDS = 10;
let folder: string;
let gateway: TestGateway;
let heard: Message[] = [];
let wills = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-eos-"));
  const users = join(folder, "users.yaml");
  writeFileSync(users, `users: [{ username: ann, password: "${await hashPassword("pw")}" }]`);
  gateway = await startGateway({
    dataFolder: folder,
    store: { engine: "embedded" },
    authentication: {
      anonymous: true,
      chain: [{ kind: "users-file", file: users }],
      hashing: { cacheEntries: 0 },
    },
    gateways: { mqtt: {}, stomp: {} },
  });
  const subscriber = (key: string, deliver: (message: Message) => void) => ({
    key,
    available: true,
    deliver,
  });
  const { bus } = gateway.composition;
  const options = { qos: 2, noLocal: false } as const;
  bus.subscribe(
    subscriber("heard", (message) => heard.push(message)),
    "heard/#",
    options,
  );
  bus.subscribe(
    subscriber("will", () => wills++),
    "will",
    options,
  );
});

afterAll(async () => {
  await gateway.stop();
  rmSync(folder, { recursive: true });
});

function mqtt(clientId: string, login: object): Buffer {
  const will = { topic: "will", payload: Buffer.from("w"), qos: 0, retain: false };
  return Buffer.concat(
    [
      { cmd: "connect", protocolId: "MQTT", protocolVersion: 4, clientId, clean: false, will, ...login },
      { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "x/#", qos: 1 }] },
      { cmd: "publish", topic: "heard/q1", payload: Buffer.from(clientId), qos: 1, messageId: 2 },
      { cmd: "publish", topic: "heard/q0", payload: Buffer.from(clientId), qos: 0 },
      { cmd: "disconnect" },
    ].map((packet) => mqttPacket.generate(packet as never)),
  );
}
const stomp = (clientId: string, login: { username?: string; password?: Buffer }): Buffer =>
  Buffer.concat([
    frame("CONNECT", {
      ...{ "accept-version": "1.2", host: "x", "client-id": clientId },
      ...(login.username === undefined ? {} : { login: login.username, passcode: String(login.password) }),
    }),
    frame("SEND", { destination: "heard/1" }, clientId),
    frame("SEND", { destination: "heard/2", receipt: "r" }, clientId),
  ]);

const LOGINS = { anonymous: {}, "with a password": { username: "ann", password: Buffer.from("pw") } };

const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once("close", resolve));
async function tcp(port: number, bytes: Buffer): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1" }).on("error", () => {});
  const over = closed(socket);
  socket.resume();
  socket.end(bytes);
  await over;
}
async function websocket(port: number, path: string, protocol: string, bytes: Buffer): Promise<void> {
  const client = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocol);
  await new Promise((resolve) => client.once("open", resolve));
  const over = new Promise((resolve) => client.once("close", resolve));
  client.send(bytes);
  client.close(1000);
  await over;
}
const WAYS: Record<string, (id: string, login: object) => Promise<void>> = {
  "MQTT over TCP": (id, login) => tcp(gateway.port("mqtt", "tcp"), mqtt(id, login)),
  "MQTT over WebSocket": (id, login) =>
    websocket(gateway.port("mqtt", "ws"), "/mqtt", "mqtt", mqtt(id, login)),
  "STOMP over TCP": (id, login) => tcp(gateway.port("stomp", "tcp"), stomp(id, login)),
  "STOMP over WebSocket": (id, login) =>
    websocket(gateway.port("stomp", "ws"), "/stomp", "v12.stomp", stomp(id, login)),
};

it.each(Object.keys(WAYS).flatMap((way) => Object.keys(LOGINS).map((login) => [way, login] as const)))(
  "%s, %s: nothing is lost that came before the end, and no will is published",
  async (way, login) => {
    heard = [];
    wills = 0;
    const ids = Array.from({ length: ROUNDS }, (_, index) => `${way} ${login} ${index}`);
    for (const id of ids) await WAYS[way]!(id, LOGINS[login as keyof typeof LOGINS]);
    await expect.poll(() => heard.length, { timeout: 30_000 }).toBe(2 * ROUNDS);
    expect(heard.map(({ payload }) => String(Buffer.from(payload))).sort()).toEqual([...ids, ...ids].sort());
    expect(wills).toBe(0);
  },
);

it("a client that ends its direction and reads on gets its answers, and the end", async () => {
  const socket = connect({ port: gateway.port("mqtt", "tcp"), host: "127.0.0.1", allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  const ended = new Promise((resolve) => socket.once("end", resolve));
  socket.end(mqtt("half", LOGINS["with a password"]));
  await ended;
  const types: string[] = [];
  const parser = mqttPacket.parser();
  parser.on("packet", ({ cmd }) => types.push(cmd));
  parser.parse(Buffer.concat(chunks));
  expect(types.slice(0, 2)).toEqual(["connack", "suback"]);
  expect(types).toContain("puback");
});
