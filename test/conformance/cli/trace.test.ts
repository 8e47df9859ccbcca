/** `isthmus trace` against a running gateway: what a terminal and a file get of both sides of a translation. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import mqtt from "mqtt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startApi, type TestApi } from "../../support/api.ts";

const BIN = fileURLToPath(new URL("../../../dist/src/bin.js", import.meta.url));
const LIMIT = 120_000;

let api: TestApi;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-trace-"));
  api = await startApi({ gateways: { mqtt: {}, stomp: {} } });
});
afterAll(async () => {
  await api.stop();
  rmSync(folder, { recursive: true, force: true });
});

const traces = async () => (await api.ask("GET", "/api/v1/traces")).body.items as { id: string }[];

function run(...args: readonly string[]) {
  const child = spawn(process.execPath, [BIN, ...args], {
    env: { ...process.env, ISTHMUS_URL: api.base, ISTHMUS_KEY: api.keys.operator },
  });
  const ran = { child, out: "", errors: "", ended: undefined as unknown as Promise<number | null> };
  child.stdout.on("data", (chunk) => {
    ran.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    ran.errors += chunk;
  });
  ran.ended = new Promise((resolve) => child.once("close", resolve));
  return ran;
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + LIMIT; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`never: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test(
  "a message is followed from its frame to the frames that it becomes, Ctrl+C ends it, and nothing of it stays",
  async () => {
    const url = `mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`;
    const pump = await mqtt.connectAsync(url, { clientId: "pump-7" });
    const hearer = await mqtt.connectAsync(url, { clientId: "hearer" });
    await hearer.subscribeAsync("room/#", { qos: 1 });
    const file = join(folder, "pump.pcapng");
    const ran = run("trace", "pump-7", "--write", file);
    await until(async () => (await traces()).length === 1);
    await pump.publishAsync("room/7/temp", "21.5", { qos: 1 });
    await until(() => /<- PUBACK/.test(ran.out));
    ran.child.kill("SIGINT");
    expect(await ran.ended).toBe(0);
    const lines = ran.out.trim().split("\n");
    const cause = /^ *(\d+) {2}.* -> PUBLISH/m.exec(ran.out)![1]!;
    const own = lines.filter((line) => line.trim().startsWith(`${cause} `));
    const said = own.map((line) => line.trim().replace(/^\S+ +\S+ +/, ""));
    expect(said).toEqual(
      expect.arrayContaining([expect.stringMatching(/^bus room\/7\/temp QoS 1 by .*pump-7/)]),
    );
    expect(said).toEqual(expect.arrayContaining([expect.stringMatching(/^mqtt hearer .*<- PUBLISH/)]));
    // A section header block of pcapng.
    expect(readFileSync(file).readUInt32BE(0)).toBe(0x0a0d0d0a);
    expect(await traces()).toEqual([]);
    await Promise.all([pump.endAsync(), hearer.endAsync()]);
  },
  2 * LIMIT,
);

test(
  "it ends by its time, says so, and is kept when that is wished; what follows nothing is a wrong command line",
  async () => {
    const ran = run("trace", "--gateway", "mqtt", "--seconds", "1", "--keep", "--json");
    expect([await ran.ended, ran.errors]).toEqual([0, ""]);
    expect(await traces()).toEqual([expect.objectContaining({ running: false, ended: "time" })]);
    const nothing = run("trace");
    expect(await nothing.ended).toBe(2);
    expect(nothing.errors).toContain("say what to follow");
  },
  2 * LIMIT,
);
