import { describe, expect, it } from "vitest";
import { registered as registeredWith } from "../../support/lwm2m-asking.ts";
import { hex } from "../../support/lwm2m-device.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";

const registered = (settings: object, query: Record<string, string>, links: string) =>
  registeredWith(query, links, settings);

describe("Composite operations and Send", () => {
  const setup = (version = "1.1", formats = "110 112") =>
    registered({}, { lwm2m: version }, `</>;rt="oma.lwm2m";ct="${formats}",</3/0>,</3303>`);

  it("Read-Composite: FETCH of the root with the paths, one answer", () => {
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

  it("Write-Composite: iPATCH of the root; null removes a resource instance", () => {
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

  it("Observe-Composite and its cancellation", () => {
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

  it("Send: 2.04 and a report, in SenML JSON, SenML CBOR and LwM2M CBOR", () => {
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

describe("the format of an answer", () => {
  it.each([
    ["read-composite", { paths: ["/3/0/9"] }, "FETCH /"],
    ["observe-composite", { paths: ["/3/0/9"] }, "FETCH /"],
    ["read", { path: "/3/0" }, "GET /3/0"],
    ["observe", { path: "/3/0" }, "GET /3/0"],
  ])(
    "of %s is asked for by `format` as by `accept`, and the body says truly what it is",
    (msgType, data, line) => {
      const { device, ask } = registeredWith({ lwm2m: "1.1" });
      for (const name of ["format", "accept"]) {
        ask({ msgType, data: { ...data, [name]: 11544 } });
        expect(device.lastAsked()).toMatchObject({ line, accept: 11544 });
        expect(device.lastAsked().format).toBe(line.startsWith("FETCH") ? 112 : undefined);
      }
    },
  );
});
