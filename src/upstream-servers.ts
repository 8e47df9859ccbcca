/** From the configuration to an engine whose sessions are at the servers of a cluster. */
import { randomBytes } from "node:crypto";
import type { Config } from "./config/schema.ts";
import type { UpstreamConfig } from "./config/upstream-schema.ts";
import type { EngineSurroundings } from "./core.ts";
import { Dialler } from "./net/dial.ts";
import { type DialOptions, ListenError } from "./net/transport.ts";
import type { Metrics } from "./observe/metrics.ts";
import { ConnectBudget } from "./upstream/connect-budget.ts";
import { KnownVersions, newUpstreamCounters, Outage, type UpstreamContext } from "./upstream/context.ts";
import { UpstreamEngine } from "./upstream/engine.ts";
import { InOrder } from "./upstream/in-order.ts";
import type { UpstreamOptions } from "./upstream/options.ts";
import type { Server } from "./upstream/server-choice.ts";
import { FlushSchedule } from "./upstream/wire.ts";

/** Bytes queued towards a server above which no more is handed to its socket. */
const HIGH_WATER_MARK = 1_048_576;
const DEFAULT_PORTS = { tcp: 1883, tls: 8883, ws: 8083, wss: 8084 } as const;
const KEY = "bus.upstream.servers";

/** Throws `ListenError` where a server's address or a file of its TLS settings is wrong. */
export function openUpstream(config: Config, around: EngineSurroundings, metrics: Metrics): UpstreamEngine {
  const { upstream } = config.bus;
  if (upstream.servers.length === 0) {
    throw new ListenError("configuration", `${KEY} is empty: bus.engine upstream needs a server`);
  }
  const { deadlines, turn, note } = around;
  const options = optionsOf(upstream);
  const schedule = new FlushSchedule(setImmediate);
  const context: UpstreamContext = {
    options,
    choice: new InOrder(
      upstream.servers.map((url) => serverOf(url, upstream)),
      turn,
    ),
    alarms: deadlines,
    clock: turn,
    tick: () => turn.tick(),
    random: Math.random,
    budget: new ConnectBudget(options.connects, deadlines),
    schedule,
    defer: setImmediate,
    counters: newUpstreamCounters(metrics.counters("")),
    versions: new KnownVersions(),
    outage: new Outage(),
    note: (event, client) => note("upstream", event, client === undefined ? undefined : { client }),
  };
  const name = `isthmus-${config.node.name}-${randomBytes(4).toString("hex")}`;
  return new UpstreamEngine({
    context,
    name,
    sessions: config.session,
    delayed: config.bus.delayed,
    journal: around.journal,
  });
}

function optionsOf(config: UpstreamConfig): UpstreamOptions {
  const { sleepers, redirects, ...rest } = config;
  return { ...rest, sleepers, flushMax: sleepers.flushMax, redirects: redirects.follow };
}

/** One server by its address. */
function serverOf(url: string, config: UpstreamConfig): Server {
  const options = dialOptions(url, config);
  const dialler = new Dialler(options);
  return {
    name: url,
    version: config.version,
    caps: { maximumQoS: 2, retain: true, shared: true, wildcards: true },
    dial: (connected, failed) => dialler.dial(connected, failed),
    elsewhere: (reference) => elsewhere(options, reference, config),
  };
}

function dialOptions(url: string, config: UpstreamConfig): DialOptions {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const transport = parsed?.protocol.slice(0, -1);
  if (parsed === undefined || !isTransport(transport) || parsed.hostname === "") {
    throw new ListenError("configuration", `${KEY}: ${url} is no tcp://, tls://, ws:// or wss:// address`);
  }
  const { tls, connectTimeout, packetSize } = config;
  return {
    transport,
    host: parsed.hostname.replace(/^\[|\]$/g, ""),
    port: parsed.port === "" ? DEFAULT_PORTS[transport] : Number(parsed.port),
    timeout: connectTimeout,
    highWaterMark: HIGH_WATER_MARK,
    linger: config.pingTimeout,
    noDelay: true,
    ...(transport === "tls" || transport === "wss" ? { tls } : {}),
    ...(transport === "ws" || transport === "wss"
      ? {
          websocket: {
            path: parsed.pathname === "/" ? "/mqtt" : parsed.pathname,
            subprotocols: ["mqtt"],
            messageSizeMax: packetSize,
          },
        }
      : {}),
  };
}

const isTransport = (name: string | undefined): name is keyof typeof DEFAULT_PORTS =>
  name !== undefined && name in DEFAULT_PORTS;

/** The first of the servers that are named that we may go to; never from TLS to plain. Its form: `host:port`, by blanks. */
function elsewhere(from: DialOptions, reference: string, config: UpstreamConfig): Server | undefined {
  const { hosts } = config.redirects;
  for (const each of reference.split(/[\s,]+/)) {
    const url = `${from.transport}://${each.replace(/^[a-z]+:\/\//, "")}`;
    if (!URL.canParse(url)) continue;
    const { hostname } = new URL(url);
    if (hostname === "" || (hosts.length > 0 && !hosts.includes(hostname))) continue;
    return serverOf(url, config);
  }
  return undefined;
}
