import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { type ClientOptions, WebSocket } from "ws";
import type { Note } from "#core/contract/note.ts";
import { milliseconds } from "#core/lib/time.ts";
import { listenStream } from "#core/net/listen.ts";
import type { Listening, StreamListenerOptions } from "#core/net/transport.ts";
import { pathMatches, type WebSocketOptions } from "#core/net/websocket-handshake.ts";
import { lacks } from "../../support/programs.ts";
import { Certificates } from "./certificates.ts";
import { closed, countTurns, dial, Recorder, streamOptions } from "./support.ts";

let listening: Listening | undefined;
let clients: WebSocket[] = [];
let notes: Note[] = [];
afterEach(async () => {
  for (const client of clients) client.terminate();
  await listening?.close();
  listening = undefined;
  clients = [];
  notes = [];
});

const webSocket = (changes: Partial<WebSocketOptions> = {}): WebSocketOptions => ({
  paths: ["/mqtt"],
  subprotocols: ["mqtt", "mqttv3.1"],
  subprotocolRequired: true,
  frames: "binary",
  messageSizeMax: 100_000,
  origins: [],
  ...changes,
});

async function open(
  recorder: Recorder,
  changes: Partial<WebSocketOptions> = {},
  stream: Partial<StreamListenerOptions> = {},
): Promise<number> {
  const options = streamOptions({ transport: "ws", websocket: webSocket(changes), ...stream });
  listening = await listenStream(options, recorder.accept, (note) => notes.push(note));
  return listening.port;
}

function client(url: string, subprotocols: string[] = ["mqtt"], options: ClientOptions = {}): WebSocket {
  const websocket = new WebSocket(url, subprotocols, options);
  websocket.on("error", () => {});
  clients.push(websocket);
  return websocket;
}

const happens = (websocket: WebSocket, event: string): Promise<unknown[]> =>
  new Promise((resolve) => websocket.once(event, (...values) => resolve(values)));

/** The status of a handshake that is refused. */
const statusOf = (websocket: WebSocket): Promise<number | undefined> =>
  new Promise((resolve) =>
    websocket.once("unexpected-response", (_request, response) => {
      resolve(response.statusCode);
      response.resume();
    }),
  );

test("each message is one received call, and each write one binary message", async () => {
  const recorder = new Recorder();
  const port = await open(recorder);
  const websocket = client(`ws://127.0.0.1:${port}/mqtt?token=x`);
  await happens(websocket, "open");
  websocket.send(Buffer.from("one"));
  websocket.send(Buffer.from("two"));
  await recorder.when(() => recorder.chunks.length === 2);
  expect(recorder.chunks.map(String)).toEqual(["one", "two"]);
  expect(recorder.connection.peer).toMatchObject({ transport: "ws", path: "/mqtt", subprotocol: "mqtt" });
  const message = happens(websocket, "message");
  const written = new Promise<void>((resolve) => recorder.connection.write(Buffer.from("three"), resolve));
  expect(await message).toEqual([Buffer.from("three"), true]);
  await written;
  websocket.close();
  await recorder.when(() => recorder.closes.length === 1);
  expect(recorder.closes).toEqual([undefined]);
});

test("a fragmented message arrives whole", async () => {
  const recorder = new Recorder();
  const websocket = client(`ws://127.0.0.1:${await open(recorder)}/mqtt`);
  await happens(websocket, "open");
  websocket.send(Buffer.from("on"), { fin: false });
  websocket.send(Buffer.from("e"), { fin: true });
  await recorder.when(() => recorder.chunks.length === 1);
  expect(recorder.bytes.toString()).toBe("one");
});

test.each([
  [["mqttv3.1", "mqtt"], "mqtt"],
  [["mqttv3.1"], "mqttv3.1"],
  [["other", "mqtt"], "mqtt"],
])("of %j the listener's favourite is agreed: %s", async (offered, agreed) => {
  const recorder = new Recorder();
  const websocket = client(`ws://127.0.0.1:${await open(recorder)}/mqtt`, offered);
  await happens(websocket, "open");
  expect(websocket.protocol).toBe(agreed);
  expect(recorder.connection.peer.subprotocol).toBe(agreed);
});

