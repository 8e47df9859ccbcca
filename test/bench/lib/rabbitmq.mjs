/** Starts Debian's RabbitMQ with one plug-in and nothing else: a node of its own, with an epmd of its own; nothing of it stays. */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BROKER_CORE, freePort, sleep, startProcess } from "./processes.mjs";

const RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const START_LIMIT_MS = 60_000;

/** What a table says of it. */
export function describeRabbitmq() {
  const there = existsSync(RABBITMQ);
  const listed = there
    ? spawnSync("dpkg-query", ["-W", "-f", "$" + "{Version}", "rabbitmq-server"])
    : undefined;
  return {
    name: "rabbitmq",
    label: `RabbitMQ ${listed?.stdout.toString().split("-")[0] ?? ""}`.trim(),
    missing: there ? undefined : "RabbitMQ is not installed (Debian: rabbitmq-server)",
  };
}

/**
 * @param {"mqtt" | "stomp"} protocol
 * @returns {Promise<{port: number, pid: number, alive: () => boolean, output: () => string, stop: () => Promise<void>}>}
 *   `pid`: of the process that does the work
 */
export async function startRabbitmq(protocol) {
  const [port, amqp, distribution, epmdPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const folder = mkdtempSync(join(tmpdir(), "rabbitmq-bench-"));
  mkdirSync(join(folder, "log"));
  writeFileSync(join(folder, "plugins"), `[rabbitmq_${protocol}].\n`);
  const settings = [
    `listeners.tcp.1 = 127.0.0.1:${amqp}`,
    `${protocol}.listeners.tcp.1 = 127.0.0.1:${port}`,
    "loopback_users = none",
    "log.console = true",
    "log.console.level = error",
    "log.file = false",
  ];
  writeFileSync(join(folder, "rabbitmq.conf"), `${settings.join("\n")}\n`);
  const env = {
    HOME: folder,
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    RABBITMQ_NODENAME: `bench-${process.pid}-${port}@localhost`,
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_MNESIA_BASE: join(folder, "mnesia"),
    RABBITMQ_LOG_BASE: join(folder, "log"),
    RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq.conf"),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "plugins"),
    RABBITMQ_ALLOW_INPUT: "true",
  };
  const epmd = await startProcess("epmd", ["epmd", "-port", String(epmdPort)], { env, tcpPort: epmdPort });
  const server = await startProcess("rabbitmq", [RABBITMQ, "-noinput"], { core: BROKER_CORE, env });
  try {
    const pid = await listening(server, port);
    const { alive, output } = server;
    return {
      ...{ port, pid, alive, output },
      stop: async () => {
        if (!server.alive()) console.error(`RabbitMQ had ended:\n${server.output()}`);
        else process.kill(pid, "SIGTERM");
        await server.stop();
        await epmd.stop();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await server.stop();
    await epmd.stop();
    throw error;
  }
}

/**
 * @param {import("./processes.mjs").Started} server
 * @param {number} port
 */
async function listening(server, port) {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  for (const deadline = Date.now() + START_LIMIT_MS; Date.now() < deadline; ) {
    if (!server.alive()) break;
    if (readFileSync("/proc/net/tcp", "latin1").includes(`:${hex} 00000000:0000 0A`)) {
      return descendant(server.pid, "beam.smp");
    }
    await sleep(200);
  }
  throw new Error(`RabbitMQ did not start:\n${server.output()}`);
}

/**
 * The process of that name which the given one has become or has started.
 * @param {number} pid
 * @param {string} name
 * @returns {number}
 */
function descendant(pid, name) {
  /** @type {Map<number, {parent: number, name: string}>} */
  const all = new Map();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const [, called, parent] =
        /\((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${entry}/stat`, "latin1")) ?? [];
      all.set(Number(entry), { parent: Number(parent), name: called ?? "" });
    } catch {
      // It has ended meanwhile.
    }
  }
  for (const [candidate, { name: called }] of all) {
    if (called !== name) continue;
    for (let at = candidate; at > 1; at = all.get(at)?.parent ?? 0) if (at === pid) return candidate;
  }
  return pid;
}
