/** Settings of sessions on an MQTT cluster elsewhere. */
import { type Static, Type } from "@sinclair/typebox";
import { countSetting, durationSetting, sizeSetting } from "../lib/setting.ts";
import { choice, flag, integer, SECRET, text, texts } from "../settings/kinds.ts";
import { serversProperties } from "./servers-schema.ts";

const UpstreamTls = Type.Object(
  {
    ca: Type.Optional(
      text({
        description: "PEM file of the authorities that sign servers' certificates; else the system's.",
      }),
    ),
    cert: Type.Optional(text({ description: "PEM file of our certificate, for servers that ask for one." })),
    key: Type.Optional(text({ description: "PEM file of its private key." })),
    verify: flag({
      description: "Check that a server's certificate is valid and bears its name.",
      default: true,
    }),
    serverName: Type.Optional(text({ description: "Name to ask for (SNI), where it is not the host's." })),
    alpn: Type.Optional(texts({ description: "Application protocols to offer (ALPN)." })),
    minVersion: choice(["TLSv1.2", "TLSv1.3"], { description: "Oldest TLS version.", default: "TLSv1.2" }),
  },
  { description: "For tls:// and wss:// servers." },
);

const Devices = Type.Object(
  {
    keep: choice(["local", "retained", "redis"], {
      description:
        "local: in the store of this process. retained: in retained messages of the cluster under $isthmus/devices/, where no client of a gateway may publish or subscribe; servers have to let the gateway's own connections do so, and nobody else. redis: in a Redis or Valkey server. With the last two any gateway before the cluster serves any device.",
      default: "local",
    }),
    redis: Type.Object(
      {
        host: text({ description: "Host name or address.", default: "127.0.0.1" }),
        port: integer(1, 65_535, { description: "Port.", default: 6379 }),
        username: text({ description: "User name (Redis 6).", default: "" }),
        password: text({ description: "Password.", default: "", [SECRET]: true }),
        database: integer(0, 65_535, { description: "Number of the database.", default: 0 }),
        prefix: text({ description: "Before each key.", default: "isthmus:" }),
        tls: flag({ description: "Speak TLS.", default: false }),
        ca: Type.Optional(
          text({ description: "PEM file of the authorities that sign the server's certificate." }),
        ),
        timeout: durationSetting({
          description: "How long the server may take to answer.",
          default: "5s",
          minimum: "10ms",
        }),
        waiting: countSetting({
          description: "Commands that may wait for their answers; one more fails.",
          default: 10_000,
        }),
      },
      { description: "The server, for `keep: redis`." },
    ),
  },
  {
    description:
      "What gateways remember of devices beside what the cluster has: topic ids and sleep of MQTT-SN, registrations and observations of LwM2M.",
  },
);

