import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import type { Datagram } from "#core/contract/endpoint.ts";
import { bindBatches } from "#core/net/batch/bind.ts";
import { Arrived, Paths } from "#core/net/batch/paths.ts";
import { batches, tryBatches } from "#core/net/batch/self-test.ts";
import { type Batches, BatchSocket } from "#core/net/batch/socket.ts";
import { textOf, wordsOf } from "#core/net/system/addresses.ts";
import { EAGAIN } from "#core/net/system/linux.ts";
import { callsBy } from "#core/net/system/system-calls.ts";
import type { DatagramListenerOptions, DatagramSocket } from "#core/net/transport.ts";
import { listenUdp } from "#core/net/udp.ts";
import { fc } from "../../support/property.ts";
import { datagramOptions } from "./support.ts";

const found = batches();
const here = found instanceof Error ? undefined : found;

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

async function listen(
  receive: (batch: readonly Datagram[]) => void,
  changes: Partial<DatagramListenerOptions> = {},
): Promise<DatagramSocket> {
  const socket = await listenUdp(datagramOptions({ receiveBuffer: 4_000_000, ...changes }), receive);
  opened.push(socket);
  return socket;
}

async function client(address = "127.0.0.1"): Promise<Socket> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  opened.push({ close: () => socket.close() });
  socket.bind(0, address);
  await once(socket, "listening");
  return socket;
}

const hextet = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));

test("an address is the same as text, words and text again, and as others write it (RFC 5952)", () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      expect(textOf(wordsOf(address)!)).toBe(address);
    }),
  );
  fc.assert(
    fc.property(fc.array(hextet, { minLength: 8, maxLength: 8 }), (groups) => {
      const long = groups.map((group) => group.toString(16)).join(":");
      if (long.startsWith("0:0:0:0:0:ffff:")) return;
      const text = textOf(wordsOf(long)!);
      expect(`[${text}]`).toBe(new URL(`http://[${long}]`).hostname);
      expect(wordsOf(text)).toEqual(wordsOf(long));
    }),
  );
  expect(textOf(wordsOf("::ffff:192.0.2.1")!)).toBe("192.0.2.1");
  expect(textOf(wordsOf("64:ff9b::192.0.2.1")!)).toBe("64:ff9b::c000:201");
  for (const text of ["", "x", "1.2.3", "::1::", "localhost"]) expect(wordsOf(text)).toBeUndefined();
});

test("each of more peers than are remembered has its own path, whatever it displaces", () => {
  const paths = new Paths();
  const arrived = new Arrived();
  for (let round = 0; round < 2; round++) {
    for (let peer = 0; peer < 20_000; peer++) {
      arrived.peer.splice(0, 4, 0, 0, 0xffff0000, peer + 1);
      arrived.port = 1 + (peer % 3);
      arrived.localKnown = peer % 2 === 0;
      arrived.local.splice(0, 4, 0, 0, 0xffff0000, 9);
      const path = paths.of(arrived);
      const right = path.peer[3] === peer + 1 && path.port === arrived.port;
      const local = path.local?.[3] === (arrived.localKnown ? 9 : undefined);
      if (!right || !local || paths.of(arrived) !== path) expect.fail(`peer ${peer} has another's path`);
    }
  }
});

test("where the package or the C library is missing, the reason is said, and nothing else happens", () => {
  const missing = callsBy(() => {
    throw Object.assign(new Error("Cannot find module"), { code: "MODULE_NOT_FOUND" });
  });
  expect(missing).toEqual(new Error("koffi is not installed"));
  const musl = callsBy(
    () =>
      ({
        load: () => {
          throw new Error("libc.so.6: no such file");
        },
      }) as never,
  );
  expect(musl).toEqual(new Error("libc.so.6: no such file"));
  expect(tryBatches(missing)).toBe(missing);
});

