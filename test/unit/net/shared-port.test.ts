/** A UDP port with a socket for each worker, on real sockets. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import type { Datagram } from "#core/contract/endpoint.ts";
import { batches } from "#core/net/batch/self-test.ts";
import { openSharedPort, type SharedPort } from "#core/net/shared-port.ts";
import { systemCalls } from "#core/net/system/system-calls.ts";
import type { DatagramListenerOptions, DatagramSocket } from "#core/net/transport.ts";
import { listenUdp } from "#core/net/udp.ts";

const WORKERS = 3;
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const options = (changes: Partial<DatagramListenerOptions> = {}): DatagramListenerOptions => ({
  ...{ transport: "udp", bind: "127.0.0.1", port: 0, receiveBuffer: 65_536, sendBuffer: 65_536 },
  ...{ reuseAddress: false, multicast: [], broadcast: false },
  ...changes,
});

async function open(changes: Partial<DatagramListenerOptions> = {}): Promise<SharedPort> {
  const shared = await openSharedPort(options(changes), WORKERS);
  ends.push(() => {
    const calls = systemCalls();
    if (!(calls instanceof Error)) for (const descriptor of shared.descriptors) calls.close(descriptor);
  });
  return shared;
}

type Came = readonly (readonly [worker: number, text: string])[];

/** Workers that note what comes to each. */
function crew(shared: SharedPort) {
  const came: [number, string][] = [];
  const sockets: (DatagramSocket | undefined)[] = [];
  return {
    came: came as Came,
    async watch(index: number): Promise<void> {
      const receive = (batch: readonly Datagram[]) => {
        for (const { bytes } of batch) came.push([index, Buffer.from(bytes).toString("latin1")]);
      };
      const descriptor = shared.descriptors[index];
      const socket = await listenUdp(options({ port: shared.port, descriptor }), receive);
      sockets[index] = socket;
      ends.push(() => socket.close());
    },
    end: (index: number) => sockets[index]!.close(),
    async has(count: number): Promise<void> {
      while (came.length < count) await new Promise((resolve) => setTimeout(resolve, 1));
    },
  };
}

async function client(): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  ends.push(() => socket.close());
  return socket;
}

const workersOf = (came: Came, text: string): number[] =>
  came.flatMap(([worker, said]) => (said === text ? [worker] : []));

describe.skipIf(batches() instanceof Error)("a UDP port that workers share", () => {
  test("has each sender at one worker, also when another one ends and is started again", async () => {
    const shared = await open();
    const workers = crew(shared);
    for (let index = 0; index < WORKERS; index++) await workers.watch(index);
    const senders: Socket[] = [];
    for (let number = 0; number < 30; number++) senders.push(await client());
    const say = async () => {
      const before = workers.came.length;
      for (const [number, socket] of senders.entries()) socket.send(String(number), shared.port, "127.0.0.1");
      await workers.has(before + senders.length);
    };
    await say();
    const [first] = workersOf(workers.came, "0") as [number];
    await workers.end(first);
    const before = workers.came.length;
    const away = senders.filter((_, number) => workersOf(workers.came, String(number))[0] === first).length;
    for (const [number, socket] of senders.entries()) socket.send(String(number), shared.port, "127.0.0.1");
    await workers.has(before + senders.length - away);
    // What came for the one that was away waits for it.
    await workers.watch(first);
    await workers.has(before + senders.length);
    await say();
    for (const number of senders.keys())
      expect(new Set(workersOf(workers.came, String(number))).size, `sender ${number}`).toBe(1);
    expect(new Set(workers.came.map(([worker]) => worker)).size).toBe(WORKERS);
  });

  test("RFC 9146: a record goes to the worker that its connection id names, from whatever address", async () => {
    const shared = await open({ transport: "dtls" });
    expect(shared.unsteered).toBeUndefined();
    const workers = crew(shared);
    for (let index = 0; index < WORKERS; index++) await workers.watch(index);
    const record = (worker: number) =>
      Buffer.from([25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, worker, 1, 2, 3, 4, 5, 0, 0]);
    for (let number = 0; number < 10; number++)
      for (let worker = 0; worker < WORKERS; worker++)
        (await client()).send(record(worker), shared.port, "127.0.0.1");
    await workers.has(10 * WORKERS);
    for (const [worker, text] of workers.came) expect(text.charCodeAt(11)).toBe(worker);
    // Handshakes bear none, nor does a worker of that number exist: by address.
    const hello = Buffer.from([22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0]);
    for (const bytes of [hello, record(200)]) {
      const before = workers.came.length;
      for (let number = 0; number < 30; number++) (await client()).send(bytes, shared.port, "127.0.0.1");
      await workers.has(before + 30);
      expect(new Set(workers.came.slice(before).map(([worker]) => worker)).size).toBeGreaterThan(1);
    }
  });

  test("is not taken where somebody has it, though both would share it", async () => {
    const { port } = await open();
    await expect(open({ port })).rejects.toMatchObject({ code: "port-in-use" });
  });

  test("has what comes to a multicast group at one worker alone", async () => {
    const shared = await open({ bind: "0.0.0.0", multicast: ["239.255.77.2%127.0.0.1"] });
    const workers = crew(shared);
    for (let index = 0; index < WORKERS; index++) await workers.watch(index);
    const sender = await client();
    sender.setMulticastInterface("127.0.0.1");
    sender.send("to all", shared.port, "239.255.77.2");
    await workers.has(1);
    // Whatever the system gave to the others would be there before what follows.
    for (let number = 0; number < 30; number++) (await client()).send("end", shared.port, "127.0.0.1");
    await workers.has(31);
    expect(workersOf(workers.came, "to all")).toEqual([0]);
  });

  test("cannot be had without batches, and says why and what to do", async () => {
    await expect(open({ batches: false })).rejects.toThrow(
      /cannot share 127\.0\.0\.1:0 among 3 workers \(udp\.batches is false\).*koffi.*node\.workers to 1/,
    );
  });
});
