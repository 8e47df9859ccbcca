/** `isthmus sim`: a fleet of devices against a gateway. */
import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../../lib/units.ts";
import {
  DEFAULT_PORTS,
  DEVICES_MAX,
  ID_PREFIX,
  type Ports,
  PROTOCOLS,
  type ProtocolName,
  SCENARIOS,
  type ScenarioName,
  type SimulationOptions,
  type SimulationStatus,
} from "../../sim/options.ts";
import { ApiError, inPath } from "./api-client.ts";
import { collect } from "./client-commands.ts";
import type { Steering, SteeringCommands } from "./steering.ts";

/** A simulation that runs. */
export interface RunningSimulation {
  readonly status: SimulationStatus;
  /** Rejects when it cannot go on. */
  readonly failed: Promise<never>;
  stop(): Promise<void>;
}

/** Loaded when it is used. */
export type StartSimulation = (options: SimulationOptions) => Promise<RunningSimulation>;

interface SimOptions {
  readonly devices: number;
  readonly interval: number;
  readonly loss: number;
  readonly nat?: number;
  readonly duration?: number;
  readonly host?: string;
  readonly port: Ports;
  readonly username?: string;
  readonly password?: string;
  readonly seed: number;
  readonly attached?: boolean;
}

const REPORT_MS = 2_000;
export const DEFAULT_HOST = "127.0.0.1";

export const whole =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`a number from ${least} to ${most}`);
  };

function percent(text: string): number {
  const value = Number(text.replace(/%$/, ""));
  if (value >= 0 && value <= 90) return value / 100;
  throw new InvalidArgumentError("a part in percent, from 0 to 90");
}

function length(text: string): number {
  const value = parseDuration(text);
  if (value !== undefined && value >= 100 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("a length of time of 100ms or more, such as 10s or 5m");
}

function port(text: string, earlier: Ports): Ports {
  const [name, number] = text.split("=");
  const value = Number(number);
  if (!PROTOCOLS.includes(name as ProtocolName) || !Number.isInteger(value) || value < 0 || value > 65_535)
    throw new InvalidArgumentError(
      `such as mqtt=1883; protocols are ${PROTOCOLS.join(", ")}; 0 leaves one out`,
    );
  return { ...earlier, [name as ProtocolName]: value };
}

interface Listener {
  readonly gateway: string;
  readonly transport: string;
  readonly address: string;
  readonly port: number;
  readonly open: boolean;
}

/** Where a node on this machine listens, if it can be asked; else what a gateway without a configuration has. */
export async function nodePorts(api: Steering<unknown>["api"], host: string | undefined): Promise<Ports> {
  if (host !== undefined) return DEFAULT_PORTS;
  const listeners = await api.ask<Listener[]>("GET", "/listeners").catch((error: unknown) => {
    if (!(error instanceof ApiError)) throw error;
    return undefined;
  });
  return listeners === undefined ? DEFAULT_PORTS : spokenAt(listeners);
}

/** Plain listeners only: a simulated device has neither certificate nor key. */
function spokenAt(listeners: readonly Omit<Listener, "address">[]): Ports {
  const ports: Partial<Record<ProtocolName, number>> = {};
  for (const name of PROTOCOLS) {
    const transport = name === "mqtt" || name === "stomp" ? "tcp" : "udp";
    const found = listeners.find(
      (each) => each.open && each.gateway === name && each.transport === transport,
    );
    if (found !== undefined) ports[name] = found.port;
  }
  // LwM2M is CoAP, and mostly served by its listeners.
  const shared = ports.lwm2m ?? ports.coap;
  return shared === undefined ? ports : { ...ports, lwm2m: shared };
}

const without = (ports: Ports): Ports =>
  Object.fromEntries(Object.entries(ports).filter(([, number]) => number !== 0));

function line(status: SimulationStatus): string {
  const { seconds, fleet, readings, heard, commands, obeyed, refused, unanswered, lost, repeated, moved } =
    status;
  const all = Object.values(fleet);
  const connected = all.reduce((sum, each) => sum + each.connected, 0);
  const clients = all.reduce((sum, each) => sum + each.devices, 0);
  const troubles = Object.entries({ refused, unanswered, lost, repeated, moved })
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `, ${count} ${name}`)
    .join("");
  return `${seconds} s: ${connected} of ${clients} clients in, ${readings} readings, ${heard} heard, ${commands} commands, ${obeyed} obeyed${troubles}`;
}

