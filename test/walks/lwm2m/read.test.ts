/** Read commands and what becomes of their answers. */
import { describe, expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { read, registered, values } from "../../support/lwm2m-asking.ts";
import { hex } from "../../support/lwm2m-device.ts";

const DEVICE_TLV = hex(
  "c800144f70656e204d6f62696c6520416c6c69616e6365 8606410001410105 c10964 c40d5182428f c60e2b30323a3030",
);

describe("Read", () => {
  it("a resource; every top-level field of the command comes back", () => {
    const { device, ask } = registered();
    device.on("GET /3/0/0", { code: "2.05", format: 0, payload: "EMQ" });
    const command = { requestID: "a1", cacheID: "b2", imei: "49", custom: { x: [1] }, ...read("/3/0/0") };
    expect(ask(command)).toEqual([
      {
        requestID: "a1",
        cacheID: "b2",
        imei: "49",
        custom: { x: [1] },
        reqID: 7,
        msgType: "read",
        data: {
          reqPath: "/3/0/0",
          code: "2.05",
          codeMsg: "content",
          content: [{ path: "/3/0/0", value: "EMQ" }],
        },
      },
    ]);
    expect(device.lastAsked()).toMatchObject({ line: "GET /3/0/0", observe: undefined });
  });

  it("an object in TLV", () => {
    const { device, ask } = registered({}, '</>;rt="oma.lwm2m";ct=11542,</3/0>');
    device.on("GET /3", { code: "2.05", format: 11542, payload: Buffer.concat([hex("080030"), DEVICE_TLV]) });
    expect(values(ask(read("/3")))).toEqual([
      ["/3/0/0", "Open Mobile Alliance"],
      ["/3/0/6/0", 1],
      ["/3/0/6/1", 5],
      ["/3/0/9", 100],
      ["/3/0/13", 1367491215],
      ["/3/0/14", "+02:00"],
    ]);
    expect(device.lastAsked().accept).toBe(11542);
  });

  it("an instance in the TLV of 1542, which was never registered", () => {
    const { device, ask } = registered();
    device.on("GET /3/0", { code: "2.05", format: 1542, payload: DEVICE_TLV });
    expect(values(ask(read("/3/0")))).toHaveLength(6);
  });

  it("an instance in JSON", () => {
    const { device, ask } = registered({}, "</>;rt=oma.lwm2m;ct=11543,</3/0>");
    const payload = '{"bn":"/3/0/","e":[{"n":"0","sv":"EMQ"},{"n":"9","v":95},{"n":"13","v":1367491215}]}';
    device.on("GET /3/0", { code: "2.05", format: 11543, payload });
    expect(values(ask(read("/3/0")))).toEqual([
      ["/3/0/0", "EMQ"],
      ["/3/0/9", 95],
      ["/3/0/13", 1367491215],
    ]);
    expect(device.lastAsked().accept).toBe(11543);
  });

  it("an instance in SenML JSON and in SenML CBOR", () => {
    const { device, ask } = registered({ lwm2m: "1.1" }, '</>;rt="oma.lwm2m";ct="60 110 112",</3/0>');
    device.on("GET /3/0", {
      code: "2.05",
      format: 110,
      payload: '[{"bn":"/3/0/","n":"0","vs":"EMQ"},{"n":"9","v":95}]',
    });
    expect(values(ask(read("/3/0")))).toEqual([
      ["/3/0/0", "EMQ"],
      ["/3/0/9", 95],
    ]);
    expect(device.lastAsked().accept).toBe(112);
    device.on("GET /3/0", {
      code: "2.05",
      format: 112,
      payload: hex("81a3 21 652f332f302f 00 6139 02 185f"),
    });
    expect(values(ask(read("/3/0")))).toEqual([["/3/0/9", 95]]);
  });

  it("a device of 1.2 that offers LwM2M CBOR is asked for it", () => {
    const { device, ask } = registered({ lwm2m: "1.2" }, '</>;rt="oma.lwm2m";ct="112 11544",</3/0>');
    device.on("GET /3/0", { code: "2.05", format: 11544, payload: hex("a103a100a109185f") });
    expect(values(ask(read("/3/0")))).toEqual([["/3/0/9", 95]]);
    expect(device.lastAsked().accept).toBe(11544);
  });

  it("an accept of the command overrides the choice, and ?query goes along", () => {
    const { device, ask } = registered();
    ask(read("/3/0/0?a=1&b", { accept: 60 }));
    expect(device.lastAsked()).toMatchObject({ line: "GET /3/0/0?a=1&b", accept: 60 });
  });

  it.each([
    ["/3/0/9", "100", 100],
    ["/3/0/13", "1367491215", 1367491215],
    ["/3303/0/5700", "-20.5", -20.5],
    ["/3342/0/5500", "1", true],
    ["/3442/0/150", "AP8Q", "AP8Q"],
    ["/3442/0/170", "10:3", "10:3"],
    ["/3/0/1", "0123", "0123"],
  ])("text of %s is typed by its definition", (path, payload, value) => {
    const { device, ask } = registered();
    device.on(`GET ${path}`, { code: "2.05", format: 0, payload });
    expect(values(ask(read(path)))).toEqual([[path, value]]);
  });

  it("without a content format a single resource is text", () => {
    const { device, ask } = registered();
    device.on("GET /3/0/9", { code: "2.05", payload: "77" });
    expect(values(ask(read("/3/0/9")))).toEqual([["/3/0/9", 77]]);
  });

  it("opaque content is shown in base64", () => {
    const { device, ask } = registered();
    device.on("GET /3442/0/150", { code: "2.05", format: 42, payload: hex("00ff10") });
    expect(values(ask(read("/3442/0/150")))).toEqual([["/3442/0/150", "AP8Q"]]);
  });

  it("a long text arrives whole, in blocks", () => {
    const { device, ask } = registered();
    const long = "0123456789".repeat(100);
    device.on("GET /3/0/0", (asked) => {
      const block = asked.message.options.find((option) => option.number === 23);
      const number =
        block === undefined ? 0 : [...block.value].reduce((value, byte) => value * 256 + byte, 0) >> 4;
      const part = long.slice(number * 256, (number + 1) * 256);
      const more = (number + 1) * 256 < long.length;
      const value = Uint8Array.of((number << 4) | (more ? 8 : 0) | 4);
      return { code: "2.05", format: 0, payload: part, options: [{ number: 23, value }] };
    });
    expect(values(ask(read("/3/0/0")))).toEqual([["/3/0/0", long]]);
  });

  it("64-bit integers reach MQTT with all their digits", () => {
    const { world, device } = registered();
    device.on("GET /3442/0", {
      code: "2.05",
      format: 11542,
      payload: hex("c878087fffffffffffffff c87d08ffffffffffffffff"),
    });
    world.command("meter", read("/3442/0"));
    const [text] = world.texts("meter");
    expect(text).toContain('{"path":"/3442/0/120","value":9223372036854775807}');
    expect(text).toContain('{"path":"/3442/0/125","value":18446744073709551615}');
  });

  it("an object without a definition still works, typed by its payload", () => {
    const { device, ask } = registered();
    device.on("GET /31024/0", {
      code: "2.05",
      format: 11542,
      payload: hex("c500416263646f c10107 c40241c80000 c303ff0180"),
    });
    expect(values(ask(read("/31024/0")))).toEqual([
      ["/31024/0/0", "Abcdo"],
      ["/31024/0/1", 7],
      ["/31024/0/2", 25],
      ["/31024/0/3", "/wGA"],
    ]);
    device.on("GET /31024/0/1", { code: "2.05", payload: "12.5" });
    expect(values(ask(read("/31024/0/1")))).toEqual([["/31024/0/1", 12.5]]);
  });

  it.each([
    ["4.00", "bad_request"],
    ["4.01", "unauthorized"],
    ["4.03", "forbidden"],
    ["4.04", "not_found"],
    ["4.05", "method_not_allowed"],
    ["4.06", "not_acceptable"],
    ["5.00", "internal_server_error"],
    ["5.01", "not_implemented"],
  ])("an error %s of the device is passed on", (code, codeMsg) => {
    const { device, ask } = registered();
    device.on("GET /3/0/0", { code });
    expect(ask(read("/3/0/0"))[0]?.data).toEqual({ reqPath: "/3/0/0", code, codeMsg });
  });

  it.each([
    ["a TLV that is cut off", 11542, hex("c800144f70656e")],
    ["a TLV whose value does not fit its type", 11542, hex("c3090000ff")],
    ["a TLV that speaks of another instance", 11542, hex("0801 03c10964")],
    ["SenML that is no array", 110, Buffer.from("{}")],
    ["SenML of another object", 110, Buffer.from('[{"n":"/4/0/1","v":1}]')],
    ["broken CBOR", 112, hex("9f81")],
    ["a format that nobody knows", 9999, Buffer.from("x")],
    ["text for a whole instance", 0, Buffer.from("x")],
  ])("an answer with %s is reported as 4.00 with its reason", (_what, format, payload) => {
    const { device, ask } = registered();
    device.on("GET /3/0", { code: "2.05", format, payload });
    expect(ask(read("/3/0"))[0]?.data).toMatchObject({
      code: "4.00",
      codeMsg: "bad_request",
      reason: expect.any(String),
    });
    expect(ask(read("/3/0"))[0]?.data).not.toHaveProperty("content");
  });

  it("by setting, content tells name, type and units", () => {
    const { device, ask } = registered({}, undefined, { describeContent: true });
    device.on("GET /3/0/9", { code: "2.05", payload: "88" });
    expect(ask(read("/3/0/9"))[0]?.data["content"]).toEqual([
      { path: "/3/0/9", value: 88, name: "Battery Level", type: "integer", units: "/100" },
    ]);
  });

  it("below an alternate path", () => {
    const { device, ask } = registered({}, '</lwm2m>;rt="oma.lwm2m",</lwm2m/3/0>');
    device.on("GET /lwm2m/3/0/0", { code: "2.05", payload: "EMQ" });
    expect(values(ask(read("/3/0/0")))).toEqual([["/3/0/0", "EMQ"]]);
  });
});

describe("answers that take their time", () => {
  it("an empty ACK is reported as ack, then the answer", () => {
    const { world, device, ask } = registered();
    device.on("GET /3/0/0", "acknowledge");
    expect(ask(read("/3/0/0"))).toEqual([
      { reqID: 7, msgType: "ack", data: { path: "/3/0/0", reqPath: "/3/0/0", reqMsgType: "read" } },
    ]);
    device.respond(device.lastAsked(), { code: "2.05", payload: "EMQ" });
    expect(world.reports("meter")).toMatchObject([{ reqID: 7, msgType: "read", data: { code: "2.05" } }]);
  });

  it("no answer at all is coap_timeout, and the next command goes out", () => {
    const { world, device, ask } = registered();
    device.on("GET /3/0/0", "silence").on("GET /3/0/1", { code: "2.05", payload: "M" });
    expect(ask(read("/3/0/0"))).toEqual([]);
    expect(ask({ reqID: 8, msgType: "read", data: { path: "/3/0/1" } })).toEqual([]);
    world.advance(seconds(100));
    expect(world.reports("meter")).toMatchObject([
      {
        reqID: 7,
        msgType: "coap_timeout",
        data: { reqPath: "/3/0/0", reqMsgType: "read", code: "5.04", codeMsg: "coap_timeout" },
      },
      { reqID: 8, msgType: "read", data: { code: "2.05" } },
    ]);
  });

  it("a reset is coap_reset", () => {
    const { device, ask } = registered();
    device.on("GET /3/0/0", "reset");
    expect(ask(read("/3/0/0"))).toMatchObject([
      { reqID: 7, msgType: "coap_reset", data: { codeMsg: "coap_reset" } },
    ]);
  });

  it("an answer that comes too late, or a second one, changes nothing", () => {
    const { world, device, ask } = registered();
    device.on("GET /3/0/0", "acknowledge");
    ask(read("/3/0/0"));
    world.advance(seconds(100));
    expect(world.reports("meter")).toMatchObject([{ msgType: "coap_timeout" }]);
    const late = device.lastAsked();
    device.respond(late, { code: "2.05", payload: "late" });
    device.respond(late, { code: "2.05", payload: "twice" });
    expect(world.reports("meter")).toEqual([]);
    expect(device.answers.at(-1)?.type).toBe(3);
  });

  it("one request is outstanding at a time, and order is kept", () => {
    const { world, device } = registered();
    device.script = () => "acknowledge";
    for (let index = 0; index < 3; index++)
      world.command("meter", { reqID: index, msgType: "read", data: { path: `/3/0/${index}` } });
    expect(device.lines()).toEqual(["GET /3/0/0"]);
    device.respond(device.lastAsked(), { code: "2.05", payload: "a" });
    expect(device.lines()).toEqual(["GET /3/0/0", "GET /3/0/1"]);
    device.respond(device.lastAsked(), { code: "2.05", payload: "b" });
    device.respond(device.lastAsked(), { code: "2.05", payload: "c" });
    const answers = world.reports("meter").filter((report) => report.msgType === "read");
    expect(answers.map((report) => report["reqID"])).toEqual([0, 1, 2]);
  });
});
