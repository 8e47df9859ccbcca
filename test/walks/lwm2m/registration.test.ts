import { describe, expect, it } from "vitest";
import { days, seconds } from "#core/lib/time.ts";
import { sessionOf } from "../../support/engine-of-run.ts";
import { hex, type Lwm2mDevice } from "../../support/lwm2m-device.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";
import type { WorldOptions } from "../../support/world.ts";

const setup = (settings: object = {}, options: WorldOptions = {}) => {
  const world = new Lwm2mWorld(settings, options);
  world.watch("meter");
  return { world, device: world.device("meter") };
};
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString();
/** POST /rd with exactly these queries. */
const registerWith = (device: Lwm2mDevice, ...query: string[]) =>
  device.request("0.02", "rd", query, "</1/0>", 40);

describe("Register", () => {
  it("initial registration: 2.01, a location, a report", () => {
    const { world, device } = setup();
    expect(device.register({ lt: "300" }, '</>;rt="oma.lwm2m";ct="11542",</1/0>,</3/0>').code).toBe("2.01");
    expect(device.location).toMatch(/^rd\/[A-Za-z0-9_-]{12}$/);
    expect(world.reports("meter", "resp")).toEqual([
      {
        msgType: "register",
        data: {
          ep: "meter",
          lt: 300,
          lwm2m: "1.0",
          b: "U",
          alternatePath: "/",
          objectList: ["/1/0", "/3/0"],
        },
      },
    ]);
  });

  it("two registrations get locations that have nothing in common with each other or with the name", () => {
    const { world, device } = setup();
    device.register();
    const other = world.device("other", 10_001);
    other.register();
    expect(other.location).not.toBe(device.location);
    expect(device.location).not.toContain("meter");
  });

  it("additional query fields are reported, but nothing that looks like a secret", () => {
    const { world, device } = setup();
    device.register({ imei: "490154203237518", imsi: "460", password: "geheim", apn: "iot", psk: "x" });
    const [report] = world.reports("meter");
    expect(report?.data).toMatchObject({ imei: "490154203237518", imsi: "460", apn: "iot" });
    expect(JSON.stringify(report)).not.toContain("geheim");
    expect(report?.data).not.toHaveProperty("psk");
  });

  it("client id, user name and password come from device_id, imei and password, else the endpoint name", () => {
    const { world, device } = setup();
    device.register({ device_id: "client-7", imei: "490154203237518" });
    expect(world.connects[0]).toMatchObject({ clientId: "client-7" });
  });

  it.each([
    ["no ep", ["lt=300", "lwm2m=1.0"], "4.00"],
    ["an empty ep", ["ep=", "lt=300", "lwm2m=1.0"], "4.00"],
    ["a wildcard in ep", ["ep=a/+", "lt=300", "lwm2m=1.0"], "4.00"],
    ["a level in ep", ["ep=a/b", "lt=300", "lwm2m=1.0"], "4.00"],
    ["an ep longer than the limit", [`ep=${"x".repeat(200)}y`, "lt=300", "lwm2m=1.0"], "4.00"],
    ["a lifetime that is no number", ["ep=meter", "lt=ten", "lwm2m=1.0"], "4.00"],
    ["a negative lifetime", ["ep=meter", "lt=-1", "lwm2m=1.0"], "4.00"],
    ["no version", ["ep=meter", "lt=300"], "4.00"],
    ["a version that is no number", ["ep=meter", "lt=300", "lwm2m=new"], "4.00"],
    ["an unknown binding", ["ep=meter", "lt=300", "lwm2m=1.0", "b=X"], "4.00"],
    ["a version to come: 4.12 makes the client fall back", ["ep=meter", "lt=300", "lwm2m=2.0"], "4.12"],
  ])("refuses %s", (_what, query, code) => {
    const { world, device } = setup({ endpointNameMax: 200 });
    expect(registerWith(device, ...query).code).toBe(code);
    expect(world.reports("meter")).toEqual([]);
    expect(world.connects).toEqual([]);
  });

  it.each(["1", "1.0", "1.0.2", "1.1", "1.1.1", "1.2"])("takes version %s", (lwm2m) => {
    const { device } = setup();
    expect(device.register({ lwm2m }).code).toBe("2.01");
  });

  it("a version that the settings leave out is refused with 4.12, and the client registers with a lower one", () => {
    const { device } = setup({ versions: ["1.0", "1.1"] });
    expect(device.register({ lwm2m: "1.2" }).code).toBe("4.12");
    expect(device.register({ lwm2m: "1.1" }).code).toBe("2.01");
  });

  it("without a lifetime it is a day (LwM2M 1.1 §6.2.1)", () => {
    const { world, device } = setup();
    expect(registerWith(device, "ep=meter", "lwm2m=1.1").code).toBe("2.01");
    expect(world.reports("meter")[0]?.data["lt"]).toBe(86_400);
  });

  it("wrong credentials are refused with 4.03 and say nothing on MQTT", () => {
    const { world, device } = setup(
      {},
      { policy: { authenticate: () => ({ ok: false, refusal: "unauthenticated", reason: "" }) } },
    );
    expect(device.register().code).toBe("4.03");
    expect(world.reports("meter")).toEqual([]);
  });

  it("credentials that take time to check are answered when they are checked", async () => {
    let admit: (() => void) | undefined;
    const { world, device } = setup(
      {},
      {
        policy: {
          authenticate: (request, peer) =>
            new Promise((resolve) => {
              const identity = {
                gateway: "lwm2m",
                listener: "test",
                clientId: request.clientId,
                username: request.username,
                endpointName: request.endpointName,
                peer,
                superuser: false,
                expiresAt: Number.POSITIVE_INFINITY as never,
              };
              admit = () => resolve({ ok: true, identity });
            }),
        },
      },
    );
    expect(() => device.register()).toThrow("no answer");
    admit?.();
    await new Promise((resolve) => setImmediate(resolve));
    world.advance(seconds(1));
    expect(device.answers.some((message) => message.code === "2.01")).toBe(true);
  });

  it("a device that may not be commanded can still register and report", () => {
    const { world, device } = setup({}, { policy: { maySubscribe: () => false } });
    expect(device.register().code).toBe("2.01");
    expect(world.reports("meter")).toHaveLength(1);
    expect(world.notes.some(({ note }) => note.event === "commands-refused")).toBe(true);
  });

  it("a device that may not report registers all the same: the refusal is noted, and commands are settled", () => {
    const { world, device } = setup({}, { policy: { mayPublish: () => false } });
    device.on("GET /3/0/0", { code: "2.05", payload: "x" });
    expect(device.register().code).toBe("2.01");
    world.command("meter", { reqID: 1, msgType: "read", data: { path: "/3/0/0" } }, 1);
    expect(device.lines()).toEqual(["GET /3/0/0"]);
    expect(world.reports("meter")).toEqual([]);
    expect(sessionOf(world, "lwm2m", "meter")?.unsettled).toBe(0);
    const refused = world.notes.filter(({ note }) => note.event === "report-refused");
    expect(refused).toMatchObject([
      { note: { detail: { topic: "lwm2m/meter/up/resp", refusal: "forbidden" } } },
      { note: { detail: { topic: "lwm2m/meter/up/resp", refusal: "forbidden" } } },
    ]);
    expect(device.update().code).toBe("2.04");
  });

  it("registering again replaces the registration: a new location, and the old one is gone", () => {
    const { world, device } = setup();
    device.register();
    const old = device.location as string;
    expect(device.register().code).toBe("2.01");
    expect(device.location).not.toBe(old);
    expect(device.request("0.02", old, []).code).toBe("4.04");
    expect(device.update().code).toBe("2.04");
    expect(world.reports("meter").map((report) => report.msgType)).toEqual([
      "register",
      "register",
      "update",
    ]);
  });

  it("one address may carry several devices, up to a limit", () => {
    const { world, device } = setup({ registrationsPerPeer: 2 });
    device.register();
    expect(registerWith(device, "ep=second", "lwm2m=1.0").code).toBe("2.01");
    expect(registerWith(device, "ep=third", "lwm2m=1.0").code).toBe("4.29");
    expect(registerWith(device, "ep=second", "lwm2m=1.0").code).toBe("2.01");
    expect(world.connects.map((event) => event.clientId)).toEqual(["meter", "second", "second"]);
  });

  it("GET and DELETE of /rd are 4.05, unknown paths below it 4.04", () => {
    const { device } = setup();
    expect(device.request("0.01", "rd", []).code).toBe("4.05");
    expect(device.request("0.02", "rd/none", []).code).toBe("4.04");
    expect(device.request("0.02", "rd/none/more", []).code).toBe("4.04");
    expect(device.request("0.04", "rd/none", []).code).toBe("4.04");
  });
});

