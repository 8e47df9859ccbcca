/** NATS with MQTT, which is a face of JetStream: what is published at QoS 1 lies in files, flushed every two minutes. */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BROKER_CORE, freePort, startProcess } from "./processes.mjs";

const program = ["/usr/sbin/nats-server", "/usr/local/bin/nats-server", "/usr/bin/nats-server"].find(
  existsSync,
);

/** What a table says of it, and the highest QoS that it speaks: 2 came with version 2.10. */
export function describeNats() {
  const version = program && /v(\d\S+)/.exec(spawnSync(program, ["-v"]).stdout.toString())?.[1];
  const [major = 0, minor = 0] = (version ?? "").split(".").map(Number);
  return {
    label: `NATS ${version ?? ""}`.trim(),
    missing: program === undefined ? "nats-server is not installed (apt-get install nats-server)" : undefined,
    qosMost: /** @type {1 | 2} */ (major > 2 || (major === 2 && minor >= 10) ? 2 : 1),
  };
}

/** @param {string} folder   where its files go */
export async function startNats(folder) {
  const [port, own] = [await freePort(), await freePort()];
  const file = join(folder, "nats.conf");
  const settings = [
    "server_name: bench",
    `listen: 127.0.0.1:${own}`,
    `jetstream { store_dir: "${folder}" }`,
    `mqtt { listen: 127.0.0.1:${port}\n max_ack_pending: 10000 }`,
  ];
  writeFileSync(file, `${settings.join("\n")}\n`);
  const command = [/** @type {string} */ (program), "-c", file];
  return { process: await startProcess("nats", command, { core: BROKER_CORE, tcpPort: port }), port };
}
