/** Database servers of other people, each started in a folder of its own and on a port of its own. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freeTcpPort } from "./free-ports.ts";

export interface Server {
  readonly port: number;
  /** As if the machine were gone, and started again on the same port and data. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const START_PATIENCE = 60_000;
/** Debian's `nobody`: PostgreSQL does not run as root. */
const NOBODY = 65_534;
const asNobody = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.once("connect", () => end(true)).once("error", () => end(false));
  });

async function untilAnswers(
  port: number,
  child: ChildProcess,
  said: () => string,
  patience: number,
): Promise<void> {
  const until = Date.now() + patience;
  while (!(await answers(port))) {
    if (child.exitCode !== null || Date.now() > until)
      throw new Error(`the server does not start: ${said()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export interface Plan {
  readonly program: string;
  prepare?(folder: string): void;
  arguments(folder: string, port: number): string[];
  /** What it says on its standard output. */
  heard?(chunk: Buffer): void;
  readonly options?: { readonly uid?: number; readonly gid?: number };
  /** Its environment; absent: ours. */
  environment?(folder: string): NodeJS.ProcessEnv;
  /** How long it may take to start; absent: a minute. */
  readonly patience?: number;
}

export async function start(plan: Plan): Promise<Server> {
  const { program, prepare, arguments: argumentsOf, environment } = plan;
  const { options = {}, patience = START_PATIENCE, heard } = plan;
  const folder = mkdtempSync(join(tmpdir(), "isthmus-server-"));
  chmodSync(folder, 0o755);
  prepare?.(folder);
  const port = await freeTcpPort();
  let child: ChildProcess;
  const run = async () => {
    let said = "";
    // A group of its own: what a script starts is ended with it.
    child = spawn(program, argumentsOf(folder, port), {
      ...{ ...options, env: environment?.(folder) ?? process.env, detached: true },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const hear = (chunk: Buffer) => {
      said = `${said}${chunk}`.slice(-2_000);
    };
    child.stdout?.on("data", hear);
    if (heard !== undefined) child.stdout?.on("data", heard);
    child.stderr?.on("data", hear);
    await untilAnswers(port, child, () => said, patience);
  };
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    process.kill(-child.pid!, "SIGKILL");
    await gone;
  };
  await run().catch(async (error: unknown) => {
    await kill();
    throw error;
  });
  return {
    port,
    kill,
    restart: run,
    async stop() {
      await kill();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** `more`: further settings, as on its command line. */
export const startRedis = (...more: string[]): Promise<Server> =>
  start({
    program: "redis-server",
    arguments: (folder, port) => [
      ...["--port", String(port), "--bind", "127.0.0.1", "--dir", folder],
      ...["--appendonly", "yes", "--appendfsync", "always"],
      ...more,
    ],
  });

/** A sentinel of Redis that watches `mymaster` at this port, and elects another one by itself. */
export const startSentinel = (master: number): Promise<Server> =>
  start({
    program: "redis-server",
    arguments: (folder, port) => {
      const lines = [
        ...[
          `port ${port}`,
          "bind 127.0.0.1",
          `dir ${folder}`,
          `sentinel monitor mymaster 127.0.0.1 ${master} 1`,
        ],
        ...["sentinel down-after-milliseconds mymaster 1000", "sentinel failover-timeout mymaster 5000"],
      ];
      writeFileSync(join(folder, "sentinel.conf"), `${lines.join("\n")}\n`);
      return [join(folder, "sentinel.conf"), "--sentinel"];
    },
  });

const postgresFolder = (): string => {
  const versions = readdirSync("/usr/lib/postgresql").sort((a, b) => Number(b) - Number(a));
  return `/usr/lib/postgresql/${versions[0]}/bin`;
};

/** Its superuser is `root`, who needs no password; `settings`: as `name=value`. */
export const startPostgres = (...settings: string[]): Promise<Server> =>
  start({
    program: join(postgresFolder(), "postgres"),
    options: asNobody,
    prepare(folder) {
      mkdirSync(join(folder, "data"), { mode: 0o700 });
      if (asNobody.uid !== undefined)
        for (const path of [folder, join(folder, "data")]) chownSync(path, NOBODY, NOBODY);
      const made = ["-A", "trust", "-U", "root", "--no-sync", "-E", "UTF8", "--locale=C"];
      execFileSync(join(postgresFolder(), "initdb"), ["-D", join(folder, "data"), ...made], {
        ...asNobody,
        stdio: "pipe",
      });
    },
    arguments: (folder, port) => [
      ...["-D", join(folder, "data"), "-p", String(port), "-k", folder],
      ...["listen_addresses=127.0.0.1", "fsync=off", ...settings].flatMap((setting) => ["-c", setting]),
    ],
  });

/** Its superuser is `root`, who needs no password; `more`: further settings, as on its command line. */
export const startMariadb = (...more: string[]): Promise<Server> => {
  const user = process.getuid?.() === 0 ? ["--user=root"] : [];
  return start({
    program: "/usr/sbin/mariadbd",
    prepare(folder) {
      const settings = ["--auth-root-authentication-method=normal", "--skip-test-db", ...user];
      execFileSync(
        "mariadb-install-db",
        ["--no-defaults", `--datadir=${join(folder, "data")}`, ...settings],
        {
          stdio: "pipe",
        },
      );
    },
    arguments: (folder, port) => [
      ...["--no-defaults", `--datadir=${join(folder, "data")}`, `--port=${port}`, "--bind-address=127.0.0.1"],
      ...[`--socket=${join(folder, "socket")}`, "--innodb-flush-log-at-trx-commit=2", ...user],
      ...more,
    ],
  });
};

/** As EMQX's manual describes entries, with names that the tests may choose themselves. */
const MQTT_SCHEMA = `
attributetype ( 1.3.6.1.4.1.4203.666.1.901 NAME 'isSuperuser'
  EQUALITY booleanMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.7 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.4203.666.1.902 NAME 'mqttPublishTopic'
  EQUALITY caseExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.4203.666.1.903 NAME 'mqttSubscriptionTopic'
  EQUALITY caseExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.4203.666.1.904 NAME 'mqttPubSubTopic'
  EQUALITY caseExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.4203.666.1.905 NAME 'mqttPsk'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.4203.666.1.906 NAME 'mqttUser' SUP top STRUCTURAL
  MUST ( uid ) MAY ( userPassword $ isSuperuser $ mqttPublishTopic $ mqttSubscriptionTopic $ mqttPubSubTopic $ mqttPsk ) )
`;

/** A directory with these entries (LDIF); `cn=root,dc=emqx,dc=io` with password `public` may read passwords. */
export const startSlapd = (ldif: string, tls?: { cert: string; key: string }): Promise<Server> =>
  start({
    program: "/usr/sbin/slapd",
    prepare(folder) {
      mkdirSync(join(folder, "data"));
      writeFileSync(join(folder, "mqtt.schema"), MQTT_SCHEMA);
      writeFileSync(join(folder, "entries.ldif"), ldif);
      const files =
        tls === undefined ? "" : `TLSCertificateFile ${tls.cert}\nTLSCertificateKeyFile ${tls.key}\n`;
      writeFileSync(
        join(folder, "slapd.conf"),
        `include /etc/ldap/schema/core.schema
include ${join(folder, "mqtt.schema")}
modulepath /usr/lib/ldap
moduleload back_mdb.la
${files}database mdb
maxsize 10485760
suffix "dc=emqx,dc=io"
rootdn "cn=root,dc=emqx,dc=io"
rootpw public
directory ${join(folder, "data")}
access to attrs=userPassword by anonymous auth by * none
access to * by * read
`,
      );
      const added = ["-f", join(folder, "slapd.conf"), "-l", join(folder, "entries.ldif")];
      execFileSync("/usr/sbin/slapadd", added, { stdio: "pipe" });
    },
    arguments: (folder, port) => [
      ...["-d", "0", "-f", join(folder, "slapd.conf"), "-h", `ldap://127.0.0.1:${port}/`],
    ],
  });

