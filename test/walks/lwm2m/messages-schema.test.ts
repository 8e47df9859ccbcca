/** The JSON Schema of the MQTT side against the code: what is accepted, and everything that is published. */
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { hours, minutes, seconds } from "#core/lib/time.ts";
import { MESSAGE_TYPES, parseCommand } from "#gateways/lwm2m/commands/command.ts";
import { NO_TYPES } from "#gateways/lwm2m/content/value.ts";
import { REQUESTS } from "#gateways/lwm2m/operator/requests.ts";
import { Lwm2mWorld, type Report } from "../../support/lwm2m-world.ts";

const schema = JSON.parse(
  readFileSync(new URL("../../../gateways/lwm2m/messages/messages.schema.json", import.meta.url), "utf8"),
) as {
  $id: string;
  $defs: Record<string, { properties: Record<string, { const?: string; enum?: string[] }> }>;
};
const ajv = new Ajv2020({
  strict: true,
  strictRequired: false,
  strictTypes: false,
  allowUnionTypes: true,
  allErrors: true,
});
ajv.addSchema(schema);
const check = (name: string, value: unknown): string => {
  const validate = ajv.getSchema(`${schema.$id}#/$defs/${name}`);
  if (validate === undefined) throw new Error(`no ${name} in the schema`);
  return validate(value) === true ? "valid" : ajv.errorsText(validate.errors);
};
const understood = (command: unknown): boolean =>
  parseCommand(Buffer.from(JSON.stringify(command)), NO_TYPES).ok;

const COMMANDS: readonly object[] = [
  { reqID: 1, msgType: "read", data: { path: "/3/0/0" } },
  {
    msgType: "read",
    encoding: "plain",
    mheaders: { ttl: 5, queued: true },
    data: { path: "/3/0?x=1", accept: 110 },
  },
  { msgType: "read", data: { path: "/d01/3303/0/5700" } },
  { msgType: "discover", data: { path: "/3" } },
  { msgType: "discover", data: { path: "/d01", depth: 2 } },
  { msgType: "write", data: { path: "/1/0/1", type: "Integer", value: "60" } },
  {
    msgType: "write",
    data: { basePath: "/1/0", replace: true, content: [{ path: "1", type: "Integer", value: 60 }] },
  },
  {
    msgType: "write",
    data: { basePath: "/1/0/9", replace: false, content: [{ path: "0", type: "Integer", value: 6 }] },
  },
  { msgType: "write-attr", data: { path: "/3/0/9", pmin: "1", gt: null, st: "" } },
  { msgType: "execute", data: { path: "/3/0/4", args: "1" } },
  { msgType: "create", data: { basePath: "/1", content: [] } },
  { msgType: "delete", data: { path: "/1/2" } },
  { msgType: "observe", data: { path: "/3/0/9" } },
  { msgType: "cancel-observe", data: { path: "/3/0/9" } },
  { msgType: "read-composite", data: { paths: ["/3/0/9", "/6"] } },
  {
    msgType: "write-composite",
    data: {
      content: [
        { path: "/1/0/1", type: "Integer", value: 1 },
        { path: "/2/0/2/1", value: null },
      ],
    },
  },
  { msgType: "observe-composite", data: { paths: ["/3/0/9", "/d01/3303"], pmin: 5, con: 1 } },
  { msgType: "cancel-observe-composite", data: { paths: ["/3/0/9"] } },
  { msgType: "bootstrap-request", data: {} },
  { msgType: "firmware", data: { mode: "push", file: "v2.bin" } },
];

describe("commands", () => {
  it("every kind of command is in the schema, and there is an example of each", () => {
    expect([...new Set(COMMANDS.map((command) => (command as Report).msgType))].sort()).toEqual(
      [...MESSAGE_TYPES].sort(),
    );
    expect(schema.$defs["command"]?.properties["msgType"]?.enum?.toSorted()).toEqual(
      [...MESSAGE_TYPES].sort(),
    );
  });

  it.each(COMMANDS.map((command) => [JSON.stringify(command), command] as const))(
    "%s is valid and understood",
    (_text, command) => {
      expect(check("command", command)).toBe("valid");
      expect(understood(command)).toBe(true);
    },
  );

  it.each([
    { msgType: "read", data: {} },
    { msgType: "teleport", data: { path: "/3" } },
    { msgType: "read" },
    { msgType: "read", encoding: "rot13", data: { path: "/3" } },
    { msgType: "read", mheaders: { ttl: -1 }, data: { path: "/3" } },
    { msgType: "write", data: { path: "/3/0/1" } },
    { msgType: "read", data: { path: "/d01/x/0" } },
    { msgType: "read", data: { path: "/d01/d02/3" } },
    { msgType: "discover", data: { path: "/3", depth: 4 } },
    { msgType: "write", data: { path: "/3/0/1", type: "Colour", value: 1 } },
    { msgType: "read-composite", data: { paths: [] } },
    { msgType: "firmware", data: { mode: "push" } },
  ])("neither schema nor gateway take %j", (command) => {
    expect(check("command", command)).not.toBe("valid");
    expect(understood(command)).toBe(false);
  });
});

