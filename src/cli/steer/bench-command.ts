/** `isthmus bench`: load on a gateway, or on any broker, and how long it takes. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration, parseSize } from "../../lib/units.ts";
import {
  CLIENTS_MAX,
  LOAD_PROTOCOLS,
  type LoadKind,
  type LoadOptions,
  type LoadProtocol,
  type LoadStatus,
  SIZE_MAX,
  type Spread,
} from "../../load/options.ts";
import { EXIT } from "../errors.ts";
import { DEFAULT_HOST, nodePorts, whole } from "./sim-command.ts";
import { type Steering, type SteeringCommands, UsageError } from "./steering.ts";
import { table } from "./table.ts";

/** Load that is being made. */
export interface RunningLoad {
  readonly status: LoadStatus;
  readonly finished: Promise<void>;
  stop(): Promise<void>;
}

/** Loaded when it is used. */
export type StartLoad = (options: LoadOptions) => Promise<RunningLoad>;

interface BenchOptions {
  readonly protocol: LoadProtocol;
  readonly host?: string;
  readonly port?: number;
  readonly clients: number;
  readonly connectRate: number;
  readonly prefix?: string;
  readonly firstNumber: number;
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  readonly size: number;
  readonly payload?: string;
  readonly retain?: boolean;
  readonly interval: number;
  readonly inflight: number;
  readonly limit?: number;
  readonly duration?: number;
  readonly mqtt: "3.1.1" | "5";
  readonly keepAlive: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly certKey?: string;
  readonly insecure?: boolean;
}

const REPORT_MS = 1_000;
const TLS_PORT = 8883;

const length =
  (least: number) =>
  (text: string): number => {
    const value = parseDuration(text);
    if (value !== undefined && value >= least && Number.isFinite(value)) return value;
    throw new InvalidArgumentError(`a length of time such as 100ms, 10s or 5m${least === 0 ? ", or 0" : ""}`);
  };

function size(text: string): number {
  const value = parseSize(text);
  if (value !== undefined && Number.isInteger(value) && value <= SIZE_MAX) return value;
  throw new InvalidArgumentError("a size of 16MB at most, such as 256 or 4KB");
}

async function bench(steering: Steering<BenchOptions>, kind: LoadKind, start: StartLoad): Promise<number> {
  const { options, io, json } = steering;
  const load = await start(await loadOptions(steering, kind));
  const interrupted = io.interrupted();
  let shown: LoadStatus | undefined;
  const report = (): void => {
    const { status } = load;
    if (json) io.out(`${JSON.stringify(status)}\n`);
    else io.error(`${line(status, shown)}\n`);
    shown = status;
  };
  const reports = setInterval(report, REPORT_MS);
  await Promise.race([load.finished, over(interrupted, options.duration)]);
  clearInterval(reports);
  await load.stop();
  const { status } = load;
  io.out(json ? `${JSON.stringify({ ...status, done: true })}\n` : summary(status, io.terminal));
  const { failed, lost, refused, connected } = status;
  return connected === 0 || sum(failed) + sum(lost) + refused > 0 ? EXIT.operator : EXIT.ok;
}

async function loadOptions(steering: Steering<BenchOptions>, kind: LoadKind): Promise<LoadOptions> {
  const { options } = steering;
  const { protocol, mqtt, tls, ca, cert, certKey, insecure, retain = false, host, port, ...rest } = options;
  const secure = tls === true || ca !== undefined || cert !== undefined || insecure === true;
  if (secure && protocol !== "mqtt") throw new UsageError(`--tls goes with MQTT, not with ${protocol}`);
  if ((cert === undefined) !== (certKey === undefined))
    throw new UsageError("--cert and --cert-key go together");
  if (protocol === "mqtt-sn" && (options.username !== undefined || options.password !== undefined))
    throw new UsageError("MQTT-SN 1.2 has no user names and passwords");
  if (options.topic.includes("%s") && (kind !== "publish" || protocol === "mqtt-sn"))
    throw new UsageError("%s, the number of a message, stands in topics of `bench pub` over MQTT and CoAP");
  return {
    ...rest,
    ...{ kind, protocol, retain, version: mqtt === "5" ? 5 : 4 },
    // Two of them that run at one time must not take each other's clients over.
    prefix: options.prefix ?? `bench-${process.pid.toString(36)}-`,
    host: host ?? DEFAULT_HOST,
    port: port ?? (secure ? TLS_PORT : await portOf(steering, protocol)),
    tls: secure ? { ca, cert, key: certKey, verify: insecure !== true } : undefined,
  };
}

