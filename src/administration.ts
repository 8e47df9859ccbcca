/** Connects the running parts to the HTTP API: what it may ask of them, and who may ask. */

import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, statfsSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Access } from "./api/access/access.ts";
import { AccountsFile } from "./api/access/accounts.ts";
import { AuditLog } from "./api/access/audit-log.ts";
import { Credentials, readKeysFile } from "./api/access/credentials.ts";
import { SignIns } from "./api/access/sign-ins.ts";
import type { ApiPorts, BanTarget, HealthPort, ReadyCheck } from "./api/ports.ts";
import type { Api, ApiOptions } from "./api/server.ts";
import { ApiCertificate } from "./api-certificate.ts";
import { Message } from "./bus/message.ts";
import { firstCertificateToEnd } from "./certificates.ts";
import type { Composition } from "./compose.ts";
import type { Config } from "./config/schema.ts";
import { accountsPath, apiFolder, localKeyPath } from "./data-files.ts";
import { KeptRoutes } from "./kept-routes.ts";
import type { Instant } from "./lib/time.ts";
import { systemClock } from "./net/clock.ts";
import { descriptors } from "./net/descriptors.ts";
import { censusOf, statistics, sums } from "./observation.ts";
import type { Log } from "./observe/log.ts";
import type { Statistic } from "./observe/sys-names.ts";
import type { SysTopics } from "./observe/sys-topics.ts";
import { HttpClients } from "./operate/http-clients.ts";
import { pipelinesPort } from "./pipelines-port.ts";
import { startPlotted } from "./plotted.ts";
import { rulesPort } from "./rules-port.ts";
import { locate } from "./settings/installation.ts";
import { makeFolder } from "./settings/make-folder.ts";
import { Simulator } from "./simulator.ts";
import type { Crew } from "./workers/crew.ts";

/** A disk with less than this part free is nearly full. */
const DISK_FREE_MIN = 0.05;
/** An event loop that is later than this at its 99th percentile keeps clients waiting. */
const LOOP_DELAY_MAX_MS = 250;

export interface Administration {
  readonly ports: ApiPorts;
  readonly tls: ApiOptions["tls"];
  /** Nobody has an account yet: what the log says to begin with. */
  readonly setupCode: string | undefined;
  /** Who knows the highest numbers since the start; it comes when listeners are open. */
  sys: Pick<SysTopics, "highest"> | undefined;
  /** Renewed certificates are taken without a restart. */
  follow(api: Pick<Api, "renew">): void;
  /** Tells the command line on this machine where the API is. */
  announce(url: string): void;
  stop(): void;
}

/** Throws `ListenError` and `AccountsError` for files that cannot be used. */
export function administer(
  running: Composition,
  log: Log,
  version: string,
  isOpen: () => boolean,
  configuration: ApiPorts["config"],
  crew?: Crew,
): Administration {
  const { config } = running;
  const startedAt = systemClock.now();
  // What is kept in memory alone leaves nothing behind.
  const keeps = config.store.engine !== "memory" || existsSync(config.dataFolder);
  /** The command line asks one of several workers. */
  const announces = keeps && (crew === undefined || crew.worker.number === 1);
  const localKey = `local.${randomBytes(32).toString("base64url")}`;
  const given = config.api.keysFile === undefined ? [] : readKeysFile(locate(config.api.keysFile));
  const accounts = new AccountsFile(accountsPath(config), given);
  const access = new Access({
    credentials: new Credentials(accounts),
    signIns: new SignIns({ length: config.api.sessionLength, idle: config.api.sessionIdle }),
    audit: new AuditLog(keeps ? join(apiFolder(config), "audit.log") : undefined, (error) =>
      log.warn("audit-log-failed", { error }),
    ),
    clock: systemClock,
    date: () => Date.now(),
    localKey: keeps ? localKey : undefined,
  });
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const certificate = new ApiCertificate(config.api.tls, log);
  const tls = certificate.pair;
  const plotted = startPlotted(running);
  const path = localKeyPath(config);
  const simulator = new Simulator(running);
  const administration: Administration = {
    sys: undefined,
    tls,
    setupCode: accounts.exist ? undefined : access.setupCode,
    ports: {
      now: () => systemClock.now(),
      node: {
        name: config.node.name,
        version,
        startedAt,
        descriptors: descriptors.limit,
        numbers: () => numbersOf(running),
        workers: () => crew?.workers ?? [],
      },
      metrics: running.metrics,
      health: healthOf(running, isOpen, delay),
      retained: retainedOf(running),
      messages: messagesOf(running),
      bans: bansOf(running),
      logins: loginsOf(running),
      upstream:
        running.upstream === undefined
          ? undefined
          : new KeptRoutes(running.upstream.servers, running.kept?.store),
      topics: { walk: (topic) => running.bus.subscribed(topic), directory: plotted.topics },
      operator: running.operator,
      sys: sysOf(running, (name) => administration.sys?.highest(name) ?? 0),
      rules: rulesPort(running.rules, () => systemClock.now()),
      pipelines: pipelinesPort(running.pipelines, () => systemClock.now()),
      config: configuration,
      series: plotted.series,
      histories: plotted.histories,
      traces: running.tracing.recordings,
      refusals: running.refusals,
      alarms: running.alarms,
      measures: running.measures,
      simulator,
      access,
      memory: running.core.memory,
      cookie: { path: config.api.basePath, secure: tls !== undefined },
    },
    announce: (url) => {
      if (announces) writeLocalKey(path, JSON.stringify({ url, key: localKey, pid: process.pid }), log);
    },
    follow: (api) => certificate.follow(api),
    stop: () => {
      plotted.stop();
      delay.disable();
      simulator.end();
      certificate.stop();
      if (announces && existsSync(path)) unlinkSync(path);
    },
  };
  return administration;
}

