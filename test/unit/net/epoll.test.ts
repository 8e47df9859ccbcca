import type { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { EpollConnection } from "#core/net/epoll/connection.ts";
import { EpollListener } from "#core/net/epoll/listener.ts";
import { EpollSet } from "#core/net/epoll/set.ts";
import { IPPROTO_TCP, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL } from "#core/net/system/linux.ts";
import { systemCalls } from "#core/net/system/system-calls.ts";
import type { StreamConnection, StreamReceiver } from "#core/net/transport.ts";
import { closed, dial, streamOptions } from "./support.ts";

const calls = systemCalls();

describe.skipIf(calls instanceof Error)("a set of descriptors", () => {
  if (calls instanceof Error) return;
  /** How often the set was asked, and what is to fail next. */
  let asked = 0;
  /** What libuv watches for us. */
  let watching = 0;
  let failing: { call: "accept4" | "epoll_ctl"; error: number } | undefined;
  /** How often it has failed. */
  let failures = 0;
  const fails = (call: "accept4" | "epoll_ctl"): boolean => {
    if (failing?.call === call) failures++;
    return failing?.call === call;
  };
  const set = new EpollSet({
    ...calls,
    epoll_wait: (...args) => {
      asked++;
      return calls.epoll_wait(...args);
    },
    accept4: (...args) => (fails("accept4") ? -1 : calls.accept4(...args)),
    epoll_ctl: (...args) => (fails("epoll_ctl") ? -1 : calls.epoll_ctl(...args)),
    error: () => failing?.error ?? calls.error(),
    watch: (...args) => {
      const watch = calls.watch(...args);
      watching++;
      return {
        start: (...how) => watch.start(...how),
        again: () => watch.again(),
        close: () => {
          watching--;
          watch.close();
        },
      };
    },
  });

  let listener: EpollListener | undefined;
  let clients: Socket[] = [];
  let notes: string[] = [];
  /** Of who was accepted last. */
  let accepted = -1;
  afterEach(async () => {
    for (const client of clients) client.destroy();
    await Promise.all(clients.map(closed));
    clients = [];
    listener?.close();
    listener = undefined;
    failing = undefined;
    failures = 0;
    notes = [];
  });

  function listen(receive: (connection: StreamConnection) => Partial<StreamReceiver>): number {
    const options = streamOptions();
    listener = EpollListener.open(set, "127.0.0.1", options, {
      note: ({ event }) => notes.push(event),
      accepted: (descriptor, { address, port }) => {
        accepted = descriptor;
        new EpollConnection(set, descriptor, { transport: "tcp", address, port }, options).offer(
          (connection) => ({
            ...{ received() {}, drained() {}, ended: () => connection.end(), closed() {} },
            ...receive(connection),
          }),
        );
      },
    });
    return listener.port;
  }

  async function connected(port: number): Promise<Socket> {
    const client = await dial(port);
    client.on("error", () => {});
    clients.push(client);
    return client;
  }

  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  /** How often the set is asked while nothing happens. */
  async function askedAtRest(): Promise<number> {
    await pause(30);
    asked = 0;
    await pause(60);
    return asked;
  }

  test("is not asked again and again for a paused connection that has something to read", async () => {
    let of: StreamConnection | undefined;
    const port = listen((connection) => {
      of = connection;
      connection.pauseReading();
      return {};
    });
    (await connected(port)).write("unread");
    expect(await askedAtRest()).toBeLessThanOrEqual(1);
    of?.destroy();
  });

  test("is not asked again and again for a connection whose peer has ended its side, while ours goes on", async () => {
    let of: StreamConnection | undefined;
    const port = listen((connection) => {
      of = connection;
      return { ended() {} };
    });
    const client = await connected(port);
    client.end("last words");
    expect(await askedAtRest()).toBeLessThanOrEqual(1);
    const heard = new Promise((resolve) => client.once("data", resolve));
    of?.write(Buffer.from("answer"));
    expect(String(await heard)).toBe("answer");
    of?.end();
    await closed(client);
  });

  test("is not asked again and again for a reader that takes nothing", async () => {
    const port = listen((connection) => {
      while (connection.write(Buffer.alloc(500_000)));
      return {};
    });
    (await connected(port)).pause();
    expect(await askedAtRest()).toBeLessThanOrEqual(1);
  });

  test.each([
    ["EMFILE", 24],
    ["ENOBUFS", 105],
  ])(
    "accepts nobody for a while when the system is short of something, says so once, and goes on when it is not (%s)",
    async (_name, error) => {
      const came: StreamConnection[] = [];
      const port = listen((connection) => {
        came.push(connection);
        return {};
      });
      failing = { call: "accept4", error };
      await connected(port);
      expect(await askedAtRest()).toBeLessThanOrEqual(1);
      while (failures < 2) await pause(10);
      expect(notes).toEqual(["accept-failed"]);
      failing = undefined;
      while (came.length === 0) await pause(10);
      expect(came).toHaveLength(1);
    },
  );

  test.each([
    ["ECONNABORTED", 103],
    ["EINTR", 4],
    ["EPERM", 1],
  ])(
    "passes over a newcomer that is gone before it is accepted, without a word (%s)",
    async (_name, error) => {
      const came: StreamConnection[] = [];
      const port = listen((connection) => {
        came.push(connection);
        return {};
      });
      failing = { call: "accept4", error };
      await connected(port);
      while (failures === 0) await pause(1);
      failing = undefined;
      while (came.length === 0) await pause(1);
      expect(notes).toEqual([]);
    },
  );

  test("finds out in the same time as Node that a peer has vanished", async () => {
    const port = listen(() => ({}));
    await connected(port);
    while (accepted < 0) await pause(1);
    const options = [TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT].map((name) => {
      const value = new Int32Array(1);
      calls.getsockopt(accepted, IPPROTO_TCP, name, value, new Uint32Array([4]));
      return value[0];
    });
    // libuv: `uv_tcp_keepalive` with the delay of `tcp.ts`.
    expect(options).toEqual([300, 1, 10]);
  });

  test("a connection that the system cannot watch is closed, and says why (ENOSPC)", async () => {
    const closes: (string | undefined)[] = [];
    const port = listen(() => ({ closed: (error) => closes.push(error) }));
    const refused = (async () => {
      failing = { call: "epoll_ctl", error: 28 };
      const client = await connected(port);
      while (closes.length === 0) await pause(5);
      failing = undefined;
      return client;
    })();
    await closed((await refused).resume());
    expect(closes).toEqual(["ENOSPC"]);
    const next = await connected(port);
    next.end();
    while (closes.length < 2) await pause(5);
    expect(closes).toEqual(["ENOSPC", undefined]);
  });

  test("of a burst no more are accepted in one turn than there is time for", async () => {
    const turns: number[] = [];
    let now = 0;
    const port = listen(() => {
      if (turns.at(-1) !== now) turns.push(now);
      counts.set(now, (counts.get(now) ?? 0) + 1);
      return {};
    });
    const counts = new Map<number, number>();
    const each = setInterval(() => {}, 1000);
    const tick = () => {
      now++;
      if (running) setImmediate(tick);
    };
    let running = true;
    setImmediate(tick);
    await Promise.all(Array.from({ length: 200 }, () => connected(port)));
    while ([...counts.values()].reduce((sum, count) => sum + count, 0) < 200) await pause(5);
    running = false;
    clearInterval(each);
    expect(Math.max(...counts.values())).toBeLessThanOrEqual(128);
  });

  test("is nothing that keeps the process when nobody listens and nobody is connected", async () => {
    const port = listen(() => ({}));
    const client = await connected(port);
    while (set.size > 2) await pause(5);
    expect(watching).toBe(1);
    client.destroy();
    await closed(client);
    listener?.close();
    while (watching > 0) await pause(5);
    expect(watching).toBe(0);
  });
});
