/** OMA's enabler test cases 200 to 299: device management and service enablement, from the server's side. */
import { describe, expect, it } from "vitest";
import { hex } from "../../support/lwm2m-device.ts";
import {
  bodyOf,
  content,
  DEVICE,
  enabler,
  hexOf,
  LINKS,
  SERVER_TLV,
  SERVER_VALUES,
} from "../../support/lwm2m-enabler.ts";

const TEXT = 0;
const CBOR = 60;
const SENML_JSON = 110;
const SENML_CBOR = 112;
const TLV = 11542;
const JSON_10 = 11543;

describe("reading basic information", () => {
  it("LightweightM2M-1.1-int-201 in plain text", () => {
    const { device, ask } = enabler();
    device.on("GET /3/0/0", content(TEXT, "Operations")).on("GET /3/0/2", content(TEXT, "0999"));
    const read = (path: string) => ask("read", { path, accept: TEXT }).data["content"];
    expect(read("/3/0/0")).toEqual([{ path: "/3/0/0", value: "Operations" }]);
    expect(read("/3/0/2")).toEqual([{ path: "/3/0/2", value: "0999" }]);
    expect(device.asked.map((asked) => asked.accept)).toEqual([TEXT, TEXT]);
  });

  it.each([
    ["203", "TLV", TLV, DEVICE.tlv],
    ["204", "JSON", JSON_10, DEVICE.json],
    ["231", "SenML JSON", SENML_JSON, DEVICE.senmlJson],
  ] as const)("LightweightM2M-1.1-int-%s an instance in %s", (_id, _name, format, payload) => {
    const { device, read } = enabler();
    device.on("GET /3/0", content(format, payload));
    expect(read("read", { path: "/3/0", accept: format })).toEqual(DEVICE.values);
    expect(device.lastAsked()).toMatchObject({ line: "GET /3/0", accept: format });
  });

  it("LightweightM2M-1.1-int-211 single resources in CBOR", () => {
    const { device, read } = enabler();
    device.on("GET /1/0/0", content(CBOR, hex("01"))).on("GET /1/0/6", content(CBOR, hex("f4")));
    device.on("GET /1/0/7", content(CBOR, hex("6155")));
    const values = ["/1/0/0", "/1/0/6", "/1/0/7"].map((path) => read("read", { path, accept: CBOR }));
    expect(values).toEqual([{ "/1/0/0": 1 }, { "/1/0/6": false }, { "/1/0/7": "U" }]);
    expect(device.asked.every((asked) => asked.accept === CBOR)).toBe(true);
  });

  it("LightweightM2M-1.1-int-231 object, resource and resource instance in SenML JSON too", () => {
    const { device, read } = enabler();
    device.on("GET /1", content(SENML_JSON, '[{"bn":"/1/0/","n":"0","v":1},{"n":"6","vb":false}]'));
    device.on("GET /3/0/16", content(SENML_JSON, '[{"bn":"/3/0/16","vs":"U"}]'));
    device.on("GET /3/0/11/0", content(SENML_JSON, '[{"bn":"/3/0/11/0","v":0}]'));
    expect(read("read", { path: "/1", accept: SENML_JSON })).toEqual({ "/1/0/0": 1, "/1/0/6": false });
    expect(read("read", { path: "/3/0/16", accept: SENML_JSON })).toEqual({ "/3/0/16": "U" });
    expect(read("read", { path: "/3/0/11/0", accept: SENML_JSON })).toEqual({ "/3/0/11/0": 0 });
  });

  it("LightweightM2M-1.1-int-232 object, instance, resource and resource instance in SenML CBOR", () => {
    const { device, read } = enabler();
    device.on("GET /1", content(SENML_CBOR, hex("82 a3 21 652f312f302f 00 6130 02 01 a2 00 6136 04 f4")));
    device.on("GET /3/0", content(SENML_CBOR, hex("81 a3 21 662f332f302f31 00 6136 03 6155")));
    device.on("GET /3/0/16", content(SENML_CBOR, hex("81 a2 21 672f332f302f3136 03 6155")));
    device.on("GET /3/0/11/0", content(SENML_CBOR, hex("81 a2 21 692f332f302f31312f30 02 00")));
    const values = ["/1", "/3/0", "/3/0/16", "/3/0/11/0"].map((path) => read("read", { path, accept: 112 }));
    expect(values).toEqual([
      { "/1/0/0": 1, "/1/0/6": false },
      { "/3/0/16": "U" },
      { "/3/0/16": "U" },
      { "/3/0/11/0": 0 },
    ]);
    expect(device.asked.map((asked) => asked.accept)).toEqual([112, 112, 112, 112]);
  });
});

