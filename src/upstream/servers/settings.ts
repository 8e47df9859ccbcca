/** Groups of servers and the routes that lead to them, as a configuration or a request gives them. */

import type { Duration } from "../../lib/time.ts";
import type { ServerCaps } from "../../mqtt/client/server-limits.ts";

export const BALANCES = ["hash", "least-connections", "round-robin", "random", "primary-backup"] as const;
export type Balance = (typeof BALANCES)[number];

export interface ServerTls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly keyPassphrase?: string | undefined;
  readonly verify: boolean;
  readonly serverName?: string | undefined;
  readonly alpn?: readonly string[] | undefined;
  readonly pskIdentity?: string | undefined;
  /** In hexadecimal. */
  readonly pskKey?: string | undefined;
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
}

/** One server, or all that a name stands for. */
export interface ServerSettings {
  /** `tcp://broker:1883`, `tls://…`, `ws://broker:8083/mqtt`, `wss://…`. */
  readonly url: string;
  /** How much it takes beside the others; 0: only what is there already. */
  readonly weight: number;
  /** Servers of the lowest number are used as long as one of them is well. */
  readonly priority: number;
}

/** What is asked of a server now and then. `connect`: a connection; `mqtt`: CONNECT; `ping`: CONNECT and PINGREQ. */
export type CheckKind = "none" | "connect" | "mqtt" | "ping";

export interface HealthSettings {
  readonly check: CheckKind;
  readonly interval: Duration;
  readonly timeout: Duration;
  /** Failures one after the other, of checks or of sessions, after which nobody is sent there. */
  readonly failures: number;
  /** Checks that must go well one after the other before somebody is sent there again. */
  readonly successes: number;
  /** How long nobody is sent there: the first time, and at most, doubled with each failure between. */
  readonly retry: { readonly first: Duration; readonly longest: Duration };
  /** After a failure a server gets its share little by little. */
  readonly slowStart: Duration;
}

export interface GroupSettings {
  readonly servers: readonly ServerSettings[];
  readonly balance: Balance;
  readonly profile: string;
  readonly version: "auto" | "3.1.1" | "5.0";
  readonly caps: ServerCaps;
  readonly tls?: ServerTls | undefined;
  readonly connectTimeout: Duration;
  readonly health: HealthSettings;
  /** Each address that a name stands for is a server of its own, and the name is asked again so often; 0: not. */
  readonly resolve: Duration;
  /** Sessions a second that are moved away from a server that is drained or taken out. */
  readonly drainRate: number;
  /** Say with a header for which device each connection is made (PROXY protocol). */
  readonly proxyProtocol?: "v1" | "v2" | undefined;
  /** Where connections come from, in turn. */
  readonly localAddresses: readonly string[];
}

/** Which sessions go to which group: those for which all that is given holds. */
export interface RouteSettings {
  readonly id: string;
  readonly gateways?: readonly string[] | undefined;
  readonly listeners?: readonly string[] | undefined;
  /** Addresses or ranges of the devices. */
  readonly addresses?: readonly string[] | undefined;
  /** With `*` and `?`. */
  readonly clientId?: string | undefined;
  readonly username?: string | undefined;
  /** `MQTT`, `MQTT 5.0`, `MQTT-SN`. */
  readonly protocols?: readonly string[] | undefined;
  readonly group: string;
  /** Lower ones are asked first; then by id. */
  readonly order: number;
}

/** One server, for who looks at it. */
export interface ServerStatus {
  readonly group: string;
  readonly url: string;
  readonly state: "closed" | "half-open" | "open";
  readonly draining: boolean;
  readonly weight: number;
  readonly sessions: number;
  /** Of MQTT, in which it has let the last session in. */
  readonly version: 4 | 5 | undefined;
  /** How long it last took to answer PINGREQ. */
  readonly roundTrip: Duration | undefined;
  readonly lastFailure: string | undefined;
}
