/** Commands over MQTT and what becomes of them, in the JSON that applications already speak. */
import { describe, expect, it } from "vitest";
import { MESSAGE_TYPES } from "#gateways/lwm2m/commands/command.ts";
import { sessionOf } from "../../support/engine-of-run.ts";
import { read, registered, values } from "../../support/lwm2m-asking.ts";
import { hex, type Reaction } from "../../support/lwm2m-device.ts";

describe("Write", () => {
  const write = (data: object, more: object = {}) => ({ reqID: 1, msgType: "write", data, ...more });

  it("one resource, as TLV by PUT", () => {
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

  it("several resources of an instance, by POST; resource instances too", () => {
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

  it("all instances of a resource, by PUT", () => {
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
    const fresh = registered({ lwm2m: "1.1" }, '</>;rt="oma.lwm2m";ct="110",</3442/0>');
    fresh.ask(command);
    expect(fresh.device.lastAsked()).toMatchObject({ line: "PUT /3442/0/1120/2", format: 110 });
  });

  it.each([
    ["1.0", "/3442/0/120"],
    ["1.1", "/3442/0/120"],
    ["1.1", "/3442/0/1120"],
    ["1.2", "/3442/0/120"],
  ])("a partial update of a resource is never an execute: LwM2M %s, %s", (lwm2m, basePath) => {
    const { device, ask } = registered({ lwm2m }, '</>;rt="oma.lwm2m";ct="11542",</3442/0>');
    const path = basePath.endsWith("1120") ? "1" : "";
    ask(write({ basePath, replace: false, content: [{ path, type: "Integer", value: 5 }] }));
    expect(device.lines().at(-1) ?? "POST /3442/0").toBe("POST /3442/0");
    expect(device.lines().some((line) => line === `POST ${basePath}`)).toBe(false);
  });

  it("of a resource with instances it is a POST on it in 1.2", () => {
    const { device, ask } = registered({ lwm2m: "1.2" }, '</>;rt="oma.lwm2m";ct="11542",</3442/0>');
    ask(
      write({
        basePath: "/3442/0/1120",
        replace: false,
        content: [{ path: "1", type: "Integer", value: 5 }],
      }),
    );
    expect(device.lastAsked().line).toBe("POST /3442/0/1120");
  });

  it.each(["1e400", "-1e400", "9".repeat(400)])("a number that nothing can hold is 4.00: %.8s", (number) => {
    const { device, ask } = registered();
    const reports = ask(
      `{"msgType":"write","data":{"path":"/3303/0/5700","type":"Float","value":${number}}}`,
    );
    expect([reports[0]?.data["code"], device.asked.length]).toEqual(["4.00", 0]);
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
  it("create, with the instance that the device chose", () => {
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

  it("delete", () => {
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
  it("execute, with and without arguments", () => {
    const { device, ask } = registered();
    expect(ask({ msgType: "execute", data: { path: "/3/0/4", args: "2,7='reason'" } })[0]?.data).toEqual({
      reqPath: "/3/0/4",
      code: "2.04",
      codeMsg: "changed",
    });
    expect(device.lastAsked()).toMatchObject({ line: "POST /3/0/4", format: 0 });
    expect(Buffer.from(device.lastAsked().payload).toString()).toBe("2,7='reason'");
    ask({ msgType: "execute", data: { path: "/3/0/4", args: "undefined" } });
    expect(device.lastAsked()).toMatchObject({ format: undefined });
    expect(device.lastAsked().payload).toHaveLength(0);
  });

  it.each(["0,1", "5", "0='a',9='z&[]~'", "2=''", ""])(
    "arguments that are: %s (LwM2M 1.1 §6.3.5)",
    (args) => {
      const { device, ask } = registered();
      expect(ask({ msgType: "execute", data: { path: "/3/0/4", args } })[0]?.data["code"]).toBe("2.04");
      expect(Buffer.from(device.lastAsked().payload).toString()).toBe(args);
    },
  );

  it.each(["x", "0,", "10", "0='", "0=a", '0="a"', "0='a'b", "0='a\\'", "0='\u00e9'", ",", "0 ,1"])(
    "arguments that are none are 4.00, and the device is not asked: %s (LwM2M 1.1 §6.3.5)",
    (args) => {
      const { device, ask } = registered();
      expect(ask({ msgType: "execute", data: { path: "/3/0/4", args } })[0]?.data["code"]).toBe("4.00");
      expect(device.asked).toEqual([]);
    },
  );

  it("execute that the device forbids", () => {
    const { device, ask } = registered();
    device.on("POST /3/0/5", { code: "4.01" });
    expect(ask({ msgType: "execute", data: { path: "/3/0/5" } })[0]?.data).toMatchObject({
      code: "4.01",
      codeMsg: "unauthorized",
    });
  });

  it.each(["30", "00ff80"])("arguments in hex may be any bytes: %s", (args) => {
    const { device, ask } = registered();
    ask({ msgType: "execute", encoding: "hex", data: { path: "/3/0/4", args } });
    expect(Buffer.from(device.lastAsked().payload).toString("hex")).toBe(args);
  });

  it("discover gives the links as they are", () => {
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

  it("write attributes: null is left out, an empty text unsets", () => {
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
      "a ttl that is no length of time",
      { reqID: 1, msgType: "read", mheaders: { ttl: -1 }, data: { path: "/3/0" } },
      "read",
    ],
    [
      "a time of publishing that is none",
      { reqID: 1, msgType: "read", mheaders: { time: "2026-11-30" }, data: { path: "/3/0" } },
      "read",
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
    expect(sessionOf(world, "lwm2m", "meter")?.unsettled).toBe(1);
    device.respond(device.lastAsked(), { code: "2.05", payload: "x" });
    expect(sessionOf(world, "lwm2m", "meter")?.unsettled).toBe(0);
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

describe("a command that nests without end", () => {
  const brackets = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;

  it("is answered 4.00, and neither its device nor its neighbour notices", () => {
    const { world, device } = registered();
    const neighbour = world.device("neighbour", device.wire.port);
    // One message id has been used at this address.
    neighbour.send("0.01", "nothing", []);
    neighbour.register();
    world.watch("neighbour");
    world.command("meter", `{"msgType":"read","data":{"path":"/3/0/0"},"x":${brackets}}`);
    expect(world.reports("meter").map(({ data }) => data["code"])).toEqual(["4.00"]);
    expect(sessionOf(world, "lwm2m", "meter")?.unsettled).toBe(0);
    neighbour.on("GET /3/0/0", { code: "2.05", payload: "npm" });
    world.reports("neighbour");
    for (const ep of ["meter", "neighbour"]) {
      world.command(ep, read("/3/0/0"));
      expect(values(world.reports(ep))).toEqual([["/3/0/0", "npm"]]);
    }
  });

  it.each(["toString", "valueOf", "__proto__", "constructor", "toJSON"])(
    "or names what JavaScript calls is answered as any other: %s",
    (name) => {
      const { ask } = registered({ lwm2m: "1.1" });
      const odd = `{"${name}":{"${name}":1}}`;
      for (const data of [
        `{"paths":[${odd}]}`,
        `{"content":[{"path":${odd},"value":1}]}`,
        `{"path":${odd}}`,
        `{"path":"/3/0/0","depth":${odd},"args":${odd},"value":${odd},"pmin":${odd}}`,
        odd,
      ]) {
        for (const msgType of MESSAGE_TYPES) {
          const [report] = ask(`{"msgType":"${msgType}","data":${data},"x":${odd},"mheaders":${odd}}`);
          expect(report).toBeDefined();
        }
      }
    },
  );
});
