/** Settings of the node itself: name, data, log, API, bus and sessions. */
import { type Static, Type } from "@sinclair/typebox";
import { countSetting, durationSetting, sizeSetting } from "../lib/setting.ts";
import { choice, flag, integer, SECRET, text, texts } from "../settings/kinds.ts";
import { DATA_FOLDER } from "./data-folder.ts";
import { Upstream } from "./upstream-schema.ts";

const Node = Type.Object(
  {
    name: text({
      description: "Name of this gateway in $SYS/brokers/<name>/... and in logs.",
      default: "isthmus",
      pattern: "^[^+#/\\s]+$",
    }),
    sysInterval: durationSetting({
      description: "How often version, uptime, statistics and metrics are published under $SYS; 0s: never.",
      default: "1m",
      minimum: "0s",
    }),
    shutdownTimeout: durationSetting({
      description:
        "How long a stop may take: clients are told and work in flight is finished, then the rest is cut off.",
      default: "10s",
    }),
    workers: integer(1, 128, {
      description:
        "Processes that share the ports of devices, for as many cores; more than 1 needs bus.engine: upstream, and bus.upstream.devices.keep: retained or redis. UDP needs Linux with glibc and the optional package koffi. The HTTP port of the first is api.port, and each further one has the next.",
      default: 1,
    }),
  },
  { description: "This gateway." },
);

const Store = Type.Object(
  {
    engine: choice(["embedded", "lmdb", "log", "memory"], {
      description:
        "Where sessions, queues and retained messages are kept. embedded: on disk under dataFolder, through crash and power cut, in the kind of store that lies there. lmdb, log: in this kind and no other (isthmus store convert). memory: in this process, lost at its end.",
      default: "embedded",
    }),
    commitWindow: durationSetting({
      description:
        "Least time from the beginning of one commit to that of the next: what is written meanwhile is committed together. Where commits take less than this, it is as short as they are. 0 commits at the end of each turn of the event loop.",
      default: "2ms",
      maximum: "1s",
    }),
    sync: flag({
      description:
        "Wait for the disk at each commit. false: a crash of the process still loses nothing, but a power cut may lose what was acknowledged last.",
      default: true,
    }),
    sizeMax: sizeSetting({
      description:
        "Size of the store's file at most; beyond it what would have to be kept is refused, and removing goes on.",
      default: "16GB",
      minimum: "16MB",
    }),
  },
  { description: "What outlives a restart." },
);

const Log = Type.Object(
  {
    level: choice(["trace", "debug", "info", "warn", "error", "fatal"], {
      description: "The least level that is written.",
      default: "info",
    }),
    format: choice(["auto", "pretty", "json"], {
      description: "pretty for people, json for machines; auto is pretty on a terminal and json otherwise.",
      default: "auto",
    }),
  },
  { description: "Logs, on standard output. Passwords and keys are never in them." },
);