describe("setting basic information", () => {
  it("LightweightM2M-1.1-int-205 in plain text, and read back in TLV", () => {
    const { device, code, read } = enabler();
    const write = (path: string, value: number) => code("write", { path, value, format: TEXT });
    expect([write("/1/0/2", 101), write("/1/0/3", 1010), write("/1/0/5", 2000)]).toEqual([
      "2.04",
      "2.04",
      "2.04",
    ]);
    expect(device.asked.map((asked) => [asked.line, asked.format, bodyOf(asked)])).toEqual([
      ["PUT /1/0/2", TEXT, "101"],
      ["PUT /1/0/3", TEXT, "1010"],
      ["PUT /1/0/5", TEXT, "2000"],
    ]);
    device.on("GET /1/0", content(TLV, hex("c10265 c20303f2 c20507d0")));
    expect(read("read", { path: "/1/0", accept: TLV })).toEqual({
      "/1/0/2": 101,
      "/1/0/3": 1010,
      "/1/0/5": 2000,
    });
  });

  it("LightweightM2M-1.1-int-212 in CBOR", () => {
    const { device, code } = enabler();
    for (const [path, value] of [
      ["/1/0/2", 101],
      ["/1/0/3", 1010],
      ["/1/0/6", true],
    ])
      expect(code("write", { path, value, format: CBOR })).toBe("2.04");
    expect(device.asked.map((asked) => [asked.format, hexOf(asked)])).toEqual([
      [CBOR, "1865"],
      [CBOR, "1903f2"],
      [CBOR, "f5"],
    ]);
  });

  const SET = [
    { path: "2", type: "Integer", value: 101 },
    { path: "3", type: "Integer", value: 1010 },
    { path: "5", type: "Integer", value: 2000 },
    { path: "6", type: "Boolean", value: true },
    { path: "7", type: "String", value: "U" },
  ];

  it("LightweightM2M-1.1-int-215 a partial update in TLV with the bytes of the case, and the old values put back", () => {
    const { device, code, read } = enabler();
    expect(code("write", { basePath: "/1/0", content: SET, format: TLV })).toBe("2.04");
    expect(device.lastAsked()).toMatchObject({ line: "POST /1/0", format: TLV });
    expect(hexOf(device.lastAsked())).toBe("c10265c20303f2c20507d0c10601c10755");
    device.on("GET /1/0", content(TLV, device.lastAsked().payload));
    expect(read("read", { path: "/1/0" })).toEqual({
      "/1/0/2": 101,
      "/1/0/3": 1010,
      "/1/0/5": 2000,
      "/1/0/6": true,
      "/1/0/7": "U",
    });
    const saved = Object.entries(SERVER_VALUES).map(([path, value]) => ({ path: path.slice(5), value }));
    expect(code("write", { basePath: "/1/0", replace: true, content: saved, format: TLV })).toBe("2.04");
    expect(device.lastAsked().line).toBe("PUT /1/0");
    expect(hexOf(device.lastAsked())).toBe(Buffer.from(SERVER_TLV).toString("hex"));
  });

  it("LightweightM2M-1.1-int-220 a partial update in JSON", () => {
    const { device, code } = enabler();
    expect(code("write", { basePath: "/1/0", content: SET, format: JSON_10 })).toBe("2.04");
    expect(device.lastAsked()).toMatchObject({ line: "POST /1/0", format: JSON_10 });
    expect(JSON.parse(bodyOf(device.lastAsked()))).toEqual({
      bn: "/1/0/",
      e: [
        { n: "2", v: 101 },
        { n: "3", v: 1010 },
        { n: "5", v: 2000 },
        { n: "6", bv: true },
        { n: "7", sv: "U" },
      ],
    });
  });

  it.each([
    ["233", "SenML CBOR", SENML_CBOR],
    ["234", "SenML JSON", SENML_JSON],
  ] as const)(
    "LightweightM2M-1.1-int-%s instance, resource instance and resource in %s",
    (_id, _name, format) => {
      const { device, code } = enabler();
      const instance = [
        { path: "1", value: 61 },
        { path: "6", value: true },
      ];
      expect(code("write", { basePath: "/1/0", content: instance, format })).toBe("2.04");
      expect(code("write", { path: "/16/0/0/0", type: "String", value: "test_value", format })).toBe("2.04");
      expect(code("write", { path: "/1/0/1", value: 63, format })).toBe("2.04");
      expect(device.lines()).toEqual(["POST /1/0", "PUT /16/0/0/0", "PUT /1/0/1"]);
      expect(device.asked.map((asked) => asked.format)).toEqual([format, format, format]);
      const bodies =
        format === SENML_JSON ? device.asked.map(bodyOf) : device.asked.map((asked) => hexOf(asked));
      expect(bodies).toEqual(
        format === SENML_JSON
          ? [
              '[{"bn":"/1/0/","n":"1","v":61},{"n":"6","vb":true}]',
              '[{"bn":"/16/0/0/0","vs":"test_value"}]',
              '[{"bn":"/1/0/1","v":63}]',
            ]
          : [
              "82a321652f312f302f0061310218 3da20061 3604f5".replaceAll(" ", ""),
              "81a221692f31362f302f302f30036a746573745f76616c7565",
              "81a221662f312f302f3102183f",
            ],
      );
    },
  );
});

