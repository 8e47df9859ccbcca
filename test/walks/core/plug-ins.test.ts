/** A gateway that others wrote, in virtual time: its faults cost its own channels. docs/plug-ins.md has the table. */
import { describe, expect, it } from "vitest";
import type { Channel, ChannelHost } from "#core/contract/channel.ts";
import type { GatewayPlugIn } from "#core/contract/plug-in.ts";
import { CallbackAlarm } from "#core/lib/alarm.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { after, type Instant, NEVER, seconds } from "#core/lib/time.ts";
import { guardedModule } from "#core/plug-ins/guarded-module.ts";
import type { Stopwatch } from "#core/plug-ins/supervision.ts";
import { World } from "../../support/world.ts";

const QUIET: Channel = {
  receive: () => {},
  deliver: () => {},
  answered: () => {},
  connected: () => {},
  wake: () => {},
  stop: () => {},
  closed: () => {},
  deadline: () => NEVER,
  status: () => "quiet",
  describe: () => ({}),
};

const PATIENCE = { slowAfter: 100, closeAfter: 1000 };
const IN_NO_TIME: Stopwatch = { enter: () => {}, leave: () => 0 };

/** A world with one plug-in on a stream listener, whose channels have these inputs. */
function worldOf(
  inputs: (host: ChannelHost) => Partial<Channel>,
  { stopwatch = IN_NO_TIME, plugIn = {} as Partial<GatewayPlugIn> } = {},
) {
  const world = new World({ mayFail: true });
  const open: GatewayPlugIn["open"] = () => ({
    endpoint: () => ({ open: (_peer, host) => ({ ...QUIET, ...inputs(host) }) }),
  });
  const module = guardedModule("mine", { contract: 1, open, ...plugIn }, stopwatch);
  const gateway = world.open(module, PATIENCE as never);
  const listener = world.streams("mine", gateway.endpoint({ name: "tcp", transport: "tcp" }));
  return { world, gateway, listener, events: () => world.notes.map(({ note }) => note.event) };
}

const fails = (): never => {
  throw new Error("not my day");
};