describe.skipIf(here === undefined)("recvmmsg and sendmmsg", () => {
  const { calls } = here as Batches;

  test("a layout that is not this system's is found before it is used", () => {
    const skewed = (skew: (headers: Uint32Array, count: number) => void) =>
      tryBatches({
        ...calls,
        recvmmsg: (descriptor, headers, count, flags, timeout) => {
          const got = calls.recvmmsg(descriptor, headers, count, flags, timeout);
          skew(new Uint32Array(headers.buffer, headers.byteOffset, headers.byteLength / 4), got);
          return got;
        },
      });
    expect(skewed(() => {})).not.toBeInstanceOf(Error);
    const lengthElsewhere = skewed((words, count) => {
      for (let index = 0; index < count; index++) words[16 * index + 14] = words[16 * index + 13]!;
    });
    expect(lengthElsewhere).toBeInstanceOf(Error);
    const truncated = skewed((words) => {
      words[12] = 0x20;
    });
    expect(truncated).toBeInstanceOf(Error);
    expect(tryBatches({ ...calls, sendmmsg: () => -1 })).toBeInstanceOf(Error);
    expect(tryBatches({ ...calls, recvmmsg: () => 1 })).toBeInstanceOf(Error);
  });

  test.each(["0.0.0.0", "::"])(
    "an answer on %s leaves from the address that the datagram came to, with its path and without",
    async (bind) => {
      let keepPath = true;
      const socket = await listen(
        (batch) =>
          socket.send(
            batch.map(({ bytes, address, port, path }) => ({
              ...{ bytes, address, port },
              ...(keepPath ? { path } : {}),
            })),
          ),
        { bind },
      );
      const sender = await client();
      for (keepPath of [true, false]) {
        for (const to of ["127.0.0.2", "127.0.0.1", "127.7.7.7"]) {
          sender.send("hello", socket.port, to);
          const [, from] = await once(sender, "message");
          expect(from).toMatchObject({ address: to, port: socket.port });
        }
      }
    },
  );

  test.each(["0.0.0.0", "::"])("what was sent to a group on %s is known as such", async (bind) => {
    const seen: (boolean | undefined)[] = [];
    let came: () => void = () => {};
    const socket = await listen(
      (batch) => {
        seen.push(...batch.map(({ path }) => path?.toGroup));
        socket.send(batch);
        came();
      },
      { bind, multicast: ["239.255.77.2%lo"] },
    );
    const sender = await client();
    sender.setMulticastInterface("127.0.0.1");
    for (const to of ["127.0.0.1", "239.255.77.2", "127.0.0.1"]) {
      const arrived = new Promise<void>((resolve) => {
        came = resolve;
      });
      const answered = once(sender, "message");
      sender.send("who", socket.port, to);
      await arrived;
      await answered;
    }
    expect(seen).toEqual([false, true, false]);
  });

  test("bursts of any sizes come whole, in order, from whom they came, and so do their answers", async () => {
    const came: Datagram[] = [];
    const socket = await listen((batch) => {
      came.push(...batch);
      socket.send(batch);
    });
    const senders = await Promise.all([client(), client(), client()]);
    for (const sender of senders) sender.setRecvBufferSize(4_000_000);
    const size = fc.oneof(
      fc.integer({ min: 0, max: 64 }),
      fc.integer({ min: 0, max: 1500 }),
      fc.constantFrom(0, 65_506, 65_507),
    );
    const burst = fc.array(fc.tuple(fc.nat(senders.length - 1), size), { minLength: 1, maxLength: 90 });
    await fc.assert(
      fc.asyncProperty(burst, fc.integer(), async (sizes, seed) => {
        // What a kernel with little room for datagrams holds.
        let room = 180_000;
        const sent = sizes.flatMap(([who, length], index) => {
          room -= 2 * length + 1024;
          if (room < 0) return [];
          return [
            { who, bytes: Buffer.from(Uint8Array.from({ length }, (_, at) => seed + index * 31 + at)) },
          ];
        });
        came.length = 0;
        const echoes = senders.map((sender, who) =>
          echoesOf(sender, sent.filter((one) => one.who === who).length),
        );
        for (const { who, bytes } of sent) senders[who]!.send(bytes, socket.port, "127.0.0.1");
        const back = await Promise.all(echoes);
        for (const [who, sender] of senders.entries()) {
          const mine = sent.filter((one) => one.who === who).map(({ bytes }) => bytes);
          const { port } = sender.address();
          const here = came.filter((one) => one.port === port);
          expect(Buffer.concat(here.map(({ bytes }) => bytes)).equals(Buffer.concat(mine))).toBe(true);
          expect(here.map(({ bytes }) => bytes.length)).toEqual(mine.map(({ length }) => length));
          expect(back[who]!.map(({ length }) => length)).toEqual(mine.map(({ length }) => length));
          expect(Buffer.concat(back[who]!).equals(Buffer.concat(mine))).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("what is received is not changed by what comes later", async () => {
    const came: Datagram[] = [];
    const socket = await listen((batch) => void came.push(...batch));
    const sender = await client();
    for (const word of ["first", "other"]) {
      sender.send(word, socket.port, "127.0.0.1");
      while (came.at(-1) === undefined || Buffer.from(came.at(-1)!.bytes).toString() !== word)
        await new Promise((resolve) => setImmediate(resolve));
    }
    expect(came.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(["first", "other"]);
  });

  test("who is not there any more keeps nobody else from being answered", async () => {
    const socket = await listen((batch) => {
      const nobody = { bytes: Buffer.from("x"), address: "127.0.0.1", port: 9 };
      socket.send([nobody, ...batch, nobody]);
    });
    const sender = await client();
    for (let round = 0; round < 20; round++) {
      sender.send("still here", socket.port, "127.0.0.1");
      await once(sender, "message");
    }
  });

  test("what the kernel has no room for waits, in order, and what comes meanwhile waits behind it", async () => {
    let full = false;
    const narrow: Batches = {
      ...(here as Batches),
      calls: {
        ...calls,
        sendmmsg: (descriptor, messages, count, flags) =>
          // One a call until it is full, and then none.
          full ? -1 : calls.sendmmsg(descriptor, messages, Math.min(count, 1), flags),
        error: () => (full ? EAGAIN : calls.error()),
      },
    };
    const descriptor = bindBatches(narrow.calls, datagramOptions({}), "127.0.0.1");
    const socket = new BatchSocket(
      narrow,
      descriptor,
      () => {},
      () => {},
    );
    opened.push(socket);
    const receiver = await client();
    const heard: string[] = [];
    receiver.on("message", (bytes) => void heard.push(bytes.toString()));
    const { port } = receiver.address();
    const say = (...words: string[]) =>
      socket.send(words.map((word) => ({ bytes: Buffer.from(word), address: "127.0.0.1", port })));
    say("a", "b");
    full = true;
    say("c", "d");
    say("e");
    expect(socket.backlog).toBe(3);
    full = false;
    while (heard.length < 5) await new Promise((resolve) => setImmediate(resolve));
    expect(heard).toEqual(["a", "b", "c", "d", "e"]);
    expect(socket.backlog).toBe(0);
  });

  /** The same calls, and how many descriptors of theirs are open. */
  function counting(): { batches: Batches; open: Set<number> } {
    const open = new Set<number>();
    const counted: Batches = {
      ...(here as Batches),
      calls: {
        ...calls,
        socket(family, type, protocol) {
          const descriptor = calls.socket(family, type, protocol);
          open.add(descriptor);
          return descriptor;
        },
        close(descriptor) {
          open.delete(descriptor);
          return calls.close(descriptor);
        },
      },
    };
    return { batches: counted, open };
  }

  test("closing in the middle of a batch ends it there, and gives the descriptor back", async () => {
    const { batches, open } = counting();
    const sender = await client();
    for (let round = 0; round < 50; round++) {
      let heard = 0;
      const descriptor = bindBatches(batches.calls, datagramOptions({}), "127.0.0.1");
      await new Promise<void>((resolve) => {
        const receive = () => {
          heard++;
          void socket.close().then(resolve);
          socket.send([{ bytes: Buffer.from("bye"), address: "127.0.0.1", port: 9 }]);
        };
        const socket = new BatchSocket(batches, descriptor, receive, () => {});
        for (let number = 0; number < 100; number++) sender.send("x", socket.port, "127.0.0.1");
      });
      expect(heard).toBe(1);
    }
    expect(open.size).toBe(0);
  });

  test("a port is shared where both want that (SO_REUSEPORT), and each datagram comes to one of them", async () => {
    const came: number[] = [];
    let all: () => void = () => {};
    const both = new Promise<void>((resolve) => {
      all = resolve;
    });
    const receive = (who: number) => (batch: readonly Datagram[]) => {
      for (const _ of batch) came.push(who);
      if (came.length === 64) all();
    };
    const first = await listen(receive(1), { reusePort: true });
    const { port } = await listen(receive(2), { reusePort: true, port: first.port });
    expect(port).toBe(first.port);
    await expect(listen(() => {}, { port })).rejects.toThrow("in use");
    for (let number = 0; number < 64; number++) (await client()).send("x", port, "127.0.0.1");
    await both;
    // By the sender's port: 64 of them do not all fall on one but once in 2^63.
    expect(new Set(came).size).toBe(2);
  });

  test("a descriptor that cannot be bound is given back", async () => {
    const { batches, open } = counting();
    const { port } = await listen(() => {});
    const bind = (changes: Partial<DatagramListenerOptions>, address = "127.0.0.1") =>
      expect(() => bindBatches(batches.calls, datagramOptions(changes), address));
    bind({ port }).toThrow("EADDRINUSE");
    bind({}, "192.0.2.1").toThrow("EADDRNOTAVAIL");
    bind({}, "nonsense").toThrow("EINVAL");
    bind({ multicast: ["239.255.77.3%nosuch0"] }).toThrow("ENODEV");
    expect(open.size).toBe(0);
  });
});

function echoesOf(sender: Socket, count: number): Promise<Buffer[]> {
  return new Promise((resolve) => {
    const heard: Buffer[] = [];
    const hear = (bytes: Buffer) => {
      heard.push(bytes);
      if (heard.length === count) end();
    };
    const end = () => {
      sender.off("message", hear);
      resolve(heard);
    };
    if (count === 0) end();
    else sender.on("message", hear);
  });
}
