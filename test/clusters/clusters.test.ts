/** Devices of all five gateways before real clusters. */
import { startEjabberd, startMosquitto, startNats } from "../support/clusters.ts";
import { lacks } from "../support/programs.ts";
import type { Kind } from "./kind.ts";
import { rowsOf } from "./rows.ts";

const KINDS: readonly Kind[] = [
  {
    name: "mosquitto",
    profile: "mosquitto",
    speaks: "5.0",
    missing: lacks("mosquitto"),
    start: startMosquitto,
    keepsSessions: true,
    // It acknowledges before it writes down: killed, it loses what it has acknowledged, by itself and before anybody.
    ends: "SIGTERM",
    maximumQoS: 2,
    shared: true,
    retainedAt: "all",
    dots: "kept",
    showsSystem: false,
    inFlight: 25,
    waiting: 1_000,
  },
  {
    name: "mosquitto by MQTT 3.1.1",
    profile: "mosquitto",
    version: "3.1.1",
    speaks: "3.1.1",
    missing: lacks("mosquitto"),
    start: startMosquitto,
    keepsSessions: true,
    ends: "SIGTERM",
    maximumQoS: 2,
    shared: true,
    retainedAt: "all",
    dots: "kept",
    showsSystem: false,
    inFlight: 20,
  },
  {
    name: "nats",
    profile: "nats",
    speaks: "3.1.1",
    missing: lacks("nats-server"),
    // Redelivers after two seconds instead of half a minute.
    start: () => startNats(['ack_wait: "2s"']),
    keepsSessions: true,
    maximumQoS: 1,
    shared: false,
    retainedAt: "all",
    dots: "refused",
    showsSystem: true,
    inFlight: 25,
  },
  {
    name: "ejabberd",
    profile: "ejabberd",
    speaks: "5.0",
    missing: lacks("ejabberdctl", "redis-server"),
    start: startEjabberd,
    keepsSessions: false,
    maximumQoS: 2,
    shared: false,
    retainedAt: "node",
    dots: "kept",
    showsSystem: false,
    inFlight: 1,
    nobody: false,
    nameAlone: false,
    keptFor: 300,
  },
];

for (const kind of KINDS) rowsOf(kind);
