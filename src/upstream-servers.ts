/** From the configuration to an engine whose sessions are at the servers of a cluster. */
import { randomBytes } from "node:crypto";
import type { Config } from "./config/schema.ts";
import { defaultGroup, groupSettings, routeSettings } from "./config/server-settings.ts";
import type { UpstreamConfig } from "./config/upstream-schema.ts";
import type { EngineSurroundings } from "./core.ts";
import { resolveServer, serverDialler } from "./dial-servers.ts";
import { FlushSchedule } from "./net/merged-output.ts";
import { ListenError } from "./net/transport.ts";
import { atEndOfTurn } from "./net/turn.ts";
import type { Metrics } from "./observe/metrics.ts";
import { readNamedFile } from "./settings/installation.ts";
import { ConfigError, problem } from "./settings/problem.ts";
import { ConnectBudget } from "./upstream/connect-budget.ts";
import { KnownVersions, newUpstreamCounters, Outage, type UpstreamContext } from "./upstream/context.ts";
import { Deafness } from "./upstream/deafness.ts";
import { LocalMemory } from "./upstream/devices/local-memory.ts";
import { RedisMemory } from "./upstream/devices/redis-memory.ts";
import { RetainedMemory } from "./upstream/devices/retained-memory.ts";
import { type DeviceMemoryOf, UpstreamEngine } from "./upstream/engine.ts";
import type { UpstreamOptions } from "./upstream/options.ts";
import { patienceOf } from "./upstream/overdue.ts";
import { placeOf, Servers } from "./upstream/servers/servers.ts";
import type { GroupSettings } from "./upstream/servers/settings.ts";

/** The engine, and who knows its servers. */
export interface Upstream {
  readonly engine: UpstreamEngine;
  readonly servers: Servers;
  /** Looks at other groups and routes, and throws `ConfigError` where they cannot be used. What it returns takes them. */
  prepare(config: Config): () => void;
  stop(): void;
}

/** Throws `ListenError` where a server's address or a file of its TLS settings is wrong. */
export function openUpstream(config: Config, around: EngineSurroundings, metrics: Metrics): Upstream {
  const { upstream } = config.bus;
  const { deadlines, turn, note } = around;
  const devices = deviceMemory(upstream, around);
  const options = optionsOf(upstream);
  const servers = serversOf(config, around);
  const schedule = new FlushSchedule(atEndOfTurn);
  const context: UpstreamContext = {
    options,
    choice: servers,
    alarms: deadlines,
    clock: turn,
    tick: () => turn.tick(),
    random: Math.random,
    budget: new ConnectBudget(options.connects, deadlines),
    schedule,
    defer: atEndOfTurn,
    counters: newUpstreamCounters(metrics.counters("")),
    versions: new KnownVersions(),
    outage: new Outage(),
    deafness: new Deafness(deadlines, patienceOf(options)),
    memory: around.memory,
    note: (event, client) => note("upstream", event, client === undefined ? undefined : { client }),
  };
  const name = `isthmus-${config.node.name}-${randomBytes(4).toString("hex")}`;
  const engine = new UpstreamEngine({
    context,
    name,
    sessions: config.session,
    delayed: config.bus.delayed,
    journal: around.journal,
    commits: around.commits,
    devices,
  });
  servers.move = (server) => engine.moveFrom(server);
  return {
    engine,
    servers,
    prepare({ bus }) {
      const groups = groupsOf(bus.upstream);
      checkFiles(groups, bus.upstream);
      return () => servers.change({ groups, routes: bus.upstream.routes.map(routeSettings) });
    },
    stop() {
      engine.stop();
      servers.stop();
    },
  };
}

function optionsOf(config: UpstreamConfig): UpstreamOptions {
  const {
    sleepers,
    redirects,
    servers: _,
    groups: __,
    routes: ___,
    group: ____,
    devices: _5,
    ...rest
  } = config;
  return { ...rest, sleepers, flushMax: sleepers.flushMax, redirects: redirects.follow };
}

/** Under this name in the table of what is kept beside sessions. */
const SHELF = "upstream";

/** Throws `ListenError` where a file cannot be read. */
function deviceMemory({ devices }: UpstreamConfig, around: EngineSurroundings): DeviceMemoryOf {
  const { turn } = around;
  if (devices.keep === "retained") return (pool) => new RetainedMemory(pool, turn);
  if (devices.keep === "local") {
    const memory = new LocalMemory(around.shelf(SHELF), around.commits);
    return () => memory;
  }
  const { tls, ca, prefix, waiting, ...rest } = devices.redis;
  const place = { ...rest, tls: tls ? (ca === undefined ? {} : { ca: readAuthorities(ca) }) : undefined };
  const memory = new RedisMemory({ place, prefix, waiting }, () => turn.tick());
  return () => memory;
}

function readAuthorities(file: string): Buffer {
  try {
    return readNamedFile(file);
  } catch (error) {
    throw new ListenError("configuration", `bus.upstream.devices.redis.ca: ${(error as Error).message}`);
  }
}

/** `bus.upstream.servers` is short for a group of them, in their order. */
function groupsOf(config: UpstreamConfig): Record<string, GroupSettings> {
  const groups = Object.fromEntries(
    Object.entries(config.groups).map(([name, group]) => [name, groupSettings(group)]),
  );
  const { servers, version, tls, connectTimeout } = config;
  if (servers.length === 0) return groups;
  const inOrder = {
    ...defaultGroup(),
    servers: servers.map((url) => ({ url, weight: 1, priority: 0 })),
    balance: "primary-backup",
    version,
    tls,
    connectTimeout,
  } as const;
  return { [config.group]: inOrder, ...groups };
}

/** Certificates and keys are read when a connection is made: it is seen now whether they can be. */
function checkFiles(groups: Readonly<Record<string, GroupSettings>>, upstream: UpstreamConfig): void {
  const dial = serverDialler(upstream);
  for (const [name, group] of Object.entries(groups)) {
    try {
      for (const settings of group.servers) dial(placeOf(settings), group);
    } catch (error) {
      if (!(error instanceof ListenError)) throw error;
      const finding = { path: ["bus", "upstream", "groups", name], says: `cannot be used: ${error.message}` };
      throw new ConfigError([problem(() => undefined, finding)]);
    }
  }
}

function serversOf(config: Config, { deadlines, turn, note }: EngineSurroundings): Servers {
  const { upstream } = config.bus;
  const { username, password, redirects } = upstream;
  const groups = groupsOf(upstream);
  if (groups[upstream.group] === undefined) {
    throw new ListenError(
      "configuration",
      `bus.upstream.servers is empty, and there is no group ${upstream.group}: bus.engine upstream needs a server`,
    );
  }
  const probe = { clientId: `isthmus-${config.node.name}-probe-`, username, password };
  const routes = upstream.routes.map(routeSettings);
  return new Servers(
    { groups, routes, fallback: upstream.group, probe, redirects: redirects.hosts },
    {
      alarms: deadlines,
      clock: turn,
      random: Math.random,
      note: (event) => note("upstream", event),
      dial: serverDialler(upstream),
      resolve: resolveServer,
    },
  );
}