describe("operations level by level", () => {
  it("LightweightM2M-1.1-int-221 Security is nobody's: each refusal of the device is told", () => {
    const { device, code } = enabler();
    device.script = () => ({ code: "4.01" });
    expect(code("read", { path: "/0" })).toBe("4.01");
    expect(code("write", { path: "/0/0/0", type: "String", value: "coap://x" })).toBe("4.01");
    expect(code("write-attr", { path: "/0", pmin: "30", pmax: "45" })).toBe("4.01");
    expect(device.lines()).toEqual(["GET /0", "PUT /0/0/0", "PUT /0?pmin=30&pmax=45"]);
  });

  it("LightweightM2M-1.1-int-222 Read of objects: every instance with its resources", () => {
    const { device, read } = enabler();
    const wrapped = (tlv: Uint8Array) => Buffer.concat([Buffer.of(0x08, 0, tlv.length), tlv]);
    device.on("GET /1", content(TLV, wrapped(SERVER_TLV)));
    device.on("GET /3", content(TLV, wrapped(DEVICE.tlv)));
    expect(read("read", { path: "/1" })).toEqual(SERVER_VALUES);
    expect(read("read", { path: "/3" })).toEqual(DEVICE.values);
  });

  it("LightweightM2M-1.1-int-223 Read of an instance", () => {
    const { device, read } = enabler();
    device.on("GET /1/0", content(TLV, SERVER_TLV));
    expect(read("read", { path: "/1/0" })).toEqual(SERVER_VALUES);
  });

  it("LightweightM2M-1.1-int-224 Read of a resource", () => {
    const { device, read } = enabler();
    device.on("GET /1/0/1", content(TEXT, "86400")).on("GET /1/0/6", content(TEXT, "0"));
    expect(read("read", { path: "/1/0/1" })).toEqual({ "/1/0/1": 86_400 });
    expect(read("read", { path: "/1/0/6" })).toEqual({ "/1/0/6": false });
  });

  it("LightweightM2M-1.1-int-225 Read of a resource instance", () => {
    const { device, read } = enabler();
    device.on("GET /3/0/11/0", content(TEXT, "0"));
    expect(read("read", { path: "/3/0/11/0" })).toEqual({ "/3/0/11/0": 0 });
  });

  it("LightweightM2M-1.1-int-226 a partial update is one message, and the lifetime that it changes is the new one", () => {
    const { world, device, code } = enabler();
    device.on("POST /1/0", { code: "2.04" });
    const items = [
      { path: "1", value: 61 },
      { path: "6", value: true },
    ];
    expect(code("write", { basePath: "/1/0", content: items })).toBe("2.04");
    expect(device.lines()).toEqual(["POST /1/0"]);
    expect(device.update(["lt=61"]).code).toBe("2.04");
    expect(world.reports("meter")[0]?.data["lt"]).toBe(61);
  });

  it("LightweightM2M-1.1-int-227 Write replaces a resource", () => {
    const { world, device, code } = enabler();
    expect(code("write", { path: "/1/0/1", value: 63 })).toBe("2.04");
    expect(device.lastAsked().line).toBe("PUT /1/0/1");
    device.update(["lt=63"]);
    expect(world.reports("meter")[0]?.data["lt"]).toBe(63);
  });

  it("LightweightM2M-1.1-int-228 Write of a resource instance carries that instance alone", () => {
    const { device, code, read } = enabler();
    expect(code("write", { path: "/16/0/0/1", type: "String", value: "test" })).toBe("2.04");
    expect(device.lastAsked().line).toBe("PUT /16/0/0/1");
    expect(hexOf(device.lastAsked())).toBe("81a221692f31362f302f302f31036474657374");
    device.on("GET /16/0/0/1", content(TEXT, "test"));
    expect(read("read", { path: "/16/0/0/1" })).toEqual({ "/16/0/0/1": "test" });
  });

  it("LightweightM2M-1.1-int-237 a Read without Accept: whatever format comes is understood", () => {
    const { device, read } = enabler({}, "</1/0>,</3/0>");
    device.on("GET /1", content(SENML_JSON, '[{"n":"/1/0/0","v":1}]'));
    device.on("GET /3", content(SENML_CBOR, hex("81 a2 00 672f332f302f3136 03 6155")));
    expect(read("read", { path: "/1" })).toEqual({ "/1/0/0": 1 });
    expect(read("read", { path: "/3" })).toEqual({ "/3/0/16": "U" });
    expect(device.asked.map((asked) => asked.accept)).toEqual([undefined, undefined]);
  });

  it("LightweightM2M-1.1-int-241 Reboot: executed, and the device is taken back when it registers", () => {
    const { world, device, code } = enabler();
    expect(code("execute", { path: "/3/0/4" })).toBe("2.04");
    expect(device.lastAsked().line).toBe("POST /3/0/4");
    const before = device.location;
    expect(device.register({ lwm2m: "1.1" }, LINKS).code).toBe("2.01");
    expect(device.location).not.toBe(before);
    expect(world.reports("meter")).toMatchObject([{ msgType: "register" }]);
  });

  it("LightweightM2M-1.1-int-256 Write that the device does not allow: 4.05, and the value is as it was", () => {
    const { device, ask, read } = enabler();
    device.on("PUT /1/0/0", { code: "4.05" }).on("GET /1/0/0", content(TEXT, "1"));
    expect(ask("write", { path: "/1/0/0", value: 123 }).data).toMatchObject({
      reqPath: "/1/0/0",
      code: "4.05",
      codeMsg: "method_not_allowed",
    });
    expect(read("read", { path: "/1/0/0" })).toEqual({ "/1/0/0": 1 });
  });
});