async function simulate(steering: Steering<SimOptions>, start: StartSimulation): Promise<void> {
  const { args, options, io, json } = steering;
  const ports = without({ ...(await nodePorts(steering.api, options.host)), ...options.port });
  const interrupted = io.interrupted();
  const simulation = await start({
    ...{ scenario: args[0] as ScenarioName, devices: options.devices, ports },
    ...{ host: options.host ?? DEFAULT_HOST, loss: options.loss, natLife: options.nat },
    ...{ interval: options.interval, seed: options.seed },
    ...{ username: options.username, password: options.password },
  });
  const say = (text: string): void => {
    if (!json) io.error(`${text}\n`);
  };
  say(`${options.devices} devices of ${args[0]} at ${options.host ?? DEFAULT_HOST}; end them with Ctrl+C`);
  const report = (): void =>
    io.out(`${json ? JSON.stringify(simulation.status) : line(simulation.status)}\n`);
  const reports = setInterval(report, REPORT_MS);
  try {
    await Promise.race([until(interrupted, options.duration), ended(steering), simulation.failed]);
  } finally {
    clearInterval(reports);
    say("saying goodbye");
    await simulation.stop();
    if (options.host === undefined) await forget(steering);
  }
  report();
}

/** What devices have left at the node to come back to, by its settings: these never do. */
async function forget({ api }: Steering<SimOptions>): Promise<void> {
  try {
    const query = { prefix: ID_PREFIX, columns: "clientId,gateway" };
    const left = await collect(
      api.pages<{ clientId: string; gateway: string }>("/clients", query, 2 * DEVICES_MAX),
    );
    for (const { clientId, gateway } of left) {
      const { part, query } = inPath("id", clientId);
      await api.ask("DELETE", `/clients/${part}/session`, { query: { ...query, gateway } });
    }
  } catch (error) {
    // It may be a node whose API is not for us, or that has ended meanwhile.
    if (!(error instanceof ApiError)) throw error;
  }
}

/** What starts it as its child ends it by closing its standard input, as it does when it dies. */
async function ended({ options, io }: Steering<SimOptions>): Promise<void> {
  if (options.attached !== true) return new Promise(() => {});
  for await (const _ of io.stdin);
}

const until = (interrupted: AbortSignal, duration: number | undefined): Promise<void> =>
  new Promise((resolve) => {
    const timer = duration === undefined ? undefined : setTimeout(resolve, duration);
    interrupted.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });

export function addSimulator(program: Command, commands: SteeringCommands, start: StartSimulation): void {
  commands.add<SimOptions>(
    program,
    "sim",
    "a living fleet: sleeping MQTT-SN sensors, CoAP devices that observe, LwM2M meters, and applications that listen to them",
    ["sim --devices 10 --duration 3s", "sim water-meters --devices 20 --loss 5 --nat 30s --duration 3s"],
    (steering) => simulate(steering, start),
    (command) =>
      command
        .addArgument(new Argument("[scenario]", "what they are").choices(SCENARIOS).default("cold-chain"))
        .addOption(
          new Option("-n, --devices <count>", "devices").argParser(whole(1, DEVICES_MAX)).default(100, "100"),
        )
        .addOption(
          new Option("--interval <time>", "between two readings of a device, on average")
            .argParser(length)
            .default(10_000, "10s"),
        )
        .addOption(
          new Option("--loss <percent>", "datagrams that the network loses, each way")
            .argParser(percent)
            .default(0, "0"),
        )
        .addOption(
          new Option("--nat <time>", "how long a NAT keeps a device's address, on average").argParser(length),
        )
        .addOption(new Option("--duration <time>", "end by itself after so long").argParser(length))
        .addOption(
          new Option(
            "--host <name>",
            "where the gateway is (default: the node of this data folder, or 127.0.0.1)",
          ),
        )
        .addOption(
          new Option("--port <protocol=number>", "where a protocol is spoken; repeat for more")
            .argParser(port)
            .default({}, "what the node says, or the usual ports"),
        )
        .option("--username <name>", "of the applications, where the gateway wants one")
        .option("--password <password>", "of the applications")
        .addOption(
          new Option("--seed <number>", "the same devices behave alike")
            .argParser(whole(0, 0xffff_ffff))
            .default(1, "1"),
        )
        .addOption(new Option("--attached", "end when standard input ends").hideHelp()),
  );
}