test("a message that is not whole is told by what has come of it, in one frame or in several, and as nothing when it is", async () => {
  const recorder = new Recorder();
  const websocket = client(`ws://127.0.0.1:${await open(recorder)}/mqtt`);
  await happens(websocket, "open");
  websocket.send(Buffer.alloc(5_000), { fin: false });
  await recorder.when(() => recorder.gathered >= 5_000);
  websocket.send(Buffer.alloc(3_000), { fin: true });
  await recorder.when(() => recorder.bytes.length === 8_000 && recorder.gathered === 0);
  // One frame of 60,000 octets, masked by zeros, of which 20,000 come.
  const raw = (websocket as unknown as { _socket: import("node:net").Socket })._socket;
  raw.write(Buffer.concat([Buffer.from([0x82, 0xfe, 0xea, 0x60, 0, 0, 0, 0]), Buffer.alloc(20_000)]));
  await recorder.when(() => recorder.gathered >= 20_000);
  raw.write(Buffer.alloc(40_000));
  await recorder.when(() => recorder.bytes.length === 68_000 && recorder.gathered === 0);
});

test("a client without a known subprotocol is refused where one is required [MQTT-6.0.0-3]", async () => {
  const port = await open(new Recorder());
  expect(await statusOf(client(`ws://127.0.0.1:${port}/mqtt`, ["soap"]))).toBe(400);
  expect(await statusOf(client(`ws://127.0.0.1:${port}/mqtt`, []))).toBe(400);
});

test("a client without a subprotocol is served where none is required", async () => {
  const recorder = new Recorder();
  const websocket = client(`ws://127.0.0.1:${await open(recorder, { subprotocolRequired: false })}/mqtt`, []);
  await happens(websocket, "open");
  expect(recorder.connection.peer.subprotocol).toBeUndefined();
});

test.each([
  ["/mqtt", "/mqtt", true],
  ["/mqtt", "/mqtt/", false],
  ["/mqtt", "/", false],
  ["/mqtt/*", "/mqtt/a", true],
  ["/mqtt/*", "/mqtt/", false],
  ["/mqtt/*", "/mqtt/a/b", false],
  ["/*/ws", "/x/ws", true],
])("the pattern %s and the path %s match: %s", (pattern, path, expected) => {
  expect(pathMatches(pattern, path)).toBe(expected);
});

test("another path is not found, and a request without upgrade is told to upgrade", async () => {
  const port = await open(new Recorder());
  expect(await statusOf(client(`ws://127.0.0.1:${port}/other`))).toBe(404);
  const response = await fetch(`http://127.0.0.1:${port}/mqtt`);
  expect(response.status).toBe(426);
  await response.text();
});

test("a browser from another origin is refused, one from an accepted origin and no browser are served", async () => {
  const recorder = new Recorder();
  const port = await open(recorder, { origins: ["https://App.example"] });
  const url = `ws://127.0.0.1:${port}/mqtt`;
  expect(await statusOf(client(url, ["mqtt"], { origin: "https://evil.example" }))).toBe(403);
  await happens(client(url, ["mqtt"], { origin: "https://app.example" }), "open");
  await happens(client(url), "open");
  expect(recorder.connections.length).toBe(2);
});

test("a message over the limit closes with 1009 and only that connection", async () => {
  const recorder = new Recorder();
  const port = await open(recorder);
  const large = client(`ws://127.0.0.1:${port}/mqtt`);
  const other = client(`ws://127.0.0.1:${port}/mqtt`);
  await Promise.all([happens(large, "open"), happens(other, "open")]);
  large.send(Buffer.alloc(100_001));
  expect((await happens(large, "close"))[0]).toBe(1009);
  await recorder.when(() => recorder.closes.length === 1);
  expect(recorder.closes[0]).toBe("WS_ERR_UNSUPPORTED_MESSAGE_LENGTH");
  other.send(Buffer.alloc(100_000));
  await recorder.when(() => recorder.bytes.length === 100_000);
});