const Api = Type.Object(
  {
    enable: flag({
      description: "Serve HTTP: the API below /api/v1, /metrics for Prometheus, /health, /ready.",
      default: true,
    }),
    bind: text({
      description:
        "IP address to listen on. 0.0.0.0 lets other machines in; until somebody has an account (isthmus admin add) the API answers to this machine alone.",
      default: "127.0.0.1",
    }),
    port: integer(0, 65_535, { description: "TCP port; 0 takes a free one.", default: 18_083 }),
    hosts: texts({
      description:
        "Host names and addresses by which requests may ask for it (Host header); empty accepts all.",
      default: [],
    }),
    basePath: text({
      description: "Path below which a reverse proxy serves it: /iot.",
      default: "/",
      pattern: "^/([A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*)?$",
    }),
    trustedProxies: texts({
      description: "Addresses and ranges of reverse proxies whose X-Forwarded-For is believed.",
      default: [],
    }),
    metricsLogin: flag({
      description: "Ask for credentials at /metrics too: an API key with the role viewer.",
      default: false,
    }),
    dashboard: flag({
      description: "Serve the dashboard to browsers, at /.",
      default: true,
    }),
    manuals: flag({
      description:
        "Answer the HTTP forms of EMQ 2, EMQ X 3 and 4 and Easegress too: /api/v2, /api/v3, /mqtt/publish, /status, /apis.",
      default: true,
    }),
    simulator: choice(["when-empty", "always", "never"], {
      description:
        "Whether a simulated fleet may be started over HTTP; when-empty: only where no real client is connected or has a session.",
      default: "when-empty",
    }),
    keysFile: Type.Optional(
      text({
        description:
          "File of API keys that are there from the start, one a line: id:secret:role[:expiry]. Roles are administrator, operator, viewer and publisher.",
        minLength: 1,
      }),
    ),
    sessionLength: durationSetting({
      description: "How long a user stays signed in.",
      default: "12h",
      minimum: "1m",
    }),
    sessionIdle: durationSetting({
      description: "How long a user who asks for nothing stays signed in.",
      default: "30m",
      minimum: "1m",
    }),
    connections: integer(1, 100_000, {
      description:
        "Connections at most; beyond it the one that has asked nothing for longest, of the address that has most, makes room.",
      default: 200,
    }),
    streams: integer(1, 10_000, {
      description: "Event streams that are open at most; one who asks may have half of them.",
      default: 100,
    }),
    topics: integer(0, 1_000_000, {
      description: "Topics whose last messages are kept while somebody looks at the topics of the dashboard.",
      default: 20_000,
    }),
    histories: integer(0, 1_000_000, {
      description:
        "Clients of which the states of the last week are kept in memory, some 300 bytes each; 0 keeps none.",
      default: 40_000,
    }),
    bodyMax: sizeSetting({ description: "Body of a request at most.", default: "2MB", maximum: "256MB" }),
    tls: Type.Object(
      {
        cert: Type.Optional(
          text({ description: "Certificate chain in PEM; with key, the port speaks HTTPS.", minLength: 1 }),
        ),
        key: Type.Optional(text({ description: "Private key in PEM.", minLength: 1 })),
        keyPassphrase: Type.Optional(
          text({ description: "Passphrase of the key.", minLength: 1, [SECRET]: true }),
        ),
        minVersion: choice(["TLSv1.2", "TLSv1.3"], {
          description: "The oldest version that is spoken.",
          default: "TLSv1.2",
        }),
      },
      { description: "HTTPS instead of HTTP." },
    ),
  },
  { description: "The HTTP port." },
);

const Retained = Type.Object(
  {
    messages: countSetting({
      description:
        "Topics that may hold a retained message; further ones are not retained, and that is counted.",
      default: 1_000_000,
    }),
    bytes: sizeSetting({ description: "Memory for retained messages at most.", default: "256MB" }),
    payloadSize: sizeSetting({
      description: "Larger payloads are delivered and not retained.",
      default: "2MB",
    }),
  },
  { description: "Limits of retained messages." },
);

const Delayed = Type.Object(
  {
    messages: countSetting({
      description: "Delayed messages waiting at most; further ones are refused.",
      default: 100_000,
    }),
    bytes: sizeSetting({ description: "Memory for delayed messages at most.", default: "64MB" }),
  },
  { description: "Limits of $delayed/<seconds>/<topic>." },
);

const STRATEGIES = ["round_robin", "random", "sticky", "hash"] as const;

const Queues = Type.Array(
  Type.Object({
    filter: text({
      description:
        "Topic filter, mountpoint included: `queue/#` for /queue/x of STOMP with `queueTopicPrefix: queue/`, and for $queue/queue/x of MQTT.",
    }),
    messages: countSetting({ description: "Messages in one of these queues at most.", default: 10_000 }),
    bytes: sizeSetting({ description: "Memory of the messages in one of these queues.", default: "64MB" }),
    drop: choice(["qos0-first", "oldest", "newest"], {
      description: "What goes when it is full.",
      default: "oldest",
    }),
    expiry: durationSetting({
      description: "How long a message waits at most; sooner where it says so itself.",
      default: "7d",
    }),
  }),
  {
    description:
      "Queues that keep their messages while none of their subscribers ($queue/<topic>, /queue/<name>) is connected with room for them. Each topic is a queue of its own; the first rule that matches counts.",
    default: [],
  },
);

const Bus = Type.Object(
  {
    engine: choice(["embedded", "upstream"], {
      description:
        "Where sessions are. embedded: in this process, with the bus. upstream: at the servers of an MQTT cluster, each session a connection of its own.",
      default: "embedded",
    }),
    upstream: Upstream,
    shareStrategy: choice(STRATEGIES, {
      description:
        "Which member of a shared subscription gets the next message: round_robin in turn, random by chance, sticky the same one as long as it is there, hash by the publisher's client id.",
      default: "round_robin",
    }),
    shareStrategies: Type.Record(Type.String(), choice(STRATEGIES, { description: "As shareStrategy." }), {
      description: "Strategies of single groups, by the group's name.",
      default: {},
    }),
    routeCache: integer(0, 10_000_000, {
      description: "Topics whose subscribers are remembered; 0 looks them up each time.",
      default: 65_536,
    }),
    retained: Retained,
    delayed: Delayed,
    queues: Queues,
    queuesMax: countSetting({
      description: "Queues that keep their messages at most; an empty one goes for a new one.",
      default: 10_000,
    }),
  },
  { description: "The bus between all clients." },
);

