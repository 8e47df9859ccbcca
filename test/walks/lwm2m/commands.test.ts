/** Commands over MQTT and what becomes of them, in the JSON that applications already speak. */
import { describe, expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { hex, type Reaction } from "../../support/lwm2m-device.ts";
import { Lwm2mWorld, type Report } from "../../support/lwm2m-world.ts";

const DEVICE_TLV = hex(
  "c800144f70656e204d6f62696c6520416c6c69616e6365 8606410001410105 c10964 c40d5182428f c60e2b30323a3030",
);

function registered(query: Record<string, string> = {}, links?: string, settings: object = {}) {
  const world = new Lwm2mWorld(settings);
  const device = world.device("meter");
  device.register(query, links);
  world.watch("meter");
  const ask = (command: object | string): Report[] => {
    world.command("meter", command);
    return world.reports("meter");
  };
  return { world, device, ask };
}

const read = (path: string, more: object = {}) => ({ reqID: 7, msgType: "read", data: { path, ...more } });
const values = (reports: Report[]) =>
  (reports[0]?.data["content"] as { path: string; value: unknown }[] | undefined)?.map(({ path, value }) => [
    path,
    value,
  ]);

describe("Read", () => {
  it("LightweightM2M-1.1-int-201 a resource; every top-level field of the command comes back", () => {
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

  it("LightweightM2M-1.1-int-221 an object in TLV", () => {
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

  it("LightweightM2M-1.1-int-222 an instance in JSON", () => {
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

  it("LightweightM2M-1.1-int-223 an instance in SenML JSON, and 226 in SenML CBOR", () => {
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
      { reqID: 7, msgType: "ack", data: { reqPath: "/3/0/0", reqMsgType: "read" } },
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

describe("Write", () => {
  const write = (data: object, more: object = {}) => ({ reqID: 1, msgType: "write", data, ...more });

  it("LightweightM2M-1.1-int-211 one resource, as TLV by PUT", () => {
    const { device, ask } = registered();
    expect(ask(write({ path: "/1/0/1", type: "Integer", value: "86400" }))).toEqual([
      { reqID: 1, msgType: "write", data: { reqPath: "/1/0/1", code: "2.04", codeMsg: "changed" } },
    ]);
    expect(device.lastAsked()).toMatchObject({ line: "PUT /1/0/1", format: 11542 });
    expect(device.lastAsked().payload).toEqual(Buffer.from(hex("c40100015180")));
  });

  it.each([
    ["String", "/3/0/15", "Europe/Berlin", "c80f0d4575726f70652f4265726c696e"],
    ["Integer", "/1/0/1", 500, "c20101f4"],
    ["Float", "/3442/0/130", "1.5", "c4823fc00000"],
    ["Boolean", "/1/0/6", "true", "c10601"],
    ["Boolean", "/1/0/6", false, "c10600"],
    ["Time", "/3/0/13", 1367491215, "c40d5182428f"],
    ["Opaque", "/5/0/0", "AP8Q", "c30000ff10"],
    ["Objlnk", "/3442/0/170", "10:3", "c4aa000a0003"],
    ["Unsigned Integer", "/3442/0/125", "18446744073709551615", "c87d08ffffffffffffffff"],
  ])("a value of type %s", (type, path, value, bytes) => {
    const { device, ask } = registered();
    ask(write({ path, type, value }));
    expect(Buffer.from(device.lastAsked().payload).toString("hex")).toBe(bytes);
  });

  it("a 64-bit number in the command keeps its digits, and so does a request id", () => {
    const { world, device } = registered();
    world.command(
      "meter",
      '{"reqID":9007199254740993,"msgType":"write","data":{"path":"/3442/0/120","type":"Integer","value":9223372036854775807}}',
    );
    expect(Buffer.from(device.lastAsked().payload).toString("hex")).toBe("c878087fffffffffffffff");
    expect(world.texts("meter")[0]).toContain('"reqID":9007199254740993');
  });

  it("without a type the definition gives it", () => {
    const { device, ask } = registered();
    ask(write({ path: "/1/0/6", value: true }));
    expect(Buffer.from(device.lastAsked().payload).toString("hex")).toBe("c10601");
  });

  it("LightweightM2M-1.1-int-215 several resources of an instance, by POST; resource instances too", () => {
    const { device, ask } = registered();
    const content = [
      { path: "1", type: "Integer", value: "60" },
      { path: "/7", type: "String", value: "U" },
      { path: "24/3", type: "Objlnk", value: "11:1" },
    ];
    expect(ask(write({ basePath: "/1/0", content }))[0]?.data).toMatchObject({
      reqPath: "/1/0",
      code: "2.04",
    });
    expect(device.lastAsked().line).toBe("POST /1/0");
    expect(Buffer.from(device.lastAsked().payload).toString("hex")).toBe(
      "c1013cc107558618 4403000b0001".replace(" ", ""),
    );
  });

  it("with replace an instance is written by PUT", () => {
    const { device, ask } = registered();
    ask(write({ basePath: "/1/0", replace: true, content: [{ path: "1", type: "Integer", value: 60 }] }));
    expect(device.lastAsked().line).toBe("PUT /1/0");
  });

  it("LightweightM2M-1.1-int-216 all instances of a resource, by PUT", () => {
    const { device, ask } = registered();
    ask(
      write({
        basePath: "/3442/0/1120",
        content: [
          { path: "0", type: "Integer", value: 1 },
          { path: "1", type: "Integer", value: 2 },
        ],
      }),
    );
    expect(device.lastAsked().line).toBe("PUT /3442/0/1120");
    expect(Buffer.from(device.lastAsked().payload).toString("hex")).toBe("a60460410001410102");
  });

  it("one resource instance: by PUT from 1.1 on, by a partial update in 1.0", () => {
    const command = write({ path: "/3442/0/1120/2", type: "Integer", value: 5 });
    const old = registered();
    old.ask(command);
    expect(old.device.lastAsked().line).toBe("POST /3442/0");
    expect(Buffer.from(old.device.lastAsked().payload).toString("hex")).toBe("a30460410205");
    const fresh = registered({ lwm2m: "1.1" }, '</>;rt="oma.lwm2m";ct="110"');
    fresh.ask(command);
    expect(fresh.device.lastAsked()).toMatchObject({ line: "PUT /3442/0/1120/2", format: 110 });
  });

  it("of two values for one path the later wins", () => {
    const { device, ask } = registered();
    ask(
      write({
        basePath: "/1/0",
        content: [
          { path: "1", type: "Integer", value: 1 },
          { path: "1", type: "Integer", value: 2 },
        ],
      }),
    );
    expect(Buffer.from(device.lastAsked().payload).toString("hex")).toBe("c10102");
  });

  it("a device that answers a write with 2.05 has taken it when there is content, and not when there is none", () => {
    const { device, ask } = registered();
    device.on("PUT /1/0/1", { code: "2.05", payload: "ok" });
    expect(ask(write({ path: "/1/0/1", type: "Integer", value: 1 }))[0]?.data).toMatchObject({
      code: "2.04",
      codeMsg: "changed",
    });
    device.on("PUT /1/0/1", { code: "2.05" });
    expect(ask(write({ path: "/1/0/1", type: "Integer", value: 1 }))[0]?.data).toMatchObject({
      code: "4.05",
      codeMsg: "method_not_allowed",
    });
  });

  it("encoding hex: the value is spelled in hexadecimal, and the encoding is echoed", () => {
    const { device, ask } = registered();
    const report = ask(write({ path: "/5/0/0", type: "Opaque", value: "00FF10" }, { encoding: "hex" }))[0];
    expect(report).toMatchObject({ encoding: "hex", data: { code: "2.04" } });
    expect(Buffer.from(device.lastAsked().payload).toString("hex")).toBe("c30000ff10");
    ask(write({ path: "/3/0/14", type: "String", value: "2b3032" }, { encoding: "hex" }));
    expect(Buffer.from(device.lastAsked().payload).toString("hex")).toBe("c30e2b3032");
  });

  it("a large opaque value goes as it is, in blocks", () => {
    const { device, ask } = registered();
    const bytes = Buffer.alloc(3000, 7);
    const received: Buffer[] = [];
    device.on("PUT /5/0/0", (asked): Reaction => {
      received.push(Buffer.from(asked.payload));
      const block = asked.message.options.find((option) => option.number === 27)?.value ?? new Uint8Array(0);
      const last = ((block.at(-1) ?? 0) & 8) === 0;
      return { code: last ? "2.04" : "2.31", options: [{ number: 27, value: block }] };
    });
    expect(
      ask(write({ path: "/5/0/0", type: "Opaque", value: bytes.toString("base64") }))[0]?.data["code"],
    ).toBe("2.04");
    expect(Buffer.concat(received).equals(bytes)).toBe(true);
    expect(device.lastAsked().format).toBe(42);
  });
});

describe("Create and Delete", () => {
  it("LightweightM2M-1.1-int-241 create, with the instance that the device chose", () => {
    const { device, ask } = registered();
    device.on("POST /5", { code: "2.01", location: ["5", "2"] });
    expect(ask({ reqID: 1, msgType: "create", data: { basePath: "/5", content: [] } })[0]).toEqual({
      reqID: 1,
      msgType: "create",
      data: { reqPath: "/5", code: "2.01", codeMsg: "created", location: "/5/2" },
    });
    expect(device.lastAsked().payload).toHaveLength(0);
  });

  it("create with content: paths with an instance are wrapped in it, paths without leave the choice", () => {
    const { device, ask } = registered();
    device.on("POST /1", { code: "2.01" });
    ask({
      msgType: "create",
      data: { basePath: "/1", content: [{ path: "/2/1", type: "Integer", value: "60" }] },
    });
    expect(Buffer.from(device.lastAsked().payload).toString("hex")).toBe("0302c1013c");
    ask({
      msgType: "create",
      data: { basePath: "/1", content: [{ path: "1", type: "Integer", value: "60" }] },
    });
    expect(Buffer.from(device.lastAsked().payload).toString("hex")).toBe("c1013c");
  });

  it("LightweightM2M-1.1-int-242 delete", () => {
    const { device, ask } = registered();
    expect(ask({ reqID: 1, msgType: "delete", data: { path: "/3303/1" } })[0]?.data).toEqual({
      reqPath: "/3303/1",
      code: "2.02",
      codeMsg: "deleted",
    });
    expect(device.lastAsked().line).toBe("DELETE /3303/1");
  });
});

describe("Execute, Discover, Write-Attributes", () => {
  it("LightweightM2M-1.1-int-231 execute, with and without arguments", () => {
    const { device, ask } = registered();
    expect(ask({ msgType: "execute", data: { path: "/3/0/4", args: '2,7="reason"' } })[0]?.data).toEqual({
      reqPath: "/3/0/4",
      code: "2.04",
      codeMsg: "changed",
    });
    expect(device.lastAsked()).toMatchObject({ line: "POST /3/0/4", format: 0 });
    expect(Buffer.from(device.lastAsked().payload).toString()).toBe('2,7="reason"');
    ask({ msgType: "execute", data: { path: "/3/0/4", args: "undefined" } });
    expect(device.lastAsked()).toMatchObject({ format: undefined });
    expect(device.lastAsked().payload).toHaveLength(0);
  });

  it("execute that the device forbids", () => {
    const { device, ask } = registered();
    device.on("POST /3/0/5", { code: "4.01" });
    expect(ask({ msgType: "execute", data: { path: "/3/0/5" } })[0]?.data).toMatchObject({
      code: "4.01",
      codeMsg: "unauthorized",
    });
  });

  it("arguments in hex", () => {
    const { device, ask } = registered();
    ask({ msgType: "execute", encoding: "hex", data: { path: "/3/0/4", args: "30" } });
    expect(Buffer.from(device.lastAsked().payload).toString()).toBe("0");
  });

  it("LightweightM2M-1.1-int-251 discover gives the links as they are", () => {
    const { device, ask } = registered();
    const links = '</3>;pmin=10,</3/0>;ver="1,2",</3/0/0>,</3/0/6>;dim=2';
    device.on("GET /3", { code: "2.05", format: 40, payload: links });
    expect(ask({ msgType: "discover", data: { path: "/3" } })[0]?.data).toEqual({
      reqPath: "/3",
      code: "2.05",
      codeMsg: "content",
      content: ["</3>;pmin=10", '</3/0>;ver="1,2"', "</3/0/0>", "</3/0/6>;dim=2"],
    });
    expect(device.lastAsked().accept).toBe(40);
  });

  it("LightweightM2M-1.1-int-252 write attributes: null is left out, an empty text unsets", () => {
    const { device, ask } = registered();
    const data = { path: "/3/0/9", pmin: "1", pmax: 5, lt: null, gt: "45.5", st: "", unknown: "x" };
    expect(ask({ msgType: "write-attr", data })[0]?.data).toMatchObject({ reqPath: "/3/0/9", code: "2.04" });
    expect(device.lastAsked().line).toBe("PUT /3/0/9?pmin=1&pmax=5&gt=45.5&st");
    expect(device.lastAsked().payload).toHaveLength(0);
  });
});

describe("a bad command is answered 4.00 and nothing is sent", () => {
  it.each([
    ["no JSON", "hello", null],
    ["an array", "[1]", null],
    ["broken JSON", '{"reqID":1,', null],
    ["no msgType", { reqID: 1, data: {} }, null],
    ["an unknown msgType", { reqID: 1, msgType: "teleport", data: { path: "/3" } }, "teleport"],
    ["no data", { reqID: 1, msgType: "read" }, "read"],
    ["no path", { reqID: 1, msgType: "read", data: {} }, "read"],
    ["a path that is none", { reqID: 1, msgType: "read", data: { path: "/3/x" } }, "read"],
    ["an identifier out of range", { reqID: 1, msgType: "read", data: { path: "/65535" } }, "read"],
    ["a path of five levels", { reqID: 1, msgType: "read", data: { path: "/1/2/3/4/5" } }, "read"],
    ["the root, to read", { reqID: 1, msgType: "read", data: { path: "/" } }, "read"],
    ["execute of an instance", { reqID: 1, msgType: "execute", data: { path: "/3/0" } }, "execute"],
    [
      "write of an instance without content",
      { reqID: 1, msgType: "write", data: { path: "/3/0", value: 1 } },
      "write",
    ],
    ["write without a value", { reqID: 1, msgType: "write", data: { path: "/3/0/14" } }, "write"],
    [
      "an integer that is none",
      { reqID: 1, msgType: "write", data: { path: "/1/0/1", type: "Integer", value: "abc" } },
      "write",
    ],
    [
      "an unknown type",
      { reqID: 1, msgType: "write", data: { path: "/1/0/1", type: "Colour", value: "1" } },
      "write",
    ],
    [
      "bad base64",
      { reqID: 1, msgType: "write", data: { path: "/5/0/0", type: "Opaque", value: "?" } },
      "write",
    ],
    [
      "bad hex",
      { reqID: 1, msgType: "write", encoding: "hex", data: { path: "/5/0/0", type: "Opaque", value: "0g" } },
      "write",
    ],
    [
      "an unknown encoding",
      { reqID: 1, msgType: "write", encoding: "rot13", data: { path: "/1/0/1", value: 1 } },
      "write",
    ],
    [
      "content that is no list",
      { reqID: 1, msgType: "write", data: { basePath: "/1/0", content: {} } },
      "write",
    ],
    ["an empty batch", { reqID: 1, msgType: "write", data: { basePath: "/1/0", content: [] } }, "write"],
    [
      "an attribute that is no number",
      { reqID: 1, msgType: "write-attr", data: { path: "/3/0/9", pmin: "soon" } },
      "write-attr",
    ],
    [
      "a ttl that is no number",
      { reqID: 1, msgType: "read", mheaders: { ttl: "x" }, data: { path: "/3/0/9" } },
      "read",
    ],
    ["composite without paths", { reqID: 1, msgType: "read-composite", data: {} }, "read-composite"],
    ["firmware without a file", { reqID: 1, msgType: "firmware", data: { mode: "push" } }, "firmware"],
  ])("%s", (_what, command, msgType) => {
    const { device, ask } = registered();
    const [report, ...rest] = ask(command);
    expect(rest).toEqual([]);
    expect(report).toMatchObject({
      msgType,
      data: { code: "4.00", codeMsg: "bad_request", reason: expect.any(String) },
    });
    if (typeof command === "object" && !Array.isArray(command)) expect(report?.["reqID"]).toBe(1);
    expect(device.asked).toEqual([]);
  });

  it("a format that cannot carry what was asked is said so", () => {
    const { device, ask } = registered();
    const content = [
      { path: "1", value: 1 },
      { path: "2", value: 2 },
    ];
    expect(ask({ msgType: "write", data: { basePath: "/1/0", format: 60, content } })[0]?.data).toMatchObject(
      { code: "4.00" },
    );
    expect(device.asked).toEqual([]);
  });
});

describe("settling", () => {
  it("a command of QoS 1 is settled when its answer is published", () => {
    const { world, device } = registered();
    device.on("GET /3/0/0", "acknowledge");
    world.command("meter", read("/3/0/0"), 1);
    expect(world.sessions.get("lwm2m", "meter")?.unsettled).toBe(1);
    device.respond(device.lastAsked(), { code: "2.05", payload: "x" });
    expect(world.sessions.get("lwm2m", "meter")?.unsettled).toBe(0);
  });

  it("correlation data of an MQTT 5 request comes back with the answer", () => {
    const { world, device } = registered();
    device.on("GET /3/0/0", { code: "2.05", payload: "x" });
    const heard = world.listen("lwm2m/meter/up/resp");
    world.publish("lwm2m/meter/dn/x", JSON.stringify(read("/3/0/0")), {
      qos: 1,
      properties: { correlationData: hex("0102") },
    });
    expect(heard[0]?.properties).toMatchObject({
      contentType: "application/json",
      correlationData: hex("0102"),
    });
  });
});