describe("Discover and Write-Attributes", () => {
  it("LightweightM2M-1.1-int-260 what was attached is discovered, inherited where it was attached above", () => {
    const { device, ask, code } = enabler();
    device.on("GET /3", content(40, "</3>,</3/0>,</3/0/6>;dim=2,</3/0/7>;dim=2"));
    expect(ask("discover", { path: "/3" }).data["content"]).toEqual([
      "</3>",
      "</3/0>",
      "</3/0/6>;dim=2",
      "</3/0/7>;dim=2",
    ]);
    expect(code("write-attr", { path: "/3", pmin: "10", pmax: "200" })).toBe("2.04");
    expect(code("write-attr", { path: "/3/0/7", lt: "1", gt: "6", st: "1" })).toBe("2.04");
    device.on("GET /3/0/7", content(40, "</3/0/7>;pmin=10;pmax=200;dim=2;lt=1;gt=6;st=1"));
    expect(ask("discover", { path: "/3/0/7" }).data["content"]).toEqual([
      "</3/0/7>;pmin=10;pmax=200;dim=2;lt=1;gt=6;st=1",
    ]);
    expect(device.lines().slice(1, 3)).toEqual(["PUT /3?pmin=10&pmax=200", "PUT /3/0/7?gt=6&lt=1&st=1"]);
    expect(device.asked.map((asked) => asked.accept)).toEqual([40, undefined, undefined, 40]);
  });

  it("LightweightM2M-1.1-int-261 attributes of an object, an instance and a resource instance", () => {
    const { device, code } = enabler();
    expect(code("write-attr", { path: "/3", pmin: "10", pmax: "200" })).toBe("2.04");
    expect(code("write-attr", { path: "/3/0", pmax: "320" })).toBe("2.04");
    expect(code("write-attr", { path: "/3/0/11/0", pmax: "100", epmin: "1", epmax: "20" })).toBe("2.04");
    expect(device.lines()).toEqual([
      "PUT /3?pmin=10&pmax=200",
      "PUT /3/0?pmax=320",
      "PUT /3/0/11/0?pmax=100&epmin=1&epmax=20",
    ]);
  });

  it.each([
    ["264", 1],
    ["266", 3],
  ] as const)("LightweightM2M-1.2-int-%s Discover down to depth %i", (_id, depth) => {
    const { device, ask } = enabler({ lwm2m: "1.2" });
    const links = "</3>;pmin=1;pmax=10,</3/0>;pmax=200";
    device.on("GET /3", content(40, links));
    expect(ask("discover", { path: "/3", depth }).data["content"]).toEqual(links.split(","));
    expect(device.lastAsked().line).toBe(`GET /3?depth=${depth}`);
    expect(ask("discover", { path: `/3?depth=${depth}` }).data["code"]).toBe("2.05");
    expect(device.lastAsked().line).toBe(`GET /3?depth=${depth}`);
  });
});

