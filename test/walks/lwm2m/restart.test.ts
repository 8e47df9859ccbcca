/** The gateway's process ends and another begins over the same store: devices go on as if it had not. */
import { describe, expect, it } from "vitest";
import { hours, minutes, seconds } from "#core/lib/time.ts";
import { stateOf } from "#core/operate/client-state.ts";
import { Clients } from "#core/operate/clients.ts";
import { textsOf } from "../../support/coap-bytes.ts";
import { Lwm2mLives } from "../../support/lwm2m-lives.ts";
import type { Report } from "../../support/lwm2m-world.ts";
import type { WorldOptions } from "../../support/world.ts";

const kinds = (reports: Report[]) => reports.map((report) => report["reqID"] ?? report.msgType);

function registered(
  settings: object = {},
  query: Record<string, string> = {},
  links = "</1/0>,</3/0>",
  options: WorldOptions = {},
) {
  const lives = new Lwm2mLives(settings, options);
  const device = lives.world.device("meter");
  device.script = (asked) => ({ code: "2.05", payload: "7", ...(asked.observe === 0 ? { observe: 1 } : {}) });
  expect(device.register({ lt: "300", ...query }, links).code).toBe("2.01");
  return { lives, device };
}

const read = (world: Lwm2mLives["world"], reqID: number) =>
  world.command("meter", { reqID, msgType: "read", data: { path: `/3/0/${reqID}` } });

