/** Devices in queue mode whose sessions are at a broker (U-052): while they sleep, what comes for them waits there. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Duration, hours, milliseconds, minutes, seconds } from "#core/lib/time.ts";
import type { DeviceMemory } from "#core/upstream/devices/memory.ts";
import { engineOf, sessionOf } from "../../support/engine-of-run.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";
import type { WorldOptions } from "../../support/world.ts";

beforeEach(() => vi.stubEnv("ISTHMUS_TEST_ENGINE", "upstream"));
afterEach(() => vi.unstubAllEnvs());

/** What all gateways before a cluster remember, in a table. */
function memoryIn(table: Map<string, string>, shared = true): DeviceMemory {
  return {
    shared,
    find: (key, found) => found(table.get(key)),
    put(key, text, _seconds, done) {
      table.set(key, text);
      done(true);
    },
    remove: (key) => void table.delete(key),
    entries: () => [],
    stop: () => {},
  };
}

function sleeper(b = "UQ", whileAsleep: "hold" | "release" = "release", options: WorldOptions = {}) {
  const sleepers = { whileAsleep, holdFor: minutes(5) };
  const world = new Lwm2mWorld({}, { upstream: { sleepers }, ...options });
  const device = world.device("meter");
  device.script = (asked) => ({ code: "2.05", payload: asked.line });
  device.register({ lt: "86400", b });
  world.watch("meter");
  const read = (reqID: number) =>
    world.command("meter", { reqID, msgType: "read", data: { path: `/3/0/${reqID}` } });
  const state = () => [...engineOf(world).sessions()].map((session) => session.state);
  return { world, device, read, state };
}

