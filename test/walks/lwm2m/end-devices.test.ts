/** End devices behind an LwM2M gateway: object 25 and paths with a prefix (LwM2M Gateway 1.1). */
import { describe, expect, it } from "vitest";
import { hex } from "../../support/lwm2m-device.ts";
import { bodyOf, content, enabler, hexOf } from "../../support/lwm2m-enabler.ts";

const ROOT = '</>;rt="oma.lwm2m";ct="110 112 11542"';
const LINKS = `${ROOT},</1/0>,</3/0>,</25>;ver="2.0",</25/0>,</25/1>`;
const SENML_JSON = 110;
const gateway = (links = LINKS, version = "1.1", settings: object = {}) =>
  enabler({ lwm2m: version }, links, settings);

describe("which end devices there are", () => {
  const INSTANCES = JSON.stringify([
    { bn: "/25/0/", n: "0", vs: "urn:dev:ops:1-sensor-1" },
    { n: "1", vs: "d01" },
    { n: "3", vs: '</3/0>,</5/0>;ver="1.1",</3303/0>' },
    { bn: "/25/1/", n: "0", vs: "urn:dev:ops:1-sensor-2" },
    { n: "1", vs: "d02" },
  ]);

  it("is read when the gateway registers, and published", () => {
    const { world, device } = gateway();
    expect(device.lines()).toEqual(["GET /25"]);
    device.on("GET /25", content(SENML_JSON, INSTANCES));
    device.register({ lwm2m: "1.1" }, LINKS);
    expect(world.reports("meter", "devices").at(-1)).toEqual({
      msgType: "end-devices",
      data: {
        devices: [
          {
            instance: 0,
            id: "urn:dev:ops:1-sensor-1",
            prefix: "d01",
            objectList: ["/3/0", "/5/0", "/3303/0"],
          },
          { instance: 1, id: "urn:dev:ops:1-sensor-2", prefix: "d02", objectList: [] },
        ],
      },
    });
  });

  it("is read again when an Update lists other instances, and only then", () => {
    const { device } = gateway();
    device.update();
    device.update([], LINKS);
    expect(device.lines()).toEqual(["GET /25"]);
    device.update([], LINKS.replace(",</25/1>", ""));
    expect(device.lines()).toEqual(["GET /25", "GET /25"]);
  });

  it("is told when it cannot be read", () => {
    const { world, device } = gateway();
    device.on("GET /25", { code: "4.01" });
    device.register({ lwm2m: "1.1" }, LINKS);
    expect(world.reports("meter", "devices").at(-1)?.data).toEqual({
      reqPath: "/25",
      code: "4.01",
      codeMsg: "unauthorized",
    });
  });

  it("is not asked of other devices, nor when the settings say no", () => {
    expect(gateway("</1/0>,</3/0>").device.asked).toEqual([]);
    expect(gateway(LINKS, "1.1", { readEndDevices: false }).device.asked).toEqual([]);
  });
});