/** Numbers that nobody counts are left out. */
function readAll<Name extends string>(numbers: Partial<Record<Name, () => number>>): [Name, number][] {
  return (Object.entries(numbers) as [Name, (() => number) | undefined][]).flatMap(([name, read]) =>
    read === undefined ? [] : [[name, read()] as [Name, number]],
  );
}

function sysOf(running: Composition, highest: (name: Statistic) => number): ApiPorts["sys"] {
  const [counts, totals] = [statistics(running), sums(running)];
  return {
    metrics: () => Object.fromEntries(readAll(totals)),
    async statistics() {
      await censusOf(running).count();
      return Object.fromEntries(
        readAll(counts).map(([name, count]) => [name, { count, max: Math.max(count, highest(name)) }]),
      );
    },
  };
}

/** The command line does without where it cannot be written. */
function writeLocalKey(path: string, text: string, log: Log): void {
  try {
    makeFolder(join(path, ".."));
    writeFileSync(path, `${text}\n`, { mode: 0o600 });
    chmodSync(path, 0o600);
  } catch (error) {
    log.warn("local-key-failed", { error });
  }
}

function numbersOf({ core, sessions, bus, lifecycle }: Composition): Readonly<Record<string, number>> {
  const { counters } = core;
  const memory = process.memoryUsage();
  return {
    clientsConnected: counters.connects.value - counters.disconnects.value,
    sessions: sessions.count,
    filters: bus.filters,
    retained: bus.retainedMessages.count,
    listeners: lifecycle.listeners.length,
    messagesReceived: counters.messagesReceived.reduce((sum, { value }) => sum + value, 0),
    messagesRefused: counters.messagesRefused.value,
    bytesReceived: counters.bytesReceived.value,
    bytesSent: counters.bytesSent.value,
    residentBytes: memory.rss,
    heapBytes: memory.heapUsed,
  };
}

function healthOf(
  running: Composition,
  isOpen: () => boolean,
  delay: ReturnType<typeof monitorEventLoopDelay>,
): HealthPort {
  const { kept, upstream, lifecycle, config, rules } = running;
  const check = (name: string, ok: boolean, detail: string): ReadyCheck => ({ name, ok, detail });
  const listeners = (): ReadyCheck =>
    isOpen() ? { name: "listeners", ok: true } : check("listeners", false, "not all listeners are open");
  const store = (): ReadyCheck =>
    kept?.store.failure === undefined
      ? { name: "store", ok: true }
      : check("store", false, kept?.store.failure?.message ?? "it cannot write");
  /** Where sessions are at a cluster. */
  const cluster = (): ReadyCheck =>
    upstream?.engine.healthy !== false
      ? { name: "upstream", ok: true }
      : check("upstream", false, "no server of the cluster lets anybody in");
  /** Those that are to be waited for. */
  const sinks = (): ReadyCheck => {
    const away = Array.from(rules.connectors.all).filter(
      ({ settings, state }) => settings.ready && settings.enable && state !== "connected",
    );
    const detail = away.map(({ name, reason }) => `${name}: ${reason ?? "not connected yet"}`).join("; ");
    return away.length === 0 ? { name: "connectors", ok: true } : check("connectors", false, detail);
  };
  const files = (): ReadyCheck =>
    descriptors.short
      ? check("file-descriptors", false, descriptors.fix)
      : { name: "file-descriptors", ok: true };
  const waitedFor = (): ReadyCheck[] =>
    Array.from(rules.connectors.all).some(({ settings }) => settings.ready) ? [sinks()] : [];
  const questions: Readonly<Record<string, (within: number) => ReadyCheck>> = {
    listeners,
    store,
    ...(upstream === undefined ? {} : { upstream: cluster }),
    connectors: sinks,
    "file-descriptors": files,
    disk: () => diskCheck(config.dataFolder),
    "event-loop": () => {
      const late = Number.isNaN(delay.mean) ? 0 : delay.percentile(99) / 1e6;
      delay.reset();
      return check(
        "event-loop",
        late <= LOOP_DELAY_MAX_MS,
        `late by ${late.toFixed(1)} ms at the 99th percentile`,
      );
    },
    certificates: (within) => certificateCheck(config, within),
  };
  return {
    readiness: () => [
      listeners(),
      store(),
      ...(upstream === undefined ? [] : [cluster()]),
      ...waitedFor(),
      files(),
    ],
    questions: () => Object.keys(questions),
    answer: (question, within) => questions[question]!(within),
    listensOn: (port) => lifecycle.listeners.some(({ listening }) => listening.port === port),
    speaks: (protocol) => lifecycle.listeners.some(({ gateway }) => gateway === protocol),
  };
}

