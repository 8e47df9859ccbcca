import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import type { Datagram } from "#core/contract/endpoint.ts";
import { type DatagramListenerOptions, type DatagramSocket, ListenError } from "#core/net/transport.ts";
import { listenUdp } from "#core/net/udp.ts";
import { Zones } from "#core/net/zones.ts";
import { datagramOptions } from "./support.ts";

/** Where the optional package is used: elsewhere both kinds are the same. */
const CAN_BATCH = process.platform === "linux" && ["x64", "arm64"].includes(process.arch);

let sockets: DatagramSocket[] = [];
let clients: Socket[] = [];
afterEach(async () => {
  for (const one of sockets) await one.close();
  for (const one of clients) one.close();
  sockets = [];
  clients = [];
});

async function client(type: "udp4" | "udp6"): Promise<Socket> {
  const socket = createSocket(type);
  clients.push(socket);
  socket.bind(0, type === "udp4" ? "127.0.0.1" : "::1");
  await once(socket, "listening");
  return socket;
}

describe.each([
  { kind: "many datagrams a system call", batches: true },
  { kind: "one datagram a system call", batches: false },
])("$kind", ({ batches }) => {
  async function open(
    receive: (batch: readonly Datagram[]) => void,
    changes: Partial<DatagramListenerOptions> = {},
  ) {
    const socket = await listenUdp(datagramOptions({ batches, ...changes }), receive);
    sockets.push(socket);
    return socket;
  }

  test("the socket is of the kind that was asked for", async () => {
    expect((await open(() => {})).batched).toBe(batches && CAN_BATCH);
  });

  test("what one turn of the loop reads arrives as one batch, in order", async () => {
    const batches: (readonly Datagram[])[] = [];
    let all: () => void = () => {};
    const done = new Promise<void>((resolve) => {
      all = resolve;
    });
    const socket = await open((batch) => {
      batches.push(batch);
      if (batches.flat().length === 20) all();
    });
    const sender = await client("udp4");
    for (let number = 0; number < 20; number++) sender.send(Buffer.from([number]), socket.port, "127.0.0.1");
    await done;
    expect(batches.flat().map((one) => one.bytes[0])).toEqual([...Array(20).keys()]);
    expect(batches.flat()[0]).toMatchObject({ address: "127.0.0.1", port: sender.address().port });
    expect(batches.length).toBeLessThan(20);
    expect(batches.flat().some((one) => Buffer.isBuffer(one.bytes))).toBe(false);
  });

  test("a dual stack socket answers IPv4, shown as IPv4, and IPv6", async () => {
    const seen: string[] = [];
    const socket: DatagramSocket = await open(
      (batch) => {
        seen.push(...batch.map((one) => one.address));
        socket.send(batch);
      },
      { bind: "::" },
    );
    for (const [type, host] of [
      ["udp4", "127.0.0.1"],
      ["udp6", "::1"],
    ] as const) {
      const sender = await client(type);
      sender.send("echo", socket.port, host);
      const [bytes] = await once(sender, "message");
      expect(bytes.toString()).toBe("echo");
    }
    expect(seen).toEqual(["127.0.0.1", "::1"]);
  });

  test("sent datagrams leave the backlog, those that cannot be sent too, and nothing throws", async () => {
    const socket = await open(() => {});
    const receiver = await client("udp4");
    const { port } = receiver.address();
    const arrived = once(receiver, "message");
    socket.send([
      { bytes: Buffer.alloc(70_000), address: "127.0.0.1", port },
      { bytes: Buffer.from("x"), address: "not an address", port },
      { bytes: Buffer.from("x"), address: "::1", port },
      { bytes: Buffer.from("fits"), address: "127.0.0.1", port },
    ]);
    expect((await arrived)[0].toString()).toBe("fits");
    await new Promise((resolve) => setImmediate(resolve));
    expect(socket.backlog).toBe(0);
  });

  test("a port cannot be shared as Node does it, and the operator is told what that needs", async () => {
    await expect(listenUdp(datagramOptions({ reusePort: true, batches: false }), () => {})).rejects.toThrow(
      /udp\.reusePort needs Linux/,
    );
  });

  test("a multicast group is joined on an IPv4 and on a dual stack socket", async () => {
    for (const bind of ["0.0.0.0", "::"]) {
      const arrived = new Promise<readonly Datagram[]>((resolve) => {
        void open(resolve, { bind, multicast: ["239.255.77.1%127.0.0.1"] }).then(async (socket) => {
          const sender = await client("udp4");
          sender.setMulticastInterface("127.0.0.1");
          sender.send("all", socket.port, "239.255.77.1");
        });
      });
      expect(Buffer.from((await arrived)[0]?.bytes ?? []).toString()).toBe("all");
    }
  });

  test("a port in use is a one-line error", async () => {
    const { port } = await open(() => {});
    const failure = await open(() => {}, { port }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ListenError);
    expect(failure).toMatchObject({ code: "port-in-use" });
  });

  test("kernel buffers smaller than asked for are reported with what was granted", async () => {
    const notes: unknown[] = [];
    const options = datagramOptions({ batches, receiveBuffer: Number.POSITIVE_INFINITY });
    sockets.push(
      await listenUdp(
        options,
        () => {},
        (note) => notes.push(note),
      ),
    );
    expect(notes).toEqual([
      expect.objectContaining({
        event: "udp-buffer-reduced",
        detail: expect.objectContaining({
          asked: Number.POSITIVE_INFINITY,
          receiveBuffer: expect.any(Number),
        }),
      }),
    ]);
  });

  test("sending after close is ignored", async () => {
    const socket = await open(() => {});
    await socket.close();
    socket.send([{ bytes: Buffer.from("late"), address: "127.0.0.1", port: 9 }]);
    expect(socket.backlog).toBe(0);
  });
});

test("a link-local sender is known without its zone and reached with it", () => {
  const zones = new Zones();
  expect(zones.learn("fe80::1%eth0")).toBe("fe80::1");
  expect(zones.reach("fe80::1")).toBe("fe80::1%eth0");
  zones.learn("fe80::1%eth1");
  expect(zones.reach("fe80::1")).toBe("fe80::1%eth1");
  expect(zones.reach("fe80::2")).toBe("fe80::2");
  expect(zones.learn("::ffff:192.0.2.7")).toBe("192.0.2.7");
  expect(zones.reach("192.0.2.7")).toBe("::ffff:192.0.2.7");
  for (let number = 0; number < 10_000; number++) zones.learn(`fe80::2:${number.toString(16)}%eth0`);
  expect(zones.reach("fe80::1")).toBe("fe80::1");
});
