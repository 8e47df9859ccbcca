/** Database servers of other people, each started in a folder of its own and on a port of its own. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
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

async function untilAnswers(port: number, child: ChildProcess, said: () => string): Promise<void> {
  const until = Date.now() + START_PATIENCE;
  while (!(await answers(port))) {
    if (child.exitCode !== null || Date.now() > until)
      throw new Error(`the server does not start: ${said()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

interface Plan {
  readonly program: string;
  prepare?(folder: string): void;
  arguments(folder: string, port: number): string[];
  readonly options?: { readonly uid?: number; readonly gid?: number };
}

async function start({ program, prepare, arguments: argumentsOf, options = {} }: Plan): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-server-"));
  chmodSync(folder, 0o755);
  prepare?.(folder);
  const port = await freeTcpPort();
  let child: ChildProcess;
  const run = async () => {
    let said = "";
    child = spawn(program, argumentsOf(folder, port), { ...options, stdio: ["ignore", "pipe", "pipe"] });
    const hear = (chunk: Buffer) => {
      said = `${said}${chunk}`.slice(-2_000);
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    await untilAnswers(port, child, () => said);
  };
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  };
  await run();
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

export const startRedis = (): Promise<Server> =>
  start({
    program: "redis-server",
    arguments: (folder, port) => [
      ...["--port", String(port), "--bind", "127.0.0.1", "--dir", folder],
      ...["--appendonly", "yes", "--appendfsync", "always"],
    ],
  });

const postgresFolder = (): string => {
  const versions = readdirSync("/usr/lib/postgresql").sort((a, b) => Number(b) - Number(a));
  return `/usr/lib/postgresql/${versions[0]}/bin`;
};

/** Its superuser is `root`, who needs no password. */
export const startPostgres = (): Promise<Server> =>
  start({
    program: join(postgresFolder(), "postgres"),
    options: asNobody,
    prepare(folder) {
      mkdirSync(join(folder, "data"), { mode: 0o700 });
      if (asNobody.uid !== undefined)
        for (const path of [folder, join(folder, "data")]) chownSync(path, NOBODY, NOBODY);
      const settings = ["-A", "trust", "-U", "root", "--no-sync", "-E", "UTF8", "--locale=C"];
      execFileSync(join(postgresFolder(), "initdb"), ["-D", join(folder, "data"), ...settings], {
        ...asNobody,
        stdio: "pipe",
      });
    },
    arguments: (folder, port) => [
      ...["-D", join(folder, "data"), "-p", String(port), "-k", folder],
      ...["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"],
    ],
  });

/** Its superuser is `root`, who needs no password. */
export const startMariadb = (): Promise<Server> => {
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
