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
import type { Path } from "./settings/path.ts";
import { ConfigError, type Locate, problem } from "./settings/problem.ts";
import { ConnectBudget } from "./upstream/connect-budget.ts";
import { KnownVersions, newUpstreamCounters, Outage, type UpstreamContext } from "./upstream/context.ts";
import { Deafness } from "./upstream/deafness.ts";
import { LocalMemory } from "./upstream/devices/local-memory.ts";
import { RedisMemory } from "./upstream/devices/redis-memory.ts";
import { RetainedMemory } from "./upstream/devices/retained-memory.ts";
import { type DeviceMemoryOf, UpstreamEngine } from "./upstream/engine.ts";
import type { NoContact } from "./upstream/first-contact.ts";
import type { UpstreamOptions } from "./upstream/options.ts";
import { patienceOf } from "./upstream/overdue.ts";
import { placeOf, Servers } from "./upstream/servers/servers.ts";
import type { GroupSettings } from "./upstream/servers/settings.ts";

/** The engine, and who knows its servers. */
export interface Upstream {
  readonly engine: UpstreamEngine;
  readonly servers: Servers;
  /** Begins to connect. */
  start(): void;
  /**
   * The cluster has let the gateway itself in, or need not have (`bus.upstream.required`). Throws `ListenError` where it
   * must, and does not.
   */
  reached(): Promise<void>;
  /** Looks at other groups and routes, and throws `ConfigError` where they cannot be used. What it returns takes them. */
  prepare(config: Config): () => void;
  stop(): void;
}

/** Throws `ConfigError` where a server's address or a file of its TLS settings is wrong. */
export function openUpstream(config: Config, around: EngineSurroundings, metrics: Metrics): Upstream {
  const { upstream } = config.bus;
  checkUpstream(upstream);
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
  let contact: Promise<NoContact | undefined> = Promise.resolve(undefined);
  return {
    engine,
    servers,
    start() {
      contact = new Promise((resolve) => engine.start(resolve));
      if (upstream.required) return;
      // It goes on trying.
      void contact.then((problem) => {
        // A refusal has been said by who was refused.
        if (problem === undefined || problem.refused) return;
        const detail = { ...placeInConfig(upstream), problem: problem.why };
        note("upstream", { level: "warn", event: "upstream-unreachable", detail });
      });
    },
    async reached() {
      const problem = upstream.required ? await contact : undefined;
      if (problem !== undefined) throw unreachable(upstream, problem);
    },
    prepare({ bus }) {
      checkUpstream(bus.upstream);
      const groups = groupsOf(bus.upstream);
      const { id, group } = servers.leftBehind(groups) ?? {};
      if (id !== undefined) {
        const says = `has no ${group}, where the route ${id} leads, which was made over the API: delete that route first`;
        throw configError(NOWHERE, ["groups"], says);
      }
      const { routes, group: fallback } = bus.upstream;
      return () => servers.change({ groups, routes: routes.map(routeSettings), fallback });
    },
    stop() {
      engine.stop();
      servers.stop();
    },
  };
}

/** Which servers the gateway itself is to be let in by: key and value. */
function placeInConfig({ servers, groups, group }: UpstreamConfig): { key: string; value: string } {
  const short = servers.length > 0;
  const urls = short ? servers : (groups[group]?.servers ?? []).map(({ url }) => url);
  const key = short ? "bus.upstream.servers" : `bus.upstream.groups.${group}.servers`;
  return { key, value: JSON.stringify(urls) };
}

function unreachable(upstream: UpstreamConfig, { why, refused }: NoContact): ListenError {
  const { key, value } = placeInConfig(upstream);
  const problem = refused
    ? `bus.upstream.username is ${JSON.stringify(upstream.username)}: a server of ${key} refuses it (${why}): correct it and bus.upstream.password`
    : `${key} is ${value}: none of them lets the gateway in within bus.upstream.patience (${why}): start one, or set bus.upstream.required to false`;
  return new ListenError("upstream-unreachable", problem);
}

function optionsOf(config: UpstreamConfig): UpstreamOptions {
  const {
    required: _0,
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

/** Throws `ConfigError` where a file cannot be read. */
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

function readAuthorities(file: string, locate: Locate = NOWHERE): Buffer {
  try {
    return readNamedFile(file);
  } catch (error) {
    throw configError(locate, ["devices", "redis", "ca"], `cannot be used: ${(error as Error).message}`);
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

const NOWHERE: Locate = () => undefined;

const configError = (locate: Locate, path: Path, says: string): ConfigError =>
  new ConfigError([problem(locate, { path: ["bus", "upstream", ...path], says })]);

/**
 * Certificates and keys are read when a connection is made: it is seen now whether they can be. Throws `ConfigError`, also
 * where there is no server.
 */
export function checkUpstream(upstream: UpstreamConfig, locate: Locate = NOWHERE): void {
  const { keep, redis } = upstream.devices;
  if (keep === "redis" && redis.tls && redis.ca !== undefined) readAuthorities(redis.ca, locate);
  const dial = serverDialler(upstream);
  const groups = groupsOf(upstream);
  if (groups[upstream.group] === undefined) {
    const says = `is "${upstream.group}", and there is no such group: bus.engine upstream needs a server`;
    throw configError(locate, ["group"], says);
  }
  for (const [name, group] of Object.entries(groups)) {
    try {
      for (const settings of group.servers) dial(placeOf(settings), group);
    } catch (error) {
      if (!(error instanceof ListenError)) throw error;
      const short = upstream.groups[name] === undefined;
      const path = [...(short ? [] : ["groups", name]), "tls"];
      throw configError(locate, path, `cannot be used: ${error.message}`);
    }
  }
}

function serversOf(config: Config, { deadlines, turn, note }: EngineSurroundings): Servers {
  const { upstream } = config.bus;
  const { username, password, redirects } = upstream;
  const groups = groupsOf(upstream);
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
