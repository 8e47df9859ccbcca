/** Servers that take what rules send, each in a folder and on a port of its own. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, LOAD_CORE, startProcess, startWorker } from "../lib/processes.mjs";

/**
 * @typedef {object} Running
 * @property {object} connector   its settings
 * @property {object} action      the action's
 * @property {() => Promise<void>} stop
 *
 * @typedef {object} BenchSink
 * @property {string} name
 * @property {number} batch   messages of a batch when batches are on
 * @property {string | undefined} missing
 * @property {() => Promise<Running>} start
 */

const isThere = (/** @type {string} */ program) => spawnSync("which", [program]).status === 0;
const needs = (/** @type {string} */ program, /** @type {string} */ debian) =>
  isThere(program) ? undefined : `${program} is not installed (Debian: ${debian})`;

/** @type {BenchSink[]} */
export const sinks = [
  { name: "HTTP", batch: 100, missing: undefined, start: startHttp },
  { name: "Kafka (mock)", batch: 500, missing: needs("kcat", "kcat"), start: startKafka },
  {
    name: "PostgreSQL",
    batch: 100,
    missing: postgres() ? undefined : "PostgreSQL is not installed",
    start: startPostgres,
  },
  { name: "Redis", batch: 100, missing: needs("redis-server", "redis-server"), start: startRedis },
];

async function startHttp() {
  const service = await startWorker(new URL("./http-service.mjs", import.meta.url), { core: LOAD_CORE });
  const port = await service.call("listen");
  return {
    connector: { kind: "http", url: `http://127.0.0.1:${port}` },
    action: { kind: "http", body: "${.}" },
    stop: service.stop,
  };
}

/** kcat starts librdkafka's mock cluster, which lives until its standard input ends. */
async function startKafka() {
  const mock = ["-P", "-t", "unused", "-b", "unused", "-X", "test.mock.num.brokers=1", "-d", "mock"];
  const child = spawn("kcat", mock, { stdio: ["pipe", "ignore", "pipe"] });
  const port = await new Promise((resolve, reject) => {
    let said = "";
    child.stderr.on("data", (chunk) => {
      if (said.length < 100_000) said += chunk;
      const found = /bootstrap\.servers=127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      if (found !== undefined) resolve(Number(found));
    });
    child.once("error", reject).once("exit", () => reject(new Error(`kcat does not start: ${said}`)));
  });
  return {
    connector: { kind: "kafka", brokers: [`127.0.0.1:${port}`] },
    action: { kind: "kafka", topic: "bench" },
    stop: async () => {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}

/** Where Debian puts the newest one's programs. */
function postgres() {
  const folder = "/usr/lib/postgresql";
  if (!existsSync(folder)) return undefined;
  const [newest] = readdirSync(folder).sort((a, b) => Number(b) - Number(a));
  return newest === undefined ? undefined : join(folder, newest, "bin");
}

/** Debian's `nobody`: PostgreSQL does not run as root. */
const NOBODY = 65_534;
const asNobody =
  process.getuid?.() === 0 ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"] : [];

async function startPostgres() {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-bench-pg-"));
  const data = join(folder, "data");
  chmodSync(folder, 0o755);
  mkdirSync(data, { mode: 0o700 });
  if (asNobody.length > 0) for (const path of [folder, data]) chownSync(path, NOBODY, NOBODY);
  const bin = postgres() ?? "";
  const run = (/** @type {string[]} */ ...command) => {
    const [program = "", ...rest] = [...asNobody, ...command];
    const { status, stderr } = spawnSync(program, rest, { cwd: folder });
    if (status !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
  };
  run(join(bin, "initdb"), "-D", data, "-A", "trust", "-U", "bench", "-E", "UTF8", "--locale=C");
  const port = await freePort();
  const command = [...asNobody, join(bin, "postgres"), "-D", data, "-p", `${port}`, "-k", folder];
  const server = await startProcess("postgres", command, { core: LOAD_CORE, tcpPort: port, limit: 60_000 });
  const sql = "create table readings (id text, client text, t double precision, at timestamptz)";
  run("psql", "-h", "127.0.0.1", "-p", `${port}`, "-U", "bench", "-d", "postgres", "-c", sql);
  return {
    connector: { kind: "postgres", port, user: "bench" },
    action: {
      kind: "postgres",
      sql: "insert into readings values (${delivery_id}, ${clientid}, ${t}, to_timestamp(${timestamp}::double precision / 1000))",
    },
    stop: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function startRedis() {
  const port = await freePort();
  const command = [
    "redis-server",
    "--port",
    `${port}`,
    "--bind",
    "127.0.0.1",
    "--save",
    "",
    "--appendonly",
    "no",
  ];
  const server = await startProcess("redis", command, { core: LOAD_CORE, tcpPort: port, cwd: tmpdir() });
  return {
    connector: { kind: "redis", port },
    action: { kind: "redis", command: "HSET last:${clientid} t ${t} at ${timestamp}" },
    stop: server.stop,
  };
}