/** An MQTT broker; what it keeps is on disk as soon as it is there. `settings`: further lines of its configuration. */
export const startMosquitto = (...settings: string[]): Promise<Server> =>
  start({
    program: "/usr/sbin/mosquitto",
    prepare(folder) {
      mkdirSync(join(folder, "data"));
    },
    arguments: (folder, port) => {
      const lines = [
        ...[`listener ${port} 127.0.0.1`, "allow_anonymous true", "log_dest stderr"],
        ...["persistence true", `persistence_location ${join(folder, "data")}/`],
        ...["autosave_interval 1", "autosave_on_changes true", "max_queued_messages 10000"],
        ...(process.getuid?.() === 0 ? ["user root"] : []),
        ...settings,
      ];
      writeFileSync(join(folder, "mosquitto.conf"), `${lines.join("\n")}\n`);
      return ["-c", join(folder, "mosquitto.conf")];
    },
  });

/** A proxy of TCP that expects the PROXY protocol, sends all to one port, and writes down from where it came. */
export async function startHaproxy(
  to: number,
  certificate?: string,
): Promise<Server & { readonly log: string }> {
  const log = join(mkdtempSync(join(tmpdir(), "isthmus-haproxy-")), "log");
  const server = await start({
    program: "/usr/sbin/haproxy",
    arguments(folder, port) {
      const secure = certificate === undefined ? "" : ` ssl crt ${certificate}`;
      const settings = `global
  log stdout format raw local0
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen mqtt
  bind 127.0.0.1:${port} accept-proxy${secure}
  log global
  option logasap
  log-format "from %ci:%cp"
  server broker 127.0.0.1:${to}
`;
      writeFileSync(join(folder, "haproxy.cfg"), settings);
      return ["-db", "-f", join(folder, "haproxy.cfg")];
    },
    heard: (chunk) => appendFileSync(log, chunk),
  });
  return { ...server, log };
}

/** An InfluxDB 1.x server with a database `mqtt`, which also takes lines over UDP at the same port. */
export const startInfluxdb = (tls?: { cert: string; key: string }): Promise<Server> =>
  start({
    program: "influxd",
    arguments(folder, port) {
      const settings = `reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
dir = "${folder}/meta"
[data]
dir = "${folder}/data"
wal-dir = "${folder}/wal"
[http]
bind-address = "127.0.0.1:${port}"
${tls === undefined ? "" : `https-enabled = true\nhttps-certificate = "${tls.cert}"\nhttps-private-key = "${tls.key}"`}
[monitor]
store-enabled = false
[[udp]]
enabled = true
bind-address = "127.0.0.1:${port}"
database = "mqtt"
batch-timeout = "100ms"
`;
      writeFileSync(join(folder, "influxdb.conf"), settings);
      return ["-config", join(folder, "influxdb.conf")];
    },
  });

/** It takes OpenTSDB's HTTP put at that other port. `more`: further settings, as on its command line. */
export const startVictoriaMetrics = (put: number, ...more: string[]): Promise<Server> =>
  start({
    program: "victoria-metrics",
    arguments: (folder, port) => [
      ...[`-storageDataPath=${folder}/data`, `-httpListenAddr=127.0.0.1:${port}`],
      ...[`-opentsdbHTTPListenAddr=127.0.0.1:${put}`, "-retentionPeriod=12", ...more],
    ],
  });
