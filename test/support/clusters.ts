/**
 * Real MQTT clusters of other people, each node a process in a folder of its own and on ports of its own. Ready is what
 * has answered CONNECT: some listen long before they can.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freeTcpPort } from "./free-ports.ts";

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface Node {
  readonly port: number;
  /** As if the machine were gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** On the same port and data; has answered CONNECT when this is done. */
  restart(): Promise<void>;
}

export interface Cluster {
  readonly nodes: readonly Node[];
  /** What clients must say, where they must say something. */
  readonly credentials: Credentials | undefined;
  stop(): Promise<void>;
}

const START_PATIENCE = 160_000;

/** A CONNECT of MQTT 3.1.1, and whether it was answered with 0. */
function lets(port: number, credentials: Credentials | undefined): Promise<boolean> {
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value);
    return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]);
  };
  const { username, password } = credentials ?? {};
  const user = username === undefined ? [] : [text(username), text(password ?? "")];
  const body = Buffer.concat([
    text("MQTT"),
    Buffer.of(4, user.length > 0 ? 0xc2 : 0x02, 0, 30),
    text(`ready-${Math.random().toString(36).slice(2)}`),
    ...user,
  ]);
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (ready: boolean): void => {
      socket.destroy();
      resolve(ready);
    };
    socket.once("connect", () => socket.write(Buffer.concat([Buffer.of(0x10, body.length), body])));
    socket.once("data", (bytes) => end(bytes[0] === 0x20 && bytes[3] === 0));
    socket.once("error", () => end(false)).once("close", () => end(false));
    socket.setTimeout(10_000, () => end(false));
  });
}

/** One process that is started again and again. */
class Process implements Node {
  readonly port: number;
  readonly #start: () => ChildProcess;
  readonly #credentials: Credentials | undefined;
  #child: ChildProcess | undefined = undefined;
  #said = "";

  constructor(port: number, start: () => ChildProcess, credentials: Credentials | undefined) {
    this.port = port;
    this.#start = start;
    this.#credentials = credentials;
  }

