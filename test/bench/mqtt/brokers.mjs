/** The brokers that are compared. A broker that is not installed is said to be missing and left out. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { installedNode, OTHER_VERSIONS } from "../../support/node-versions.mjs";
import { isthmusMissing, onlyGateway, startIsthmus } from "../lib/isthmus.mjs";
import { describeNats, startNats } from "../lib/nats.mjs";
import { BROKER_CORE, freePort, startProcess } from "../lib/processes.mjs";
import { describeRabbitmq, startRabbitmq } from "../lib/rabbitmq.mjs";

/** Room for every message a window may have on its way, so that no broker drops any: same for all. */
const QUEUED_MESSAGES = 100_000;

/**
 * @typedef {object} Broker
 * @property {string} name
 * @property {string} label                   with its version
 * @property {string | undefined} missing     why it cannot run
 * @property {readonly (4 | 5)[]} versions    protocol levels it speaks
 * @property {0 | 1 | 2} [qosMost]          2 when absent
 * @property {boolean} [onlyWhenNamed]      left out unless `--peers` names it
 * @property {(how?: {profileFolder?: string}) => Promise<{process: import("../lib/processes.mjs").Started, port: number}>} start
 */

/** @returns {Broker[]} */
export function brokers() {
  const ours = [isthmus(), ...OTHER_VERSIONS.map(isthmusOnOtherNode), isthmusByNode()];
  return [...ours, mosquitto(), nats(), aedes(), rabbitmq()];
}

/** Name of Isthmus under another line of Node; such a peer runs only where it is asked for. */
export const onOtherNode = (/** @type {string} */ major) => `isthmus-node${major}`;

/**
 * @param {string} major
 * @returns {Broker}
 */
function isthmusOnOtherNode(major) {
  const node = installedNode(major);
  return {
    ...isthmus(node?.binary),
    name: onOtherNode(major),
    label: `Isthmus, Node ${node?.version ?? major}`,
    missing: node === undefined ? "npm run bench -- nodes installs it" : isthmusMissing(),
    onlyWhenNamed: true,
  };
}

/** With connections as Node makes them, for who wants to know what `tcp.epoll` is worth. @returns {Broker} */
function isthmusByNode() {
  const set = ["gateways.mqtt.listeners.tcp.tcp.epoll=false"];
  return {
    ...isthmus(undefined, set),
    name: "isthmus-net",
    label: "Isthmus without epoll",
    onlyWhenNamed: true,
  };
}

/**
 * @param {string} [node] the binary that runs it; the generator's own when absent
 * @param {string[]} [set] further settings
 * @returns {Broker}
 */
function isthmus(node, set = []) {
  return {
    name: "isthmus",
    label: "Isthmus",
    missing: isthmusMissing(),
    versions: [4, 5],
    start: async (how = {}) => {
      const port = await freePort();
      const runtime = node === undefined ? {} : { node };
      const process = await startIsthmus({
        set: [...isthmusSettings(port), ...set],
        tcpPort: port,
        ...runtime,
        ...how,
      });
      return { process, port };
    },
  };
}

/** @param {number} port */
export function isthmusSettings(port) {
  return [
    ...onlyGateway("mqtt"),
    "gateways.mqtt.listeners.tcp.bind=127.0.0.1",
    `gateways.mqtt.listeners.tcp.port=${port}`,
    "gateways.mqtt.listeners.tcp.limits.connectionRate=unlimited",
    "gateways.mqtt.listeners.ws.enable=false",
    `session.queue.messages=${QUEUED_MESSAGES}`,
    "session.queue.bytes=256MB",
  ];
}

/** @returns {Broker} */
export function mosquitto() {
  const program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto"].find(
    existsSync,
  );
  const version = program && /version (\S+)/.exec(spawnSync(program, ["-h"]).stdout.toString())?.[1];
  return {
    name: "mosquitto",
    label: `mosquitto ${version ?? ""}`.trim(),
    missing: program ? undefined : "mosquitto is not installed",
    versions: [4, 5],
    start: async () => {
      const port = await freePort();
      const file = join(mkdtempSync(join(tmpdir(), "mosquitto-bench-")), "mosquitto.conf");
      const settings = [
        `listener ${port} 127.0.0.1`,
        "allow_anonymous true",
        "persistence false",
        "log_dest none",
        "set_tcp_nodelay true",
        "max_inflight_messages 1000",
        `max_queued_messages ${QUEUED_MESSAGES}`,
        "max_queued_bytes 0",
      ];
      writeFileSync(file, `${settings.join("\n")}\n`);
      const command = [/** @type {string} */ (program), "-c", file];
      return {
        process: await startProcess("mosquitto", command, { core: BROKER_CORE, tcpPort: port }),
        port,
      };
    },
  };
}

/** @returns {Broker} */
const nats = () => ({
  name: "nats",
  ...describeNats(),
  versions: [4],
  start: () => startNats(mkdtempSync(join(tmpdir(), "nats-bench-"))),
});

/**
 * It takes long to start, and longer for each row.
 * @returns {Broker}
 */
function rabbitmq() {
  const described = describeRabbitmq();
  return {
    ...described,
    versions: [4],
    qosMost: 1,
    onlyWhenNamed: true,
    start: async () => {
      const { port, ...process } = await startRabbitmq("mqtt");
      return { process: { name: described.name, ...process }, port };
    },
  };
}

/** @returns {Broker} */
function aedes() {
  const description = new URL("../../../node_modules/aedes/package.json", import.meta.url);
  const installed = existsSync(description);
  return {
    name: "aedes",
    label: installed ? `aedes ${JSON.parse(readFileSync(description, "utf8")).version}` : "aedes",
    missing: installed ? undefined : "aedes is not installed: npm ci",
    versions: [4],
    start: () => startScript("aedes", "../peers/aedes-server.mjs"),
  };
}

/**
 * Not a broker: shows what the generator could drive.
 * @returns {Broker}
 */
export function nullBroker() {
  return {
    name: "null",
    label: "null broker",
    missing: undefined,
    versions: [4, 5],
    start: () => startScript("null", "../peers/null-mqtt.mjs"),
  };
}

/**
 * @param {string} name
 * @param {string} script
 */
async function startScript(name, script) {
  const port = await freePort();
  const command = [process.execPath, fileURLToPath(new URL(script, import.meta.url)), String(port)];
  return { process: await startProcess(name, command, { core: BROKER_CORE, tcpPort: port }), port };
}
