/** The STOMP servers that are compared. RabbitMQ is Debian's, with its STOMP plug-in and nothing else. */
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
import { isthmusMissing, onlyGateway, startIsthmus } from "../lib/isthmus.mjs";
import { BROKER_CORE, freePort, sleep, startProcess } from "../lib/processes.mjs";

/**
 * @typedef {object} Running
 * @property {number} port
 * @property {number} pid   of the process that does the work
 * @property {() => Promise<void>} stop
 *
 * @typedef {object} Broker
 * @property {string} name
 * @property {string} label
 * @property {string | undefined} missing
 * @property {(profileFolder?: string) => Promise<Running>} start
 */

/** @returns {Broker[]} */
export const brokers = () => [isthmus(), rabbitmq()];

/** @returns {Broker} */
function isthmus() {
  return {
    name: "isthmus",
    label: "Isthmus",
    missing: isthmusMissing(),
    start: async (profileFolder) => {
      const port = await freePort();
      const started = await startIsthmus({
        set: [
          ...onlyGateway("stomp"),
          "gateways.stomp.listeners.tcp.bind=127.0.0.1",
          `gateways.stomp.listeners.tcp.port=${port}`,
          "gateways.stomp.listeners.tcp.limits.connectionRate=unlimited",
          "gateways.stomp.listeners.ws.enable=false",
          "session.queue.messages=100000",
          "session.queue.bytes=256MB",
        ],
        tcpPort: port,
        ...(profileFolder === undefined ? {} : { profileFolder }),
      });
      return { port, pid: started.pid, stop: started.stop };
    },
  };
}

const RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/** @returns {Broker} */
function rabbitmq() {
  const there = existsSync(RABBITMQ);
  const listed = there
    ? spawnSync("dpkg-query", ["-W", "-f", "$" + "{Version}", "rabbitmq-server"])
    : undefined;
  return {
    name: "rabbitmq",
    label: `RabbitMQ ${listed?.stdout.toString().split("-")[0] ?? ""}`.trim(),
    missing: there ? undefined : "RabbitMQ is not installed (Debian: rabbitmq-server)",
    start: startRabbitmq,
  };
}

/** A node of its own, in a folder of its own, with an epmd of its own: nothing of it stays. */
async function startRabbitmq() {
  const [port, amqp, distribution, epmdPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const folder = mkdtempSync(join(tmpdir(), "rabbitmq-bench-"));
  mkdirSync(join(folder, "log"));
  writeFileSync(join(folder, "plugins"), "[rabbitmq_stomp].\n");
  const settings = [
    `listeners.tcp.1 = 127.0.0.1:${amqp}`,
    `stomp.listeners.tcp.1 = 127.0.0.1:${port}`,
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
    return {
      port,
      pid,
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

const START_LIMIT_MS = 60_000;

/**
 * @param {import("../lib/processes.mjs").Started} server
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
