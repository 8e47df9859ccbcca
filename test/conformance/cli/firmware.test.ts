/** `isthmus lwm2m firmware` against a gateway and a scripted device: followed to its end, with an exit code. */
import { EventEmitter } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startApi, type TestApi } from "../../support/api.ts";
import { type CommandRun, type CommandSetting, runCommand } from "../../support/command.ts";
import { FirmwareObject } from "../../support/lwm2m-firmware.ts";
import { SocketDevice } from "../../support/lwm2m-socket.ts";
import { until } from "../../support/store-process.ts";

let api: TestApi;
let folder: string;
const devices: SocketDevice[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-firmware-"));
  writeFileSync(join(folder, "v2.bin"), "package");
  api = await startApi({
    gateways: {
      mqtt: {},
      lwm2m: {
        listeners: { own: { transport: "udp" } },
        firmware: { folder, baseUri: "coap://gateway.example" },
      },
    },
  });
});
afterAll(async () => {
  for (const device of devices) await device.close();
  await api.stop();
  rmSync(folder, { recursive: true });
});

async function device(ep: string, outcome?: string): Promise<FirmwareObject> {
  const found = await SocketDevice.register(
    api.gateway.port("lwm2m", "own"),
    ep,
    ["lt=3600", "lwm2m=1.0", "b=U"],
    "</3/0>,</5/0>",
  );
  devices.push(found);
  return new FirmwareObject(found.device, outcome);
}

const run = (line: string, setting: CommandSetting = {}): Promise<CommandRun> =>
  runCommand(`lwm2m firmware ${line}`, {
    environment: { ISTHMUS_URL: api.base, ISTHMUS_KEY: api.keys.operator },
    ...setting,
  });

test("a file of the gateway is pushed, and in a pipe nothing is said but how it ended", async () => {
  const object = await device("pushed");
  expect(await run("pushed v2.bin")).toEqual({ code: 0, out: "pushed: success\n", errors: "" });
  expect(Buffer.concat(object.package).toString()).toContain("package");
});

test("a URI is what the device is to fetch, and so is a file with --pull", async () => {
  const there = await device("fetches");
  expect((await run("fetches coap://elsewhere/v2.bin")).code).toBe(0);
  expect(there.uri).toContain("coap://elsewhere/v2.bin");
  const here = await device("fetches-here");
  expect((await run("fetches-here v2.bin --pull")).code).toBe(0);
  expect(here.uri).toContain("coap://gateway.example/fw/v2.bin");
});

test("with --no-update it ends when the device has the package", async () => {
  await device("stored");
  const ran = await run("stored v2.bin --no-update");
  expect([ran.code, ran.out]).toEqual([0, "stored: downloaded\n"]);
});

test("an update that fails ends with 1 and the result's name (LwM2M 1.1 E.6, /5/0/5)", async () => {
  await device("broken", "5");
  const ran = await run("broken v2.bin");
  expect([ran.code, ran.out]).toEqual([1, ""]);
  expect(ran.errors).toBe("isthmus: api-refused: broken: integrity_check_failed\n");
});

test("what is no package, or no device, ends with 1 and why", async () => {
  await device("refuses");
  const file = await run("refuses v3.bin");
  expect([file.code, file.errors]).toEqual([1, "isthmus: api-refused: refuses: no firmware file v3.bin\n"]);
  const nobody = await run("nobody v2.bin");
  expect([nobody.code, nobody.errors]).toEqual([1, expect.stringContaining("not-found")]);
});

test("on a terminal one line says how far it is and is gone at the end, and Ctrl+C ends it with 4", async () => {
  await SocketDevice.register(
    api.gateway.port("lwm2m", "own"),
    "asleep",
    ["lt=3600", "lwm2m=1.1", "b=U"],
    "</3/0>,</5/0>",
  ).then((found) => {
    found.device.on("GET /5/0/3", "acknowledge");
    devices.push(found);
  });
  const signals = new EventEmitter();
  const running = run("asleep v2.bin", { terminal: true, signals });
  const asked = () => devices.at(-1)!.device.lines().includes("GET /5/0/3");
  await until(asked, "the device is not asked");
  signals.emit("SIGINT");
  const ran = await running;
  expect(ran.code).toBe(4);
  expect(ran.errors.startsWith("\r\u001b[2Kasleep: waiting for the device")).toBe(true);
  expect(ran.errors).toContain("\r\u001b[2Kisthmus: not followed to its end");
});

test("with --json each step is a line", async () => {
  await device("machine");
  const ran = await run("machine v2.bin --json");
  const lines = ran.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines[0]).toMatchObject({ event: "result", data: { report: { state: "answered" } } });
  expect(lines.at(-1)).toMatchObject({
    event: "firmware",
    data: { report: { data: { status: "success" } } },
  });
});
