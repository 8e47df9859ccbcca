/** NATS: a message for each output, kept by a stream of JetStream. The library is nats 2. */

import { type Static, Type } from "@sinclair/typebox";
import type { ConnectionOptions, JetStreamClient, NatsConnection } from "nats";
import { guarded } from "../lib/guarded.ts";
import type { RawSocket, ServerCertificate } from "../net/transport.ts";
import { ActionError } from "../rules/action.ts";
import { Template, textsOf } from "../rules/template.ts";
import { octetsOf, RuleFailure, type Value } from "../rules/value.ts";
import { choice, text } from "../settings/kinds.ts";
import {
  type ConnectHost,
  type Connector,
  type ConnectorKind,
  connectionFailure,
  type Item,
  SinkFailure,
  secretOf,
} from "./connector.ts";
import { HeldConnection } from "./held-connection.ts";
import {
  actionSchema,
  connectorSchema,
  contentText,
  hostAndPort,
  secretText,
  type TlsFiles,
  templateMap,
  tlsOf,
  tlsProperties,
} from "./settings.ts";

const schema = connectorSchema("nats", {
  is: "A NATS server, or several.",
  batch: 100,
  own: {
    servers: Type.Array(hostAndPort, {
      description: "Servers to try, as host:port.",
      default: ["127.0.0.1:4222"],
      minItems: 1,
    }),
    username: text({ description: "User name. Empty: none.", default: "" }),
    password: secretText("Password", { default: "" }),
    token: secretText("Token, in place of name and password", { default: "" }),
    ...tlsProperties,
    acknowledge: choice(["stream", "server"], {
      description:
        "Who acknowledges. stream: a stream of JetStream that has the subject keeps the message. server: the server has read it; it may be lost, and nobody may hear it.",
      default: "stream",
    }),
  },
  description: "Messages for NATS: acknowledged as `acknowledge` says.",
});
type Config = Static<typeof schema>;

const action = actionSchema("nats", {
  does: "Publish a message.",
  own: {
    subject: text({
      description: "A template; a slash in what it gives becomes a point, as in NATS's own MQTT.",
      default: "${topic}",
      minLength: 1,
    }),
    payload: contentText("${payload}"),
    headers: templateMap(
      "Beside Nats-Msg-Id, which is the same each time that a message is sent.",
      Type.String({ pattern: "^[!-9;-~]+$" }),
    ),
  },
  description: "A message for a NATS subject for each output.",
});
type ActionConfig = Static<typeof action>;

/** What a message is. */
interface Parameters {
  readonly subject: string;
  readonly payload: string | Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** Of those that one may publish to: words of what can be seen, and no wildcards. */
const SUBJECT = /^(?!\$)[^\0-\x20\x7f.*>]+(\.[^\0-\x20\x7f.*>]+)*$/;
const SUBJECT_MAX = 1024;

function subjectFrom(filled: string): string {
  const subject = filled.replaceAll("/", ".");
  if (SUBJECT.test(subject) && subject.length <= SUBJECT_MAX) return subject;
  throw new RuleFailure(`nats: '${subject.slice(0, 60)}' is no subject to publish to`);
}

function compile({ subject, payload, headers }: ActionConfig) {
  const where = new Template(subject);
  if (where.isConstant && !SUBJECT.test(subject.replaceAll("/", ".")))
    throw new ActionError(`'${subject}' is no subject to publish to`);
  const content = new Template(payload);
  const lines = textsOf(headers);
  return (output: Value) => ({
    subject: subjectFrom(where.fill(output)),
    payload: content.content(output),
    headers: inLines(lines(output)),
  });
}

function inLines(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(headers))
    if (/[\r\n]/.test(value)) throw new RuleFailure(`nats: the header ${name} would have an end of line`);
  return headers;
}

interface NatsError extends Error {
  readonly code?: string;
  readonly api_error?: { readonly err_code?: number; readonly description?: string };
  readonly chainedError?: unknown;
}

/** The message is at fault: it is too large, or not as the server wants it. */
const AT_FAULT: readonly (string | undefined)[] = ["MAX_PAYLOAD_EXCEEDED", "BAD_SUBJECT", "BAD_HEADER"];
/** JetStream's errors of a message: too large for the stream, an expected one that is not there, a header that is wrong. */
const NOT_TAKEN: readonly (number | undefined)[] = [10054, 10060, 10070, 10071, 10164];

function failureOf(error: unknown): SinkFailure {
  if (error instanceof SinkFailure) return error;
  const { code, message, api_error: refused, chainedError } = error as NatsError;
  const broken = connectionFailure(chainedError ?? error);
  if (broken !== undefined) return broken;
  if (refused?.err_code !== undefined)
    return new SinkFailure(
      `the stream answers ${refused.err_code}: ${refused.description ?? message}`,
      !NOT_TAKEN.includes(refused.err_code),
    );
  // Nobody answers for the subject, says the server.
  if (code === "503") return new SinkFailure("no stream has the subject", true);
  if (code === undefined) throw error;
  return new SinkFailure(
    message === code ? `NATS says ${code}` : `${message} (${code})`,
    !AT_FAULT.includes(code),
  );
}

