import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import type { Note } from "#core/contract/note.ts";
import { FOREVER, milliseconds } from "#core/lib/time.ts";
import { Descriptors } from "#core/net/descriptors.ts";
import { epollSet } from "#core/net/epoll/self-test.ts";
import { listenStream } from "#core/net/listen.ts";
import { Descriptor, sockaddrOf } from "#core/net/system/descriptor.ts";
import { STREAM_SOCKET } from "#core/net/system/linux.ts";
import { systemCalls } from "#core/net/system/system-calls.ts";
import { SHARE } from "#core/net/tcp.ts";
import { ListenError, type Listening, type StreamListenerOptions } from "#core/net/transport.ts";
import { closed, countTurns, dial, Recorder, streamOptions } from "./support.ts";

/** By system calls of ours, which elsewhere than on Linux are not to be had, and as Node has them. */
const WAYS = [
  ["by epoll", true],
  ["by Node", false],
] as const;

const calls = systemCalls();
const MSG_OOB = 1;

/** Octets that the system has still to bring to the other side, of a socket of this machine (proc_pid_net(5)). */
function unacknowledged(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = readFileSync("/proc/net/tcp", "utf8").split("\n");
  const found = lines.map((line) => line.trim().split(/\s+/)).find((fields) => fields[1]?.endsWith(local));
  return Number.parseInt(found?.[4]?.split(":")[0] ?? "0", 16);
}

/** What it is when it has been the same for a while: how much a system takes that nobody reads is its own affair. */
async function settled(look: () => number): Promise<number> {
  let last = look();
  for (let same = 0; same < 20; ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const now = look();
    same = now === last ? same + 1 : 0;
    last = now;
  }
  return last;
}

test("there is epoll on Linux", () => {
  expect(epollSet() instanceof Error).toBe(process.platform !== "linux");
});

test("of a socket of Node's no more than its share and one read is worked on before others have their turn", async () => {
  const turns = countTurns();
  let received = 0;
  const { port, close } = await listenStream(streamOptions({ epoll: false }), (connection) => {
    connection.pauseReading();
    setTimeout(() => connection.resumeReading(), 50);
    return {
      ...{ drained() {}, ended: () => connection.end(), closed() {} },
      received: ({ length }) => {
        turns.add(length);
        received += length;
      },
    };
  });
  const client = await dial(port);
  client.end(Buffer.alloc(4_000_000));
  await closed(client.resume());
  expect(received).toBe(4_000_000);
  expect(turns.most()).toBeLessThan(SHARE + 65_536);
  await close();
});