function diskCheck(folder: string): ReadyCheck {
  if (!existsSync(folder)) return { name: "disk", ok: true, detail: "nothing is kept on disk" };
  const { bavail, blocks } = statfsSync(folder);
  const free = blocks === 0 ? 1 : bavail / blocks;
  return { name: "disk", ok: free >= DISK_FREE_MIN, detail: `${Math.round(free * 100)} % free` };
}

/** The certificate that ends first decides. */
function certificateCheck(config: Config, within: number): ReadyCheck {
  const first = firstCertificateToEnd(config);
  if (first === undefined) return { name: "certificates", ok: true, detail: "there are none" };
  const days = Math.floor((first.at - Date.now()) / 86_400_000);
  const detail = `${first.path} is good for ${days} days more`;
  return { name: "certificates", ok: first.at - Date.now() >= within, detail };
}

function retainedOf({ bus, core, gate }: Composition): ApiPorts["retained"] {
  const { retainedMessages } = bus;
  return {
    get count() {
      return retainedMessages.count;
    },
    get bytes() {
      return retainedMessages.bytes;
    },
    walk: (filter) => bus.replay(filter, Number.POSITIVE_INFINITY),
    get: (topic) => retainedMessages.get(topic),
    clear(topic) {
      if (retainedMessages.get(topic) === undefined) return false;
      core.tick();
      // As anybody clears it [MQTT-3.3.1-6]: an empty message, by the one gate.
      gate.publish(new Message(topic, new Uint8Array(), 0, true, core.now), undefined, "system");
      return true;
    },
  };
}

function messagesOf({ core, doors, bus }: Composition): ApiPorts["messages"] {
  const clients = new HttpClients(core, doors);
  return {
    publish: (caller, messages) => clients.publish(caller, messages),
    subscribe: (caller, subscriptions, reader) => clients.subscribe(caller, subscriptions, reader),
    subscribers: (topic) => bus.subscribers(topic),
  };
}

function loginsOf({ policy, core, judge, loginLists }: Composition): ApiPorts["logins"] {
  return {
    lists: loginLists,
    judge,
    forget({ clientId, user }) {
      const all = clientId === undefined && user === undefined;
      let clients = 0;
      for (const { client, attendance } of core.directory.after(0)) {
        const identities = [client?.identity, attendance?.identity].filter(
          (identity) =>
            identity !== undefined &&
            (clientId === undefined || identity.clientId === clientId) &&
            (user === undefined || identity.username === user),
        );
        if (!all) for (const identity of identities) policy.forgetDecisions(identity);
        if (client !== undefined && identities.length > 0) clients++;
      }
      if (all) policy.forgetDecisions();
      judge();
      return clients;
    },
  };
}

function bansOf({ policy, judge }: Composition): ApiPorts["bans"] {
  const same = (a: BanTarget, b: BanTarget): boolean =>
    a.clientId === b.clientId && a.user === b.user && a.address === b.address;
  return {
    list() {
      const now = systemClock.now();
      const configured = policy.rules.settings.bans.list;
      return policy.bans
        .filter(({ until }) => until > now)
        .map((ban) => ({ ...ban, configured: configured.some((one) => same(one, ban)) }));
    },
    add(ban) {
      const added = policy.ban({ ...ban, until: ban.until as Instant });
      if (added) judge();
      return added;
    },
    lift: (target) => policy.unban(target),
  };
}
