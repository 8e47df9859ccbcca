import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { Note } from "#core/contract/note.ts";
import { milliseconds } from "#core/lib/time.ts";
import { listenStream } from "#core/net/listen.ts";
import type { Listening } from "#core/net/transport.ts";
import { closed, dial, Recorder, streamOptions } from "./support.ts";

let listening: Listening | undefined;
let notes: Note[] = [];
afterEach(async () => {
  await listening?.close();
  notes = [];
});

async function open(recorder: Recorder, changes = {}): Promise<number> {
  const options = streamOptions({ proxyProtocol: true, ...changes });
  listening = await listenStream(options, recorder.accept, (note) => notes.push(note));
  return listening.port;
}

const HEADER = "PROXY TCP4 192.0.2.7 198.51.100.1 4660 1883\r\n";

test("the peer is the client of the header, and bytes in the same packet reach the runtime", async () => {
  const recorder = new Recorder();
  const client = await dial(await open(recorder));
  client.write(`${HEADER}hello`);
  await recorder.when(() => recorder.bytes.length === 5);
  expect(recorder.connection.peer).toMatchObject({ transport: "tcp", address: "192.0.2.7", port: 4660 });
  client.write(" again");
  await recorder.when(() => recorder.bytes.length === 11);
  expect(recorder.bytes.toString()).toBe("hello again");
  client.destroy();
  await recorder.when(() => recorder.closes.length === 1);
});

test("a header that comes byte by byte is put together", async () => {
  const recorder = new Recorder();
  const client = await dial(await open(recorder));
  client.setNoDelay();
  for (const byte of HEADER) {
    client.write(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.write("x");
  await recorder.when(() => recorder.bytes.length === 1);
  expect(recorder.connection.peer.address).toBe("192.0.2.7");
  client.destroy();
});

test("UNKNOWN keeps the address of the connection", async () => {
  const recorder = new Recorder();
  const client = await dial(await open(recorder));
  client.write("PROXY UNKNOWN\r\n");
  await recorder.when(() => recorder.connections.length === 1);
  expect(recorder.connection.peer).toMatchObject({ address: "127.0.0.1", port: client.localPort });
  client.destroy();
});

test("anything but a header ends the connection and is noted once", async () => {
  const recorder = new Recorder();
  const client = await dial(await open(recorder));
  client.on("error", () => {});
  client.write(Buffer.from("100c00044d515454", "hex"));
  await closed(client);
  expect(recorder.connections).toEqual([]);
  expect(notes).toEqual([
    expect.objectContaining({
      event: "proxy-protocol-malformed",
      detail: expect.objectContaining({ address: "127.0.0.1" }),
    }),
  ]);
});

test("silence ends the connection after the handshake time", async () => {
  const recorder = new Recorder();
  const client = await dial(await open(recorder, { handshakeTimeout: milliseconds(50) }));
  client.on("error", () => {});
  client.write("PROXY TCP4");
  await closed(client);
  expect(notes).toEqual([expect.objectContaining({ event: "handshake-timeout" })]);
});

test("connections that do not finish their handshake are bounded in number", async () => {
  const recorder = new Recorder();
  const port = await open(recorder, { handshakes: 2 });
  const waiting = [await dial(port), await dial(port)];
  const third = await dial(port);
  third.on("error", () => {});
  await closed(third);
  expect(notes).toEqual([expect.objectContaining({ event: "handshakes-full" })]);
  waiting[0]?.write(HEADER);
  await recorder.when(() => recorder.connections.length === 1);
  const fourth = await dial(port);
  fourth.write(HEADER);
  await recorder.when(() => recorder.connections.length === 2);
  for (const client of [...waiting, fourth]) client.destroy();
});

test("silent connections of one address keep no other address out of the handshake", async () => {
  const recorder = new Recorder();
  const port = await open(recorder, { handshakes: 4 });
  const silent = [];
  for (let n = 0; n < 4; n++) silent.push(await dial(port));
  for (const client of silent) client.on("error", () => {});
  const other = connect({ port, host: "127.0.0.1", localAddress: "127.0.0.2" });
  other.write(HEADER);
  await recorder.when(() => recorder.connections.length === 1);
  await closed(silent[0]!);
  expect(notes).toEqual([
    expect.objectContaining({
      event: "handshakes-full",
      detail: expect.objectContaining({ address: "127.0.0.1" }),
    }),
  ]);
  for (const client of [...silent, other]) client.destroy();
});