describe.each(WAYS)("connections %s", (_way, epoll) => {
  let listening: Listening[] = [];
  afterEach(async () => {
    for (const one of listening) await one.close();
    listening = [];
  });

  async function open(recorder: Recorder, changes: Partial<StreamListenerOptions> = {}): Promise<Listening> {
    const one = await listenStream(streamOptions({ epoll, ...changes }), recorder.accept);
    listening.push(one);
    return one;
  }

  test("bytes go both ways and the peer is the client's address", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder);
    const client = await dial(port);
    client.write("ping");
    await recorder.when(() => recorder.bytes.length === 4);
    expect(recorder.bytes.toString()).toBe("ping");
    expect(recorder.connection.peer).toEqual({
      transport: "tcp",
      address: "127.0.0.1",
      port: client.localPort,
    });
    const answer = new Promise<Buffer>((resolve) => client.once("data", resolve));
    const written = new Promise<void>((resolve) => recorder.connection.write(Buffer.from("pong"), resolve));
    expect((await answer).toString()).toBe("pong");
    await written;
    client.end();
    await recorder.when(() => recorder.closes.length === 1);
    expect(recorder.closes).toEqual([undefined]);
  });

  test("one listener on :: serves IPv4, shown as IPv4, and IPv6", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder, { bind: "::" });
    const four = await dial(port, "127.0.0.1");
    const six = await dial(port, "::1");
    await recorder.when(() => recorder.connections.length === 2);
    expect(recorder.connections.map((one) => one.peer.address)).toEqual(["127.0.0.1", "::1"]);
    four.destroy();
    six.destroy();
    await recorder.when(() => recorder.closes.length === 2);
  });

  test("a slow reader makes write return false until the kernel has taken everything", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder, { highWaterMark: 100_000 });
    const client = await dial(port);
    client.pause();
    await recorder.when(() => recorder.connections.length === 1);
    const block = Buffer.alloc(50_000, 1);
    let sent = 0;
    let written = 0;
    let more = true;
    for (; more && sent < 2_000; sent++) more = recorder.connection.write(block, () => written++);
    expect(more).toBe(false);
    expect(recorder.connection.backlog).toBeGreaterThan(100_000);
    expect(recorder.connection.backlog).toBeLessThan(200_000);
    expect(recorder.drains).toBe(0);
    let received = 0;
    client.on("data", (bytes) => {
      received += bytes.length;
    });
    client.resume();
    await recorder.when(() => recorder.drains === 1);
    expect(recorder.connection.backlog).toBe(0);
    recorder.connection.end();
    await recorder.when(() => recorder.closes.length === 1);
    expect(received).toBe(sent * block.length);
    expect(written).toBe(sent);
  });

  test("a peer that has parted gets what was written before, then the end, and nobody waits for it", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder);
    const client = await dial(port);
    await recorder.when(() => recorder.connections.length === 1);
    let received = "";
    client.on("data", (bytes) => {
      received += String(bytes);
    });
    const ended = once(client, "end");
    recorder.connection.write(Buffer.from("last words"));
    recorder.connection.end(true);
    // The client says nothing of its own end.
    await recorder.when(() => recorder.closes.length === 1);
    await ended;
    expect(received).toBe("last words");
    expect(recorder.closes).toEqual([undefined]);
  });

  test("a peer that has parted while much is queued for it gets all of it", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder);
    const client = await dial(port);
    client.pause();
    await recorder.when(() => recorder.connections.length === 1);
    let sent = 0;
    for (; recorder.connection.backlog === 0; sent++) recorder.connection.write(Buffer.alloc(50_000));
    recorder.connection.end(true);
    let received = 0;
    client.on("data", (bytes) => {
      received += bytes.length;
    });
    client.resume();
    await recorder.when(() => recorder.closes.length === 1);
    expect(received).toBe(sent * 50_000);
  });

  test("one large write that the kernel takes at once is not congestion", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder, { highWaterMark: 1_000 });
    const client = await dial(port);
    client.resume();
    await recorder.when(() => recorder.connections.length === 1);
    expect(recorder.connection.write(Buffer.alloc(20_000))).toBe(true);
    expect(recorder.connection.backlog).toBe(0);
    recorder.connection.end();
    await recorder.when(() => recorder.closes.length === 1);
    expect(recorder.drains).toBe(0);
  });

  test("written is called for what destroy drops, so that its memory can be used again", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder);
    const client = await dial(port);
    client.pause();
    await recorder.when(() => recorder.connections.length === 1);
    let owed = 0;
    for (let more = true; more; ) {
      owed++;
      more = recorder.connection.write(Buffer.alloc(500_000), () => owed--);
    }
    expect(owed).toBeGreaterThan(0);
    recorder.connection.destroy();
    await recorder.when(() => recorder.closes.length === 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(owed).toBe(0);
    await closed(client.resume());
  });

  test("a paused connection receives nothing and loses nothing", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder);
    const client = await dial(port);
    await recorder.when(() => recorder.connections.length === 1);
    recorder.connection.pauseReading();
    client.write("kept");
    await new Promise<void>((resolve) => client.write("", () => setTimeout(resolve, 20)));
    expect(recorder.bytes.length).toBe(0);
    recorder.connection.resumeReading();
    await recorder.when(() => recorder.bytes.length === 4);
    client.destroy();
  });

  test("end sends what is queued before the end of the stream", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder);
    const client = await dial(port);
    await recorder.when(() => recorder.connections.length === 1);
    let received = 0;
    client.on("data", (bytes) => {
      received += bytes.length;
    });
    recorder.connection.write(Buffer.alloc(3_000_000));
    recorder.connection.end();
    await closed(client);
    expect(received).toBe(3_000_000);
    await recorder.when(() => recorder.closes.length === 1);
  });

  test("a peer that never reads its end is destroyed after the linger time", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder, { linger: milliseconds(50) });
    const client = await dial(port);
    client.pause();
    await recorder.when(() => recorder.connections.length === 1);
    while (recorder.connection.write(Buffer.alloc(500_000)));
    recorder.connection.end();
    await recorder.when(() => recorder.closes.length === 1);
    client.destroy();
  });

  test("a peer that ends its side but never reads ours is destroyed after the linger time", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder, { linger: milliseconds(50) });
    const client = await dial(port);
    client.pause();
    await recorder.when(() => recorder.connections.length === 1);
    while (recorder.connection.write(Buffer.alloc(500_000)));
    client.end();
    await recorder.when(() => recorder.closes.length === 1);
    client.destroy();
  });

  test("a reset is reported as the reason of the close", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder);
    const client = await dial(port);
    await recorder.when(() => recorder.connections.length === 1);
    client.resetAndDestroy();
    await recorder.when(() => recorder.closes.length === 1);
    expect(recorder.closes).toEqual(["ECONNRESET"]);
  });

  test("a connection that the runtime refuses is destroyed at once", async () => {
    const one = await listenStream(streamOptions({ epoll }), () => undefined);
    listening.push(one);
    await closed((await dial(one.port)).on("error", () => {}));
  });

  test("close stops accepting and leaves the connections alone", async () => {
    const recorder = new Recorder();
    const one = await open(recorder);
    const client = await dial(one.port);
    await recorder.when(() => recorder.connections.length === 1);
    await one.close();
    listening = [];
    await expect(dial(one.port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    client.write("alive");
    await recorder.when(() => recorder.bytes.length === 5);
    client.destroy();
  });

  test.each([
    ["port-in-use", async () => ({ port: (await open(new Recorder())).port })],
    ["address-not-available", async () => ({ bind: "192.0.2.1" })],
  ])("a listener that cannot open says %s in one line", async (code, changes) => {
    const failure = await open(new Recorder(), await changes()).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ListenError);
    expect(failure).toMatchObject({ code });
    expect((failure as ListenError).message).not.toContain("\n");
  });

  test("an unlimited high-water mark and a linger without end are taken as they are", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder, { highWaterMark: Number.POSITIVE_INFINITY, linger: FOREVER });
    const client = await dial(port);
    client.pause();
    await recorder.when(() => recorder.connections.length === 1);
    for (let block = 0; block < 20; block++) {
      expect(recorder.connection.write(Buffer.alloc(500_000))).toBe(true);
    }
    recorder.connection.destroy();
    await closed(client.on("error", () => {}).resume());
  });

  test("clients are refused before the last file descriptors are gone, with a word on the fix", async () => {
    const recorder = new Recorder();
    const notes: Note[] = [];
    // All numbers below 8 have long been taken: with a limit of 10, 7 is the last for clients.
    const few = new Descriptors(10);
    const one = await listenStream(
      streamOptions({ epoll }),
      recorder.accept,
      (note) => notes.push(note),
      few,
    );
    listening.push(one);
    expect(few.short).toBe(false);
    const client = await dial(one.port);
    client.on("error", () => {});
    await closed(client);
    expect(recorder.connections).toEqual([]);
    expect(few.short).toBe(true);
    expect(notes).toEqual([
      {
        level: "warn",
        event: "file-descriptors-short",
        detail: { fix: expect.stringContaining("ulimit -n") },
      },
    ]);
    expect([new Descriptors(1024).admits(959), new Descriptors(1024).admits(960)]).toEqual([true, false]);
  });

  test("whoever keeps a view of what little was received keeps no more than that", async () => {
    const recorder = new Recorder();
    let kept: Uint8Array | undefined;
    const one = await listenStream(streamOptions({ epoll }), (connection) => ({
      ...recorder.accept(connection),
      received: (bytes) => {
        kept = bytes;
        connection.end();
      },
    }));
    listening.push(one);
    const client = await dial(one.port);
    client.write("little");
    await recorder.when(() => recorder.closes.length === 1);
    expect(kept?.buffer.byteLength).toBe(6);
    await closed(client);
  });

  test("what a peer sent before it reset the connection is received before the close, also when reading is paused", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder);
    const client = await dial(port);
    await recorder.when(() => recorder.connections.length === 1);
    recorder.connection.pauseReading();
    client.write("last words");
    await new Promise<void>((resolve) => client.write("", () => setTimeout(resolve, 20)));
    client.resetAndDestroy();
    await recorder.when(() => recorder.closes.length === 1);
    expect(String(recorder.bytes)).toBe("last words");
    expect(recorder.closes).toEqual(["ECONNRESET"]);
  });

  test("however much it is: the rest waits until reading goes on", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder);
    const client = await dial(port);
    await recorder.when(() => recorder.connections.length === 1);
    // The more is read, the more the system keeps of what is not.
    await new Promise<void>((resolve) => client.write(Buffer.alloc(4_000_000), () => resolve()));
    await recorder.when(() => recorder.bytes.length === 4_000_000);
    recorder.connection.pauseReading();
    const sent = Buffer.alloc(150_000, "last words");
    client.write(sent);
    const arrived = sent.length - (await settled(() => unacknowledged(client.localPort!)));
    // Two reads at least.
    expect(arrived).toBeGreaterThan(65_536);
    client.resetAndDestroy();
    await closed(client);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(recorder.closes).toEqual([]);
    recorder.connection.resumeReading();
    await recorder.when(() => recorder.closes.length === 1);
    expect(recorder.bytes.subarray(4_000_000).equals(sent.subarray(0, arrived))).toBe(true);
    // When it has read what there was, libuv takes it for an end of stream or says what it was, by its version.
    expect(epoll ? ["ECONNRESET"] : ["ECONNRESET", undefined]).toContain(recorder.closes[0]);
  });

  test("a connection that is given the number of one that was closed in the same turn hears nothing of that one", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder);
    for (let round = 0; round < 20; round++) {
      const clients = await Promise.all(Array.from({ length: 8 }, () => dial(port)));
      for (const client of clients) client.on("error", () => {}).write(`${round}`);
      await recorder.when(() => recorder.connections.length === 8 * (round + 1));
      // Half of them are closed here while the others have something to say, and new ones come at once.
      for (const connection of recorder.connections.slice(-8, -4)) connection.destroy();
      for (const client of clients) client.end();
    }
    await recorder.when(() => recorder.closes.length === 160);
    expect(recorder.closes.filter((why) => why !== undefined)).toEqual([]);
  });

  test("a connection that was ended while much was queued, and whose peer then resets it, is closed once", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder);
    const client = await dial(port);
    client.pause();
    await recorder.when(() => recorder.connections.length === 1);
    while (recorder.connection.write(Buffer.alloc(500_000)));
    recorder.connection.end();
    client.resetAndDestroy();
    await recorder.when(() => recorder.closes.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(recorder.closes).toHaveLength(1);
    expect(recorder.connection.backlog).toBe(0);
  });

  test("a write of nothing is written, before others and behind them", async () => {
    const recorder = new Recorder();
    const { port } = await open(recorder);
    const client = await dial(port);
    client.pause();
    await recorder.when(() => recorder.connections.length === 1);
    let written = 0;
    const { connection } = recorder;
    expect(connection.write(new Uint8Array(0), () => written++)).toBe(true);
    while (connection.write(Buffer.alloc(500_000)));
    connection.write(new Uint8Array(0), () => written++);
    connection.end();
    client.resume();
    await recorder.when(() => recorder.closes.length === 1);
    expect(written).toBe(2);
  });

  test("a connection that is destroyed while it is accepted is closed, and what was written to it is told", async () => {
    const closes: (string | undefined)[] = [];
    let owed = 0;
    const one = await listenStream(streamOptions({ epoll }), (connection) => {
      owed++;
      connection.write(Buffer.alloc(20_000_000), () => owed--);
      connection.destroy();
      return { received() {}, drained() {}, ended() {}, closed: (error) => closes.push(error) };
    });
    listening.push(one);
    await closed((await dial(one.port)).on("error", () => {}).resume());
    while (closes.length === 0 || owed > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(closes).toHaveLength(1);
  });

  test("a listener opens again on its port at once, while connections of the former one go on", async () => {
    const [former, next] = [new Recorder(), new Recorder()];
    const one = await open(former);
    const client = await dial(one.port);
    await former.when(() => former.connections.length === 1);
    await one.close();
    listening = [];
    await open(next, { port: one.port });
    const newcomer = await dial(one.port);
    await next.when(() => next.connections.length === 1);
    client.write("former");
    newcomer.write("next");
    await former.when(() => former.bytes.length === 6);
    await next.when(() => next.bytes.length === 4);
    client.destroy();
    newcomer.destroy();
  });

  test.skipIf(calls instanceof Error)(
    "urgent data (RFC 9293 §3.8.5) is no part of the stream, and holds up nothing",
    async () => {
      const recorder = new Recorder();
      const { port } = await open(recorder);
      if (calls instanceof Error) return;
      const client = Descriptor.open(calls, false, STREAM_SOCKET);
      const to = sockaddrOf("127.0.0.1", port);
      calls.connect(client.number, to, to.length);
      await recorder.when(() => recorder.connections.length === 1);
      for (const [text, flags] of [
        ["before", 0],
        ["!", MSG_OOB],
        ["behind", 0],
      ] as const) {
        const bytes = new Uint8Array(Buffer.from(text));
        expect(calls.send(client.number, bytes, bytes.length, flags)).toBe(bytes.length);
      }
      await recorder.when(() => recorder.bytes.length === 12);
      expect(String(recorder.bytes)).toBe("beforebehind");
      client.close();
      await recorder.when(() => recorder.closes.length === 1);
    },
  );
});