describe("operations on their objects", () => {
  it.each([
    ["read", { path: "/d01/3303/0/5700" }, "GET /d01/3303/0/5700"],
    ["read", { path: "d01/3303/0/5700" }, "GET /d01/3303/0/5700"],
    ["discover", { path: "/d01/3303" }, "GET /d01/3303"],
    ["write-attr", { path: "/d01/3303/0/5700", pmin: "5" }, "PUT /d01/3303/0/5700?pmin=5"],
    ["execute", { path: "/d01/3/0/4" }, "POST /d01/3/0/4"],
    ["delete", { path: "/d01/16/0" }, "DELETE /d01/16/0"],
    ["observe", { path: "/d01/3303/0/5700" }, "GET /d01/3303/0/5700"],
    ["write", { path: "/d01/1/0/1", value: 60 }, "PUT /d01/1/0/1"],
    ["write", { basePath: "/d01/1/0", content: [{ path: "1", value: 60 }] }, "POST /d01/1/0"],
    [
      "create",
      { basePath: "/d01/16", content: [{ path: "/0/0/0", type: "String", value: "x" }] },
      "POST /d01/16",
    ],
  ])("%s %j is %s", (msgType, data, line) => {
    const { device, ask } = gateway();
    const given =
      (data as { path?: string; basePath?: string }).path ?? (data as { basePath: string }).basePath;
    expect(ask(msgType, data).data["reqPath"]).toBe(`/${given.replace(/^\//, "")}`);
    expect(device.lastAsked().line).toBe(line);
  });

  it("below an alternate path the prefix comes behind it, in names as in the request", () => {
    const { device, ask } = gateway('</lwm2m>;rt="oma.lwm2m";ct=110,</lwm2m/25/0>');
    device.on("GET /lwm2m/d01/3303/0", content(SENML_JSON, '[{"n":"/lwm2m/d01/3303/0/5700","v":20}]'));
    expect(ask("read", { path: "/d01/3303/0" }).data["content"]).toEqual([
      { path: "/d01/3303/0/5700", value: 20 },
    ]);
    ask("write", { path: "/d01/1/0/1", value: 60 });
    expect(bodyOf(device.lastAsked())).toBe('[{"bn":"/lwm2m/d01/1/0/1","v":60}]');
  });

  it.each([
    ["TLV", 11542, hex("e8164408 40340000 00000000".replaceAll(" ", ""))],
    ["SenML JSON", 110, '[{"bn":"/d01/3303/0/","n":"5700","v":20}]'],
    ["SenML JSON that leaves the prefix out", 110, '[{"bn":"/3303/0/","n":"5700","v":20}]'],
    ["SenML CBOR", 112, hex("81 a2 00 702f6430312f333330332f302f35373030 02 14")],
    ["LwM2M CBOR", 11544, hex("a1 84 63643031 19 0ce7 00 19 1644 14")],
    ["LwM2M CBOR that leaves the prefix out", 11544, hex("a1 83 19 0ce7 00 19 1644 14")],
  ])("an answer in %s is shown below the prefix", (_format, format, payload) => {
    const { device, read } = gateway();
    device.on("GET /d01/3303/0", content(format, payload));
    expect(read("read", { path: "/d01/3303/0" })).toEqual({ "/d01/3303/0/5700": 20 });
  });

  it("an answer that speaks of another device is refused", () => {
    const { device, ask } = gateway();
    device.on("GET /d01/3303/0", content(110, '[{"n":"/d02/3303/0/5700","v":20}]'));
    expect(ask("read", { path: "/d01/3303/0" }).data).toMatchObject({
      code: "4.00",
      reason: expect.stringContaining("/d02/3303/0/5700 does not belong to /d01/3303/0"),
    });
  });

  it("writes name the device in SenML and in LwM2M CBOR", () => {
    const { device, code } = gateway();
    const items = [{ path: "1", value: 60 }];
    expect(code("write", { basePath: "/d01/1/0", format: 110, content: items })).toBe("2.04");
    expect(bodyOf(device.lastAsked())).toBe('[{"bn":"/d01/1/0/","n":"1","v":60}]');
    expect(code("write", { basePath: "/d01/1/0", format: 11544, content: items })).toBe("2.04");
    expect(hexOf(device.lastAsked())).toBe("a163643031a101a100a101183c");
  });

  it("composite operations mix devices and the gateway itself", () => {
    const { device, ask, code } = gateway();
    const payload = '[{"n":"/3/0/9","v":90},{"n":"/d01/3303/0/5700","v":20}]';
    device.on("FETCH /", content(110, payload));
    expect(ask("read-composite", { paths: ["/3/0/9", "/d01/3303/0"], format: 110 }).data).toMatchObject({
      reqPath: "/3/0/9,/d01/3303/0",
      content: [
        { path: "/3/0/9", value: 90 },
        { path: "/d01/3303/0/5700", value: 20 },
      ],
    });
    expect(bodyOf(device.lastAsked())).toBe('[{"n":"/3/0/9"},{"n":"/d01/3303/0"}]');
    const items = [
      { path: "/1/0/1", value: 60 },
      { path: "/d01/1/0/1", value: 61 },
    ];
    expect(code("write-composite", { content: items, format: 110 })).toBe("2.04");
    expect(bodyOf(device.lastAsked())).toBe('[{"n":"/1/0/1","v":60},{"n":"/d01/1/0/1","v":61}]');
  });

  it("notifications come below the prefix, beside those of the gateway's own objects, and outlive a registration", () => {
    const { world, device, code } = gateway();
    const answering = (path: string, payload: string) =>
      device.on(`GET ${path}`, (asked) => ({
        ...content(0, payload),
        ...(asked.observe === 0 ? { observe: 2 } : {}),
      }));
    answering("/3/0/9", "90");
    answering("/d01/3/0/9", "80");
    expect(code("observe", { path: "/3/0/9" })).toBe("2.05");
    expect(code("observe", { path: "/d01/3/0/9" })).toBe("2.05");
    device.notify(device.lastAsked(), 3, content(0, "79"));
    expect(world.reports("meter", "notify")).toMatchObject([
      { data: { reqPath: "/d01/3/0/9", content: [{ path: "/d01/3/0/9", value: 79 }] } },
    ]);
    device.register({ lwm2m: "1.1" }, LINKS);
    expect(device.lines().filter((line) => line === "GET /d01/3/0/9")).toHaveLength(2);
  });

  it("a Send may report what they have, though it is in no registration (LwM2M Gateway 1.1 §8.3.3)", () => {
    const { world, device } = gateway();
    const payload = '[{"n":"/d01/3303/0/5700","v":20}]';
    expect(device.request("0.02", "dp", [], payload, SENML_JSON).code).toBe("2.04");
    expect(world.reports("meter", "send")[0]?.data).toEqual({
      content: [{ path: "/d01/3303/0/5700", value: 20 }],
    });
    const plain = gateway("</1/0>,</3303/0>");
    expect(plain.device.request("0.02", "dp", [], payload, SENML_JSON).code).toBe("4.04");
  });

  it.each([
    ["a prefix where there is no gateway", "</1/0>", { path: "/d01/3/0/0" }],
    ["a prefix alone", LINKS, { path: "/d01" }],
    ["two prefixes", LINKS, { path: "/d01/d02/3/0/0" }],
    ["a prefix behind the object", LINKS, { path: "/3/d01/0" }],
    ["a prefix that would be a query", LINKS, { path: "/a&b/3/0" }],
    ["a prefix that is far too long", LINKS, { path: `/${"x".repeat(65)}/3/0` }],
  ])("%s is answered 4.00 and nothing is sent", (_what, links, data) => {
    const { device, ask } = gateway(links, "1.1", { readEndDevices: false });
    expect(ask("read", data).data).toMatchObject({ code: "4.00", reason: expect.any(String) });
    expect(device.asked).toEqual([]);
  });
});

describe("alternate paths in SenML (LwM2M 1.2 Transport §6.4.1)", () => {
  it("names begin with them, and answers are understood with and without", () => {
    const { device, read, code } = enabler({}, '</lwm2m>;rt="oma.lwm2m";ct=110,</lwm2m/1/0>,</lwm2m/3/0>');
    device.on("GET /lwm2m/3/0", content(110, '[{"bn":"/lwm2m/3/0/","n":"9","v":90}]'));
    expect(read("read", { path: "/3/0" })).toEqual({ "/3/0/9": 90 });
    device.on("GET /lwm2m/3/0", content(110, '[{"bn":"/3/0/","n":"9","v":90}]'));
    expect(read("read", { path: "/3/0" })).toEqual({ "/3/0/9": 90 });
    device.on("FETCH /lwm2m", content(110, "[]"));
    expect(code("read-composite", { paths: ["/3/0/9"], format: 110 })).toBe("2.05");
    expect(bodyOf(device.lastAsked())).toBe('[{"n":"/lwm2m/3/0/9"}]');
    const payload = '[{"n":"/lwm2m/3/0/9","v":1}]';
    expect(device.request("0.02", "dp", [], payload, SENML_JSON).code).toBe("2.04");
  });
});