const Queue = Type.Object(
  {
    messages: countSetting({ description: "Messages waiting in one session at most.", default: 1_000 }),
    bytes: sizeSetting({
      description: "Memory of the messages waiting in one session at most.",
      default: "16MB",
    }),
    wait: durationSetting({
      description:
        "How long who publishes at QoS 1 or 2 may have to wait for a connected subscriber: it waits, unacknowledged and then unread, while three quarters of that queue are taken and until half of it is free. A subscriber that needs longer makes nobody wait until its queue has been empty; what has no room is dropped. 0: nobody waits.",
      default: "2s",
      maximum: "1m",
    }),
    drop: choice(["qos0-first", "oldest", "newest"], {
      description:
        "What goes when a queue is full. qos0-first: the oldest QoS 0 message, and where there is none the oldest.",
      default: "qos0-first",
    }),
  },
  { description: "What waits for a client that is away or busy." },
);

const Session = Type.Object(
  {
    sessions: countSetting({
      description: "Sessions at most, connected or not; further clients are refused.",
      default: 1_000_000,
    }),
    unproven: countSetting({
      description:
        "Of them at most, those whose client is away and has never proven its address: a forged datagram can make one. Beyond it one ends, first of clients that were heard only once. No more than a quarter of memory.total has room for, at 1,300 bytes each.",
      default: 100_000,
    }),
    expiryMax: durationSetting({
      description: "Longest time that a session outlives its connection; clients that ask for more get this.",
      default: "7d",
    }),
    queue: Queue,
    queueQos0: flag({ description: "Queue QoS 0 messages also while the client is away.", default: true }),
    inboundMax: integer(1, 65_535, {
      description:
        "Inbound QoS 2 messages of one session between PUBLISH and PUBREL at most; MQTT 5 clients are told, others are disconnected.",
      default: 65_535,
    }),
    failuresMax: integer(1, 1_000, {
      description:
        "How often a QoS 1 or 2 message may make its client's channel fail (a bug of the gateway) before it is given up.",
      default: 3,
    }),
    otherUser: choice(["refuse", "anew"], {
      description:
        "What a client gets whose client id has a session of another user, proven by password, certificate or key. It never gets that session: refuse keeps it for its owner, anew ends it and begins a new one. A session for which nobody was proven always ends.",
      default: "refuse",
    }),
    replayMax: countSetting({
      description: "Retained messages sent for one subscribe at most.",
      default: 100_000,
    }),
  },
  { description: "One client's queue and state." },
);

const Memory = Type.Object(
  {
    total: Type.Optional(
      sizeSetting({
        description:
          "What all peers together may make the gateway hold: messages that wait, are unacknowledged, retained or delayed, packets and bodies that are not whole, transactions, what is not read, subscriptions, wills, topic ids and aliases, bodies of HTTP requests. Not in it, with limits of their own: answers that CoAP keeps for duplicates (stack.exchanges.bytes), DTLS associations (dtls.limits.memory). From 70 % on, who makes it hold more is read from slowly; from 85 % on, no connection and no further message that would have to be kept is taken in, nor a subscription or will of who holds much; at 100 % those who hold most are ended. Each is logged once. Absent: 1GB, or a quarter of the heap that Node may use (--max-old-space-size) where that is less.",
        minimum: "1MB",
      }),
    ),
    beforeLogin: sizeSetting({
      description:
        "The same for connections that have not logged in, together; beyond it those that hold most are ended.",
      default: "64MB",
      minimum: "64KB",
    }),
    connection: sizeSetting({
      description: "The same for one connection, without its queue; beyond it that is ended.",
      default: "32MB",
      minimum: "64KB",
    }),
  },
  {
    description:
      "Memory that peers may take up. It counts what is kept for them, not all that the process needs.",
  },
);

/** Settings of the node, without policy and gateways. */
export const coreProperties = {
  node: Node,
  dataFolder: text({
    description: "Folder for everything that is kept. A relative path counts from the working directory.",
    default: DATA_FOLDER,
  }),
  store: Store,
  log: Log,
  api: Api,
  bus: Bus,
  session: Session,
  memory: Memory,
};

const CoreSchema = Type.Object(coreProperties);
export type CoreConfig = Static<typeof CoreSchema>;