test("a text message on a binary protocol ends the connection [MQTT-6.0.0-1]", async () => {
  const recorder = new Recorder();
  const websocket = client(`ws://127.0.0.1:${await open(recorder)}/mqtt`);
  await happens(websocket, "open");
  websocket.send("text");
  expect((await happens(websocket, "close"))[0]).toBe(1003);
  await recorder.when(() => recorder.closes.length === 1);
  expect(recorder.chunks).toEqual([]);
});

test("a mirroring listener writes text before the first message and then the form of the last one", async () => {
  const recorder = new Recorder();
  const websocket = client(`ws://127.0.0.1:${await open(recorder, { frames: "mirror" })}/mqtt`);
  await happens(websocket, "open");
  const forms: unknown[] = [];
  websocket.on("message", (_bytes, binary) => forms.push(binary));
  recorder.connection.write(Buffer.from("0"));
  websocket.send(Buffer.from("1"));
  await recorder.when(() => recorder.chunks.length === 1);
  recorder.connection.write(Buffer.from("1"));
  websocket.send("2");
  await recorder.when(() => recorder.chunks.length === 2);
  recorder.connection.write(Buffer.from("2"));
  recorder.connection.end();
  await happens(websocket, "close");
  expect(forms).toEqual([false, true, false]);
});

test("a slow reader makes write return false and is drained later", async () => {
  const recorder = new Recorder();
  const websocket = client(`ws://127.0.0.1:${await open(recorder, {}, { highWaterMark: 100_000 })}/mqtt`);
  await happens(websocket, "open");
  websocket.pause();
  let sent = 0;
  for (let more = true; more && sent < 2_000; sent++) more = recorder.connection.write(Buffer.alloc(50_000));
  expect(sent).toBeLessThan(2_000);
  expect(recorder.connection.backlog).toBeGreaterThan(100_000);
  let received = 0;
  websocket.on("message", () => received++);
  websocket.resume();
  await recorder.when(() => recorder.drains === 1);
  expect(recorder.connection.backlog).toBe(0);
  recorder.connection.end();
  await recorder.when(() => recorder.closes.length === 1);
  expect(received).toBe(sent);
});

