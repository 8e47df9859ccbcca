/** The channel of a registered device is lost while the gateway runs: its registration stands as after a restart. */
import { describe, expect, it } from "vitest";
import { minutes, seconds } from "#core/lib/time.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";

/** Another device turns up at the address of `meter`, as behind a NAT that gave its port away. */
function displaced(settings: object = {}) {
  const world = new Lwm2mWorld({ lifetimeGrace: "10s", ...settings });
  const device = world.device("meter", 10_000).on("GET /3/0/9", { code: "2.05", payload: "7", observe: 1 });
  device.register({ lt: "300" });
  world.watch("meter");
  world.command("meter", { reqID: "o", msgType: "observe", data: { path: "/3/0/9" } });
  const other = world.device("other", 10_001);
  other.register({ lt: "3600" });
  device.move(10_002);
  other.move(10_000);
  expect(other.update().code).toBe("2.04");
  world.reports("meter");
  return { world, device, other };
}

describe("a device whose address was taken by another", () => {
  it("updates from where it is now: 2.04, an update report, its observations and what has waited", () => {
    const { world, device } = displaced();
    world.advance(seconds(100));
    world.command("meter", { reqID: 1, msgType: "read", data: { path: "/3/0/9" } });
    expect(device.asked).toHaveLength(1);
    expect(device.update().code).toBe("2.04");
    expect(device.lines().slice(1)).toEqual(["GET /3/0/9", "GET /3/0/9"]);
    expect(world.reports("meter").map(({ msgType }) => msgType)).toEqual(["update", "notify", "read"]);
    world.advance(minutes(30));
    expect(world.reports("meter")).toMatchObject([{ msgType: "deregister", data: { reason: "lifetime" } }]);
  });

  it("and that never comes back is reported as gone when its lifetime has ended, once", () => {
    const { world, device } = displaced();
    world.advance(seconds(309));
    expect(world.reports("meter")).toEqual([]);
    world.advance(seconds(2));
    expect(world.reports("meter")).toEqual([
      { msgType: "deregister", data: { ep: "meter", reason: "lifetime" } },
    ]);
    expect(device.update().code).toBe("4.04");
    world.advance(minutes(30));
    expect(world.reports("meter")).toEqual([]);
  });

  it("may de-register", () => {
    const { world, device } = displaced();
    expect(device.deregister().code).toBe("2.02");
    world.advance(minutes(30));
    expect(world.reports("meter")).toMatchObject([
      { msgType: "deregister", data: { reason: "deregistered" } },
    ]);
  });

  it("may register again, and is one device", () => {
    const { world, device } = displaced();
    expect(device.register({ lt: "3600" }).code).toBe("2.01");
    world.advance(minutes(30));
    expect(world.reports("meter").map(({ msgType }) => msgType)).toEqual(["register", "notify"]);
  });

  it("is not mistaken for the one that has its address now", () => {
    const { world, other } = displaced();
    expect(other.request("0.02", "dp", [], '[{"n":"/3/0/9","v":1}]', 110).code).toBe("2.04");
    expect(world.reports("meter")).toEqual([]);
  });
});