async function portOf(steering: Steering<BenchOptions>, protocol: LoadProtocol): Promise<number> {
  const { api, options } = steering;
  const port = (await nodePorts(api, options.host))[protocol];
  if (port === undefined) throw new UsageError(`this node has no open listener for ${protocol}: set --port`);
  return port;
}

const over = (interrupted: AbortSignal, duration: number | undefined): Promise<void> =>
  new Promise((resolve) => {
    const timer = duration === undefined ? undefined : setTimeout(resolve, duration);
    interrupted.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((all, count) => all + count, 0);

const number = (count: number): string => Math.round(count).toLocaleString("en-US");

/** What is going on, and how much since it was last said. */
function line(status: LoadStatus, before: LoadStatus | undefined): string {
  const { seconds, connected, clients, kind, sent, received, acknowledged, skipped, lost, failed } = status;
  const since = Math.max(0.001, seconds - (before?.seconds ?? 0));
  const grown = (count: number, was = 0): string => `${number(count)} (${number((count - was) / since)}/s)`;
  const parts = [`${seconds} s: ${grown(connected, before?.connected)} of ${number(clients)} connected`];
  if (kind === "publish") parts.push(`${grown(sent, before?.sent)} sent`);
  if (acknowledged > 0) parts.push(`${grown(acknowledged, before?.acknowledged)} answered`);
  if (kind === "subscribe") parts.push(`${grown(received, before?.received)} received`);
  if (skipped > 0) parts.push(`${number(skipped)} skipped`);
  if (sum(failed) > 0) parts.push(`${number(sum(failed))} failed`);
  if (sum(lost) > 0) parts.push(`${number(sum(lost))} lost`);
  return parts.join(", ");
}

function summary(status: LoadStatus, terminal: boolean): string {
  const { kind, connected, clients, seconds, rates, latency, sent, received, acknowledged, skipped } = status;
  const lines = [
    `${number(connected)} of ${number(clients)} clients in, ${number(rates.connected)}/s, in ${seconds} s`,
  ];
  if (kind === "publish") {
    lines.push(`${number(sent)} messages sent, ${number(rates.sent)}/s, ${number(acknowledged)} answered`);
    if (skipped > 0)
      lines.push(`${number(skipped)} were due and not sent: the client's window (--inflight) was full`);
  }
  if (kind === "subscribe") lines.push(`${number(received)} messages received, ${number(rates.received)}/s`);
  if (status.refused > 0) lines.push(`${number(status.refused)} messages refused or never answered`);
  for (const [why, count] of Object.entries(status.lost)) lines.push(`${number(count)} clients lost: ${why}`);
  if (status.connecting > 0) lines.push(`${number(status.connecting)} clients without an answer yet`);
  for (const [why, count] of Object.entries(status.failed))
    lines.push(`${number(count)} clients not in: ${why}`);
  const rows = Object.entries(latency) as Row[];
  const ms = (name: Exclude<keyof Spread, "count">) => ({
    title: name === "p999" ? "P99.9" : name.toUpperCase(),
    cell: ([, spread]: Row) => spread[name].toFixed(2),
    right: true,
  });
  const columns = [
    { title: "MS UNTIL", cell: ([name]: Row) => UNTIL[name] },
    ...(["mean", "p50", "p90", "p99", "p999", "max"] as const).map(ms),
  ];
  return `${lines.join("\n")}\n${rows.length === 0 ? "" : table(columns, rows, terminal)}`;
}

type Row = [keyof LoadStatus["latency"], Spread];

const UNTIL = { connect: "let in", answer: "answered", delivery: "delivered" } as const;

function commonOptions(command: Command): Command {
  const option = (flags: string, description: string): Option => new Option(flags, description);
  return command
    .addOption(option("--protocol <name>", "what the clients speak").choices(LOAD_PROTOCOLS).default("mqtt"))
    .addOption(
      option("--host <name>", "where the gateway is (default: the node of this data folder, or 127.0.0.1)"),
    )
    .addOption(option("-p, --port <number>", "its port").argParser(whole(1, 65_535)))
    .addOption(
      option("-n, --clients <count>", "clients").argParser(whole(1, CLIENTS_MAX)).default(100, "100"),
    )
    .addOption(
      option("--connect-rate <count>", "clients that begin to connect in a second")
        .argParser(whole(1, 100_000))
        .default(200, "200"),
    )
    .option("--prefix <text>", "client ids begin so (default: one of this process)")
    .addOption(
      option("--first-number <number>", "the number of the first client")
        .argParser(whole(0, 1_000_000_000))
        .default(1, "1"),
    )
    .addOption(option("--duration <time>", "end by itself after so long").argParser(length(1)))
    .addOption(option("--mqtt <version>", "version of MQTT").choices(["3.1.1", "5"]).default("5"))
    .addOption(
      option("--keep-alive <seconds>", "keep-alive of the clients")
        .argParser(whole(1, 65_535))
        .default(60, "60"),
    )
    .option("--username <name>", "of all clients")
    .option("--password <password>", "of all clients")
    .option("--tls", "connect with TLS, on port 8883 unless --port says otherwise")
    .option("--ca <file>", "who has signed the gateway's certificate (PEM; else the system's list)")
    .option("--cert <file>", "certificate of the clients (PEM)")
    .option("--cert-key <file>", "its key (PEM)")
    .option("--insecure", "take any certificate");
}

const withTopic = (command: Command, description: string): Command =>
  command
    .addOption(new Option("-t, --topic <topic>", description).default("bench/%i"))
    .addOption(new Option("-q, --qos <level>", "quality of service").argParser(whole(0, 2)).default(0, "0"));

const withLimit = (command: Command, description: string): Command =>
  command.addOption(new Option("--limit <count>", description).argParser(whole(1, 1e12)));

/** What the other kinds do not ask for. */
const UNASKED = { topic: "", qos: 0, size: 0, interval: 0, inflight: 1 } as const;

export function addBench(program: Command, commands: SteeringCommands, start: StartLoad): void {
  const group = commands.group(
    program,
    "bench",
    "load: many clients that connect, publish or subscribe, and how long that takes",
  );
  const run =
    (kind: LoadKind) =>
    (steering: Steering<BenchOptions>): Promise<number> =>
      bench({ ...steering, options: { ...UNASKED, ...steering.options } }, kind, start);
  commands.add<BenchOptions>(
    group,
    "connect",
    "clients that connect and stay",
    ["bench connect --clients 50 --connect-rate 500 --duration 1s"],
    run("connect"),
    commonOptions,
  );
  commands.add<BenchOptions>(
    group,
    "pub",
    "clients that publish; the time of sending stands in each payload",
    [
      "bench pub --clients 20 --interval 100ms --qos 1 --duration 2s",
      "bench pub --clients 2 --interval 0 --inflight 100 --qos 1 --limit 2000",
      "bench pub --protocol mqtt-sn --clients 5 --interval 200ms --qos 1 --size 32 --duration 1s",
      "bench pub --protocol coap --clients 5 --topic 'plant/%c/temp' --interval 200ms --limit 20",
    ],
    run("publish"),
    (command) =>
      withLimit(
        withTopic(
          commonOptions(command),
          "%i: the client's number, %c: its id, %u: its user name, %s: how manieth message it is",
        ),
        "end after so many messages of all clients",
      )
        .addOption(new Option("-s, --size <octets>", "of a payload").argParser(size).default(256, "256"))
        .option("--payload <text>", "send this instead")
        .option("--retain", "retained messages")
        .addOption(
          new Option(
            "--interval <time>",
            "between two messages of a client; 0: as fast as its window lets it",
          )
            .argParser(length(0))
            .default(1_000, "1s"),
        )
        .addOption(
          new Option("--inflight <count>", "MQTT: messages of a client without an answer, at QoS 1 and 2")
            .argParser(whole(1, 10_000))
            .default(32, "32"),
        ),
  );
  commands.add<BenchOptions>(
    group,
    "sub",
    "clients that subscribe; what `bench pub` sends tells them how long it took (one machine, or clocks that agree)",
    ["bench sub --clients 20 --topic 'bench/#' --qos 1 --duration 1s"],
    run("subscribe"),
    (command) =>
      withLimit(
        withTopic(commonOptions(command), "filter; %i: the client's number, %c: its id, %u: its user name"),
        "end after so many messages at all clients",
      ),
  );
}