describe("a plug-in", () => {
  for (const input of ["receive", "wake", "stop"] as const) {
    it(`that throws in ${input} loses that channel, and keeps the others`, () => {
      let due: Instant = NEVER;
      const { world, listener, events } = worldOf((host) => {
        const mine = host.peer.port === 40_000;
        return mine ? { [input]: fails, deadline: () => due } : {};
      });
      const [bad, good] = [listener.connect(), listener.connect()];
      due = after(world.now, seconds(1));
      bad.send(utf8("x"));
      world.advance(seconds(2));
      if (input === "stop") listener.loops()[0]!.stop("kicked");
      world.settle();
      expect([bad.closed, good.closed]).toEqual([true, false]);
      expect(events()).toEqual(["channel-failure"]);
    });
  }

  it("that makes no channel, or throws instead, refuses that connection alone", () => {
    const { world, listener, events } = worldOf((host) =>
      host.peer.port === 40_000 ? fails() : host.peer.port === 40_001 ? { receive: 1 as never } : {},
    );
    const [thrown, none, good] = [listener.connect(), listener.connect(), listener.connect()];
    world.settle();
    expect([thrown.closed, none.closed, good.closed]).toEqual([true, true, false]);
    expect(events()).toEqual(["plug-in-failure", "plug-in-failure"]);
    expect(world.notes[1]?.note.detail?.["error"]).toContain("its channel has no function receive");
  });

  it("that returns a promise from an input is told that a channel acts before it returns", async () => {
    const { world, listener } = worldOf(() => ({
      receive: () => Promise.reject(new Error("later")) as never,
    }));
    const device = listener.connect();
    device.send(utf8("x"));
    expect(device.closed).toBe(true);
    expect(world.notes[0]?.note.detail?.["error"]).toContain("returned a promise");
    await Promise.resolve();
    // And what it is rejected with later ends nobody's process.
    expect(world.notes.at(-1)?.note.detail?.["error"]).toContain("later");
  });

  it("whose deadline is no time is closed, and whose deadline has always passed is not asked without end", () => {
    let woken = 0;
    const { world, listener, events } = worldOf((host) =>
      host.peer.port === 40_000
        ? { deadline: () => undefined as never }
        : { deadline: () => 0 as Instant, wake: () => woken++ },
    );
    const [none, eager] = [listener.connect(), listener.connect()];
    world.advance(100 as never);
    expect([none.closed, eager.closed]).toEqual([true, false]);
    expect(woken).toBeGreaterThan(50);
    expect(woken).toBeLessThanOrEqual(101);
    expect(events()).toEqual(["plug-in-failure"]);
  });

  it("that throws where it is only asked is passed over", () => {
    const { world, listener } = worldOf(() => ({ status: fails, describe: fails }));
    listener.connect();
    const [loop] = listener.loops();
    const { channel } = loop!;
    expect(channel.status(undefined as never, world.now)).toBe("unknown");
    expect(channel.describe(undefined as never, world.now)).toEqual({});
    expect(world.notes).toHaveLength(2);
  });

  it("whose alarm throws does not stop the clock of the others", () => {
    let rung = 0;
    const { world, events } = worldOf(() => ({}), {
      plugIn: {
        open: (_config, host) => {
          host.alarms.arm(new CallbackAlarm(fails), 1_700_000_000_100 as Instant);
          return { endpoint: () => ({ open: () => QUIET }) };
        },
      },
    });
    world.ring(new CallbackAlarm(() => rung++), (world.now + 200) as Instant);
    world.advance(seconds(1));
    expect(rung).toBe(1);
    expect(events()).toEqual(["plug-in-failure"]);
  });

  it("that takes longer than slowAfter is counted and named, and longer than closeAfter costs the connection", () => {
    const takes = [99, 100, 999, 1000];
    const { world, listener, events } = worldOf(() => ({}), {
      stopwatch: { enter: () => {}, leave: () => takes[0] ?? 0 },
    });
    // Opening it and asking it are inputs too.
    const device = listener.connect();
    world.notes.length = 0;
    world.counter("slow_inputs").value = 0;
    const seen = [];
    for (const _ of [...takes]) {
      device.send(utf8("x"));
      seen.push([events().length > 0, device.closed]);
      world.notes.length = 0;
      takes.shift();
    }
    expect(seen).toEqual([
      [false, false],
      [true, false],
      [true, false],
      [true, true],
    ]);
  });

  it("whose value for its shelf throws leaves what else is committed alone", () => {
    const made: unknown[] = [];
    const store = {
      entries: () => [],
      put: (_table: string, _key: unknown, value: () => unknown) => made.push(value()),
    };
    const world = new World({ mayFail: true, store: store as never });
    const open: GatewayPlugIn["open"] = (_config, host) => {
      host.shelf.put("key", fails);
      return { endpoint: () => ({ open: () => QUIET }) };
    };
    world.open(guardedModule("mine", { contract: 1, open }, IN_NO_TIME), PATIENCE as never);
    expect(made).toHaveLength(1);
    expect(world.notes.map(({ note }) => note.event)).toEqual(["plug-in-failure"]);
  });

  it("on datagrams whose route throws loses that datagram alone", () => {
    const world = new World({ mayFail: true });
    const open: GatewayPlugIn["open"] = () => ({
      endpoint: () => ({
        open: (_peer, host) => ({ ...QUIET, receive: () => host.send(utf8("ok")) }),
        route: ({ bytes }) => (bytes.length > 1 ? fails() : { to: "channel" }),
      }),
    });
    const gateway = world.open(guardedModule("mine", { contract: 1, open }, IN_NO_TIME), PATIENCE as never);
    const network = world.datagrams("mine", gateway.endpoint({ name: "udp", transport: "udp" }));
    const device = network.device();
    device.send(utf8("xx"));
    device.send(utf8("x"));
    expect(device.take()).toHaveLength(1);
    expect(world.notes.map(({ note }) => note.event)).toContain("plug-in-failure");
  });
});