test("messages that came in one packet wait while reading is paused", async () => {
  const recorder = new Recorder();
  const port = await open(recorder);
  const websocket = client(`ws://127.0.0.1:${port}/mqtt`);
  await happens(websocket, "open");
  await recorder.when(() => recorder.connections.length === 1);
  recorder.pauseAfter = 1;
  (websocket as unknown as { _socket: { cork(): void; uncork(): void } })._socket.cork();
  for (const text of ["1", "2", "3"]) websocket.send(Buffer.from(text));
  (websocket as unknown as { _socket: { cork(): void; uncork(): void } })._socket.uncork();
  await recorder.when(() => recorder.chunks.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(recorder.chunks.map(String)).toEqual(["1"]);
  recorder.connection.resumeReading();
  await recorder.when(() => recorder.chunks.length === 3);
  expect(recorder.chunks.map(String)).toEqual(["1", "2", "3"]);
});

test("of many messages that came at once 256 are worked on before others have their turn", async () => {
  const [recorder, turns] = [new Recorder(), countTurns()];
  const options = streamOptions({ transport: "ws", websocket: webSocket() });
  listening = await listenStream(options, (connection) => {
    const receiver = recorder.accept(connection);
    return {
      ...receiver,
      received: (bytes) => {
        turns.add(1);
        receiver.received(bytes);
      },
    };
  });
  const websocket = client(`ws://127.0.0.1:${listening.port}/mqtt`);
  await happens(websocket, "open");
  const { _socket: socket } = websocket as unknown as { _socket: Socket };
  socket.cork();
  for (let count = 0; count < 2000; count++) websocket.send(Buffer.from(`${count}`));
  socket.uncork();
  websocket.close();
  await recorder.when(() => recorder.closes.length === 1);
  expect(turns.most()).toBe(256);
  expect(recorder.chunks.map(Number)).toEqual(Array.from({ length: 2000 }, (_, count) => count));
});

test("a client that never answers the close is cut after the linger time", async () => {
  const recorder = new Recorder();
  const port = await open(recorder, {}, { linger: milliseconds(50) });
  const raw = await dial(port);
  const key =
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n";
  raw.write(`GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${key}\r\n`);
  await recorder.when(() => recorder.connections.length === 1);
  recorder.connection.end();
  await recorder.when(() => recorder.closes.length === 1);
  await closed(raw.on("error", () => {}).resume());
});

test("a client that vanishes without a close frame is reported so", async () => {
  const recorder = new Recorder();
  const websocket = client(`ws://127.0.0.1:${await open(recorder)}/mqtt`);
  await happens(websocket, "open");
  websocket.terminate();
  await recorder.when(() => recorder.closes.length === 1);
  expect(recorder.closes).toEqual(["ended without a close frame"]);
});

test("a request that never ends is cut after the handshake time", async () => {
  const raw = await dial(await open(new Recorder(), {}, { handshakeTimeout: milliseconds(50) }));
  raw.write("GET /mqtt HTTP/1.1\r\nHost: x\r\nX-Slow: ");
  await closed(raw.on("error", () => {}).resume());
  expect(notes.map((note) => note.event)).toEqual(["handshake-timeout"]);
});

test.skipIf(lacks("openssl"))("a secure WebSocket carries messages over TLS", async () => {
  const files = new Certificates();
  files.issue("server", "/CN=localhost");
  const recorder = new Recorder();
  const tls = {
    cert: files.path("server.pem"),
    key: files.path("server.key"),
    clientCertificate: "none",
    identity: "cn",
    minVersion: "TLSv1.2",
  } as const;
  const port = await open(recorder, {}, { transport: "wss", tls });
  const ca = readFileSync(files.path("ca.pem"));
  const websocket = client(`wss://127.0.0.1:${port}/mqtt`, ["mqtt"], { ca });
  await happens(websocket, "open");
  websocket.send(Buffer.alloc(90_000, 7));
  await recorder.when(() => recorder.bytes.length === 90_000);
  expect(recorder.connection.peer).toMatchObject({ transport: "wss", address: "127.0.0.1", path: "/mqtt" });
  files.remove();
});

test("a WebSocket behind a PROXY header, in the same packet, has the address of the header", async () => {
  const recorder = new Recorder();
  const raw = await dial(await open(recorder, {}, { proxyProtocol: true }));
  const key =
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n";
  const request = `GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${key}\r\n`;
  raw.write(`PROXY TCP6 2001:db8::7 2001:db8::1 4660 8083\r\n${request}`);
  await recorder.when(() => recorder.connections.length === 1);
  expect(recorder.connection.peer).toMatchObject({ transport: "ws", address: "2001:db8::7", port: 4660 });
  raw.destroy();
});

test("half upgrades of one address keep no other address from its WebSocket", async () => {
  const recorder = new Recorder();
  listening = await listenStream(
    streamOptions({
      transport: "ws",
      websocket: webSocket(),
      handshakes: 8,
      handshakeTimeout: milliseconds(20_000),
    }),
    recorder.accept,
    (note) => notes.push(note),
  );
  const halves = [];
  for (let n = 0; n < 8; n++) {
    const half = await dial(listening.port);
    half.on("error", () => {});
    half.write("GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n");
    halves.push(half);
  }
  for (let n = 1; n <= 20; n++) {
    const url = `ws://127.0.0.1:${listening.port}/mqtt`;
    const client = new WebSocket(url, "mqtt", { localAddress: "127.0.0.2" });
    clients.push(client);
    await new Promise((resolve, reject) => client.on("open", resolve).on("error", reject));
    expect(recorder.connections.length).toBe(n);
  }
  for (const half of halves) half.destroy();
});
