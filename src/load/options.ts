/** What a load generator is told and what it tells. */

export const LOAD_PROTOCOLS = ["mqtt", "mqtt-sn", "coap"] as const;
export type LoadProtocol = (typeof LOAD_PROTOCOLS)[number];
export type LoadKind = "connect" | "publish" | "subscribe";

export const CLIENTS_MAX = 200_000;
export const SIZE_MAX = 16 * 1024 * 1024;

export interface LoadTls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** The gateway's certificate has to be valid and to bear its name. */
  readonly verify: boolean;
}

export interface LoadOptions {
  readonly kind: LoadKind;
  readonly protocol: LoadProtocol;
  readonly host: string;
  readonly port: number;
  readonly clients: number;
  /** Clients that begin to connect in a second. */
  readonly connectRate: number;
  /** Client ids: this and a number. */
  readonly prefix: string;
  readonly firstNumber: number;
  /** `%i`: the client's number, `%c`: its id, `%u`: the user name, `%s`: how manieth message of the client it is. */
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  /** Octets of a payload; `payload`: this instead. */
  readonly size: number;
  readonly payload?: string | undefined;
  readonly retain: boolean;
  /** Between two messages of one client, in milliseconds; 0: as fast as its window lets it. */
  readonly interval: number;
  /** Messages of one client that have no answer yet. */
  readonly inflight: number;
  /** It is over after so many messages of all clients. */
  readonly limit?: number | undefined;
  readonly version: 4 | 5;
  /** Seconds. */
  readonly keepAlive: number;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: LoadTls | undefined;
}

/** Lengths of time, in milliseconds. */
export interface Spread {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface LoadStatus {
  readonly kind: LoadKind;
  readonly protocol: LoadProtocol;
  readonly seconds: number;
  readonly clients: number;
  readonly connected: number;
  /** Clients that have had no answer yet. */
  readonly connecting: number;
  /** Clients that did not get in, by what was said. */
  readonly failed: Readonly<Record<string, number>>;
  /** Clients that were in, and are not any more without having left, likewise. */
  readonly lost: Readonly<Record<string, number>>;
  readonly sent: number;
  /** Messages with a good answer, where there are answers. */
  readonly acknowledged: number;
  /** Messages that were refused, or never answered. */
  readonly refused: number;
  /** Messages that were due while the client's window was full: they were not sent. */
  readonly skipped: number;
  readonly received: number;
  /** A second, since the last client had its answer. */
  readonly rates: { readonly connected: number; readonly sent: number; readonly received: number };
  /** From the first octet sent to being let in; from a message to its answer; from a message to whom it was for. */
  readonly latency: { readonly connect?: Spread; readonly answer?: Spread; readonly delivery?: Spread };
}
