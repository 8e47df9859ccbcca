/** Devices of all five gateways before real clusters. */
import { startEjabberd, startMosquitto, startNats } from "../support/clusters.ts";
import { lacks } from "../support/programs.ts";
import { type Kind, rowsOf } from "./rows.ts";

const KINDS: readonly Kind[] = [
  {
    name: "mosquitto",
    profile: "mosquitto",
    missing: lacks("mosquitto"),
    start: startMosquitto,
    keepsSessions: true,
    // It acknowledges before it writes down: killed, it loses what it has acknowledged, by itself and before anybody.
    ends: "SIGTERM",
    maximumQoS: 2,
    shared: true,
  },
  {
    name: "nats",
    profile: "nats",
    missing: lacks("nats-server"),
    // Redelivers after two seconds instead of half a minute.
    start: () => startNats(['ack_wait: "2s"']),
    keepsSessions: true,
    maximumQoS: 1,
    shared: false,
  },
  {
    name: "ejabberd",
    profile: "ejabberd",
    missing: lacks("ejabberdctl"),
    start: startEjabberd,
    keepsSessions: false,
    maximumQoS: 2,
    shared: false,
  },
];

for (const kind of KINDS) rowsOf(kind);
