/** Strangers that send garbage, or go away at any byte, must cost nobody else anything. */
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterAll, test as anyTest, beforeAll, expect } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { listenStream } from "#core/net/listen.ts";
import type { StreamListenerOptions } from "#core/net/transport.ts";
import { lacks } from "../../support/programs.ts";
import { Certificates } from "../../unit/net/certificates.ts";
import { Recorder, streamOptions } from "../../unit/net/support.ts";

const test = anyTest.skipIf(lacks("openssl"));

let files: Certificates;
beforeAll(() => {
  files = new Certificates();
  files.issue("server", "/CN=localhost");
});
afterAll(() => files.remove());

const websocket = {
  paths: ["/mqtt"],
  subprotocols: ["mqtt"],
  subprotocolRequired: true,
  frames: "binary",
  messageSizeMax: 1000,
  origins: [],
} as const;
const UPGRADE =
  "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
const HEADER = "PROXY TCP4 192.0.2.7 198.51.100.1 4660 1883\r\n";

/** A small generator (mulberry32), so that a failure can be repeated. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Sends the start of something right, then garbage, and leaves in one of three ways. */
function stranger(port: number, prefix: string, next: () => number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.on("close", () => resolve());
    socket.resume();
    const garbage = Uint8Array.from({ length: Math.floor(next() * 300) }, () => next() * 256);
    const right = Buffer.from(prefix).subarray(
      0,
      next() < 0.5 ? prefix.length : Math.floor(next() * prefix.length),
    );
    const leave = Math.floor(next() * 3);
    socket.write(Buffer.concat([right, garbage]), () => {
      if (leave === 0) socket.end();
      else if (leave === 1) socket.destroy();
      else socket.resetAndDestroy();
    });
  });
}

const kinds: [string, Partial<StreamListenerOptions>, string][] = [
  ["proxied TCP", { proxyProtocol: true }, HEADER],
  ["WebSocket", { transport: "ws", websocket }, UPGRADE],
  ["proxied WebSocket", { transport: "ws", websocket, proxyProtocol: true }, HEADER + UPGRADE],
  ["TLS", { transport: "tls" }, "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03"],
];

test.each(kinds)(
  "%s survives 200 strangers, closes each connection once, and serves the next",
  async (_name, changes, prefix) => {
    const tls = {
      cert: files.path("server.pem"),
      key: files.path("server.key"),
      clientCertificate: "none",
      identity: "none",
      minVersion: "TLSv1.2",
    } as const;
    const recorder = new Recorder();
    const options = streamOptions({ tls, handshakes: 50, handshakeTimeout: seconds(5), ...changes });
    const listening = await listenStream(options, recorder.accept);
    const next = random(20_261_122);
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 20 }, () => stranger(listening.port, prefix, next)));
    }
    await recorder.when(() => recorder.closes.length === recorder.connections.length);
    const before = recorder.connections.length;
    // Bytes of a right TLS client cannot be written down; all others must have come through at times.
    if (changes.transport !== "tls") expect(before).toBeGreaterThan(0);
    const good =
      changes.transport === "tls"
        ? connectTls({ port: listening.port, host: "127.0.0.1", rejectUnauthorized: false })
        : connect(listening.port, "127.0.0.1");
    if (changes.transport !== "tls") good.write(prefix);
    await recorder.when(() => recorder.connections.length === before + 1);
    good.destroy();
    await recorder.when(() => recorder.closes.length === before + 1);
    await listening.close();
  },
);
