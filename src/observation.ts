/** Connects what the running parts count to those who read it: gauges for `/metrics`, and the `$SYS` topics. */
import { Message } from "./bus/message.ts";
import { sharedPrefix } from "./bus/topic.ts";
import type { Composition } from "./compose.ts";
import { inSeconds } from "./lib/time.ts";
import { systemClock } from "./net/clock.ts";
import type { Listening } from "./net/transport.ts";
import type { Metric, Statistic } from "./observe/sys-names.ts";
import { packetMetrics } from "./observe/sys-packets.ts";
import { SysTopics } from "./observe/sys-topics.ts";
import { SessionCensus } from "./operate/session-counts.ts";
import type { ServerStatus } from "./upstream/servers/settings.ts";
import type { UpstreamSession } from "./upstream/session.ts";

/** Gauges of what there is at this moment. */
export function exposeGauges(running: Composition, version: string): void {
  const { metrics, bus, gate, sessions, lifecycle, core } = running;
  const { delayed } = running.upstream?.engine ?? gate;
  metrics.info("build_info", "Version of this gateway", { version, node: process.version });
  metrics.gauge("sessions", "Sessions, connected or not", () => sessions.count);
  metrics.gauge("sessions_connected", "Sessions whose client is connected", () => sessions.connected);
  metrics.gauge("sessions_expired", "Sessions that ended when their time was over", () => sessions.expired);
  metrics.gauge(
    "sessions_taken_over",
    "Sessions that a second client of their id has taken",
    () => sessions.takenOver,
  );
  metrics.gauge("retained_messages", "Retained messages", () => bus.retainedMessages.count);
  metrics.gauge("retained_bytes", "Memory of retained messages", () => bus.retainedMessages.bytes);
  metrics.gauge(
    "retained_refused",
    "Messages not retained because of a limit",
    () => bus.retainedMessages.refused,
  );
  metrics.gauge("queues", "Queues that keep their messages", () => sessions.queues.count);
  metrics.gauge("queues_messages", "Messages in queues that keep them", () => sessions.queues.messages);
  metrics.gauge("delayed_messages", "Messages waiting for their time", () => delayed.waiting);
  metrics.gauge("memory_bytes", "What peers make this process hold", () => core.memory.held);
  metrics.gauge(
    "memory_bytes_before_login",
    "What of it is for who has not logged in",
    () => core.memory.strangers,
  );
  metrics.gauge(
    "memory_alarm",
    "0: enough, 1: scarce, 2: nothing more is taken in, 3: full",
    () => core.memory.alarm,
  );
  metrics.gauge("filters", "Distinct topic filters subscribed to", () => bus.filters);
  metrics.gauge("deadlines", "Alarms set in the timer wheel", () => running.deadlines.armed);
  metrics.gauge(
    "queued_messages",
    "Messages waiting in sessions",
    async () => (await censusOf(running).count()).queued,
  );
  metrics.labelledGauge("connections", "Open connections, or known devices on UDP", "listener", () =>
    lifecycle.listeners.map(({ gateway, name, door }) => [`${gateway}:${name}`, door.loops.size] as const),
  );
  metrics.labelledGauge("datagrams_dropped", "Datagrams that no channel wanted", "listener", () =>
    lifecycle.listeners.flatMap(({ gateway, name, datagrams }) =>
      datagrams === undefined ? [] : [[`${gateway}:${name}`, datagrams.dropped] as const],
    ),
  );
  metrics.labelledGauge("datagrams_batched", "1 where many datagrams are one system call", "listener", () =>
    lifecycle.listeners.flatMap(({ gateway, name, listening: { batched } }) =>
      batched === undefined ? [] : [[`${gateway}:${name}`, batched ? 1 : 0] as const],
    ),
  );
  metrics.labelledGauge("connections_by_epoll", "1 where connections are watched together", "listener", () =>
    lifecycle.listeners.flatMap(({ gateway, name, listening: { epoll } }) =>
      epoll === undefined ? [] : [[`${gateway}:${name}`, epoll ? 1 : 0] as const],
    ),
  );
  exposeStore(running);
  exposeDtls(running);
  exposeUpstream(running);
  metrics.labelledGauge("datagrams_unsent", "Datagrams dropped because the socket was full", "listener", () =>
    lifecycle.listeners.flatMap(({ gateway, name, datagrams }) =>
      datagrams === undefined ? [] : [[`${gateway}:${name}`, datagrams.unsent] as const],
    ),
  );
  metrics.labelledGauge("alarms", "1 for each alarm that is raised", "alarm", () =>
    running.alarms.active.map(({ name }) => [name, 1] as const),
  );
  metrics.gauge("traces", "Traces that run", () => running.tracing.recordings.running.length);
  metrics.gauge("healthy", "1 while messages are accepted", () => (core.healthy() ? 1 : 0));
}