describe("the object list, as real devices write it", () => {
  it.each([
    ["an alternate path", '</lwm2m>;rt="oma.lwm2m",</lwm2m/1/0>,</lwm2m/3/0>', "/lwm2m", ["/1/0", "/3/0"]],
    ["an alternate path that the objects leave out", '</lwm2m>;rt="oma.lwm2m",</1/0>', "/lwm2m", ["/1/0"]],
    [
      "versions and empty objects",
      '</1>;ver=1.1,</1/0>,</2>,</3303>;ver="1.0"',
      "/",
      ["/1", "/1/0", "/2", "/3303"],
    ],
    ["spaces and line breaks", "</1/0>,\n </3/0> , </4>", "/", ["/1/0", "/3/0", "/4"]],
    ["unknown attributes", '</1/0>;if=x;foo,</3/0>;title="a,b"', "/", ["/1/0", "/3/0"]],
    ["no brackets at all", "/1/0,/3/0", "/", ["/1/0", "/3/0"]],
    ["targets without the slash", "<1/0>,<3/0>", "/", ["/1/0", "/3/0"]],
    ["links that are no objects", "</1/0>,</.well-known/core>,<coap://x>,</>", "/", ["/1/0"]],
    ["a trailing comma and an empty link", "</1/0>,,</3/0>,", "/", ["/1/0", "/3/0"]],
    ["the same object twice", "</1/0>,</1/0>", "/", ["/1/0"]],
    ["resources, which do not belong here", "</3/0/1>,</3/0/2>", "/", ["/3/0"]],
  ])("%s", (_what, links, root, objects) => {
    const { world, device } = setup();
    expect(device.register({}, links).code).toBe("2.01");
    expect(world.reports("meter")[0]?.data).toMatchObject({ alternatePath: root, objectList: objects });
  });

  it.each(["", " ", '</>;rt="oma.lwm2m";ct="110"', "</rd>"])(
    "one without any object is 4.00: %s",
    (links) => {
      const { world, device } = setup();
      expect(device.register({}, links).code).toBe("4.00");
      expect(world.reports("meter")).toEqual([]);
    },
  );

  it("the queue mode of 1.1 is reported, which is no part of the binding there", () => {
    const { world, device } = setup();
    device.register({ lwm2m: "1.1", b: "U", Q: "" });
    expect(world.reports("meter")[0]?.data).toMatchObject({ b: "U", Q: true });
    device.update(["b=U"]);
    expect(world.reports("meter")[0]?.data).not.toHaveProperty("Q");
  });

  it("a list with far too many links is refused", () => {
    const { device } = setup();
    const links = Array.from({ length: 2500 }, (_, id) => `</${id}>`).join();
    expect(device.register({}, links).code).toBe("4.00");
    expect(device.register({}, links.split(",").slice(0, 1500).join()).code).toBe("2.01");
  });

  it("a list that is not text is refused", () => {
    const { device } = setup();
    expect(device.request("0.02", "rd", ["ep=meter", "lwm2m=1.0"], hex("c0c1fffe"), 40).code).toBe("4.00");
  });
});