describe("after a restart", () => {
  it.each([
    ["in queue mode", { b: "UQ" }],
    ["always awake", { b: "U" }],
  ])(
    "a device %s only updates: 2.04, an update report, its observations, and what has waited",
    async (_what, query) => {
      const { lives, device } = registered({}, query);
      lives.world.command("meter", { reqID: "o", msgType: "observe", data: { path: "/3/0/9" } });
      const world = await lives.restart(seconds(100));
      world.watch("meter");
      read(world, 1);
      const again = lives.again(device);
      expect(again.asked).toEqual([]);
      expect(again.update().code).toBe("2.04");
      expect(again.lines()).toEqual(["GET /3/0/9", "GET /3/0/1"]);
      expect(again.asked[0]?.observe).toBe(0);
      const reports = world.reports("meter");
      expect(reports.map((report) => [report.msgType, report["reqID"]])).toEqual([
        ["update", undefined],
        ["notify", "o"],
        ["read", 1],
      ]);
      expect(reports[0]?.data).toEqual({
        ep: "meter",
        lt: 300,
        lwm2m: "1.0",
        b: query.b,
        alternatePath: "/",
        objectList: ["/1/0", "/3/0"],
      });
      expect(world.connects).toMatchObject([{ clientId: "meter", sessionPresent: true }]);
      expect(again.update().code).toBe("2.04");
      expect(again.asked).toHaveLength(2);
    },
  );

  it("a device that is not heard again is overdue from the end of its lifetime, and not while that runs (dashboard D-050)", async () => {
    const { lives, device } = registered();
    const due = lives.world.now + seconds(300);
    lives.world.advance(seconds(200));
    const world = await lives.restart(seconds(50));
    const clients = new Clients(world.core, world.gateways);
    const state = () => {
      const { items } = clients.page({});
      return items.map((row) => [row.clientId, row.dueAt, stateOf(row, world.now)]);
    };
    expect(state()).toEqual([["meter", due, "away"]]);
    world.advance(seconds(51));
    expect(state()).toEqual([["meter", due, "overdue"]]);
    expect(lives.again(device).update().code).toBe("2.04");
    expect(state()).toEqual([["meter", world.now + seconds(300), "awake"]]);
  });

  it("the next awake window and the next sleep are as ever", async () => {
    const { lives, device } = registered({}, { b: "UQ", lt: "3600" });
    const world = await lives.restart(seconds(10));
    const again = lives.again(device);
    again.update();
    read(world, 1);
    expect(again.lines()).toEqual(["GET /3/0/1"]);
    world.advance(minutes(5));
    read(world, 2);
    expect(again.lines()).toEqual(["GET /3/0/1"]);
    again.update();
    expect(again.lines()).toEqual(["GET /3/0/1", "GET /3/0/2"]);
  });

  it("the alternate path, versions, formats and additional fields are there as well", async () => {
    const links = '</lwm2m>;rt="oma.lwm2m";ct="110 11542",</lwm2m/1/0>,</lwm2m/3>;ver=1.1,</lwm2m/3/0>';
    const { lives, device } = registered({}, { imei: "490154203237518", lwm2m: "1.1" }, links);
    const world = await lives.restart(seconds(10));
    world.watch("meter");
    const again = lives.again(device);
    again.update(["lt=600"]);
    read(world, 1);
    expect(again.lines()).toEqual(["GET /lwm2m/3/0/1"]);
    expect(world.reports("meter")[0]?.data).toMatchObject({
      lt: 600,
      lwm2m: "1.1",
      imei: "490154203237518",
      alternatePath: "/lwm2m",
      objectList: ["/1/0", "/3", "/3/0"],
    });
  });

  it("an update with a bad parameter is 4.00, and the next one finds the registration still", async () => {
    const { lives, device } = registered();
    await lives.restart(seconds(10));
    const again = lives.again(device);
    expect(again.update(["lt=soon"]).code).toBe("4.00");
    expect(again.update().code).toBe("2.04");
  });

  it("a registration survives one restart after the other", async () => {
    const { lives, device } = registered();
    let current = device;
    for (let life = 0; life < 3; life++) {
      await lives.restart(seconds(200));
      current = lives.again(current);
      expect(current.update().code).toBe("2.04");
    }
  });

  it("de-registration is 2.02 and reported, and what was observed is again at the next registration", async () => {
    const { lives, device } = registered();
    lives.world.command("meter", { reqID: "o", msgType: "observe", data: { path: "/3/0/9" } });
    const world = await lives.restart(seconds(10));
    world.watch("meter");
    const again = lives.again(device);
    expect(again.deregister().code).toBe("2.02");
    expect(world.reports("meter")).toMatchObject([{ msgType: "deregister" }]);
    expect(again.asked).toEqual([]);
    expect(again.update().code).toBe("4.04");
    await lives.restart(seconds(10));
    const third = lives.again(again);
    expect(third.update().code).toBe("4.04");
    expect(third.register().code).toBe("2.01");
    expect(third.lines()).toEqual(["GET /3/0/9"]);
  });

  it("who was told its location finds it, however soon after that the process was killed", async () => {
    const lives = new Lwm2mLives({}, {}, true);
    const device = lives.world.device("meter");
    expect(() => device.register()).toThrow("no answer");
    await lives.commit(1);
    const created = device.answers.find((message) => message.code === "2.01");
    device.location = textsOf(created!, 8).join("/");
    lives.crash(seconds(1));
    const again = lives.again(device);
    again.send("0.02", device.location, []);
    await lives.commit();
    expect(again.answers.map(({ code }) => code)).toContain("2.04");
  });

  it("an Update on the heels of a notification keeps what was observed, and renews the lifetime", async () => {
    const lives = new Lwm2mLives({ lifetimeGrace: "0s" }, {}, true);
    const device = lives.world.device("meter");
    device.script = () => ({ code: "2.05", payload: "7", observe: 1 });
    expect(() => device.register({ lt: "300" })).toThrow("no answer");
    await lives.commit();
    device.location = textsOf(device.answers.at(-1)!, 8).join("/");
    lives.world.command("meter", { reqID: "o", msgType: "observe", data: { path: "/3/0/9" } });
    const observed = device.lastAsked();
    const world = await lives.restart(seconds(200));
    const again = lives.again(device);
    again.notify(observed, 2, { code: "2.05", payload: "8" });
    expect(again.asked).toEqual([]);
    again.send("0.02", device.location, []);
    await lives.commit();
    expect(again.lines()).toEqual(["GET /3/0/9"]);
    world.advance(seconds(299));
    expect(world.disconnects).toEqual([]);
    world.advance(seconds(2));
    expect(world.disconnects).toHaveLength(1);
  });

  it("a registration that had ended before is not there again", async () => {
    const { lives, device } = registered();
    device.deregister();
    await lives.restart(seconds(10));
    expect(lives.again(device).update().code).toBe("4.04");
  });

  it("who registers again has a new location, and the old one is nothing", async () => {
    const { lives, device } = registered();
    await lives.restart(seconds(10));
    const again = lives.again(device);
    expect(again.register().code).toBe("2.01");
    expect(again.location).not.toBe(device.location);
    expect(again.request("0.02", device.location as string, []).code).toBe("4.04");
    expect(again.update().code).toBe("2.04");
  });

  it("a device that the policy no longer lets in is answered 4.04, and asked for its credentials by that", async () => {
    const { lives, device } = registered();
    const authenticate = () => ({ ok: false, refusal: "unauthenticated", reason: "" }) as const;
    await lives.restart(seconds(10), { policy: { authenticate } });
    const again = lives.again(device);
    expect(again.update().code).toBe("4.04");
    expect(again.register().code).toBe("4.03");
  });
});

