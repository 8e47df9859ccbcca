/**
 * What a start loads and leaves, by V8's own lists: no time is measured, nor what the system says of memory, so it is the
 * same on any machine.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";

const BIN = fileURLToPath(new URL("../../dist/src/bin.js", import.meta.url));

/** As many files as a start with the default gateways may read; each costs half a millisecond. */
const FILES_MAX = 340;

/** Only who uses them has to wait for them. */
const UNUSED = [
  ...["pino-pretty", "@fastify/ajv-compiler", "@fastify/fast-json-stringify-compiler"],
  ...["pg", "mysql2", "mongodb", "ioredis", "ldapts", "jose", "undici"],
];

const ANY_PORT = [
  ...["mqtt.listeners.tcp", "mqtt.listeners.ws", "mqtt-sn.listeners.udp", "coap.listeners.udp"],
  ...["coap.listeners.tcp", "stomp.listeners.tcp", "stomp.listeners.ws"],
].map((listener) => `gateways.${listener}.port=0`);

/** Bytes; left to itself it has 32 MB after a start. */
const YOUNG_MAX = 8 * 2 ** 20;

/** The files that a start with these settings has loaded, and the packages among them. */
async function loadedBy(
  ...settings: string[]
): Promise<{ files: number; packages: Set<string>; young: number }> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-lean-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const lists = join(folder, "loaded");
  const spaces = join(folder, "spaces");
  const watch = join(folder, "watch.cjs");
  const write = `require("node:fs").writeFileSync(${JSON.stringify(spaces)}, JSON.stringify(require("node:v8").getHeapSpaceStatistics()))`;
  writeFileSync(watch, `process.on("SIGTERM", () => ${write});`);
  const sets = [`dataFolder=${join(folder, "data")}`, "api.port=0", ...settings];
  const child = spawn(
    process.execPath,
    ["--require", watch, BIN, "start", ...sets.flatMap((set) => ["--set", set])],
    {
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, NODE_V8_COVERAGE: lists },
    },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  let stopping = false;
  child.stderr.on("data", (chunk) => {
    said += chunk;
    // A second signal would end it at once, without its list.
    if (!stopping && said.includes("Stop with Ctrl+C")) stopping = child.kill("SIGTERM");
  });
  const [code] = await once(child, "exit");
  expect(code, said).toBe(0);
  const urls = readdirSync(lists).flatMap((name) =>
    (JSON.parse(readFileSync(join(lists, name), "utf8")) as { result: { url: string }[] }).result.map(
      ({ url }) => url,
    ),
  );
  const files = urls.filter((url) => url.startsWith("file:"));
  const packages = files.map((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1]);
  const found = JSON.parse(readFileSync(spaces, "utf8")) as { space_name: string; space_size: number }[];
  const young = found.find(({ space_name: name }) => name === "new_space")?.space_size ?? Number.NaN;
  return { files: files.length, packages: new Set(packages.filter((name) => name !== undefined)), young };
}

it("a start with the default gateways loads no more files than its budget, no package that nothing uses, and leaves a small young generation", {
  timeout: 240_000,
}, async () => {
  const { files, packages, young } = await loadedBy(...ANY_PORT);
  expect(young).toBeLessThanOrEqual(YOUNG_MAX);
  expect(packages).toContain("lmdb");
  expect(files).toBeLessThanOrEqual(FILES_MAX);
  expect(UNUSED.filter((name) => packages.has(name))).toEqual([]);
});

it("without UDP and epoll no system call library is loaded, and without the HTTP port no HTTP server", {
  timeout: 240_000,
}, async () => {
  const off = ["mqtt-sn", "coap", "lwm2m", "stomp"].map((name) => `gateways.${name}.enable=false`);
  const byNode = ["tcp", "ws"].map((name) => `gateways.mqtt.listeners.${name}.tcp.epoll=false`);
  const { packages } = await loadedBy(...ANY_PORT.slice(0, 2), ...off, ...byNode, "api.enable=false");
  const left = ["koffi", "@koromix/koffi-linux-x64", "@koromix/koffi-linux-arm64", "fastify"];
  expect(left.filter((name) => packages.has(name))).toEqual([]);
});
