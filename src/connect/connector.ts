/** What a kind of connector is: its settings beside what opens it, so that a further one is a file and a line in `kinds.ts`. */
import type { TSchema } from "@sinclair/typebox";
import type { Message } from "../bus/message.ts";
import { UnreadableAnswer } from "../lib/guarded.ts";
import type { Duration } from "../lib/time.ts";
import type {
  DatagramSender,
  RawSocket,
  ServerCertificate,
  StreamConnection,
  StreamReceiver,
} from "../net/transport.ts";
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
  /** Rules that it came through: none of them is run on its dead letter. */
  readonly through?: readonly string[] | undefined;
  /** For those who can say it: what it has passed between gateways, and what sends it now (`bus/via.ts`). */
  readonly via?: string | undefined;
}

/** What a server gives: texts, numbers, octets by name. */
export type Row = Readonly<Record<string, unknown>>;

/** A sink that has not taken something. */
export class SinkFailure extends Error {
  override readonly name = "SinkFailure";
  /** Trying again can help: it was away, too slow, too busy. */
  readonly heals: boolean;
  /** Not before so many milliseconds, says the sink. */
  readonly after: number;

  constructor(says: string, heals: boolean, after = 0) {
    super(legible(says));
    this.heals = heals;
    this.after = after;
  }
}

/** Of a reason, at most. */
const REASON_MAX = 500;

/** Servers say what they like, and libraries repeat it: a reason is one line that anybody can read. */
const legible = (says: string): string =>
  says
    .slice(0, REASON_MAX)
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\ufffd]+/gu, " ")
    .trim();

/** Whether it heals nobody can say: it is tried for a while. */
export class DoubtfulFailure extends SinkFailure {
  constructor(says: string) {
    super(says, true);
  }
}

/** An error that nobody has thought of, in a connector or its library. */
export class UnexpectedFailure extends DoubtfulFailure {
  readonly thrown: unknown;

  constructor(thrown: unknown) {
    super(`unexpected ${thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)}`);
    this.thrown = thrown;
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
  /** Of one that listens to a channel: whether it hears what is said there now. */
  readonly listening?: boolean | undefined;
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
  /** For a library that connects it by itself. */
  socket(): RawSocket;
  /** What is wrong with a server's certificate when it should bear one of these names or addresses. */
  misnamed(hosts: readonly string[], certificate: ServerCertificate): Error | undefined;
  /** A way to one place that acknowledges nothing. */
  datagrams(host: string, port: number): DatagramSender;
  /** What a statement of an item gave is done with, as its action wants it: `rowsOf`. */
  found?(item: Item, rows: readonly Row[]): void;
  /** What others have said on the channel that a connector listens to. */
  heard?(connector: string, payload: Uint8Array): void;
  /** Of a connector that brings messages: by it they know it again. */
  mark(connector: string): string;
  /** A message has come over a connector that it had come over before. */
  cameAgain(connector: string, topic: string): void;
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
  /** It says what a message has passed, as another gateway reads it. */
  readonly saysVia?: true;
  /** The libraries that it needs, where those are optional. */
  readonly libraries?: readonly string[];
  /** Throws where it cannot work as configured. */
  open(config: Config, host: ConnectHost, name: string): Connector;
  /** Reads the templates of an action. Throws `TemplateError` and `ActionError`. */
  compile(settings: ActionConfig): Filling;
}

/** A secret in place, or where it is: `file:<path>` or `env:<name>`. */
export function secretOf(
  value: string,
  { readFile, environment }: Pick<ConnectHost, "readFile" | "environment">,
): string {
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

/** Codes of TLS, and of OpenSSL's verification of certificates (`openssl-verify`): an operator can mend what they say. */
const UNTRUSTED =
  /^(ERR_TLS|ERR_SSL|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERROR_IN_C|INVALID_|PATH_LENGTH_|HOSTNAME_)/;

/** A failure of a connection, which heals; undefined where it is something else. */
export function connectionFailure(error: unknown): SinkFailure | undefined {
  if (error instanceof UnreadableAnswer) return new SinkFailure(error.message, true);
  const { code, message, cause, errors } = error as {
    readonly code?: string;
    readonly message?: string;
    readonly cause?: unknown;
    readonly errors?: readonly unknown[];
  };
  if (typeof code === "string" && (AWAY.has(code) || UNTRUSTED.test(code)))
    return new SinkFailure(message === undefined || message === "" ? code : message, true);
  const inner = cause ?? errors?.[0];
  return inner === undefined ? undefined : connectionFailure(inner);
}

/** Whatever was thrown, as a failure of the sink. */
export function failureOf(error: unknown, signal?: AbortSignal): SinkFailure {
  if (error instanceof SinkFailure) return error;
  if (signal?.aborted === true) return new SinkFailure("it does not answer in time", true);
  return connectionFailure(error) ?? new UnexpectedFailure(error);
}