describe("the lifetime goes on running while the process is away", () => {
  it("an update within it and its grace time is in time, and one after it is 4.04", async () => {
    const late = registered({ lifetimeGrace: "10s" });
    await late.lives.restart(seconds(309));
    expect(late.lives.again(late.device).update().code).toBe("2.04");
    const over = registered({ lifetimeGrace: "10s" });
    await over.lives.restart(seconds(311));
    expect(over.lives.again(over.device).update().code).toBe("4.04");
  });

  it("it may be longer than sessions are kept after a registration has ended", async () => {
    const { lives, device } = registered({ sessionExpiry: "1m" }, { lt: "86400" });
    await lives.restart(seconds(1));
    lives.world.advance(hours(5));
    expect(lives.again(device).update().code).toBe("2.04");
  });

  it("a Send does not renew it: it ends when it would have ended", async () => {
    const { lives, device } = registered({ lifetimeGrace: "10s" });
    const world = await lives.restart(seconds(200));
    world.watch("meter");
    const again = lives.again(device);
    expect(again.request("0.02", "dp", [], '[{"n":"/3/0/9","v":1}]', 110).code).toBe("2.04");
    world.advance(seconds(109));
    expect(kinds(world.reports("meter"))).toEqual(["send"]);
    world.advance(seconds(2));
    expect(world.reports("meter")).toMatchObject([{ msgType: "deregister", data: { reason: "lifetime" } }]);
    expect(again.update().code).toBe("4.04");
  });
});

describe("an LwM2M gateway", () => {
  it("is asked for its end devices when its first Update after a restart lists others, and not otherwise", async () => {
    const { lives, device } = registered({}, {}, "</3/0>,</25/0>");
    await lives.restart(seconds(10));
    const again = lives.again(device);
    again.update();
    expect(again.lines()).toEqual([]);
    await lives.restart(seconds(10));
    const once = lives.again(device);
    once.update([], "</3/0>,</25/0>,</25/1>");
    expect(once.lines()).toEqual(["GET /25"]);
  });
});

