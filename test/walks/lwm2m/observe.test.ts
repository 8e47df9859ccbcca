import { describe, expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { ACK, RST } from "../../support/coap-bytes.ts";
import { hex, type Lwm2mDevice } from "../../support/lwm2m-device.ts";
import { Lwm2mWorld, type Report } from "../../support/lwm2m-world.ts";
import type { WorldOptions } from "../../support/world.ts";

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
  it("the answer to observe is a response, what follows are notifications", () => {
    const { world, device, ask } = registered();
    observing(device, "/3/0/9", "90");
    expect(ask(observe("/3/0/9"))).toEqual([
      {
        reqID: 3,
        msgType: "observe",
        seqNum: 12,
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

  it("cancel: Observe 1 under the same token, and what comes later is reset", () => {
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

  it("cancelling is answered as the device answers it, also without a value", () => {
    const { device, ask } = registered();
    observing(device, "/3303/0/5700", "21.5");
    ask(observe("/3303/0/5700"));
    device.on("GET /3303/0/5700", { code: "2.05" });
    const cancelled = ask({ reqID: 2, msgType: "cancel-observe", data: { path: "/3303/0/5700" } });
    expect(cancelled[0]?.data).toEqual({ reqPath: "/3303/0/5700", code: "2.05", codeMsg: "content" });
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

  it("an instance, with values of several times", () => {
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
  it("after registering again what was observed is observed again", () => {
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

describe("a second observe of what is observed already", () => {
  it.each([
    ["5.03", { code: "5.03" }],
    ["a value that begins no observation", { code: "2.05", payload: "91" }],
    ["nothing", "silence"],
  ] as const)("that is answered with %s leaves the first one as it was", (_what, reaction) => {
    const { world, device, ask } = registered();
    observing(device, "/3/0/9");
    ask(observe("/3/0/9"));
    const first = device.lastAsked();
    device.on("GET /3/0/9", reaction);
    ask(observe("/3/0/9"));
    world.advance(seconds(100));
    world.reports("meter");
    device.notify(first, 20, { code: "2.05", payload: "70" }, true);
    expect(device.answers.at(-1)).toMatchObject({ type: ACK });
    expect(world.reports("meter", "notify")).toMatchObject([{ seqNum: 20 }]);
  });

  it("that is taken replaces it, and notifications of the first are reset", () => {
    const { world, device, ask } = registered();
    observing(device, "/3/0/9");
    ask(observe("/3/0/9"));
    const first = device.lastAsked();
    ask(observe("/3/0/9"));
    device.notify(first, 20, { code: "2.05", payload: "70" }, true);
    expect(device.answers.at(-1)).toMatchObject({ type: RST });
    device.notify(device.lastAsked(), 21, { code: "2.05", payload: "71" });
    expect(world.reports("meter", "notify")).toMatchObject([{ seqNum: 21 }]);
  });
});

describe("an observation that ends by itself", () => {
  it("because the rest of a notification never comes is told to the application", () => {
    const { world, device, ask } = registered({}, { lwm2m: "1.1" });
    observing(device, "/3/0/9");
    ask(observe("/3/0/9"));
    const asked = device.lastAsked();
    device.on("GET /3/0/9", "silence");
    const [number, szx] = [23, 6];
    device.notify(asked, 20, {
      code: "2.05",
      payload: "7".repeat(1024),
      options: [{ number, value: Uint8Array.of(8 + szx) }],
    });
    world.advance(seconds(100));
    expect(world.reports("meter")).toMatchObject([
      { reqID: 3, msgType: "coap_timeout", data: { reqMsgType: "observe", reqPath: "/3/0/9" } },
    ]);
  });
});

describe("a device behind a NAT that gave it another port", () => {
  const observed = (settings: object = {}, options: WorldOptions = {}) => {
    const world = new Lwm2mWorld(settings, options);
    const device = world.device("meter");
    device.register();
    world.watch("meter");
    observing(device, "/3/0/9");
    world.command("meter", observe("/3/0/9"));
    world.reports("meter");
    return { world, device, asked: device.lastAsked() };
  };

  it("is known by the token of its notification, which is reported and acknowledged", () => {
    const { world, device, asked } = observed();
    device.move(20_000);
    device.notify(asked, 13, { code: "2.05", payload: "70" }, true);
    expect(device.answers.at(-1)).toMatchObject({ type: ACK, code: "0.00" });
    expect(world.reports("meter", "notify")).toMatchObject([{ reqID: 3, seqNum: 13 }]);
  });

  it("is commanded and updated there, and observed still", () => {
    const { world, device, asked } = observed();
    device.move(20_000);
    device.notify(asked, 13, { code: "2.05", payload: "70" });
    world.command("meter", { reqID: 4, msgType: "read", data: { path: "/3/0/9" } });
    expect(world.reports("meter", "resp")).toMatchObject([{ reqID: 4, data: { code: "2.05" } }]);
    expect(device.update().code).toBe("2.04");
    device.notify(asked, 14, { code: "2.05", payload: "71" });
    expect(world.reports("meter", "notify")).toMatchObject([{ seqNum: 13 }, { seqNum: 14 }]);
  });

  it("takes its address back from who had it, whose registration stands", () => {
    const { world, device, asked } = observed();
    const other = world.device("other", 20_000);
    other.register();
    device.move(20_000);
    device.notify(asked, 13, { code: "2.05", payload: "70" });
    expect(world.reports("meter", "notify")).toMatchObject([{ seqNum: 13 }]);
    other.move(20_001);
    expect(other.update().code).toBe("2.04");
  });

  it("is not followed where the listener does not roam, and observed anew once it registers again", () => {
    const { world, device, asked } = observed({}, { roaming: "never" });
    device.move(20_000);
    device.notify(asked, 13, { code: "2.05", payload: "70" }, true);
    expect(device.answers.at(-1)).toMatchObject({ type: RST });
    expect(device.update().code).toBe("4.04");
    device.register();
    expect(device.lastAsked()).toMatchObject({ line: "GET /3/0/9", observe: 0 });
    expect(world.reports("meter", "notify")).toHaveLength(1);
  });

  it("and nobody else: a stranger's token is reset, and a cancelled one as well", () => {
    const { world, device, asked } = observed();
    const stranger = world.device("stranger", 30_000);
    const foreign = { ...asked, message: { ...asked.message, token: "00ff00ff00ff" } };
    stranger.notify(foreign, 13, { code: "2.05", payload: "70" }, true);
    expect(stranger.answers.at(-1)).toMatchObject({ type: RST });
    world.command("meter", { msgType: "cancel-observe", data: { path: "/3/0/9" } });
    device.move(20_000);
    device.notify(asked, 14, { code: "2.05", payload: "70" }, true);
    expect(device.answers.at(-1)).toMatchObject({ type: RST });
    expect(world.reports("meter", "notify")).toEqual([]);
  });
});
