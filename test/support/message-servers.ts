/** Message servers of other people that also speak MQTT, each a process with a folder and ports of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freeTcpPort } from "./free-ports.ts";
import { type Server, start } from "./servers.ts";

export interface MessageServer extends Server {
  /** Where it speaks MQTT. */
  readonly mqtt: number;
}

/** With JetStream, which its MQTT needs; `more`: further lines of its configuration. */
export async function startNats(...more: string[]): Promise<MessageServer> {
  const mqtt = await freeTcpPort();
  const server = await start({
    program: "nats-server",
    arguments(folder, port) {
      const settings = [
        ...["server_name: test", `listen: "127.0.0.1:${port}"`],
        `jetstream { store_dir: "${folder}/jetstream", max_mem: 64MB, max_file: 256MB }`,
        ...[`mqtt { listen: "127.0.0.1:${mqtt}" }`, ...more],
      ];
      writeFileSync(join(folder, "nats.conf"), `${settings.join("\n")}\n`);
      return ["-c", join(folder, "nats.conf")];
    },
  });
  return { ...server, mqtt };
}

/** On a machine that does much else it starts slowly. */
const ERLANG_PATIENCE = 180_000;

/** Erlang's port mapper outlives its nodes: it is one of our own, and ended with them. */
function startPortMapper(port: number): ChildProcess {
  const settings = ["-port", `${port}`, "-address", "127.0.0.1", "-relaxed_command_check"];
  return spawn("epmd", settings, { stdio: "ignore" });
}

/** With its MQTT plug-in and no other; `guest` may do everything, with the password `guest`. `more`: as for NATS. */
export async function startRabbitmq(...more: string[]): Promise<MessageServer> {
  const [mqtt, distribution, mapper] = [await freeTcpPort(), await freeTcpPort(), await freeTcpPort()];
  const epmd = startPortMapper(mapper);
  const endPortMapper = (): void => void epmd.kill("SIGKILL");
  const server = await start({
    program: "/usr/lib/rabbitmq/bin/rabbitmq-server",
    prepare: (folder) => mkdirSync(join(folder, "log")),
    arguments(folder, port) {
      const settings = [
        ...[`listeners.tcp.1 = 127.0.0.1:${port}`, `mqtt.listeners.tcp.1 = 127.0.0.1:${mqtt}`],
        ...["log.console = true", "log.console.level = error", "log.file = false"],
        // A disk that is not empty enough stops publishers.
        "disk_free_limit.absolute = 1MB",
        ...more,
      ];
      writeFileSync(join(folder, "rabbitmq.conf"), `${settings.join("\n")}\n`);
      writeFileSync(join(folder, "plugins"), "[rabbitmq_mqtt].\n");
      return ["-noinput"];
    },
    environment: (folder) => ({
      ...process.env,
      ...{ HOME: folder, ERL_EPMD_PORT: `${mapper}`, ERL_EPMD_ADDRESS: "127.0.0.1" },
      RABBITMQ_NODENAME: `test-${mapper}@localhost`,
      RABBITMQ_DIST_PORT: `${distribution}`,
      RABBITMQ_MNESIA_BASE: join(folder, "mnesia"),
      RABBITMQ_LOG_BASE: join(folder, "log"),
      RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq.conf"),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "plugins"),
      RABBITMQ_ALLOW_INPUT: "true",
      // One scheduler that does not spin: it shares its machine with tests.
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "+S 1:1 +sbwt none",
    }),
    patience: ERLANG_PATIENCE,
  }).catch((error: unknown) => {
    endPortMapper();
    throw error;
  });
  return {
    ...{ ...server, mqtt },
    async stop() {
      await server.stop();
      endPortMapper();
    },
  };
}
