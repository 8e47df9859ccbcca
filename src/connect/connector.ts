/** What a kind of connector is: its settings beside what opens it, so that a further one is a file and a line in `kinds.ts`. */
import type { TSchema } from "@sinclair/typebox";
import type { Message } from "../bus/message.ts";
import type { Duration } from "../lib/time.ts";
import type { StreamConnection, StreamReceiver } from "../net/transport.ts";
import type { ActionSettings } from "../rules/action.ts";
import type { Value, ValueMap } from "../rules/value.ts";

/** One thing that a sink shall have. */
export interface Item {
  /** The same at every try, so that a receiver can leave out what it has (`Idempotency-Key`). */
  readonly id: string;
  readonly rule: string;
  /** Which of the rule's actions. */
  readonly place: number;
  /** Whose event it is of. */
  readonly client: string;
  /** When the event was, in milliseconds. */
  readonly at: number;
  readonly parameters: ValueMap;
}

/** A sink that has not taken something. */
export class SinkFailure extends Error {
  override readonly name = "SinkFailure";
  /** Trying again can help: it was away, too slow, too busy. */
  readonly heals: boolean;
  /** Not before so many milliseconds, says the sink. */
  readonly after: number;

  constructor(says: string, heals: boolean, after = 0) {
    super(says);
    this.heals = heals;
    this.after = after;
  }
}

/** A connection to a sink, or several. */
export interface Connector {
  /**
   * Gives the sink a batch, and returns when it has acknowledged that; or what of it failed, item by item. Throws
   * `SinkFailure` where the batch as a whole did: then the sink has nothing of it, or nobody knows.
   */
  send(
    items: readonly Item[],
    signal: AbortSignal,
  ): Promise<readonly (SinkFailure | undefined)[] | undefined>;
  /** Asks whether it is there. Throws `SinkFailure` where it is not. */
  check(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Where an MQTT broker is. */
export interface BrokerPlace {
  readonly url: string;
  readonly timeout: Duration;
  readonly packetSize: number;
  readonly tls: {
    readonly ca: string | undefined;
    readonly cert: string | undefined;
    readonly key: string | undefined;
    readonly verify: boolean;
  };
}

/** What opens connectors is given. */
export interface ConnectHost {
  /** An optional library is installed. */
  has(library: string): boolean;
  /** Exactly one of the two is called, once and later. */
  dial(
    place: BrokerPlace,
    connected: (stream: StreamConnection) => StreamReceiver,
    failed: (says: string) => void,
  ): void;
  /** `taken`: it is safe where it must be, or cannot be taken now. */
  publish(message: Message, taken: (ok: boolean) => void): void;
  /** Of a file that the configuration names. */
  readFile(path: string): Uint8Array;
  environment(name: string): string | undefined;
  /** For signatures: milliseconds since the epoch. */
  now(): number;
}

/** What an action of this kind makes of an output. Throws `RuleFailure`. */
export type Filling = (output: Value) => ValueMap;

export interface ConnectorSettings {
  readonly kind: string;
  readonly [key: string]: unknown;
}

export interface ConnectorKind<Config = never, ActionConfig extends ActionSettings = never> {
  readonly kind: string;
  /** Of the connector: where it is, and as whom. */
  readonly schema: TSchema;
  /** Of a rule's action that leads to it. */
  readonly action: TSchema;
  /** The library that it needs, where that is optional. */
  readonly library?: string;
  /** Throws where it cannot work as configured. */
  open(config: Config, host: ConnectHost, name: string): Connector;
  /** Reads the templates of an action. Throws `TemplateError` and `ActionError`. */
  compile(settings: ActionConfig): Filling;
}

/** A secret in place, or where it is: `file:<path>` or `env:<name>`. */
export function secretOf(value: string, { readFile, environment }: ConnectHost): string {
  if (value.startsWith("file:"))
    return Buffer.from(readFile(value.slice(5)))
      .toString("utf8")
      .replace(/\r?\n$/, "");
  if (!value.startsWith("env:")) return value;
  const found = environment(value.slice(4));
  if (found === undefined) throw new Error(`the environment has no variable ${value.slice(4)}`);
  return found;
}

/** Codes of the system that say that somebody is not there now. */
const AWAY: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "EHOSTDOWN",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EADDRNOTAVAIL",
  "EMFILE",
]);

/** A failure of a connection, which heals; undefined where it is something else. */
export function connectionFailure(error: unknown): SinkFailure | undefined {
  const { code, message, cause, errors } = error as {
    readonly code?: string;
    readonly message?: string;
    readonly cause?: unknown;
    readonly errors?: readonly unknown[];
  };
  if (
    typeof code === "string" &&
    (AWAY.has(code) || code.startsWith("UND_ERR_") || /^(ERR_TLS|CERT_|ERR_SSL)/.test(code))
  )
    return new SinkFailure(message === undefined || message === "" ? code : message, true);
  const inner = cause ?? errors?.[0];
  return inner === undefined ? undefined : connectionFailure(inner);
}

/** Whatever was thrown, as a failure of the sink. */
export function failureOf(error: unknown, signal?: AbortSignal): SinkFailure {
  if (error instanceof SinkFailure) return error;
  if (signal?.aborted === true) return new SinkFailure("it does not answer in time", true);
  return connectionFailure(error) ?? new SinkFailure((error as Error).message, false);
}