/** Where the library has its socket. */
interface Within {
  readonly protocol: { readonly transport: { readonly socket: RawSocket } };
}

interface Opened {
  readonly connection: NatsConnection;
  readonly stream: JetStreamClient;
  readonly headersOf: (lines: Readonly<Record<string, string>>, id: string) => import("nats").MsgHdrs;
}

class Nats implements Connector {
  readonly #config: Config;
  readonly #options: ConnectionOptions;
  readonly #held = new HeldConnection<Opened>({
    open: (lost) => this.#open(lost),
    close: closed,
    failureOf,
  });

  constructor(config: Config, options: ConnectionOptions) {
    this.#config = config;
    this.#options = options;
  }

  send(items: readonly Item[], signal: AbortSignal): Promise<readonly (SinkFailure | undefined)[]> {
    return this.#held.use(signal, (opened) =>
      this.#config.acknowledge === "stream" ? this.#keep(opened, items) : told(opened, items),
    );
  }

  /** On their way in their order; each has an answer of its own. */
  async #keep(opened: Opened, items: readonly Item[]): Promise<readonly (SinkFailure | undefined)[]> {
    const { stream, headersOf } = opened;
    const { timeout } = this.#config;
    const answers = items.map(async ({ id, parameters }) => {
      const { subject, payload, headers } = parameters as unknown as Parameters;
      await stream.publish(subject, octetsOf(payload), { timeout, headers: headersOf(headers, id) });
    });
    return (await Promise.allSettled(answers)).map(resultOf);
  }

  async check(signal: AbortSignal): Promise<void> {
    await this.#held.use(signal, ({ connection }) => connection.flush());
  }

  async #open(lost: (why?: unknown) => void): Promise<Opened> {
    const { connect, headers } = await import("nats");
    const connection = await connect(this.#options).catch((error: unknown) => {
      // Whatever it is that answers there, an operator can mend it.
      throw (error as NatsError).code === undefined
        ? new SinkFailure((error as Error).message, true)
        : failureOf(error);
    });
    const headersOf = (lines: Readonly<Record<string, string>>, id: string) => {
      const all = headers();
      for (const [name, line] of Object.entries(lines)) all.set(name, line);
      all.set("Nats-Msg-Id", id);
      return all;
    };
    // What it says from now on; until here its time-out has held.
    const { socket } = (connection as unknown as Within).protocol.transport;
    guarded(socket).once("close", () => lost());
    // Nothing comes over it any more: the next batch opens another.
    void connection.closed().then((error) => lost(error ?? undefined));
    return { connection, stream: connection.jetstream(), headersOf };
  }

  async close(): Promise<void> {
    await this.#held.close();
  }
}

const closed = ({ connection }: Opened): Promise<void> => connection.close().catch(() => {});

const resultOf = (settled: PromiseSettledResult<void>): SinkFailure | undefined =>
  settled.status === "fulfilled" ? undefined : failureOf(settled.reason);

/** The server has read what was before the answer to its PING. */
async function told({ connection, headersOf }: Opened, items: readonly Item[]) {
  const results = items.map(({ id, parameters }) => {
    const { subject, payload, headers } = parameters as unknown as Parameters;
    try {
      connection.publish(subject, octetsOf(payload), { headers: headersOf(headers, id) });
      return undefined;
    } catch (error) {
      return failureOf(error);
    }
  });
  await connection.flush();
  return results;
}

const textsIn = (files: TlsFiles<Buffer>): TlsFiles<string> =>
  Object.fromEntries(Object.entries(files).map(([name, octets]) => [name, octets.toString()]));

export const nats: ConnectorKind<Config, ActionConfig> = {
  kind: "nats",
  schema,
  action,
  libraries: ["nats"],
  open(config: Config, host: ConnectHost) {
    const { servers, username, timeout } = config;
    const [password, token] = [secretOf(config.password, host), secretOf(config.token, host)];
    const tls = tlsOf(config, host);
    // Of a server at an address the library would ask for the name localhost.
    const hosts = servers.map((server) => server.replace(/:\d+$/, "").replace(/^\[|\]$/g, ""));
    const checkServerIdentity = (_: string, certificate: ServerCertificate) =>
      host.misnamed(hosts, certificate);
    return new Nats(config, {
      ...{ servers, timeout, name: "isthmus", reconnect: false },
      ...(token === "" ? {} : { token }),
      ...(username === "" ? {} : { user: username, pass: password }),
      ...(tls === undefined ? {} : { tls: Object.assign(textsIn(tls), { checkServerIdentity }) }),
    });
  },
  compile,
};