describe("Update", () => {
  it("registration update: new lifetime and objects, reported", () => {
    const { world, device } = setup();
    device.register();
    world.reports("meter");
    expect(device.update(["lt=6000"], "</1/0>,</3/0>,</6/0>").code).toBe("2.04");
    expect(world.reports("meter")).toEqual([
      {
        msgType: "update",
        data: {
          ep: "meter",
          lt: 6000,
          lwm2m: "1.0",
          b: "U",
          alternatePath: "/",
          objectList: ["/1/0", "/3/0", "/6/0"],
        },
      },
    ]);
  });

  it("update without parameters keeps everything and renews the lifetime", () => {
    const { world, device } = setup();
    device.register({ lt: "60" });
    world.advance(seconds(50));
    expect(device.update().code).toBe("2.04");
    world.advance(seconds(50));
    expect(device.update().code).toBe("2.04");
    expect(world.reports("meter").at(-1)?.data).toMatchObject({ lt: 60, objectList: ["/1/0", "/3/0"] });
  });

  it("lt=0 is reported as it is and lasts as long as the settings allow", () => {
    const { world, device } = setup({ lifetimeMax: "1h" });
    device.register();
    device.update(["lt=0"]);
    expect(world.reports("meter").at(-1)?.data["lt"]).toBe(0);
    world.advance(seconds(3600));
    expect(device.update().code).toBe("2.04");
  });

  it.each([
    ["always", ["register", "update", "update"]],
    ["contains_object_list", ["register", "update"]],
    ["never", ["register"]],
  ])("updateReports %s", (updateReports, expected) => {
    const { world, device } = setup({ updateReports });
    device.register();
    device.update();
    device.update([], "</1/0>");
    expect(world.reports("meter").map((report) => report.msgType)).toEqual(expected);
  });

  it("a bad parameter is 4.00 and changes nothing", () => {
    const { world, device } = setup();
    device.register();
    expect(device.update(["lt=soon"]).code).toBe("4.00");
    expect(device.update(["b=Z"]).code).toBe("4.00");
    expect(world.reports("meter")).toHaveLength(1);
  });

  it("from a new address the same location is the same device, and commands follow it there", () => {
    const { world, device } = setup();
    device.on("GET /3/0/0", { code: "2.05", payload: "X" });
    device.register();
    device.move(20_000);
    expect(device.update().code).toBe("2.04");
    world.reports("meter");
    world.command("meter", { reqID: 1, msgType: "read", data: { path: "/3/0/0" } });
    expect(world.reports("meter")[0]?.data["code"]).toBe("2.05");
    expect(device.lines()).toEqual(["GET /3/0/0"]);
  });

  it("a location that somebody else made up is 4.04, and the device stays where it is", () => {
    const { world, device } = setup();
    device.register();
    const stranger = world.device("stranger", 30_000);
    expect(stranger.request("0.02", "rd/AAAAAAAAAAAA", ["lt=20"]).code).toBe("4.04");
    expect(stranger.request("0.04", "rd/meter", []).code).toBe("4.04");
    expect(device.update().code).toBe("2.04");
  });
});