export const Upstream = Type.Object(
  {
    servers: texts({
      description:
        "Servers of the cluster, the preferred first: tcp://host:1883, tls://host:8883, ws://host:8083/mqtt, wss://host:8084/mqtt. In short for a group named default.",
      default: [],
    }),
    version: choice(["auto", "3.1.1", "5.0"], {
      description: "MQTT version that is spoken. auto: 5.0, and 3.1.1 to servers that do not know it.",
      default: "auto",
    }),
    ...serversProperties,
    tls: UpstreamTls,
    clientId: text({
      description:
        // biome-ignore lint/suspicious/noTemplateCurlyInString: these are the placeholders of the configuration
        "Client id that servers see, with placeholders ${clientid} ${username} ${gateway}. Two devices must not get the same one: they would end each other's connections.",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: this is a placeholder of the configuration
      default: "${clientid}",
    }),
    credentials: choice(["device", "service"], {
      description:
        "Whose user name and password servers are told. device: those that the device gave; servers decide who comes in, beside our own rules. service: `username` and `password` below for all.",
      default: "device",
    }),
    username: text({ description: "User name of the gateway's own connections.", default: "" }),
    password: text({
      description: "Password of the gateway's own connections.",
      default: "",
      [SECRET]: true,
    }),
    keepAlive: durationSetting({
      description: "Silence after which a server is asked whether it is there.",
      default: "60s",
      minimum: "1s",
      maximum: "65535s",
    }),
    pingTimeout: durationSetting({
      description: "How long it may take to answer.",
      default: "10s",
      minimum: "1s",
    }),
    connectTimeout: durationSetting({
      description: "For name, connection, TLS and WebSocket together.",
      default: "10s",
      minimum: "100ms",
    }),
    connackTimeout: durationSetting({
      description: "From CONNECT to CONNACK.",
      default: "10s",
      minimum: "100ms",
    }),
    required: flag({
      description:
        "The start fails, and says why, where no server lets the gateway's own connection in within `patience`. Else that is logged, and it goes on trying.",
      default: false,
    }),
    patience: durationSetting({
      description: "How long a device that connects waits for a server before it is refused.",
      default: "10s",
      minimum: "100ms",
    }),
    reconnect: Type.Object(
      {
        first: durationSetting({ description: "Longest pause before the first new try.", default: "1s" }),
        longest: durationSetting({
          description: "Longest pause ever; it doubles up to there.",
          default: "2m",
        }),
      },
      {
        description: "Pauses between tries to connect again: by chance anything up to a bound that doubles.",
      },
    ),
    connects: Type.Object(
      {
        rate: countSetting({ description: "Connections begun a second.", default: 1_000 }),
        parallel: countSetting({ description: "Connections that wait for CONNACK at a time.", default: 500 }),
      },
      { description: "How fast all servers together are connected to." },
    ),
    grace: durationSetting({
      description:
        "How long a device is kept whose connection to the cluster broke, and what it publishes held back. Then devices on streams are disconnected, and others told that nothing works.",
      default: "30s",
    }),
    linger: durationSetting({
      description:
        "How long servers keep a session, and its will back, beyond the end of its connection, so that it can be mended. MQTT 5.0 only.",
      default: "60s",
    }),
    buffer: Type.Object(
      {
        messages: countSetting({ description: "Messages of one session each way.", default: 1_000 }),
        bytes: sizeSetting({ description: "Their memory.", default: "1MB" }),
      },
      {
        description: "What is held back for one session while its connection, or its device, takes nothing.",
      },
    ),
    receiveMaximum: integer(1, 65_535, {
      description: "Messages in flight to a device that names no number of its own.",
      default: 32,
    }),
    packetSize: sizeSetting({
      description: "Largest packet that a server may send.",
      default: "16MB",
      maximum: 268_435_455,
    }),
    topicAliases: integer(0, 65_535, {
      description: "Topic aliases on one connection, each way; they cost memory for each.",
      default: 0,
    }),
    sleepers: Type.Object(
      {
        whileAsleep: choice(["hold", "release"], {
          description:
            "hold: a sleeping device's connection stays, and what comes for it is not acknowledged. release: the connection ends, and the cluster keeps the session; commands to LwM2M devices are then looked at when the device wakes, and none is executed that may be older than its ttl.",
          default: "release",
        }),
        holdFor: durationSetting({ description: "Shorter sleeps are held all the same.", default: "5m" }),
        flushMax: integer(1, 1_000_000, {
          description: "Messages that a device that wakes up is handed before it may sleep again.",
          default: 1_000,
        }),
      },
      { description: "Devices that sleep: MQTT-SN, and LwM2M in queue mode." },
    ),
    devices: Devices,
    quiet: durationSetting({
      description: "Silence after which a server is taken to have handed out all that it had.",
      default: "100ms",
    }),
    pool: Type.Object(
      {
        connections: integer(1, 1_000, {
          description: "Connections of the gateway itself, for requests of clients that have none.",
          default: 4,
        }),
        lookupTimeout: durationSetting({
          description: "How long a look-up of retained messages may take.",
          default: "5s",
          minimum: "100ms",
        }),
      },
      { description: "Connections of the gateway itself." },
    ),
    redirects: Type.Object(
      {
        follow: flag({
          description: "Go where a server sends a session (Server Reference).",
          default: false,
        }),
        hosts: texts({ description: "Only to these hosts; empty: to any.", default: [] }),
      },
      { description: "Servers that name another server." },
    ),
  },
  { description: "The MQTT cluster that has the sessions, with `engine: upstream`." },
);

export type UpstreamConfig = Static<typeof Upstream>;
