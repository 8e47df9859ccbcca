/** What devices call themselves, and what is observed, in the account of memory (issue "What strangers broke", D14). */
import { describe, expect, it } from "vitest";
import { days, minutes, seconds } from "#core/lib/time.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";
import { registered } from "../../support/lwm2m-asking.ts";
import { Lwm2mLives } from "../../support/lwm2m-lives.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";

const links = (count: number): string =>
  Array.from({ length: count }, (_, index) => `</3303/${index}>`).join(",");

describe("an LwM2M device's", () => {
  it("endpoint name, objects and own attributes count, by their length", () => {
    const world = new Lwm2mWorld();
    const heldFor = (port: number, ep: string, query: Record<string, string>, list: string): number => {
      const before = world.core.memory.held;
      world.device(ep, port).register(query, list);
      return world.core.memory.held - before;
    };
    const little = heldFor(10_001, "a", {}, "</3/0>");
    expect(heldFor(10_002, "b".repeat(100), {}, "</3/0>") - little).toBeGreaterThanOrEqual(99);
    expect(heldFor(10_003, "c", {}, links(60)) - little).toBeGreaterThanOrEqual(links(60).length - 20);
    expect(heldFor(10_004, "d", { own: "x".repeat(200) }, "</3/0>") - little).toBeGreaterThanOrEqual(200);
  });

  it("observed paths count, and nothing of them is left when its session has ended", () => {
    const { world, device, ask } = registered({ lt: "60" }, links(20));
    const registeredWith = world.core.memory.held;
    for (let index = 0; index < 20; index++) {
      const path = `/3303/${index}/5700`;
      device.on(`GET ${path}`, () => ({ code: "2.05", payload: "1", observe: 12 }));
      ask({ reqID: index, msgType: "observe", data: { path } });
    }
    expect(world.core.memory.held - registeredWith).toBeGreaterThan(20 * 500);
    ask({ reqID: 30, msgType: "cancel-observe", data: { path: "/3303/7/5700" } });
    expect(world.core.memory.held - registeredWith).toBeLessThan(20 * 530);
    // Its lifetime, and then that of its session.
    world.advance(days(3));
    expect(world.core.memory.held).toBeLessThan(registeredWith);
  });
});

it("what a registration holds counts from the restart of the gateway on, not only when its device is heard again", async () => {
  const lives = new Lwm2mLives();
  const { core } = lives.world;
  const before = core.memory.held;
  const device = lives.world.device("meter");
  device.register({ lt: "600", own: "x".repeat(200) }, links(100));
  lives.world.command("meter", { reqID: 1, msgType: "observe", data: { path: "/3303/7/5700" } });
  const held = core.memory.held - before;
  expect(held).toBeGreaterThan(1_500);

  const world = await lives.restart(seconds(10));
  expect(world.core.memory.held - before).toBe(held);
  const again = lives.again(device);
  expect(again.update().code).toBe("2.04");
  expect(world.core.memory.held - before).toBeGreaterThanOrEqual(held);

  const silent = await lives.restart(seconds(10));
  expect(silent.core.memory.held - before).toBeGreaterThanOrEqual(held);
  // Its lifetime, and then that of its session.
  silent.advance(days(3));
  expect(silent.core.memory.held).toBeLessThanOrEqual(before);
});

it("a command at QoS 0 that waits for a sleeping device counts until it is settled", () => {
  const { world, device } = registered({ lt: "86400", b: "UQ" });
  world.advance(minutes(30));
  world.reports("meter");
  const before = world.core.memory.held;
  const value = "x".repeat(5_000);
  const write = { reqID: 1, msgType: "write", data: { path: "/3/0/14", type: "String", value } };
  world.command("meter", write, 0);
  expect(world.core.memory.held - before).toBeGreaterThanOrEqual(5_000);
  device.on("PUT /3/0/14", () => ({ code: "2.04" }));
  device.update();
  expect(world.reports("meter", "resp").at(-1)?.data["code"]).toBe("2.04");
  expect(world.core.memory.held - before).toBeLessThan(1_000);
});

it("a CoAP device's observed topics count, by their length, until it ends them", () => {
  const { world, network } = pubsubWorld();
  const device = new CoapDevice(network);
  const before = world.core.memory.held;
  const observe = (token: string, topic: string, value: number | string) =>
    device.ask({ path: `ps/${topic}`, token, query: ["c=observer"], options: [[6, value]] });
  observe("1", "a", "");
  const one = world.core.memory.held - before;
  observe("2", "b".repeat(200), "");
  expect(world.core.memory.held - before - one).toBeGreaterThanOrEqual(one + 199);
  observe("1", "a", 1);
  observe("2", "b".repeat(200), 1);
  for (const session of [...world.sessions.all()]) world.sessions.discard(session);
  expect(world.core.memory.held).toBe(before);
});