describe("composite operations", () => {
  const pack = (records: object[]) => content(SENML_JSON, JSON.stringify(records));
  const names = (hexText: string) =>
    [
      ...Buffer.from(hexText, "hex")
        .toString("latin1")
        .matchAll(/\/[\d/]*/g),
    ].map(([name]) => name);

  it("LightweightM2M-1.1-int-229 Read-Composite of objects, instances, resources and their instances", () => {
    const { device, read } = enabler();
    device.on(
      "FETCH /",
      pack([
        { bn: "/", n: "3/0/16", vs: "U" },
        { n: "1/0/1", v: 86_400 },
      ]),
    );
    const paths = ["/3", "/1/0", "/1/0/1", "/3/0/11/0"];
    expect(read("read-composite", { paths })).toEqual({ "/3/0/16": "U", "/1/0/1": 86_400 });
    expect(device.lastAsked()).toMatchObject({ line: "FETCH /", format: SENML_CBOR, accept: SENML_CBOR });
    expect(names(hexOf(device.lastAsked()))).toEqual(paths);
  });

  it("LightweightM2M-1.1-int-230 Write-Composite: one iPATCH for several objects", () => {
    const { device, code } = enabler();
    const items = [
      { path: "/1/0/1", value: 61 },
      { path: "/1/0/6", value: true },
      ...["aa", "bb", "cc", "dd"].map((value, at) => ({ path: `/16/0/0/${at}`, type: "String", value })),
    ];
    expect(code("write-composite", { content: items, format: SENML_JSON })).toBe("2.04");
    expect(device.lines()).toEqual(["iPATCH /"]);
    expect(JSON.parse(bodyOf(device.lastAsked()))).toEqual([
      { n: "/1/0/1", v: 61 },
      { n: "/1/0/6", vb: true },
      { n: "/16/0/0/0", vs: "aa" },
      { n: "/16/0/0/1", vs: "bb" },
      { n: "/16/0/0/2", vs: "cc" },
      { n: "/16/0/0/3", vs: "dd" },
    ]);
  });

  it("LightweightM2M-1.1-int-235 Read-Composite of the root", () => {
    const { device, read } = enabler();
    device.on(
      "FETCH /",
      pack([
        { n: "/1/0/0", v: 1 },
        { n: "/3/0/0", vs: "Operations" },
      ]),
    );
    expect(read("read-composite", { paths: ["/"] })).toEqual({ "/1/0/0": 1, "/3/0/0": "Operations" });
    expect(hexOf(device.lastAsked())).toBe("81a100612f");
  });

  it("LightweightM2M-1.1-int-236 what is not there is not in the answer, and that is no error", () => {
    const { device, ask } = enabler();
    device.on("FETCH /", pack([{ n: "/1/0/1", v: 86_400 }]));
    const { data } = ask("read-composite", { paths: ["/1/0/1", "/3339/0/5522", "/3353/0/6030"] });
    expect(data).toMatchObject({ code: "2.05", content: [{ path: "/1/0/1", value: 86_400 }] });
  });

  it("LightweightM2M-1.1-int-257 Write-Composite of Server and Device, in the bytes of the case but for the base name", () => {
    const { device, code } = enabler();
    const items = [
      { path: "/1/0/2", value: 101 },
      { path: "/1/0/6", value: true },
      { path: "/3/0/13", value: 0 },
    ];
    expect(code("write-composite", { content: items, format: SENML_CBOR })).toBe("2.04");
    expect(hexOf(device.lastAsked())).toBe(
      "83a200662f312f302f32021865a200662f312f302f3604f5a200672f332f302f31330200",
    );
  });

  it("LightweightM2M-1.1-int-280 Read-Composite names exactly what was asked for", () => {
    const { device, read } = enabler();
    const answer = [
      { n: "/3/0/16", vs: "U" },
      { n: "/3/0/11/0", v: 0 },
      { n: "/1/0/7", vs: "U" },
    ];
    device.on("FETCH /", pack(answer));
    const paths = ["/3/0/16", "/3/0/11/0", "/1/0"];
    expect(read("read-composite", { paths })).toEqual({ "/3/0/16": "U", "/3/0/11/0": 0, "/1/0/7": "U" });
    expect(names(hexOf(device.lastAsked()))).toEqual(paths);
  });

  it("LightweightM2M-1.1-int-281 an executable resource is missing from the answer", () => {
    const { device, read } = enabler();
    device.on(
      "FETCH /",
      pack([
        { n: "/1/0/1", v: 86_400 },
        { n: "/1/0/7", vs: "U" },
      ]),
    );
    expect(read("read-composite", { paths: ["/1/0/1", "/1/0/7", "/1/0/8"] })).toEqual({
      "/1/0/1": 86_400,
      "/1/0/7": "U",
    });
  });
});