describe("a device in queue mode that sleeps for long", () => {
  it("has no connection to the broker behind its awake window, and its commands wait there, in order", () => {
    const { world, device, read, state } = sleeper();
    expect(state()).toEqual(["up"]);
    world.advance(seconds(94));
    expect(state()).toEqual(["resting"]);
    for (const reqID of [1, 2, 3]) read(reqID);
    world.advance(hours(1));
    expect(state()).toEqual(["resting"]);
    expect(world.sessions.get("mqtt", "meter")?.queued).toBe(3);
    expect(sessionOf(world, "lwm2m", "meter")?.unsettled).toBe(0);
    expect(device.lines()).toEqual([]);
    expect(device.update().code).toBe("2.04");
    world.settle();
    expect(state()).toEqual(["up"]);
    expect(device.lines()).toEqual(["GET /3/0/1", "GET /3/0/2", "GET /3/0/3"]);
    expect(world.reports("meter").map(({ msgType, reqID }) => reqID ?? msgType)).toEqual(["update", 1, 2, 3]);
    expect(world.sessions.get("mqtt", "meter")?.unsettled).toBe(0);
    world.advance(seconds(94));
    expect(state()).toEqual(["resting"]);
  });

  describe("wakes to commands of which its cluster does not say when they were published", () => {
    /** What becomes of them at the next Update. */
    function outcome({ world, device }: ReturnType<typeof sleeper>) {
      world.reports("meter");
      expect(device.update().code).toBe("2.04");
      world.settle();
      return world
        .reports("meter")
        .map(({ msgType, reqID }) => (reqID === undefined ? msgType : [reqID, msgType]));
    }

    it("and executes none that may be older than its ttl: that counts from when its connection ended", () => {
      const site = sleeper();
      const { world, device, read } = site;
      world.advance(seconds(94));
      world.advance(hours(2));
      // Two hours by default. It could have been published as the device fell asleep.
      read(1);
      world.command("meter", {
        reqID: 2,
        msgType: "execute",
        data: { path: "/3/0/4" },
        mheaders: { ttl: 10_800 },
      });
      world.reports("meter");
      expect(device.update().code).toBe("2.04");
      world.settle();
      expect(world.reports("meter")).toMatchObject([
        { msgType: "update" },
        {
          reqID: 1,
          msgType: "expired",
          data: { code: "5.04", reason: expect.stringContaining("mheaders.time") },
        },
        { reqID: 2, msgType: "execute" },
      ]);
      expect(device.lines()).toEqual(["POST /3/0/4"]);
      expect(world.sessions.get("mqtt", "meter")?.queued).toBe(0);
    });

    it("and goes by what a command says itself (mheaders.time)", () => {
      const site = sleeper();
      const { world, device, read } = site;
      world.advance(seconds(94));
      const ttl = 600;
      const dated = (reqID: number) =>
        world.command("meter", {
          ...{ reqID, msgType: "read", data: { path: `/3/0/${reqID}` } },
          mheaders: { ttl, time: Math.floor(world.now / 1000) },
        });
      dated(1);
      world.advance(hours(5));
      dated(2);
      read(3);
      world.advance(minutes(9));
      expect(outcome(site)).toEqual(["update", [1, "expired"], [3, "expired"], [2, "read"]]);
      expect(device.lines()).toEqual(["GET /3/0/2"]);
    });

    it("and executes what has a message expiry that is not over: the cluster counts it down (MQTT 5 §3.3.2.3.3)", () => {
      const site = sleeper();
      const { world, device } = site;
      world.advance(hours(5));
      const publish = (reqID: number, expiry: Duration) => {
        const command = { reqID, msgType: "read", data: { path: `/3/0/${reqID}` } };
        world.publish("lwm2m/meter/dn/x", JSON.stringify(command), { qos: 1, expiry });
      };
      publish(1, seconds(30));
      publish(2, minutes(30));
      world.advance(minutes(1));
      expect(outcome(site)).toEqual(["update", [2, "read"]]);
      expect(device.lines()).toEqual(["GET /3/0/2"]);
    });

    it("and does not send late what was to be sent at once (ttl 0)", () => {
      const site = sleeper();
      const { world, device, read } = site;
      world.advance(seconds(94));
      read(1);
      world.command("meter", {
        reqID: 2,
        msgType: "execute",
        data: { path: "/3/0/4" },
        mheaders: { ttl: 0 },
      });
      world.advance(minutes(1));
      expect(outcome(site)).toEqual(["update", [2, "expired"], [1, "read"]]);
      expect(device.lines()).toEqual(["GET /3/0/1"]);
    });

    it("and once it has had all of them, takes what comes for what it is: published just now", () => {
      const site = sleeper();
      const { world, device, read } = site;
      world.advance(hours(5));
      read(1);
      expect(outcome(site)).toEqual(["update", [1, "expired"]]);
      world.command("meter", { reqID: 2, msgType: "read", data: { path: "/3/0/2" }, mheaders: { ttl: 5 } });
      world.command("meter", { reqID: 3, msgType: "read", data: { path: "/3/0/3" }, mheaders: { ttl: 0 } });
      expect(device.lines()).toEqual(["GET /3/0/2", "GET /3/0/3"]);
    });

    it("and takes what comes before a silence (bus.upstream.quiet) for what has waited", () => {
      const sleepers = { whileAsleep: "release", holdFor: minutes(5) } as const;
      const upstream = { sleepers, quiet: milliseconds(100) };
      const { world, device, read } = sleeper("UQ", "release", { upstream });
      world.advance(hours(5));
      device.update();
      world.settle();
      read(1);
      world.advance(milliseconds(300));
      read(2);
      world.settle();
      const outcome = world.reports("meter").map(({ msgType, reqID }) => [reqID, msgType]);
      expect(outcome).toEqual([
        [undefined, "update"],
        [1, "expired"],
        [2, "read"],
      ]);
    });

    it("and tells other gateways since when what waits may wait: since it had all that had waited before", () => {
      const table = new Map<string, string>();
      const { world, device, read } = sleeper("UQ", "release", { devices: () => memoryIn(table) });
      const since = () => (JSON.parse(table.get("s/meter") ?? "") as { since: number }).since;
      const registered = world.now;
      world.advance(hours(1));
      expect(since()).toBe(registered);
      device.on("GET /3/0/1", "acknowledge");
      read(1);
      device.update();
      world.settle();
      // It waits with the device: killed now, this gateway would leave it to another one.
      expect(since()).toBe(registered + seconds(93));
      world.advance(minutes(2));
      expect(world.reports("meter").map(({ msgType }) => msgType)).toEqual(["update", "ack", "coap_timeout"]);
      expect(since()).toBeGreaterThan(registered + hours(1));
    });
  });

  it("that is awake when its gateway stops was handed all until then, and the gateway knows it when it starts again", () => {
    const table = new Map<string, string>();
    const { world } = sleeper("U", "release", { devices: () => memoryIn(table, false) });
    world.advance(hours(5));
    engineOf(world).stop();
    expect((JSON.parse(table.get("s/meter") ?? "") as { since: number }).since).toBe(world.now);
  });

  it("keeps its connection while it has an answer to give, and gives it up then", () => {
    const { world, device, read, state } = sleeper();
    world.advance(seconds(90));
    device.on("GET /3/0/1", "acknowledge");
    read(1);
    world.advance(seconds(30));
    expect(state()).toEqual(["up"]);
    world.advance(minutes(5));
    expect(world.reports("meter").map(({ msgType }) => msgType)).toEqual(["ack", "coap_timeout"]);
    expect(state()).toEqual(["resting"]);
  });

  it("is reported as gone when its lifetime is over, without a connection of its own", () => {
    const { world, state } = sleeper();
    world.advance(seconds(94));
    expect(state()).toEqual(["resting"]);
    const connects = engineOf(world).context.counters.connects.value;
    world.advance(hours(30));
    expect(world.reports("meter")).toMatchObject([{ msgType: "deregister" }]);
    // One of the gateway itself.
    expect(engineOf(world).context.counters.connects.value - connects).toBeLessThanOrEqual(1);
  });

  it("that has gone to another gateway meanwhile is the other's: this one lets it go, and reports nothing", () => {
    const table = new Map<string, string>();
    const { world, state } = sleeper("UQ", "release", { devices: () => memoryIn(table) });
    world.advance(seconds(94));
    expect(state()).toEqual(["resting"]);
    const record = JSON.parse(table.get("s/meter") ?? "") as object;
    const others = JSON.stringify({ ...record, by: "another gateway" });
    table.set("s/meter", others);
    world.advance(hours(30));
    expect(world.reports("meter")).toEqual([]);
    world.advance(hours(30));
    expect(state()).toEqual([]);
    expect(engineOf(world).context.counters.takeovers.value).toBe(1);
    expect(table.get("s/meter")).toBe(others);
  });

  it.each([
    ["when it is not in queue mode", "U", "release"],
    ["where sleepers are held", "UQ", "hold"],
  ] as const)("keeps its connection %s", (_when, b, whileAsleep) => {
    const { world, state } = sleeper(b, whileAsleep);
    world.advance(hours(1));
    expect(state()).toEqual(["up"]);
  });
});