describe("a device that never comes back", () => {
  const ended = { msgType: "deregister", data: { ep: "meter", reason: "lifetime" } };

  it("is reported when its lifetime and grace have ended, once and never again", async () => {
    const { lives } = registered({ lifetimeGrace: "10s" });
    const world = await lives.restart(seconds(100));
    world.watch("meter");
    world.advance(seconds(209));
    expect(world.reports("meter")).toEqual([]);
    world.advance(seconds(2));
    expect(world.reports("meter", "resp")).toEqual([ended]);
    world.advance(hours(2));
    expect(world.reports("meter")).toEqual([]);
    const later = await lives.restart(seconds(1));
    later.watch("meter");
    later.advance(hours(30));
    expect(later.reports("meter")).toEqual([]);
  });

  it("is not shown as connected meanwhile, and counted as expired", async () => {
    const { lives } = registered({ lifetimeGrace: "10s" });
    const world = await lives.restart(seconds(100));
    world.advance(minutes(10));
    expect(world.connects).toEqual([]);
    expect(world.counter("expirations").value).toBe(1);
  });

  it("is reported once however often the gateway restarts before", async () => {
    const { lives } = registered({ lifetimeGrace: "10s" });
    await lives.restart(seconds(100));
    lives.world.advance(seconds(50));
    await lives.restart(seconds(50));
    lives.world.advance(seconds(50));
    const world = await lives.restart(seconds(1));
    world.watch("meter");
    world.advance(seconds(58));
    expect(world.reports("meter")).toEqual([]);
    world.advance(minutes(10));
    expect(world.reports("meter")).toEqual([ended]);
  });

  it("and whose lifetime ended while the gateway was away is reported a grace time after the start", async () => {
    const { lives } = registered({ lifetimeGrace: "10s" });
    const world = await lives.restart(hours(3));
    world.watch("meter");
    world.advance(seconds(9));
    expect(world.reports("meter")).toEqual([]);
    world.advance(seconds(2));
    expect(world.reports("meter")).toEqual([ended]);
    expect((await lives.restart(seconds(1))).counter("expirations").value).toBe(0);
  });

  it("but registers within that grace time is reported as registered, and not as gone", async () => {
    const { lives, device } = registered({ lifetimeGrace: "10s" });
    const world = await lives.restart(hours(3));
    world.watch("meter");
    const again = lives.again(device);
    expect(again.update().code).toBe("4.04");
    expect(again.register({ lt: "300" }).code).toBe("2.01");
    world.advance(seconds(60));
    expect(kinds(world.reports("meter"))).toEqual(["register"]);
  });

  it("after an update is reported by its own registration, once", async () => {
    const { lives, device } = registered({ lifetimeGrace: "10s" });
    const world = await lives.restart(seconds(100));
    world.watch("meter");
    lives.again(device).update();
    world.advance(minutes(30));
    expect(kinds(world.reports("meter"))).toEqual(["update", "deregister"]);
  });

  it("is reported under its mountpoint", async () => {
    const options: WorldOptions = { policy: { mountpoint: () => "plant/" } };
    const { lives } = registered({ lifetimeGrace: "10s" }, {}, "</3/0>", options);
    const world = await lives.restart(seconds(100), options);
    const heard = world.listen("plant/lwm2m/meter/up/#");
    world.advance(minutes(10));
    expect(heard.map(({ topic }) => topic)).toEqual(["plant/lwm2m/meter/up/resp"]);
  });

  it("is gone in silence where such reports are not wanted", async () => {
    const { lives, device } = registered({ lifetimeGrace: "10s", deregisterReports: false });
    const world = await lives.restart(seconds(100));
    world.watch("meter");
    world.advance(minutes(10));
    expect(world.reports("meter")).toEqual([]);
    expect(lives.again(device).update().code).toBe("4.04");
  });

  it("keeps what was observed for when it registers after all", async () => {
    const { lives, device } = registered({ lifetimeGrace: "10s" });
    lives.world.command("meter", { reqID: "o", msgType: "observe", data: { path: "/3/0/9" } });
    await lives.restart(seconds(100));
    lives.world.advance(minutes(10));
    const again = lives.again(device);
    again.register({ lt: "300" });
    expect(again.asked).toMatchObject([{ line: "GET /3/0/9", observe: 0 }]);
  });

  it("is one of very many: each is reported once", async () => {
    const lives = new Lwm2mLives({ lifetimeGrace: "10s" });
    for (let number = 0; number < 1200; number++)
      lives.world.device(`meter-${number}`, 10_000 + number).register({ lt: "300" });
    const world = await lives.restart(seconds(100));
    const heard = world.listen("lwm2m/+/up/resp");
    world.advance(minutes(10));
    expect(heard).toHaveLength(1200);
    expect(new Set(heard.map(({ topic }) => topic)).size).toBe(1200);
  });
});