describe("instances of other objects", () => {
  it("LightweightM2M-1.1-int-270 and 1630 Create with an instance and resource instances, wrapped in TLV", () => {
    const { device, ask } = enabler({}, "</1/0>,</3/0>,</16/0>");
    device.on("POST /16", { code: "2.01", location: ["16", "1"] });
    const items = [
      { path: "/1/0/0", type: "String", value: "Host Device ID #2" },
      { path: "/1/0/1", type: "String", value: "Host Device Model #2" },
    ];
    expect(ask("create", { basePath: "/16", content: items }).data).toEqual({
      reqPath: "/16",
      code: "2.01",
      codeMsg: "created",
      location: "/16/1",
    });
    expect(device.lastAsked()).toMatchObject({ line: "POST /16", format: TLV });
    const text = (words: string) => Buffer.from(words).toString("hex");
    expect(hexOf(device.lastAsked())).toBe(
      `08012e88002b480011${text("Host Device ID #2")}480114${text("Host Device Model #2")}`,
    );
  });

  it("LightweightM2M-1.1-int-290 and 1635 Delete of each instance", () => {
    const { device, ask, code } = enabler();
    device.on("GET /16", content(40, "</16>"));
    expect(code("delete", { path: "/16/0" })).toBe("2.02");
    expect(ask("discover", { path: "/16" }).data["content"]).toEqual(["</16>"]);
    expect(device.lines()).toEqual(["DELETE /16/0", "GET /16"]);
  });
});