function exposeUpstream({ metrics, upstream }: Composition): void {
  if (upstream === undefined) return;
  const { engine, servers } = upstream;
  const { context, pool } = engine;
  metrics.labelledGauge("upstream_sessions", "Sessions at the cluster", "state", () => {
    const counts = { up: 0, connecting: engine.entering, resting: 0, away: 0 };
    for (const { state } of engine.sessions()) counts[state]++;
    return Object.entries(counts);
  });
  const sum = (of: (session: UpstreamSession) => number) => (): number => {
    let total = 0;
    for (const session of engine.sessions()) total += of(session);
    return total;
  };
  metrics.gauge(
    "upstream_waiting",
    "Messages of the cluster that wait for a device",
    sum(({ server: { arrivals } }) => arrivals.queued),
  );
  metrics.gauge(
    "upstream_withheld",
    "Messages of the cluster not acknowledged, because no device has",
    sum(({ server: { arrivals } }) => arrivals.withheld),
  );
  metrics.gauge(
    "upstream_unanswered",
    "Publishes that the cluster has not answered, or that wait for it",
    sum(({ server: { exchanges } }) => exchanges.count),
  );
  metrics.gauge(
    "upstream_connects_waiting",
    "Connections that wait for their turn",
    () => context.budget.waiting,
  );
  metrics.gauge(
    "upstream_connects_running",
    "Connections that wait for CONNACK",
    () => context.budget.running,
  );
  metrics.labelledGauge(
    "upstream_service",
    "1 while a connection of the gateway itself is up",
    "client",
    () => pool.connections.map(({ clientId, link }) => [clientId, link === undefined ? 0 : 1] as const),
  );
  metrics.gauge("upstream_reachable", "1 while the cluster can be reached, or may be back soon", () =>
    engine.healthy ? 1 : 0,
  );
  const ofServers = (name: string, help: string, of: (server: ServerStatus) => number): void =>
    metrics.labelledGauge(name, help, "server", () =>
      servers.status().map((server): [string, number] => [`${server.group} ${server.url}`, of(server)]),
    );
  ofServers("upstream_server_sessions", "Sessions connected to a server", ({ sessions }) => sessions);
  ofServers("upstream_server_well", "1 while sessions are sent to a server", ({ state }) =>
    state === "closed" ? 1 : 0,
  );
  metrics.labelledGauge(
    "upstream_server_round_trip_seconds",
    "How long a server last took to answer PINGREQ",
    "server",
    () =>
      servers
        .status()
        .flatMap(({ group, url, roundTrip }): [string, number][] =>
          roundTrip === undefined ? [] : [[`${group} ${url}`, roundTrip / 1000]],
        ),
  );
  ofServers("upstream_server_draining", "1 while sessions are moved away from a server", ({ draining }) =>
    draining ? 1 : 0,
  );
}

function exposeDtls({ metrics, lifecycle }: Composition): void {
  const gauge = (
    name: string,
    help: string,
    read: (secure: NonNullable<Listening["secure"]>) => number,
  ): void =>
    metrics.labelledGauge(name, help, "listener", () =>
      lifecycle.listeners.flatMap(({ gateway, name, listening: { secure } }) =>
        secure === undefined ? [] : [[`${gateway}:${name}`, read(secure)] as const],
      ),
    );
  gauge("dtls_associations", "Devices that share DTLS keys with us", ({ associations }) => associations);
  gauge("dtls_handshakes_running", "DTLS handshakes in progress", ({ handshakes }) => handshakes);
  gauge("dtls_lost", "DTLS records given up because the store could not be told first", ({ lost }) => lost);
}

function exposeStore({ metrics, kept }: Composition): void {
  if (kept === undefined) return;
  const { store } = kept;
  metrics.gauge("store_bytes", "Size of the store's file", () => kept.size());
  metrics.gauge("store_used_bytes", "Bytes of the store's file that hold records", () => kept.used());
  metrics.gauge("store_waiting", "Records that wait for a commit", () => store.waiting);
  metrics.gauge("store_commits", "Commits made", () => store.counts.commits);
  metrics.gauge("store_records", "Records written or removed by commits", () => store.counts.records);
  metrics.gauge("store_commit_failures", "Commits that failed", () => store.counts.failures);
  metrics.gauge(
    "store_commit_seconds",
    "Time that all commits together have taken",
    () => store.counts.milliseconds / 1000,
  );
}

