/** Starts the built gateway for a benchmark. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BROKER_CORE, freePort, sleep, startProcess, startWorker } from "./processes.mjs";

const START_LIMIT_MS = 60_000;

/** This clone's own build. */
const HERE = fileURLToPath(new URL("../../../dist", import.meta.url));
const mainOf = (/** @type {string} */ dist) => join(dist, "src/bin.js");

/** Why Isthmus cannot run, or undefined. `dist`: another build's folder. */
export function isthmusMissing(dist = HERE) {
  if (existsSync(mainOf(dist))) return undefined;
  return dist === HERE ? "dist/src/bin.js is not built: npm run build" : `${dist} has no src/bin.js`;
}

/**
 * Settings that switch off all gateways but these, the HTTP port, and the log of everyday events.
 * @param {...string} names
 * @returns {string[]}
 */
export const onlyGateway = (...names) => onlyGatewayOf(HERE, ...names);

/**
 * As `onlyGateway`, for another build, which may have others.
 * @param {string} dist
 * @param {...string} names
 * @returns {string[]}
 */
export function onlyGatewayOf(dist, ...names) {
  const built = [
    ...readFileSync(join(dist, "src/modules.js"), "utf8").matchAll(/gateways\/([a-z0-9-]+)\/index/g),
  ].map((match) => match[1]);
  const others = built.filter((name) => !names.includes(name ?? ""));
  return [...others.map((name) => `gateways.${name}.enable=false`), "api.enable=false", "log.level=error"];
}

/**
 * @param {{set: string[], config?: object, tcpPort?: number, line?: RegExp, nodeOptions?: string[], profileFolder?: string, core?: number, limit?: number, node?: string, dist?: string}} how
 *   `set`: `--set` arguments such as `gateways.mqtt.listeners.tcp.port=2883`; `config`: what its file has;
 *   `dist`: another build's folder
 * @returns {Promise<import("./processes.mjs").Started>}
 */
export function startIsthmus(how) {
  const data = mkdtempSync(join(tmpdir(), "isthmus-bench-"));
  // JSON is YAML.
  if (how.config !== undefined) writeFileSync(join(data, "isthmus.yaml"), JSON.stringify(how.config));
  const profile =
    how.profileFolder === undefined
      ? []
      : ["--cpu-prof", `--cpu-prof-dir=${how.profileFolder}`, "--cpu-prof-interval=250"];
  const node = [how.node ?? process.execPath, ...profile, ...(how.nodeOptions ?? [])];
  const sets = how.set.flatMap((assignment) => ["--set", assignment]);
  return startProcess("isthmus", [...node, mainOf(how.dist ?? HERE), "start", ...sets], {
    core: how.core ?? BROKER_CORE,
    cwd: data,
    // One port is open before the others are: what says that all are is the banner.
    line: how.line ?? /^ {2}Stop with Ctrl/m,
    ...(how.limit === undefined ? {} : { limit: how.limit }),
  });
}

/**
 * Starts the gateway in a process that tells of its loop and its heap: `call("watch")`, `call("watched")`, `call("memory")`,
 * `call("alive")`, see lib/watched-gateway.mjs. The HTTP port is open.
 * @param {{set: string[], flags?: string[]}} how   `flags`: of Node
 */
export async function startWatched({ set, flags = [] }) {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-bench-"));
  const port = await freePort();
  const gateway = await startWorker(new URL("./watched-gateway.mjs", import.meta.url), {
    core: BROKER_CORE,
    execArgv: ["--expose-gc", ...flags],
  });
  const stop = async () => {
    await gateway.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  await gateway.call("start", [...set, "api.enable=true", `api.port=${port}`, `dataFolder=${folder}`]);
  const ready = () =>
    fetch(`http://127.0.0.1:${port}/ready`).then(
      ({ status }) => status === 200,
      () => false,
    );
  for (const deadline = Date.now() + START_LIMIT_MS; !(await ready()); await sleep(50)) {
    if (Date.now() < deadline) continue;
    await stop();
    throw new Error(`the gateway was not ready after ${START_LIMIT_MS} ms`);
  }
  return { ...gateway, api: port, folder, stop };
}