describe("De-register and lifetime", () => {
  it("de-registration: 2.02, and the location is gone", () => {
    const { world, device } = setup();
    device.register();
    expect(device.deregister().code).toBe("2.02");
    expect(device.update().code).toBe("4.04");
    expect(world.reports("meter").at(-1)).toEqual({
      msgType: "deregister",
      data: { ep: "meter", reason: "deregistered" },
    });
    expect(world.disconnects).toHaveLength(1);
  });

  it("a lifetime that runs out ends the registration after the grace time", () => {
    const { world, device } = setup({ lifetimeGrace: "10s" });
    device.register({ lt: "60" });
    world.advance(seconds(69));
    expect(world.disconnects).toHaveLength(0);
    world.advance(seconds(2));
    expect(world.disconnects).toMatchObject([{ how: "silent" }]);
    expect(world.reports("meter").at(-1)).toMatchObject({
      msgType: "deregister",
      data: { reason: "lifetime" },
    });
    expect(device.update().code).toBe("4.04");
  });

  it("a device that gets 4.04 registers again and is there", () => {
    const { world, device } = setup();
    device.register({ lt: "60" });
    world.advance(seconds(100));
    expect(device.update().code).toBe("4.04");
    expect(device.register().code).toBe("2.01");
    expect(device.update().code).toBe("2.04");
  });

  it("lifetimes out of range are cut to it, or refused by setting", () => {
    const { world, device } = setup({ lifetimeMin: "30s", lifetimeMax: "1d" });
    device.register({ lt: "5" });
    world.advance(seconds(35));
    expect(device.update().code).toBe("2.04");
    device.register({ lt: "999999999" });
    world.advance(days(1));
    world.advance(seconds(11));
    expect(device.update().code).toBe("4.04");

    const strict = setup({ lifetimeMin: "30s", lifetimeOutside: "refuse" });
    expect(textOf(strict.device.register({ lt: "5" }).payload)).toContain("lt");
    expect(strict.device.register({ lt: "5" }).code).toBe("4.00");
  });
});

describe("an operator", () => {
  it("ends a registration by kicking the device: reported, 4.04 from then on, and a new one is welcome", () => {
    const { world, device } = setup({}, {});
    device.register({ b: "UQ" });
    world.advance(seconds(100));
    world.command("meter", { reqID: 1, msgType: "read", data: { path: "/3/0/0" } }, 0);
    world.reports("meter");
    for (const loop of [...world.network.runtime.door.loops])
      for (const client of loop.clients()) loop.stopClient(client, "kicked");
    world.settle();
    expect(world.reports("meter")).toMatchObject([
      { msgType: "deregister", data: { ep: "meter", reason: "kicked" } },
      { reqID: 1, msgType: "cancelled" },
    ]);
    expect(world.disconnects.map(({ reason }) => reason)).toEqual(["kicked"]);
    expect(device.update().code).toBe("4.04");
    expect(device.register().code).toBe("2.01");
    world.advance(days(1));
    expect(world.reports("meter").map(({ msgType }) => msgType)).toEqual(["register", "deregister"]);
  });
});

describe("identity", () => {
  it("topics can be named by endpoint, client, user and address, in both spellings", () => {
    const { world, device } = setup({
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of the configuration
      topics: { register: "fleet/${endpoint_name}/%c/%u/%a/online" },
    });
    const heard = world.listen("fleet/#");
    device.register({ device_id: "c1", imei: "490" });
    expect(heard.map((message) => message.topic)).toEqual(["fleet/meter/c1/490/10.0.0.1/online"]);
  });
});