/** Publishes `$SYS` until it is stopped. */
export function startSysTopics(running: Composition, version: string): SysTopics {
  const { config, core, gate, bus, events } = running;
  const topics = new SysTopics(
    { node: config.node.name, version },
    {
      publish(topic, payload, retain) {
        core.tick();
        gate.publish(new Message(topic, payload, 0, retain, core.now), undefined, "system");
      },
      hears: (topic) => bus.hears(topic),
      count: () => censusOf(running).count(),
      statistics: statistics(running),
      metrics: sums(running),
    },
    systemClock,
  );
  running.alarms.listen((event, alarm) => topics.alarm(event, alarm));
  events.push({
    connected: (event, how) => topics.connected(event, how),
    disconnected: (event, reason) => topics.disconnected(event, reason),
  });
  if (inSeconds(config.node.sysInterval) > 0) topics.start(config.node.sysInterval);
  return topics;
}

const censuses = new WeakMap<object, SessionCensus>();

/** One for all who want its counts. */
export function censusOf({ sessions }: Pick<Composition, "sessions">): SessionCensus {
  const known = censuses.get(sessions);
  if (known !== undefined) return known;
  const made = new SessionCensus(
    () => sessions.all(),
    (filter) => sharedPrefix(filter) !== "",
  );
  censuses.set(sessions, made);
  return made;
}

/** Those of single sessions are as the census has counted them last. */
export function statistics(running: Composition): Partial<Record<Statistic, () => number>> {
  const { sessions, bus, core } = running;
  const { rules, connectors } = running.rules;
  const census = censusOf(running);
  // Clients as the bus sees them: not each subscription of a STOMP client, nor each device of an aggregate.
  const connections = (): number => core.counters.connects.value - core.counters.disconnects.value;
  return {
    connections,
    clients: connections,
    sessions: () => sessions.count,
    "sessions/persistent": () => census.counts.persistent,
    subscriptions: () => census.counts.subscriptions,
    suboptions: () => census.counts.subscriptions,
    subscribers: () => census.counts.subscribers,
    "subscriptions/shared": () => census.counts.shared,
    topics: () => bus.filters,
    routes: () => bus.filters,
    retained: () => bus.retainedMessages.count,
    queues: () => sessions.queues.count,
    rules: () => Array.from(rules.all).length,
    actions: () => Array.from(rules.all).reduce((sum, { actions }) => sum + actions.length, 0),
    resources: () => Array.from(connectors.all).length,
  };
}

export function sums({
  core,
  sessionCounters: session,
  bus,
  metrics,
  upstream,
}: Composition): Partial<Record<Metric, () => number>> {
  const { counters } = core;
  const [received0, received1, received2] = counters.messagesReceived;
  const [sent0, sent1, sent2] = session.delivered;
  return {
    ...packetMetrics(
      (direction, packet) => metrics.valueOf("mqtt", `packets_${direction}`, packet),
      (packet) => metrics.valueOf("mqtt", "packets_missed", packet),
    ),
    "bytes/received": () => counters.bytesReceived.value,
    "bytes/sent": () => counters.bytesSent.value,
    "messages/received": () => received0.value + received1.value + received2.value,
    "messages/sent": () => sent0.value + sent1.value + sent2.value,
    "messages/qos0/received": () => received0.value,
    "messages/qos1/received": () => received1.value,
    "messages/qos2/received": () => received2.value,
    "messages/qos0/sent": () => sent0.value,
    "messages/qos1/sent": () => sent1.value,
    "messages/qos2/sent": () => sent2.value,
    "messages/retained": () => bus.retainedMessages.count,
    // To servers of the cluster that has the sessions; where they are here, there is nobody to forward to.
    "messages/forward": () =>
      upstream?.engine.context.counters.published.reduce((sum, { value }) => sum + value, 0) ?? 0,
    // What waits for PUBREL waits as long as its session lives: it cannot expire.
    "messages/qos2/expired": () => 0,
    "messages/qos2/dropped": () => metrics.valueOf("mqtt", "releases_full") ?? 0,
    "messages/expired": () => session.droppedExpired.value,
    "messages/dropped": () =>
      session.droppedFull.value +
      session.droppedExpired.value +
      session.droppedAway.value +
      session.droppedMoved.value +
      session.droppedMemory.value +
      session.droppedDeleted.value +
      session.droppedRevoked.value,
  };
}
