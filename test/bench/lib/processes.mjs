/** Starts the processes of a benchmark, each on its own core, and ends exactly those again. */
import { spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, connect as tcpConnect } from "node:net";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";

/** Where the process under test runs, and where the load generator does. */
export const BROKER_CORE = 0;
export const LOAD_CORE = 1;

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 4_000;

/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();
let guarded = false;
/** Whatever ends the benchmark ends what it has started. */
function guard() {
  if (guarded) return;
  guarded = true;
  process.on("exit", () => {
    for (const child of running) child.kill("SIGKILL");
  });
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
    process.on(signal, () => process.exit(130));
  }
}

const hasTaskset = spawnSync("taskset", ["-V"], { stdio: "ignore" }).status === 0;
/** False on machines without `taskset` or with one core: the table then says so. */
export const pinning = hasTaskset && availableParallelism() > 1;

/**
 * A started process.
 * @typedef {object} Started
 * @property {string} name
 * @property {number} pid
 * @property {() => string} output   what it has printed so far
 * @property {() => boolean} alive
 * @property {() => Promise<void>} stop   SIGTERM, and SIGKILL when that does not help
 */

/**
 * Starts a program on one core with as many file descriptors as the machine allows.
 * @param {string} name
 * @param {string[]} command   program and arguments
 * @param {{core?: number, env?: Record<string, string>, cwd?: string, tcpPort?: number, line?: RegExp, limit?: number}} [how]
 *   `limit`: milliseconds until it must be ready; ready when `tcpPort` accepts, or when `line` was printed
 * @returns {Promise<Started>}
 */
export async function startProcess(name, command, how = {}) {
  const child = launch(command, how, ["ignore", "pipe", "pipe"]);
  let output = "";
  const keep = (/** @type {Buffer} */ bytes) => {
    output = (output + bytes.toString("utf8")).slice(-20_000);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  let alive = true;
  child.once("exit", () => {
    alive = false;
  });
  const started = {
    name,
    pid: child.pid ?? 0,
    output: () => output,
    alive: () => alive,
    stop: () => end(child),
  };
  const limit = how.limit ?? START_LIMIT_MS;
  const deadline = Date.now() + limit;
  for (;;) {
    if (!alive) throw new Error(`${name} ended at start:\n${output}`);
    if (how.tcpPort !== undefined ? await accepts(how.tcpPort) : how.line ? how.line.test(output) : true)
      break;
    if (Date.now() > deadline) {
      await end(child);
      throw new Error(`${name} was not ready after ${limit} ms:\n${output}`);
    }
    await sleep(30);
  }
  return started;
}

/**
 * Starts a Node module that calls `serve` (lib/serve.mjs) and asks it things.
 * @param {URL} module
 * @param {{core?: number, execArgv?: string[]}} [how]
 * @returns {Promise<{pid: number, call: (method: string, argument?: unknown) => Promise<any>, stop: () => Promise<void>}>}
 */
export async function startWorker(module, how = {}) {
  const command = [process.execPath, ...(how.execArgv ?? []), fileURLToPath(module)];
  const child = launch(command, how, ["ignore", "inherit", "inherit", "ipc"]);
  /** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
  const asked = new Map();
  let lastId = 0;
  child.on("message", (/** @type {any} */ answer) => {
    const waiting = asked.get(answer.id);
    asked.delete(answer.id);
    if (answer.error === undefined) waiting?.resolve(answer.value);
    else waiting?.reject(new Error(answer.error));
  });
  child.once("exit", (code) => {
    for (const waiting of asked.values()) waiting.reject(new Error(`worker ended with ${code}`));
    asked.clear();
  });
  return {
    pid: child.pid ?? 0,
    call: (method, argument) =>
      new Promise((resolve, reject) => {
        const id = ++lastId;
        asked.set(id, { resolve, reject });
        child.send({ id, method, argument });
      }),
    stop: () => end(child),
  };
}

/** Beyond the hard limit of open files goes who may (root with CAP_SYS_RESOURCE); who may not, up to it. */
const RAISE = 'ulimit -n 131072 2>/dev/null || ulimit -n "$(ulimit -Hn)" 2>/dev/null';

/** How many files each process of a measurement may have open, as far as can be known. */
export function openFilesMax() {
  const said = spawnSync("/bin/sh", ["-c", `${RAISE}; ulimit -n`], { encoding: "latin1" }).stdout;
  return said.trim() === "unlimited" ? Number.POSITIVE_INFINITY : Number(said);
}

/**
 * @param {string[]} command
 * @param {{core?: number, env?: Record<string, string>, cwd?: string}} how
 * @param {any} stdio
 */
function launch(command, how, stdio) {
  guard();
  const pinned =
    pinning && how.core !== undefined ? ["taskset", "-c", String(how.core), ...command] : command;
  // `exec` keeps the process id, so usage figures and signals reach the program itself.
  const child = spawn("/bin/sh", ["-c", `${RAISE}; exec "$@"`, "sh", ...pinned], {
    stdio,
    // JSON would turn a figure that is not a number into null.
    serialization: "advanced",
    cwd: how.cwd,
    env: { ...process.env, ...how.env },
  });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

/** @param {import("node:child_process").ChildProcess} child */
async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
  await gone;
  clearTimeout(timer);
}

/** @param {number} port */
function accepts(port) {
  return new Promise((resolve) => {
    const socket = tcpConnect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** A TCP port that is free now, on the loopback address. */
export async function freePort() {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  server.close();
  await once(server, "close");
  return port;
}

/** A UDP port that is free now, on the loopback address. */
export async function freeUdpPort() {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  return port;
}

/** @param {number} ms */
export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
