/** What was changed over the API, in processes that are killed and started. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { askAt } from "../support/api.ts";

const BIN = fileURLToPath(new URL("../../dist/src/bin.js", import.meta.url));
const OFF = { enable: false };
const MINUTES = 240_000;

let folder: string;
const children: ReturnType<typeof spawn>[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-kept-config-"));
  const gateways = { mqtt: OFF, "mqtt-sn": OFF, coap: OFF, lwm2m: OFF, stomp: OFF };
  const settings = { dataFolder: join(folder, "data"), api: { port: 0 }, gateways };
  writeFileSync(join(folder, "isthmus.yaml"), JSON.stringify(settings));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

const overlayFile = () => join(folder, "data", "api", "configuration.json");

function run(environment: object, ...args: string[]) {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...environment },
  });
  children.push(child);
  let said = "";
  child.stderr!.on("data", (chunk) => {
    said += chunk;
  });
  return { child, said: () => said };
}

async function start(environment: object = {}) {
  const { child, said } = run(environment, "start");
  const ended = once(child, "exit").then(() => {
    throw new Error(said());
  });
  const up = new Promise<void>((resolve) => {
    child.stderr!.on("data", () => {
      if (said().includes("Stop with Ctrl+C")) resolve();
    });
  });
  await Promise.race([up, ended]);
  ended.catch(() => {});
  const { url, key } = JSON.parse(readFileSync(join(folder, "data", "api", "local.json"), "utf8"));
  const ask = (method: string, path: string, body?: object) =>
    askAt(url, method, `/api/v1${path}`, { key, ...(body === undefined ? {} : { body }) });
  return { child, ask };
}

const levelOf = async ({ ask }: Awaited<ReturnType<typeof start>>) =>
  (await ask("GET", "/config?key=log.level")).body.items[0];

it(
  "outlives a kill -9, wins over the file, and yields to the environment, which is said",
  async () => {
    const first = await start();
    const yaml = readFileSync(join(folder, "isthmus.yaml"), "utf8");
    expect(
      (await first.ask("PATCH", "/config", { log: { level: "error" }, store: { sizeMax: "1GB" } })).status,
    ).toBe(200);
    first.child.kill("SIGKILL");
    await once(first.child, "exit");
    const second = await start();
    expect(await levelOf(second)).toMatchObject({ value: "error", origin: "api", pending: false });
    const size = await second.ask("GET", "/config?key=store.sizeMax");
    expect(size.body.items[0]).toMatchObject({ value: "1GB", pending: false });
    expect(readFileSync(join(folder, "isthmus.yaml"), "utf8")).toBe(yaml);
    second.child.kill("SIGKILL");
    await once(second.child, "exit");
    const third = await start({ ISTHMUS_LOG__LEVEL: "fatal" });
    expect(await levelOf(third)).toMatchObject({
      value: "fatal",
      origin: "environment variable ISTHMUS_LOG__LEVEL",
    });
    const refused = await third.ask("PATCH", "/config", { log: { level: "info" } });
    expect(refused.status).toBe(400);
    expect(refused.body.errors[0].detail).toContain("environment variable ISTHMUS_LOG__LEVEL");
  },
  MINUTES,
);

it(
  "stops a start where its file is broken, and names file and key",
  async () => {
    const { ask, child } = await start();
    await ask("PATCH", "/config", { log: { level: "error" } });
    child.kill("SIGKILL");
    await once(child, "exit");
    for (const [text, says] of [
      ['{"log.level": "loud"}', 'configuration.json: log.level is "loud"'],
      ['{"log.level"', "configuration.json: is no JSON"],
    ] as const) {
      writeFileSync(overlayFile(), text);
      const again = run({}, "start");
      const [code] = await once(again.child, "exit");
      expect([code, again.said()]).toEqual([1, expect.stringContaining(says)]);
    }
  },
  MINUTES,
);