/** A device's life in which every kind of report occurs. */
function everyReport(): Report[] {
  const profile = { delete: ["/"], discover: true, read: ["/1"], write: [] };
  const world = new Lwm2mWorld(
    {
      bootstrap: { profiles: "p" },
      firmware: { folder: "f" },
      describeContent: true,
      commands: { max: 2 },
      observations: { auto: ["/3/0/9"] },
    },
    { files: { p: Buffer.from(JSON.stringify({ default: profile })), "f/v2.bin": Buffer.from("new") } },
  );
  const heard = world.listen("lwm2m/#");
  const device = world.device("meter");
  device.script = (asked) =>
    asked.line.startsWith("GET /3/0/9") ? { code: "2.05", payload: "90", observe: 3 } : undefined;
  device.on("GET /3/0/13", "acknowledge").on("GET /3/0/14", "reset").on("GET /3/0/15", "silence");
  device.on("GET /", { code: "2.05", format: 40, payload: "</1>" });
  device.on("POST /1", { code: "2.01", location: ["1", "4"] });
  device.on("GET /25", {
    code: "2.05",
    format: 110,
    payload: '[{"n":"/25/0/0","vs":"s"},{"n":"/25/0/1","vs":"d01"}]',
  });
  device.register({ b: "UQ", imei: "490", lt: "86400", lwm2m: "1.1" }, "</1/0>,</3/0>,</25/0>");
  for (const command of COMMANDS) world.command("meter", command);
  for (const resource of [13, 14, 15])
    world.command("meter", { msgType: "read", data: { path: `/3/0/${resource}` } });
  world.command("meter", "nonsense");
  device.notify(device.asked[0] as never, 9, { code: "2.05", payload: "89" });
  world.advance(minutes(10));
  device.update(["lt=7200"]);
  device.request("0.02", "dp", [], '[{"n":"/3/0/9","t":-5,"v":1},{"n":"/3/0/0","vs":"x"}]', 110);
  device.request("0.02", "bs", ["ep=meter"]);
  device.on("DELETE /", { code: "5.00" });
  device.request("0.02", "bs", ["ep=meter"]);
  device.request("0.01", "bspack", ["ep=meter"]);
  world.advance(minutes(10));
  for (let reqID = 0; reqID < 4; reqID++) {
    const command = { reqID, mheaders: { ttl: 60, queued: true }, msgType: "read", data: { path: "/3/0/9" } };
    world.publish("lwm2m/meter/dn/x", JSON.stringify(command));
  }
  world.advance(seconds(61));
  world.publish("lwm2m/meter/dn/x", JSON.stringify({ msgType: "read", data: { path: "/3" } }));
  world.advance(hours(3));
  return heard.flatMap((message) =>
    message.topic.includes("/dn/") ? [] : [JSON.parse(Buffer.from(message.payload).toString()) as Report],
  );
}

describe("reports", () => {
  const reports = everyReport();

  it("all that is published in a full life is valid", () => {
    const wrong = reports
      .map((report) => [check("report", report), report])
      .filter(([problem]) => problem !== "valid");
    expect(wrong).toEqual([]);
    expect(reports.length).toBeGreaterThan(30);
  });

  it("every kind of report that the schema names does occur", () => {
    const named = Object.entries(schema.$defs)
      .filter(([name]) => name.startsWith("report."))
      .flatMap(([, part]) => part.properties["msgType"]?.enum ?? part.properties["msgType"]?.const ?? []);
    expect(
      [...new Set(reports.map((report) => report.msgType))].filter((type) => type !== null).sort(),
    ).toEqual([...new Set(named)].sort());
  });
});

describe("requests that operators make", () => {
  it("are those of the schema, with the same parameters", () => {
    const own = REQUESTS.map(({ name, parameters }) => [name, ...Object.keys(parameters["properties"])]);
    const commands = MESSAGE_TYPES.map((name) => {
      const { data } = (schema.$defs[`command.${name}`]?.properties ?? {}) as {
        data?: { properties?: object };
      };
      return [name, ...Object.keys(data?.properties ?? {})];
    });
    const sorted = (list: string[][]) =>
      list.map(([name, ...keys]) => [name, ...keys.sort()].join(" ")).sort();
    expect(sorted(own)).toEqual(sorted(commands));
  });
});
