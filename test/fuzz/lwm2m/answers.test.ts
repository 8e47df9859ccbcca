/** Whatever applications ask and devices answer: each command has one last word, and all that is published is valid. */
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, it } from "vitest";
import { hours } from "#core/lib/time.ts";
import { MESSAGE_TYPES } from "#gateways/lwm2m/commands/command.ts";
import type { Reaction } from "../../support/lwm2m-device.ts";
import { Lwm2mWorld, type Report } from "../../support/lwm2m-world.ts";
import { fc } from "../../support/property.ts";

const schema = JSON.parse(
  readFileSync(new URL("../../../gateways/lwm2m/messages/messages.schema.json", import.meta.url), "utf8"),
) as { $id: string };
const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addSchema(schema);
const isReport = ajv.getSchema(`${schema.$id}#/$defs/report`) as (value: unknown) => boolean;

const PATHS = [
  "/",
  "/3",
  "/3/0",
  "/3/0/9",
  "/3/0/11/0",
  "/1/0/1",
  "/5/0/0",
  "/d01/3303/0/5700",
  "/3/0/9?pmin=1",
  "/x",
  "",
];
const path = fc.constantFrom(...PATHS);
const value = fc.constantFrom<unknown>(1, "1", true, "x", "AP8Q", null, 1.5, "3:0", {}, []);
const type = fc.constantFrom("String", "Integer", "Float", "Boolean", "Opaque", "Time", "Objlnk", "Colour");
const item = fc.record(
  { path: fc.constantFrom("9", "0/9", "/0/9", "11/0", "/3/0/9", "", "x"), type, value },
  { requiredKeys: [] },
);
const data = fc.record(
  {
    ...{ path, basePath: path, paths: fc.array(path, { maxLength: 3 }), type, value, args: value },
    ...{
      content: fc.oneof(fc.array(item, { maxLength: 3 }), value),
      replace: fc.constantFrom<unknown>(true, false, 1),
    },
    ...{
      format: fc.constantFrom<unknown>(0, 60, 110, 112, 11542, 9999, "x"),
      pmin: value,
      depth: fc.constantFrom<unknown>(0, 3, 9),
    },
    ...{ mode: fc.constantFrom("push", "pull", "x"), file: fc.constantFrom("v2.bin", "none"), uri: value },
  },
  { requiredKeys: ["path"] },
);
const command = fc.record(
  {
    msgType: fc.oneof(
      { weight: 20, arbitrary: fc.constantFrom(...MESSAGE_TYPES) },
      { weight: 1, arbitrary: fc.jsonValue() },
    ),
    data: fc.oneof({ weight: 20, arbitrary: data }, { weight: 1, arbitrary: fc.jsonValue() }),
    encoding: fc.constantFrom<unknown>("plain", "hex", "x"),
    mheaders: fc.constantFrom<unknown>({ ttl: 0 }, { ttl: 60 }, { queued: true }, { ttl: -1 }, 5),
  },
  { requiredKeys: ["msgType", "data"] },
);
const CODES = ["2.01", "2.02", "2.04", "2.05", "4.00", "4.04", "4.05", "5.00"];
const answer: fc.Arbitrary<Reaction> = fc.oneof(
  fc.constantFrom<Reaction>("acknowledge", "reset", "silence"),
  fc.record(
    {
      code: fc.constantFrom(...CODES),
      format: fc.constantFrom(0, 40, 42, 60, 110, 112, 11542, 11543, 11544, 9999),
      payload: fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
      observe: fc.integer({ min: 0, max: 3 }),
    },
    { requiredKeys: ["code", "payload"] },
  ),
);

const STEPS: ReadonlySet<string> = new Set(["ack", "queued"]);
const isLastWord = (report: Report): boolean => {
  if (report["reqID"] === undefined || STEPS.has(report.msgType) || report.msgType === "notify") return false;
  return report.msgType !== "firmware" || "code" in report.data;
};

it("each command is answered exactly once, in the words of the schema", () => {
  const asked = fc.array(fc.tuple(command, answer), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(asked, fc.constantFrom("U", "UQ"), (exchanges, b) => {
      const world = new Lwm2mWorld(
        { firmware: { folder: "f" } },
        { files: { "f/v2.bin": Buffer.from("new") } },
      );
      const device = world.device("meter");
      const answers = exchanges.map(([, answer]) => answer);
      device.script = () => answers.shift() ?? "silence";
      device.register({ b, lwm2m: "1.1", lt: "86400" }, "</1/0>,</3/0>,</5/0>,</25/0>");
      const heard = world.listen("lwm2m/meter/up/#");
      for (const [reqID, [command]] of exchanges.entries()) world.command("meter", { reqID, ...command });
      for (let hour = 0; hour < 8; hour++) {
        world.advance(hours(1));
        device.update();
      }
      const reports = heard.map((message) => JSON.parse(Buffer.from(message.payload).toString()) as Report);
      const last = reports.filter(isLastWord).map((report) => report["reqID"] as number);
      expect(last.sort((one, other) => one - other)).toEqual(exchanges.map((_, reqID) => reqID));
      expect(reports.filter((report) => !isReport(report))).toEqual([]);
    }),
    { numRuns: 100 },
  );
});
