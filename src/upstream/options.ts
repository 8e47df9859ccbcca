import type { Duration } from "../lib/time.ts";

/** What connections to servers share; see `bus.upstream` in the configuration. */
export interface UpstreamOptions {
  /** Template of the client ids that servers see. */
  readonly clientId: string;
  /** Whose user name and password servers are told. */
  readonly credentials: "device" | "service";
  /** For the connections of the gateway itself, and with `service` for all. */
  readonly username: string;
  readonly password: string;
  readonly keepAlive: Duration;
  readonly pingTimeout: Duration;
  /** From CONNECT to CONNACK. */
  readonly connackTimeout: Duration;
  /** How long a device that connects waits for a server. */
  readonly patience: Duration;
  readonly reconnect: { readonly first: Duration; readonly longest: Duration };
  readonly connects: { readonly rate: number; readonly parallel: number };
  /** How long devices are kept whose connection is broken. */
  readonly grace: Duration;
  /** A server keeps a session for at least so long after its connection broke, and its will back. */
  readonly linger: Duration;
  /** Messages of one session that wait for its connection, each way. */
  readonly buffer: { readonly messages: number; readonly bytes: number };
  /** QoS 1 and 2 messages in flight to a device that names no number of its own. */
  readonly receiveMaximum: number;
  readonly packetSize: number;
  readonly topicAliases: number;
  readonly sleepers: {
    readonly whileAsleep: "hold" | "release";
    /** Sleeps that are not longer are held whatever `whileAsleep` says. */
    readonly holdFor: Duration;
  };
  /** Silence after which a server has handed out all that it had. */
  readonly quiet: Duration;
  /** Most that a device that wakes up is handed before it may sleep again. */
  readonly flushMax: number;
  readonly pool: { readonly connections: number; readonly lookupTimeout: Duration };
  readonly redirects: boolean;
}