describe("what is heard first after a restart need not be an update", () => {
  it("a Send is published, and what waited goes out behind it", async () => {
    const { lives, device } = registered({}, { b: "UQ" });
    const world = await lives.restart(seconds(200));
    world.watch("meter");
    read(world, 1);
    const again = lives.again(device);
    expect(again.request("0.02", "dp", [], '[{"n":"/3/0/9","v":1}]', 110).code).toBe("2.04");
    expect(kinds(world.reports("meter"))).toEqual(["send", 1]);
    expect(again.update().code).toBe("2.04");
  });

  it("a Send from an address that nobody had registered from is 4.04", async () => {
    const { lives, device } = registered();
    await lives.restart(seconds(10));
    const moved = lives.again(device, 20_000);
    expect(moved.request("0.02", "dp", [], '[{"n":"/3/0/9","v":1}]', 110).code).toBe("4.04");
  });

  it.each([
    ["confirmable", true],
    ["non-confirmable", false],
  ])(
    "a %s notification is reset, and the device is observed again under a token of now",
    async (_what, confirmable) => {
      const { lives, device } = registered({}, { b: "UQ" });
      lives.world.command("meter", { reqID: "o", msgType: "observe", data: { path: "/3/0/9" } });
      const observed = device.lastAsked();
      const world = await lives.restart(seconds(200));
      world.watch("meter");
      read(world, 1);
      const again = lives.again(device);
      again.notify(observed, 2, { code: "2.05", payload: "8" }, confirmable);
      expect(again.answers.map(({ type, code }) => [type, code])).toEqual([[3, "0.00"]]);
      expect(again.lines()).toEqual(["GET /3/0/9", "GET /3/0/1"]);
      expect(world.reports("meter").map((report) => report.msgType)).toEqual(["notify", "read"]);
      again.notify(again.asked[0]!, 3, { code: "2.05", payload: "9" });
      expect(world.reports("meter")).toMatchObject([{ msgType: "notify", reqID: "o" }]);
    },
  );

  it("a stranger's notification brings nobody back and is not remembered", async () => {
    const { lives, device } = registered();
    lives.world.command("meter", { msgType: "observe", data: { path: "/3/0/9" } });
    const observed = device.lastAsked();
    const world = await lives.restart(seconds(10));
    lives.again(device, 20_000).notify(observed, 2, { code: "2.05", payload: "8" }, true);
    expect(world.connects).toEqual([]);
    expect(world.network.runtime.peers.count).toBe(0);
  });
});

describe("a device that moved while the process was away", () => {
  it.each([
    ["anywhere", "10.0.0.1", "2.04"],
    ["anywhere", "10.9.9.9", "2.04"],
    ["same-host", "10.0.0.1", "2.04"],
    ["same-host", "10.9.9.9", "4.04"],
    ["never", "10.0.0.1", "4.04"],
  ] as const)("roaming %s: from %s and a new port it is answered %s", async (roaming, address, code) => {
    const { lives, device } = registered();
    const world = await lives.restart(seconds(10), { roaming });
    const moved = world.device("meter", 20_000, address);
    moved.location = device.location;
    expect(moved.update().code).toBe(code);
    // Where it was it may always be.
    if (code === "4.04") expect(lives.again(device).update().code).toBe("2.04");
  });

  it("commands follow it to where it updates from", async () => {
    const { lives, device } = registered();
    const world = await lives.restart(seconds(10));
    const moved = lives.again(device, 20_000);
    moved.update();
    read(world, 1);
    expect(moved.lines()).toEqual(["GET /3/0/1"]);
  });
});
