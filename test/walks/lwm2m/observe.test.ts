import { describe, expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { hex, type Lwm2mDevice } from "../../support/lwm2m-device.ts";
import { Lwm2mWorld, type Report } from "../../support/lwm2m-world.ts";

function registered(settings: object = {}, query: Record<string, string> = {}, links?: string) {
  const world = new Lwm2mWorld(settings);
  const device = world.device("meter");
  device.register(query, links);
  world.watch("meter");
  const ask = (command: object): Report[] => {
    world.command("meter", command);
    return world.reports("meter");
  };
  return { world, device, ask };
}

const observe = (path: string) => ({ reqID: 3, msgType: "observe", data: { path } });
const observing = (device: Lwm2mDevice, path: string, payload = "1") =>
  device.on(`GET ${path}`, (asked) => ({
    code: "2.05",
    payload,
    ...(asked.observe === 0 ? { observe: 12 } : {}),
  }));

describe("Observe and Notify", () => {
  it("LightweightM2M-1.1-int-301 the answer to observe is a response, what follows are notifications", () => {
    const { world, device, ask } = registered();
    observing(device, "/3/0/9", "90");
    expect(ask(observe("/3/0/9"))).toEqual([
      {
        reqID: 3,
        msgType: "observe",
        data: {
          reqPath: "/3/0/9",
          code: "2.05",
          codeMsg: "content",
          content: [{ path: "/3/0/9", value: 90 }],
        },
      },
    ]);
    const asked = device.lastAsked();
    expect(asked.observe).toBe(0);
    device.notify(asked, 13, { code: "2.05", payload: "89" });
    device.notify(asked, 14, { code: "2.05", payload: "88" }, true);
    expect(world.reports("meter", "notify")).toEqual([
      {
        reqID: 3,
        msgType: "notify",
        seqNum: 13,
        data: {
          reqPath: "/3/0/9",
          code: "2.05",
          codeMsg: "content",
          content: [{ path: "/3/0/9", value: 89 }],
        },
      },
      expect.objectContaining({ seqNum: 14 }),
    ]);
  });

  it("notifications that were overtaken on the way are left out (RFC 7641 §3.4)", () => {
    const { world, device, ask } = registered();
    observing(device, "/3/0/9");
    ask(observe("/3/0/9"));
    const asked = device.lastAsked();
    device.notify(asked, 20, { code: "2.05", payload: "20" });
    device.notify(asked, 19, { code: "2.05", payload: "19" });
    expect(world.reports("meter").map((report) => report["seqNum"])).toEqual([20]);
  });

  it("LightweightM2M-1.1-int-302 cancel: Observe 1 under the same token, and what comes later is reset", () => {
    const { world, device, ask } = registered();
    observing(device, "/3/0/9");
    ask(observe("/3/0/9"));
    const begun = device.lastAsked();
    expect(ask({ reqID: 4, msgType: "cancel-observe", data: { path: "/3/0/9" } })).toMatchObject([
      { reqID: 4, msgType: "cancel-observe", data: { reqPath: "/3/0/9", code: "2.05" } },
    ]);
    expect(device.lastAsked()).toMatchObject({ line: "GET /3/0/9", observe: 1 });
    expect(device.lastAsked().message.token).toBe(begun.message.token);
    device.notify(begun, 30, { code: "2.05", payload: "1" }, true);
    expect(world.reports("meter")).toEqual([]);
    expect(device.answers.at(-1)?.type).toBe(3);
  });

  it("an observation that there is not can be cancelled all the same", () => {
    const { device, ask } = registered();
    observing(device, "/3/0/9");
    expect(ask({ msgType: "cancel-observe", data: { path: "/3/0/9" } })).toMatchObject([
      { data: { code: "2.05" } },
    ]);
    expect(device.lastAsked().observe).toBeUndefined();
  });

  it("an observe that the device refuses or resets is no observation", () => {
    const { world, device, ask } = registered();
    device.on("GET /3/0/9", { code: "4.05" }).on("GET /3/0/10", "reset");
    expect(ask(observe("/3/0/9"))).toMatchObject([{ msgType: "observe", data: { code: "4.05" } }]);
    expect(ask(observe("/3/0/10"))).toMatchObject([{ msgType: "coap_reset" }]);
    device.notify(device.asked[0] as never, 5, { code: "2.05", payload: "1" });
    expect(world.reports("meter")).toEqual([]);
  });

  it("observing again replaces the observation", () => {
    const { world, device, ask } = registered();
    observing(device, "/3/0/9");
    ask(observe("/3/0/9"));
    const first = device.lastAsked();
    ask({ ...observe("/3/0/9"), reqID: 99 });
    device.notify(first, 15, { code: "2.05", payload: "1" });
    device.notify(device.lastAsked(), 16, { code: "2.05", payload: "2" });
    expect(world.reports("meter")).toMatchObject([{ reqID: 99, seqNum: 16 }]);
  });

  it("object 5 is reported like any other", () => {
    const { world, device, ask } = registered();
    observing(device, "/5/0/3", "0");
    ask(observe("/5/0/3"));
    device.notify(device.lastAsked(), 13, { code: "2.05", payload: "2" });
    expect(world.reports("meter", "notify")).toMatchObject([
      { data: { content: [{ path: "/5/0/3", value: 2 }] } },
    ]);
  });

  it("LightweightM2M-1.1-int-304 an instance, with values of several times", () => {
    const { world, device, ask } = registered({}, { lwm2m: "1.1" }, '</>;rt="oma.lwm2m";ct=110,</3303/0>');
    const now = Math.floor(world.now / 1000);
    device.on("GET /3303/0", {
      code: "2.05",
      format: 110,
      payload: '[{"bn":"/3303/0/","n":"5700","v":20}]',
      observe: 1,
    });
    ask(observe("/3303/0"));
    const payload = `[{"bn":"/3303/0/5700","bt":${now - 100},"v":20.5},{"t":60,"v":21},{"t":-5,"v":19}]`;
    device.notify(device.lastAsked(), 2, { code: "2.05", format: 110, payload });
    device.notify(device.lastAsked(), 3, {
      code: "2.05",
      format: 110,
      payload: '[{"n":"/3303/0/5700","t":-30,"v":22}]',
    });
    const contents = world.reports("meter", "notify").map((report) => report.data["content"]);
    expect(contents).toEqual([
      [
        { path: "/3303/0/5700", value: 20.5, time: now - 100 },
        { path: "/3303/0/5700", value: 21, time: now - 40 },
        { path: "/3303/0/5700", value: 19, time: now - 105 },
      ],
      [{ path: "/3303/0/5700", value: 22, time: now - 30 }],
    ]);
  });

  it("a notification with an error ends the observation and is reported", () => {
    const { world, device, ask } = registered();
    observing(device, "/3/0/9");
    ask(observe("/3/0/9"));
    const asked = device.lastAsked();
    device.respond(asked, { code: "4.04" });
    expect(world.reports("meter", "notify")).toMatchObject([
      { data: { code: "4.04", codeMsg: "not_found" } },
    ]);
    device.register();
    expect(device.lines().filter((line) => line === "GET /3/0/9")).toHaveLength(1);
  });

  it("a notification that cannot be read is reported with its reason", () => {
    const { world, device, ask } = registered();
    observing(device, "/3/0/9");
    ask(observe("/3/0/9"));
    device.notify(device.lastAsked(), 13, { code: "2.05", format: 11542, payload: hex("c3") });
    expect(world.reports("meter", "notify")).toMatchObject([
      { data: { code: "4.00", reason: expect.any(String) } },
    ]);
  });

  it("there is a limit on observations of a device", () => {
    const { device, ask } = registered({ observations: { max: 2 } });
    for (const id of [9, 10, 13]) observing(device, `/3/0/${id}`);
    expect(ask(observe("/3/0/9"))[0]?.msgType).toBe("observe");
    expect(ask(observe("/3/0/10"))[0]?.msgType).toBe("observe");
    expect(ask(observe("/3/0/13"))[0]).toMatchObject({ msgType: "queue_full", data: { code: "5.03" } });
    expect(ask(observe("/3/0/10"))[0]?.msgType).toBe("observe");
  });
});

describe("observations outlive registrations", () => {
  it("LightweightM2M-1.1-int-305 after registering again what was observed is observed again", () => {
    const { world, device, ask } = registered();
    observing(device, "/3/0/9", "70");
    ask(observe("/3/0/9"));
    const old = device.lastAsked();
    device.register();
    expect(device.lastAsked()).toMatchObject({ line: "GET /3/0/9", observe: 0 });
    expect(device.lastAsked().message.token).not.toBe(old.message.token);
    expect(world.reports("meter", "notify")).toMatchObject([
      { reqID: 3, msgType: "notify", data: { content: [{ path: "/3/0/9", value: 70 }] } },
    ]);
    device.notify(device.lastAsked(), 50, { code: "2.05", payload: "69" });
    expect(world.reports("meter", "notify")).toMatchObject([{ reqID: 3, seqNum: 50 }]);
  });

  it("also after the lifetime has run out, and from a new address", () => {
    const { world, device, ask } = registered({}, { lt: "60" });
    observing(device, "/3/0/9");
    ask(observe("/3/0/9"));
    world.advance(seconds(200));
    device.move(20_000);
    device.register({ lt: "60" });
    expect(device.lines().filter((line) => line === "GET /3/0/9")).toHaveLength(2);
  });

  it("a cancelled one stays cancelled", () => {
    const { device, ask } = registered();
    observing(device, "/3/0/9");
    ask(observe("/3/0/9"));
    ask({ msgType: "cancel-observe", data: { path: "/3/0/9" } });
    const before = device.asked.length;
    device.register();
    expect(device.asked).toHaveLength(before);
  });

  it("by setting nothing is renewed", () => {
    const { device, ask } = registered({ observations: { renew: false } });
    observing(device, "/3/0/9");
    ask(observe("/3/0/9"));
    device.register();
    expect(device.asked).toHaveLength(1);
  });
});

describe("observations by setting", () => {
  const links = "</1/0>,</2/0>,</3/0>,</3303/0>,</3303/1>";
  const instance = (device: Lwm2mDevice, path: string) =>
    device.on(`GET ${path}`, { code: "2.05", format: 11542, payload: hex("e4164441a00000"), observe: 1 });

  it("auto true observes all but the objects of settings and secrets, and says that it did", () => {
    const world = new Lwm2mWorld({ observations: { auto: true } });
    world.watch("meter");
    const device = world.device("meter");
    instance(device, "/3303/0");
    device.register({}, links);
    expect(device.lines()).toEqual(["GET /3/0", "GET /3303/0", "GET /3303/1"]);
    device.notify(device.asked[1] as never, 2, {
      code: "2.05",
      format: 11542,
      payload: hex("e4164441b00000"),
    });
    expect(world.reports("meter", "notify")).toMatchObject([
      { is_auto_observe: true, msgType: "notify", data: { content: [{ path: "/3303/0/5700", value: 20 }] } },
      { is_auto_observe: true, seqNum: 2, data: { content: [{ path: "/3303/0/5700", value: 22 }] } },
    ]);
  });

  it("a list is cut to what the device has", () => {
    const world = new Lwm2mWorld({ observations: { auto: ["/3303/0/5700", "/3/0/9", "/6/0"] } });
    const device = world.device("meter");
    device.register({}, links);
    expect(device.lines()).toEqual(["GET /3303/0/5700", "GET /3/0/9"]);
    expect(device.asked.every((asked) => asked.observe === 0)).toBe(true);
  });

  it("auto false observes nothing; a path that is not readable is no news", () => {
    const quiet = registered();
    expect(quiet.device.asked).toEqual([]);
    const world = new Lwm2mWorld({ observations: { auto: ["/3/0"] } });
    world.watch("meter");
    world.device("meter").register({}, links);
    expect(world.reports("meter", "notify")).toEqual([]);
  });
});

describe("Composite operations and Send", () => {
  const setup = (version = "1.1", formats = "110 112") =>
    registered({}, { lwm2m: version }, `</>;rt="oma.lwm2m";ct="${formats}",</3/0>`);

  it("LightweightM2M-1.1-int-801 read-composite: FETCH of the root with the paths, one answer", () => {
    const { device, ask } = setup();
    device.on("FETCH /", {
      code: "2.05",
      format: 110,
      payload: '[{"n":"/3/0/9","v":95},{"n":"/3303/0/5700","v":20.5}]',
    });
    expect(ask({ reqID: 1, msgType: "read-composite", data: { paths: ["/3/0/9", "/3303/0"] } })[0]).toEqual({
      reqID: 1,
      msgType: "read-composite",
      data: {
        reqPath: "/3/0/9,/3303/0",
        code: "2.05",
        codeMsg: "content",
        content: [
          { path: "/3/0/9", value: 95 },
          { path: "/3303/0/5700", value: 20.5 },
        ],
      },
    });
    expect(device.lastAsked()).toMatchObject({ line: "FETCH /", format: 112, accept: 112 });
    expect(Buffer.from(device.lastAsked().payload).toString("hex")).toBe(
      "82a100662f332f302f39a100672f333330332f30",
    );
  });

  it("with SenML-ETCH from 1.2 on, in JSON where that is what the device knows", () => {
    const { device, ask } = setup("1.2", "110 320");
    ask({ msgType: "read-composite", data: { paths: ["/3/0/9"] } });
    expect(device.lastAsked()).toMatchObject({ format: 320, accept: 110 });
    expect(Buffer.from(device.lastAsked().payload).toString()).toBe('[{"n":"/3/0/9"}]');
  });

  it("LightweightM2M-1.1-int-802 write-composite: iPATCH of the root; null removes a resource instance", () => {
    const { device, ask } = setup("1.1", "110");
    const content = [
      { path: "/1/0/1", type: "Integer", value: 60 },
      { path: "/3442/0/1120/1", value: null },
      { path: "/3442/0/120", type: "Integer", value: "9223372036854775807" },
    ];
    expect(ask({ msgType: "write-composite", data: { content } })[0]?.data).toMatchObject({ code: "2.04" });
    expect(device.lastAsked()).toMatchObject({ line: "iPATCH /", format: 110 });
    expect(Buffer.from(device.lastAsked().payload).toString()).toBe(
      '[{"n":"/1/0/1","v":60},{"n":"/3442/0/120","v":9223372036854775807},{"n":"/3442/0/1120/1","v":null}]',
    );
  });

  it("LightweightM2M-1.1-int-803 observe-composite and its cancellation", () => {
    const { world, device, ask } = setup();
    const pack = (value: number) => `[{"n":"/3/0/9","v":${value}}]`;
    device.on("FETCH /", (asked) => ({
      code: "2.05",
      format: 110,
      payload: pack(1),
      ...(asked.observe === 0 ? { observe: 1 } : {}),
    }));
    const paths = ["/3/0/9", "/3/0/10"];
    expect(ask({ reqID: 5, msgType: "observe-composite", data: { paths } })[0]?.data["code"]).toBe("2.05");
    const begun = device.lastAsked();
    device.notify(begun, 2, { code: "2.05", format: 110, payload: pack(2) });
    expect(world.reports("meter", "notify")).toMatchObject([
      { reqID: 5, seqNum: 2, data: { reqPath: "/3/0/9,/3/0/10" } },
    ]);
    ask({ msgType: "cancel-observe-composite", data: { paths: [...paths].reverse() } });
    expect(device.lastAsked()).toMatchObject({ line: "FETCH /", observe: 1 });
    expect(device.lastAsked().message.token).toBe(begun.message.token);
  });

  it("an observed composite is renewed too", () => {
    const { device, ask } = setup();
    device.on("FETCH /", { code: "2.05", format: 110, payload: "[]", observe: 1 });
    ask({ msgType: "observe-composite", data: { paths: ["/3/0/9"] } });
    device.register({ lwm2m: "1.1" });
    expect(device.lines()).toEqual(["FETCH /", "FETCH /"]);
  });

  it("LightweightM2M-1.1-int-307 Send: 2.04 and a report, in SenML JSON, SenML CBOR and LwM2M CBOR", () => {
    const { world, device } = setup();
    const now = Math.floor(world.now / 1000);
    expect(
      device.request("0.02", "dp", [], '[{"bn":"/3303/0/5700","bt":-60,"v":20.5},{"t":60,"v":21}]', 110).code,
    ).toBe("2.04");
    expect(device.request("0.02", "dp", [], hex("81a200662f332f302f39021864"), 112).code).toBe("2.04");
    expect(device.request("0.02", "dp", [], hex("a103a100a1091864"), 11544).code).toBe("2.04");
    expect(world.reports("meter", "send")).toEqual([
      {
        msgType: "send",
        data: {
          content: [
            { path: "/3303/0/5700", value: 20.5, time: now - 60 },
            { path: "/3303/0/5700", value: 21, time: now },
          ],
        },
      },
      { msgType: "send", data: { content: [{ path: "/3/0/9", value: 100 }] } },
      { msgType: "send", data: { content: [{ path: "/3/0/9", value: 100 }] } },
    ]);
  });

  it.each([
    ["no data", 110, "[]", "4.00"],
    ["broken JSON", 110, "[{", "4.00"],
    ["a value of the wrong type", 110, '[{"n":"/3/0/9","vs":"full"}]', "4.00"],
    ["a format that cannot name paths", 11542, "x", "4.15"],
    ["no format", undefined, "[]", "4.15"],
  ])("Send of %s is refused", (_what, format, payload, code) => {
    const { world, device } = setup();
    expect(device.request("0.02", "dp", [], payload, format).code).toBe(code);
    expect(world.reports("meter")).toEqual([]);
  });

  it("Send of a device that is not registered is 4.04; other methods are 4.05", () => {
    const { world, device } = setup();
    const stranger = world.device("stranger", 30_000);
    expect(stranger.request("0.02", "dp", [], "[]", 110).code).toBe("4.04");
    expect(device.request("0.03", "dp", [], "[]", 110).code).toBe("4.05");
    expect(device.request("0.02", "dp/x", [], "[]", 110).code).toBe("4.04");
  });

  it("Send is refused when the device may not publish", () => {
    const world = new Lwm2mWorld(
      {},
      { policy: { mayPublish: (_identity, topic) => !topic.endsWith("send") } },
    );
    const device = world.device("meter");
    device.register();
    expect(device.request("0.02", "dp", [], '[{"n":"/3/0/9","v":1}]', 110).code).toBe("4.03");
  });
});
