/** Starts the built gateway for a benchmark. */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BROKER_CORE, startProcess } from "./processes.mjs";

const main = fileURLToPath(new URL("../../../dist/src/bin.js", import.meta.url));
const modules = fileURLToPath(new URL("../../../dist/src/modules.js", import.meta.url));

/** Why Isthmus cannot run, or undefined. */
export function isthmusMissing() {
  return existsSync(main) ? undefined : "dist/src/bin.js is not built: npm run build";
}

/**
 * Settings that switch off all gateways but these, the HTTP port, and the log of everyday events.
 * @param {...string} names
 * @returns {string[]}
 */
export function onlyGateway(...names) {
  const built = [...readFileSync(modules, "utf8").matchAll(/gateways\/([a-z0-9-]+)\/index/g)].map(
    (match) => match[1],
  );
  const others = built.filter((name) => !names.includes(name ?? ""));
  return [...others.map((name) => `gateways.${name}.enable=false`), "api.enable=false", "log.level=error"];
}

/**
 * @param {{set: string[], config?: object, tcpPort?: number, line?: RegExp, nodeOptions?: string[], profileFolder?: string, core?: number, limit?: number, node?: string}} how
 *   `set`: `--set` arguments such as `gateways.mqtt.listeners.tcp.port=2883`; `config`: what its file has
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
  return startProcess("isthmus", [...node, main, "start", ...sets], {
    core: how.core ?? BROKER_CORE,
    cwd: data,
    // One port is open before the others are: what says that all are is the banner.
    line: how.line ?? /^ {2}Stop with Ctrl/m,
    ...(how.limit === undefined ? {} : { limit: how.limit }),
  });
}
