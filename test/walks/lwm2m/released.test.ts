/** Devices in queue mode whose sessions are at a broker (U-052): while they sleep, what comes for them waits there. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { hours, minutes, seconds } from "#core/lib/time.ts";
import type { DeviceMemory } from "#core/upstream/devices/memory.ts";
import { engineOf, sessionOf } from "../../support/engine-of-run.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";
import type { WorldOptions } from "../../support/world.ts";

beforeEach(() => vi.stubEnv("ISTHMUS_TEST_ENGINE", "upstream"));
afterEach(() => vi.unstubAllEnvs());

/** What all gateways before a cluster remember, in a table. */
function sharedMemory(table: Map<string, string>): DeviceMemory {
  return {
    shared: true,
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
    world.advance(hours(3));
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
    const { world, state } = sleeper("UQ", "release", { devices: () => sharedMemory(table) });
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
