import { describe, expect, it } from "vitest";
import { minutes, seconds } from "#core/lib/time.ts";
import type { Lwm2m } from "#gateways/lwm2m/index.ts";
import { sessionOf } from "../../support/engine-of-run.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";

function sleeper(settings: object = {}, query: Record<string, string> = { b: "UQ" }) {
  const world = new Lwm2mWorld(settings);
  const device = world.device("meter");
  device.script = (asked) => ({ code: "2.05", payload: asked.line });
  device.register({ lt: "3600", ...query });
  world.watch("meter");
  const read = (reqID: number, more: object = {}) =>
    world.command("meter", { reqID, msgType: "read", data: { path: `/3/0/${reqID}` }, ...more });
  return { world, device, read };
}

describe("queue mode", () => {
  it.each([
    ["binding UQ (1.0)", { b: "UQ" }],
    ["binding UQS (1.0)", { b: "UQS" }],
    ["the flag Q (1.1)", { b: "U", Q: "", lwm2m: "1.1" }],
    ["an access point of power saving devices", { b: "U", apn: "psmA.eDRX0.ctnb" }],
  ])(
    "with %s: in the awake window commands go out at once, after it they wait for the next uplink",
    (_what, query) => {
      const { world, device, read } = sleeper({}, query as Record<string, string>);
      world.advance(seconds(92));
      read(1);
      expect(device.lines()).toEqual(["GET /3/0/1"]);
      world.advance(seconds(94));
      read(2);
      read(3);
      expect(device.lines()).toEqual(["GET /3/0/1"]);
      world.reports("meter");
      device.update();
      expect(device.lines()).toEqual(["GET /3/0/1", "GET /3/0/2", "GET /3/0/3"]);
      expect(world.reports("meter").map((report) => report["reqID"] ?? report.msgType)).toEqual([
        "update",
        2,
        3,
      ]);
    },
  );

  it("a request that fails puts nobody to sleep but by silence: the device has just been heard", () => {
    const { world, device, read } = sleeper({ stack: { ask: { perPeer: 1 } } });
    device.on("GET /3/0/1", "acknowledge");
    read(1);
    // Sent without waiting for its turn, and there is no room for it.
    read(2, { mheaders: { ttl: 0 } });
    expect(world.reports("meter").map(({ msgType }) => msgType)).toEqual(["ack", "queue_full"]);
    expect((world.gateway as Lwm2m).management.device("meter", world.now)?.state).toBe("awake");
  });

  it("the answer to Update goes out before what has waited", () => {
    const { world, device, read } = sleeper();
    world.advance(minutes(5));
    read(1);
    expect(device.update().code).toBe("2.04");
    expect(world.reports("meter").map((report) => report.msgType)).toEqual(["update", "read"]);
  });

  it("each answer opens the window anew", () => {
    const { world, device, read } = sleeper();
    for (let index = 0; index < 5; index++) {
      world.advance(seconds(80));
      read(index);
    }
    expect(device.asked).toHaveLength(5);
  });

  it("a Send and a notification open it as well", () => {
    const { world, device, read } = sleeper();
    device.on("GET /3/0/9", { code: "2.05", payload: "1", observe: 1 });
    world.command("meter", { msgType: "observe", data: { path: "/3/0/9" } });
    const observed = device.lastAsked();
    world.advance(minutes(5));
    read(1);
    device.notify(observed, 2, { code: "2.05", payload: "2" });
    expect(device.lines()).toContain("GET /3/0/1");
    world.advance(minutes(5));
    read(2);
    device.request("0.02", "dp", [], '[{"n":"/3/0/9","v":1}]', 110);
    expect(device.lines()).toContain("GET /3/0/2");
  });

  it("a request that times out means: asleep; what waits behind it stays until the device is heard", () => {
    const { world, device, read } = sleeper();
    device.sleep();
    read(1);
    read(2);
    world.advance(seconds(94));
    expect(world.reports("meter")).toMatchObject([{ reqID: 1, msgType: "coap_timeout" }]);
    world.advance(minutes(10));
    expect(world.reports("meter")).toEqual([]);
    device.wakeUp();
    device.update();
    expect(world.reports("meter").map((report) => report["reqID"])).toEqual([undefined, 2]);
  });

  it("a command that asks for it is told that it is queued", () => {
    const { world, read } = sleeper();
    world.advance(minutes(5));
    read(1);
    expect(world.reports("meter")).toEqual([]);
    read(2, { mheaders: { queued: true } });
    expect(world.reports("meter")).toEqual([
      {
        reqID: 2,
        mheaders: { queued: true },
        msgType: "queued",
        data: { path: "/3/0/2", reqPath: "/3/0/2", reqMsgType: "read" },
      },
    ]);
  });

  it("by setting every command that waits is told", () => {
    const { world, read } = sleeper({ commands: { reportQueued: true } });
    read(1);
    expect(world.reports("meter").map((report) => report.msgType)).toEqual(["read"]);
    world.advance(minutes(5));
    read(2);
    expect(world.reports("meter").map((report) => report.msgType)).toEqual(["queued"]);
  });

  it("a bad command is answered at once, also while the device sleeps", () => {
    const { world } = sleeper();
    world.advance(minutes(5));
    world.command("meter", { reqID: 1, msgType: "nonsense", data: {} });
    expect(world.reports("meter")).toMatchObject([{ reqID: 1, data: { code: "4.00" } }]);
  });

  it("a command that waits too long is reported as expired, and never sent", () => {
    const { world, device, read } = sleeper({ commands: { ttl: "10m" } });
    world.advance(minutes(5));
    read(1);
    read(2, { mheaders: { ttl: 60 } });
    world.publish(
      "lwm2m/meter/dn/x",
      JSON.stringify({ reqID: 3, msgType: "read", data: { path: "/3/0/3" } }),
      { qos: 1, expiry: seconds(30) },
    );
    world.advance(seconds(31));
    expect(world.reports("meter")).toMatchObject([{ reqID: 3, msgType: "expired" }]);
    world.advance(seconds(30));
    expect(world.reports("meter")).toMatchObject([{ reqID: 2, msgType: "expired", data: { code: "5.04" } }]);
    world.advance(minutes(10));
    expect(world.reports("meter")).toMatchObject([{ reqID: 1, msgType: "expired" }]);
    device.update();
    expect(device.asked).toEqual([]);
  });

  it("ttl counts from when the command says that it was published (mheaders.time), not from when it came", () => {
    const { world, device, read } = sleeper();
    world.advance(minutes(5));
    const time = world.now / 1000;
    read(1, { mheaders: { ttl: 60, time: time - 61 } });
    expect(world.reports("meter")).toMatchObject([{ reqID: 1, msgType: "expired" }]);
    read(2, { mheaders: { ttl: 60, time: time - 30 } });
    // A clock that is fast makes nothing younger.
    read(3, { mheaders: { ttl: 60, time: time + 3_600 } });
    world.advance(seconds(31));
    expect(world.reports("meter")).toMatchObject([{ reqID: 2, msgType: "expired" }]);
    world.advance(seconds(30));
    expect(world.reports("meter")).toMatchObject([{ reqID: 3, msgType: "expired" }]);
    device.update();
    expect(device.asked).toEqual([]);
  });

  it("ttl 0 sends without waiting, past the others", () => {
    const { world, device, read } = sleeper();
    world.advance(minutes(5));
    read(1);
    read(2, { mheaders: { ttl: 0 } });
    expect(device.lines().slice(0, 1)).toEqual(["GET /3/0/2"]);
  });

  it("commands beyond the limit: of QoS 1 they stay in the session, of QoS 0 they are answered queue_full", () => {
    const { world, device } = sleeper({ commands: { max: 3 } });
    world.advance(minutes(5));
    const send = (reqID: number, qos: 0 | 1) =>
      world.command("meter", { reqID, msgType: "read", data: { path: `/3/0/${reqID}` } }, qos);
    for (let id = 1; id <= 6; id++) send(id, 1);
    expect(sessionOf(world, "lwm2m", "meter")?.unsettled).toBe(3);
    send(7, 0);
    expect(world.reports("meter")).toEqual([]);
    device.update();
    const ids = world.reports("meter").flatMap((report) => report["reqID"] ?? []);
    expect([...ids].sort()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it("QoS 0 beyond the limit is told so", () => {
    const { world } = sleeper({ commands: { max: 2 } });
    world.advance(minutes(5));
    for (let reqID = 1; reqID <= 3; reqID++)
      world.command("meter", { reqID, msgType: "read", data: { path: "/3/0/1" } }, 0);
    expect(world.reports("meter")).toMatchObject([
      { reqID: 3, msgType: "queue_full", data: { code: "5.03" } },
    ]);
  });

  it.each([0, 1] as const)("commands of QoS %i survive a registration from a new address", (qos) => {
    const { world, device } = sleeper();
    world.advance(minutes(5));
    world.command("meter", { reqID: 1, msgType: "read", data: { path: "/3/0/1" } }, qos);
    device.move(20_000);
    device.register({ lt: "3600", b: "UQ" });
    expect(world.reports("meter").filter((report) => report.msgType === "read")).toHaveLength(1);
    expect(device.lines()).toEqual(["GET /3/0/1"]);
  });

  it("commands of QoS 1 survive the end of the registration; those of QoS 0 are reported as cancelled", () => {
    const { world, device } = sleeper();
    world.advance(minutes(5));
    world.command("meter", { reqID: 1, msgType: "read", data: { path: "/3/0/1" } }, 1);
    world.command("meter", { reqID: 2, msgType: "read", data: { path: "/3/0/2" } }, 0);
    world.advance(minutes(60));
    expect(world.reports("meter")).toMatchObject([
      { msgType: "deregister" },
      { reqID: 2, msgType: "cancelled" },
    ]);
    world.command("meter", { reqID: 3, msgType: "read", data: { path: "/3/0/3" } }, 1);
    device.register({ lt: "3600", b: "UQ" });
    expect(device.lines()).toEqual(["GET /3/0/1", "GET /3/0/3"]);
  });

  it("power saving timers of the network shorten the window and lengthen the patience", () => {
    const { world, device, read } = sleeper({ queueMode: { psmActiveTimer: "10s", edrxCycle: "60s" } });
    world.advance(seconds(11));
    read(1);
    expect(device.asked).toEqual([]);
    device.sleep();
    device.script = () => "acknowledge";
    device.wakeUp();
    device.update();
    world.advance(seconds(140));
    expect(world.reports("meter").filter((report) => report.msgType === "coap_timeout")).toEqual([]);
    world.advance(seconds(20));
    expect(world.reports("meter").filter((report) => report.msgType === "coap_timeout")).toHaveLength(1);
  });

  it("an observation that could not be renewed because the device fell asleep is renewed when it wakes", () => {
    const { world, device } = sleeper();
    device.on("GET /3/0/9", { code: "2.05", payload: "1", observe: 1 });
    world.command("meter", { reqID: 1, msgType: "observe", data: { path: "/3/0/9" } });
    device.on("GET /3/0/9", "silence");
    device.register({ lt: "3600", b: "UQ" });
    device.sleep();
    world.advance(minutes(3));
    device.on("GET /3/0/9", { code: "2.05", payload: "2", observe: 1 });
    device.wakeUp();
    world.reports("meter");
    device.update();
    expect(world.reports("meter", "notify")).toMatchObject([{ reqID: 1, data: { content: [{ value: 2 }] } }]);
  });

  it("an update may leave queue mode", () => {
    const { world, device, read } = sleeper();
    device.update(["b=U"]);
    world.advance(minutes(5));
    read(1);
    expect(device.lines()).toEqual(["GET /3/0/1"]);
  });
});
