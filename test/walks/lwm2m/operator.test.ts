/** What operators may ask of devices, without MQTT: accepted at once, and answered later. */
import { describe, expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import type { Lwm2m } from "#gateways/lwm2m/index.ts";
import type { DeviceEvent } from "#gateways/lwm2m/operator/events.ts";
import type { Lwm2mDevice } from "../../support/lwm2m-device.ts";
import { Lwm2mLives } from "../../support/lwm2m-lives.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";

const operationsOf = (world: Lwm2mWorld) => (world.gateway as Lwm2m).management;

function setup(query: Record<string, string> = {}, settings: object = {}) {
  const world = new Lwm2mWorld(settings);
  const device = world.device("meter");
  device.register(
    { lwm2m: "1.1", ...query },
    '</>;rt="oma.lwm2m";ct="110",</1/0>,</3/0>,</3303/0>,</3303/1>,</4242>',
  );
  const operations = operationsOf(world);
  const ask = (msgType: string, data: object, more: object = {}) => {
    const asked = operations.ask("meter", { msgType, data: data as never, ...more });
    world.advance(seconds(0));
    return asked;
  };
  const answer = (msgType: string, data: object) => {
    const asked = ask(msgType, data);
    return asked.ok ? operations.result(asked.id) : undefined;
  };
  return { world, device, operations, ask, answer };
}

describe("a device that is awake", () => {
  it("is shown with what it registered", () => {
    const { world, operations } = setup({ lt: "300", b: "U" });
    expect([...operations.devices(world.now)]).toEqual([operations.device("meter", world.now)]);
    expect(operations.device("meter", world.now)).toMatchObject({
      ...{
        endpoint: "meter",
        clientId: "meter",
        state: "awake",
        lifetime: 300,
        version: "1.1",
        binding: "U",
      },
      ...{ objects: ["/1/0", "/3/0", "/3303/0", "/3303/1", "/4242"], formats: [110], rootPath: "/" },
      ...{ peer: { transport: "udp", address: "10.0.0.1", port: 10_000 }, waiting: 0, observed: [] },
    });
    expect(operations.device("nobody", world.now)).toBeUndefined();
  });

  it("has an object tree with the names of the definitions, and unknown objects without", () => {
    const objects = setup().operations.objects("meter");
    expect(objects?.map(({ id, instances }) => [id, instances])).toEqual([
      [1, [0]],
      [3, [0]],
      [3303, [0, 1]],
      [4242, []],
    ]);
    const temperature = objects?.find(({ id }) => id === 3303);
    expect(temperature?.definition?.name).toBe("Temperature");
    expect(temperature?.resources.find(({ id }) => id === 5700)).toMatchObject({
      ...{ name: "Sensor Value", operations: "R", type: "float" },
    });
    expect(objects?.at(-1)).toMatchObject({ definition: undefined, resources: [] });
  });

  it.each<[string, object, string, Parameters<Lwm2mDevice["on"]>[1], object]>([
    [
      "read",
      { path: "/3/0/0" },
      "GET /3/0/0",
      { code: "2.05", payload: "npm" },
      { content: [{ path: "/3/0/0", value: "npm" }] },
    ],
    ["write", { path: "/1/0/1", value: 60 }, "PUT /1/0/1", { code: "2.04" }, { code: "2.04" }],
    ["execute", { path: "/3/0/4", args: "0" }, "POST /3/0/4", { code: "4.01" }, { code: "4.01" }],
    [
      "create",
      { basePath: "/3303", content: [] },
      "POST /3303",
      { code: "2.01", location: ["3303", "2"] },
      { location: "/3303/2" },
    ],
    ["delete", { path: "/3303/1" }, "DELETE /3303/1", { code: "2.02" }, { code: "2.02" }],
    [
      "discover",
      { path: "/3/0" },
      "GET /3/0",
      { code: "2.05", format: 40, payload: "</3/0/1>" },
      { content: ["</3/0/1>"] },
    ],
    ["write-attr", { path: "/3/0/9", pmin: 5 }, "PUT /3/0/9", { code: "2.04" }, { code: "2.04" }],
    [
      "read-composite",
      { paths: ["/3/0/0"] },
      "FETCH /",
      { code: "2.05", format: 110, payload: '[{"n":"/3/0/0","vs":"x"}]' },
      { content: [{ path: "/3/0/0", value: "x" }] },
    ],
    [
      "write-composite",
      { content: [{ path: "/1/0/1", value: 1 }] },
      "iPATCH /",
      { code: "2.04" },
      { code: "2.04" },
    ],
  ])("is asked to %s, and its answer is the result", (msgType, data, line, reaction, expected) => {
    const { device, answer } = setup();
    device.on(line, reaction);
    expect(answer(msgType, data)).toMatchObject({
      endpoint: "meter",
      msgType,
      state: "answered",
      data: expected,
    });
    expect(device.lastAsked().line.split("?")[0]).toBe(line);
  });

  it("is observed, and its notifications come as events and on MQTT, until that is cancelled", () => {
    const { world, device, operations, answer } = setup();
    world.watch("meter");
    const events: DeviceEvent[] = [];
    const end = operations.watch((event) => events.push(event));
    device.on("GET /3/0/9", ({ observe }) => ({
      code: "2.05",
      payload: "90",
      ...(observe === 0 ? { observe: 2 } : {}),
    }));
    expect(answer("observe", { path: "/3/0/9" })?.state).toBe("answered");
    expect(operations.device("meter", world.now)?.observed).toEqual(["/3/0/9"]);
    device.notify(device.lastAsked(), 3, { code: "2.05", payload: "91" });
    expect(events.map(({ kind, endpoint }) => `${endpoint} ${kind}`)).toEqual([
      "meter result",
      "meter notify",
    ]);
    expect(world.reports("meter", "notify")).toHaveLength(1);
    expect(answer("cancel-observe", { path: "/3/0/9" })?.state).toBe("answered");
    expect(operations.device("meter", world.now)?.observed).toEqual([]);
    end();
    device.update();
    expect(events).toHaveLength(3);
  });

  it("says nothing on MQTT of what only an operator asked", () => {
    const { world, answer } = setup();
    world.watch("meter");
    answer("read", { path: "/3/0/0" });
    expect(world.reports("meter", "resp")).toEqual([]);
  });
});

describe("a request that cannot be", () => {
  it.each([
    ["nobody", { msgType: "read", data: { path: "/3" } }, "unknown-endpoint"],
    ["meter", { msgType: "read", data: { path: "/x" } }, "bad-request"],
    ["meter", { msgType: "dance", data: {} }, "bad-request"],
    ["meter", {}, "bad-request"],
    ["meter", { msgType: "write", data: { path: "/1/0/1", value: "x" } }, "bad-request"],
  ])("for %s: %j is refused as %s", (endpoint, command, refusal) => {
    const { device, operations } = setup();
    expect(operations.ask(endpoint, command as never)).toMatchObject({ ok: false, refusal });
    expect(device.asked).toEqual([]);
  });

  it("by the device's own word is answered 4.00 by the gateway", () => {
    const { answer } = setup();
    expect(answer("read", { path: "/d01/3/0/0" })).toMatchObject({
      state: "answered",
      data: { code: "4.00" },
    });
    expect(answer("firmware", { mode: "push", file: "none" })).toMatchObject({ data: { code: "4.00" } });
  });
});

describe("a device that sleeps", () => {
  const sleeping = () => {
    const all = setup({ b: "UQ", lt: "86400" });
    all.world.advance(seconds(100));
    all.device.on("GET /3/0/0", { code: "2.05", payload: "npm" });
    return all;
  };

  it("is asked when it wakes, and the result is there then", () => {
    const { world, device, operations, ask } = sleeping();
    const asked = ask("read", { path: "/3/0/0" });
    const result = () => (asked.ok ? operations.result(asked.id) : undefined);
    expect(operations.device("meter", world.now)).toMatchObject({ state: "sleeping", waiting: 1 });
    expect([result()?.state, device.asked.length]).toEqual(["waiting", 0]);
    device.update();
    expect(result()).toMatchObject({ state: "answered", data: { code: "2.05" } });
  });

  it("is not asked what has expired meanwhile", () => {
    const { world, device, operations, ask } = sleeping();
    const asked = ask("read", { path: "/3/0/0" }, { mheaders: { ttl: 60 } });
    world.advance(seconds(61));
    device.update();
    expect(asked.ok && operations.result(asked.id)).toMatchObject({ state: "failed", failure: "expired" });
    expect(device.asked).toEqual([]);
  });
});

describe("a device that was not heard since a restart", () => {
  it("is shown as away, is asked when it updates, and a request that waits too long expires", async () => {
    const lives = new Lwm2mLives({}, {}, true);
    const device = lives.world.device("meter");
    device.send("0.02", "rd", ["ep=meter", "lt=300", "lwm2m=1.1", "b=U"], "</3/0>", 40);
    await lives.commit();
    device.location = device.answers
      .at(-1)
      ?.options.filter(({ number }) => number === 8)
      .map(({ value }) => Buffer.from(value).toString())
      .join("/");
    const world = await lives.restart(seconds(10));
    const operations = operationsOf(world);
    expect(operations.device("meter", world.now)).toMatchObject({ state: "away", objects: ["/3/0"] });
    const [late, asked] = [60, 200].map((ttl) =>
      operations.ask("meter", { msgType: "read", data: { path: "/3/0/0" }, mheaders: { ttl } }),
    );
    world.advance(seconds(100));
    expect(late?.ok && operations.result(late.id)).toMatchObject({ state: "failed", failure: "expired" });
    const back = lives.again(device);
    back.on("GET /3/0/0", { code: "2.05", payload: "npm" });
    back.send("0.02", device.location ?? "", []);
    await lives.commit();
    expect(asked?.ok && operations.result(asked.id)).toMatchObject({
      state: "answered",
      data: { code: "2.05" },
    });
    expect(back.lines()).toEqual(["GET /3/0/0"]);
  });
});

it("results are remembered up to their limit, and the oldest go first", () => {
  const { operations, ask } = setup({}, { operator: { results: 2 } });
  const ids = [1, 2, 3].map(() => {
    const asked = ask("read", { path: "/3/0/0" });
    return asked.ok ? asked.id : "";
  });
  expect(ids.map((id) => operations.result(id)?.state)).toEqual([undefined, "answered", "answered"]);
});

describe("a device in queue mode, for those who look on (O-048)", () => {
  const watched = () => {
    const site = setup({ b: "U", Q: "", lt: "3600" });
    const seen: string[] = [];
    const watch = () =>
      site.operations.watch(({ endpoint, kind, report, at }) => {
        if (kind === "sleeping" || kind === "awake")
          seen.push(`${endpoint} ${kind} ${report["waiting"]} ${at - site.world.now}`);
      });
    return { ...site, seen, watch };
  };

  it("falls asleep when it was not heard for 93 s, and wakes when it is heard: each is told once, as it happens", () => {
    const { world, device, ask, seen, watch } = watched();
    watch();
    world.advance(seconds(50));
    device.update();
    world.advance(seconds(92));
    expect(seen).toEqual([]);
    world.advance(seconds(1));
    expect(seen).toEqual(["meter sleeping 0 0"]);
    ask("read", { path: "/3/0/0" });
    world.advance(seconds(300));
    expect(seen).toHaveLength(1);
    device.update();
    expect(seen.slice(1)).toEqual(["meter awake 1 0"]);
    device.update();
    expect(seen).toHaveLength(2);
  });

  it("is asleep as soon as it leaves a request unanswered", () => {
    const { world, device, ask, seen, watch } = watched();
    watch();
    device.sleep();
    ask("read", { path: "/3/0/0" });
    world.advance(seconds(94));
    expect(seen).toEqual(["meter sleeping 0 0"]);
  });

  it("that sleeps already when somebody begins to look on is no news, and one that is awake is when it falls asleep", () => {
    const { world, device, ask, seen, watch } = watched();
    world.advance(seconds(100));
    const stop = watch();
    ask("read", { path: "/3/0/0" });
    world.advance(seconds(10));
    expect(seen).toEqual([]);
    stop();
    device.update();
    world.advance(seconds(50));
    expect(seen).toEqual([]);
    watch();
    world.advance(seconds(43));
    expect(seen).toEqual(["meter sleeping 0 0"]);
  });

  it("is told of to nobody who has stopped looking on, and one without queue mode is never said to sleep", () => {
    const left = watched();
    left.watch()();
    left.world.advance(seconds(200));
    left.device.update();
    expect(left.seen).toEqual([]);
    const plain = setup({ b: "U", lt: "3600" });
    const kinds: string[] = [];
    plain.operations.watch(({ kind }) => kinds.push(kind));
    plain.world.advance(seconds(200));
    plain.device.update();
    expect(kinds).not.toContain("sleeping");
    expect(kinds).not.toContain("awake");
  });
});