  begin(): void {
    const child = this.#start();
    const hear = (chunk: Buffer): void => {
      this.#said = `${this.#said}${chunk}`.slice(-4_000);
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    this.#child = child;
  }

  async ready(): Promise<void> {
    const until = Date.now() + START_PATIENCE;
    while (!(await lets(this.port, this.#credentials))) {
      if (this.#ended || Date.now() > until) throw new Error(`the server does not start: ${this.#said}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  get #ended(): boolean {
    return this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async restart(): Promise<void> {
    this.begin();
    await this.ready();
  }

  /** All of its group: what is started through a shell has children. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined || this.#ended) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    try {
      process.kill(-child.pid, signal);
    } catch {
      child.kill(signal);
    }
    await gone;
  }
}

const folderOf = (what: string): string => {
  const folder = mkdtempSync(join(tmpdir(), `isthmus-${what}-`));
  chmodSync(folder, 0o755);
  return folder;
};

const STDIO = ["ignore", "pipe", "pipe"] as const;
const group = { detached: true, stdio: [...STDIO] as ["ignore", "pipe", "pipe"] };

async function started(
  processes: readonly Process[],
  folder: string,
  credentials?: Credentials,
): Promise<Cluster> {
  const stop = async (): Promise<void> => {
    await Promise.all(processes.map((each) => each.kill()));
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    for (const each of processes) each.begin();
    await Promise.all(processes.map((each) => each.ready()));
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes: processes, credentials, stop };
}

/** One mosquitto that writes down what it is given, as soon as it can. */
export async function startMosquitto(settings: readonly string[] = []): Promise<Cluster> {
  const folder = folderOf("mosquitto");
  const port = await freeTcpPort();
  const file = join(folder, "mosquitto.conf");
  const lines = [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
    "persistence true",
    `persistence_location ${folder}/`,
    "autosave_interval 1",
    "autosave_on_changes true",
    ...(process.getuid?.() === 0 ? ["user root"] : []),
    ...settings,
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  const node = new Process(port, () => spawn("/usr/sbin/mosquitto", ["-c", file], group), undefined);
  return started([node], folder);
}

/** Three nats-servers with JetStream, which keep sessions, queues and retained messages three times. */
export async function startNats(settings: readonly string[] = []): Promise<Cluster> {
  const folder = folderOf("nats");
  const ports = await Promise.all(
    [1, 2, 3].map(async () => ({
      mqtt: await freeTcpPort(),
      nats: await freeTcpPort(),
      cluster: await freeTcpPort(),
    })),
  );
  const routes = ports.map(({ cluster }) => `"nats://127.0.0.1:${cluster}"`).join(", ");
  const nodes = ports.map(({ mqtt, nats, cluster }, index) => {
    const file = join(folder, `n${index}.conf`);
    writeFileSync(
      file,
      `server_name: n${index}
listen: "127.0.0.1:${nats}"
jetstream { store_dir: "${folder}/n${index}", max_mem: 64MB, max_file: 256MB }
cluster { name: isthmus, listen: "127.0.0.1:${cluster}", routes: [${routes}] }
mqtt { listen: "127.0.0.1:${mqtt}"
${settings.join("\n")}
}
`,
    );
    return new Process(mqtt, () => spawn("nats-server", ["-c", file], group), undefined);
  });
  return started(nodes, folder);
}

const COOKIE = "isthmusisthmusisthmus";
/** ejabberd wants a name and a password from everybody, and takes any. */
const ALICE: Credentials = { username: "alice", password: "pw1" };

function erlangHome(folder: string): string {
  const home = join(folder, "home");
  mkdirSync(home, { recursive: true });
  const cookie = join(home, ".erlang.cookie");
  writeFileSync(cookie, COOKIE);
  chmodSync(cookie, 0o400);
  return home;
}

/** Erlang's port mapper outlives its nodes: it is one of our own, and ended with them. */
function startPortMapper(port: number, home: string): ChildProcess {
  return spawn("epmd", ["-port", `${port}`, "-address", "127.0.0.1", "-relaxed_command_check"], {
    env: { ...process.env, HOME: home },
    stdio: "ignore",
  });
}

async function endPortMapper(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

/** Erlang takes any free port of a range: one that is this worker's own. */
async function freePortRange(count: number): Promise<readonly [first: number, last: number]> {
  const first = await freeTcpPort();
  let last = first;
  while (last - first < count) last = await freeTcpPort();
  return [first, last];
}

/** Three ejabberd nodes in one cluster: MQTT 5, with sessions that live in the memory of one node. */
export async function startEjabberd(): Promise<Cluster> {
  const folder = folderOf("ejabberd");
  const home = erlangHome(folder);
  const epmd = await freeTcpPort();
  const mapper = startPortMapper(epmd, home);
  const window = (await freePortRange(12)).join("-");
  const env = { ...process.env, HOME: home, ERL_EPMD_PORT: `${epmd}`, ERL_EPMD_ADDRESS: "127.0.0.1" };
  const ports = [await freeTcpPort(), await freeTcpPort(), await freeTcpPort()];
  const nodes = ports.map((port, index) => new EjabberdNode(folder, index + 1, { port, env, window }));
  const processes = nodes.map(({ process }) => process);
  const stop = async (): Promise<void> => {
    await Promise.all(processes.map((each) => each.kill()));
    await endPortMapper(mapper);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    for (const each of processes) each.begin();
    await Promise.all(processes.map((each) => each.ready()));
    for (const node of nodes.slice(1)) await node.control("join_cluster", "e1@localhost");
    await Promise.all(processes.map((each) => each.ready()));
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes: processes, credentials: ALICE, stop };
}

interface EjabberdPlan {
  readonly port: number;
  readonly env: NodeJS.ProcessEnv;
  readonly window: string;
}

class EjabberdNode {
  readonly process: Process;
  readonly #folders: readonly string[];
  readonly #env: NodeJS.ProcessEnv;

  constructor(folder: string, number: number, { port, env, window }: EjabberdPlan) {
    const [conf, log, spool] = ["conf", "log", "spool"].map((name) => {
      const path = join(folder, `e${number}`, name);
      mkdirSync(path, { recursive: true });
      return path;
    }) as [string, string, string];
    this.#folders = ["-d", conf, "-l", log, "-s", spool];
    this.#env = env;
    writeFileSync(
      join(conf, "ejabberdctl.cfg"),
      [
        "EXEC_CMD=as_current_user",
        `ERLANG_NODE=e${number}@localhost`,
        `FIREWALL_WINDOW=${window}`,
        "ERL_EPMD_ADDRESS=127.0.0.1",
        // Its own setting for the interface (INET_DIST_INTERFACE) starts an Erlang more each time.
        'ERL_OPTIONS="+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}"',
        "",
      ].join("\n"),
    );
    writeFileSync(join(conf, "inetrc"), "");
    writeFileSync(
      join(conf, "ejabberd.yml"),
      `hosts: [localhost]
loglevel: warning
listen:
  - port: ${port}
    ip: "127.0.0.1"
    module: mod_mqtt
    backlog: 1000
auth_method: [mnesia, anonymous]
anonymous_protocol: login_anon
allow_multiple_connections: true
modules:
  mod_mqtt: {}
  mod_admin_extra: {}
`,
    );
    const start = (): ChildProcess =>
      spawn("/usr/sbin/ejabberdctl", [...this.#folders, "foreground"], { ...group, env });
    this.process = new Process(port, start, ALICE);
  }

  async control(...command: readonly string[]): Promise<void> {
    const child = spawn("/usr/sbin/ejabberdctl", [...this.#folders, ...command], {
      env: this.#env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => (said += chunk));
    child.stderr.on("data", (chunk: Buffer) => (said += chunk));
    const code = await new Promise((resolve) => child.once("close", resolve));
    if (code !== 0) throw new Error(`ejabberdctl ${command.join(" ")}: ${said}`);
  }
}

/** A name without a password is refused, and LwM2M devices have one. */
const GUEST: Credentials = { username: "guest", password: "guest" };
/** Where Debian has it; the command on the path changes user. */
const RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/**
 * Three RabbitMQ nodes in one cluster: MQTT 3.1.1 before 3.13. `quorum`: queues that are kept at all nodes; else they live
 * at one.
 */
export async function startRabbitmq(quorum: boolean): Promise<Cluster> {
  const folder = folderOf("rabbitmq");
  const home = erlangHome(folder);
  const epmd = await freeTcpPort();
  const mapper = startPortMapper(epmd, home);
  const nodes: Process[] = [];
  for (const number of [1, 2, 3]) {
    const port = await freeTcpPort();
    const env = await rabbitmqNode(folder, home, { number, port, epmd, quorum });
    nodes.push(new Process(port, () => spawn(RABBITMQ, [], { ...group, env }), GUEST));
  }
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((each) => each.kill()));
    await endPortMapper(mapper);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    // The first makes the cluster, the others join it.
    const [first, ...others] = nodes;
    await first!.restart();
    for (const each of others) each.begin();
    await Promise.all(others.map((each) => each.ready()));
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes, credentials: GUEST, stop };
}

interface RabbitmqPlan {
  readonly number: number;
  readonly port: number;
  readonly epmd: number;
  readonly quorum: boolean;
}

async function rabbitmqNode(
  folder: string,
  home: string,
  { number, port, epmd, quorum }: RabbitmqPlan,
): Promise<NodeJS.ProcessEnv> {
  const name = `r${number}`;
  const own = join(folder, name);
  mkdirSync(own, { recursive: true });
  const file = (base: string, text: string): string => {
    const path = join(own, base);
    writeFileSync(path, text);
    return path;
  };
  // The first knows nobody: it would look for the others until its tries are over before it begins by itself.
  const known = (number === 1 ? [1] : [1, 2, 3]).map(
    (each) => `cluster_formation.classic_config.nodes.${each} = r${each}@localhost`,
  );
  const settings = [
    `listeners.tcp.1 = 127.0.0.1:${await freeTcpPort()}`,
    `mqtt.listeners.tcp.1 = 127.0.0.1:${port}`,
    "mqtt.allow_anonymous = true",
    ...(quorum ? ["mqtt.durable_queue_type = quorum"] : []),
    "cluster_formation.peer_discovery_backend = classic_config",
    ...known,
    // The first may be busy for as long as a loaded machine makes it.
    "cluster_formation.discovery_retry_limit = 300",
    "cluster_formation.discovery_retry_interval = 200",
    "disk_free_limit.absolute = 50MB",
  ];
  return {
    ...process.env,
    HOME: home,
    ERL_EPMD_PORT: `${epmd}`,
    ERL_EPMD_ADDRESS: "127.0.0.1",
    RABBITMQ_CONF_ENV_FILE: "/dev/null",
    RABBITMQ_NODENAME: `${name}@localhost`,
    RABBITMQ_DIST_PORT: `${await freeTcpPort()}`,
    RABBITMQ_MNESIA_BASE: join(own, "data"),
    RABBITMQ_LOG_BASE: join(own, "log"),
    RABBITMQ_PID_FILE: join(own, "pid"),
    RABBITMQ_CONFIG_FILE: file("rabbitmq.conf", `${settings.join("\n")}\n`),
    RABBITMQ_ADVANCED_CONFIG_FILE: file("advanced.config", "[].\n"),
    RABBITMQ_ENABLED_PLUGINS_FILE: file("enabled_plugins", "[rabbitmq_mqtt].\n"),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none",
  };
}
