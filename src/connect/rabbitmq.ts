/** RabbitMQ, and what speaks AMQP 0-9-1 as it does: a message for each output. The library is rabbitmq-client 5. */

import { type Static, Type } from "@sinclair/typebox";
import type { Connection, ConnectionOptions, Envelope, Publisher } from "rabbitmq-client";
import { type Breakable, guarded } from "../lib/guarded.ts";
import { durationSetting } from "../lib/setting.ts";
import { inSeconds } from "../lib/time.ts";
import { Template, textsOf } from "../rules/template.ts";
import { octetsOf, RuleFailure, type Value } from "../rules/value.ts";
import { flag, text } from "../settings/kinds.ts";
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
  secretText,
  serverProperties,
  templateMap,
  tlsOf,
  tlsProperties,
} from "./settings.ts";

const schema = connectorSchema("rabbitmq", {
  is: "A RabbitMQ server.",
  batch: 100,
  own: {
    ...serverProperties(5672),
    username: text({ description: "User name.", default: "guest" }),
    password: secretText("Password", { default: "" }),
    vhost: text({ description: "Virtual host.", default: "/" }),
    heartbeat: durationSetting({
      description: "Silence after which the connection counts as broken.",
      default: "30s",
      minimum: "1s",
      maximum: "1h",
    }),
    ...tlsProperties,
  },
  description: "Messages for RabbitMQ: acknowledged by its confirm, when its queues have them.",
});
type Config = Static<typeof schema>;

const action = actionSchema("rabbitmq", {
  does: "Publish a message.",
  own: {
    exchange: text({
      description: "Exchange, which must be there. Empty: the routing key is a queue.",
      default: "amq.topic",
    }),
    routingKey: text({
      description: "A template; with `points` a slash in what it gives becomes a point.",
      default: "${topic}",
    }),
    points: flag({
      description: "Write slashes of the routing key as points, as RabbitMQ's own MQTT does.",
      default: true,
    }),
    payload: contentText("${payload}"),
    contentType: text({ description: "Content type. Empty: none.", default: "" }),
    headers: templateMap(
      "Headers; message_id is the delivery's id, the same each time that a message is sent.",
      Type.String({ minLength: 1 }),
    ),
    persistent: flag({ description: "Durable queues write it to disk.", default: true }),
    mandatory: flag({
      description: "What no queue takes is given again until one does. false: it is dropped by the server.",
      default: true,
    }),
  },
  description: "A message for an exchange of RabbitMQ for each output.",
});
type ActionConfig = Static<typeof action>;

/** What a message is. */
interface Parameters {
  readonly exchange: string;
  readonly routingKey: string;
  readonly payload: string | Uint8Array;
  readonly contentType: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly persistent: boolean;
  readonly mandatory: boolean;
}

/** AMQP's short strings. */
const KEY_MAX = 255;

function compile(settings: ActionConfig) {
  const { exchange, routingKey, points, payload, contentType, headers, persistent, mandatory } = settings;
  const [where, content] = [new Template(routingKey), new Template(payload)];
  const lines = textsOf(headers);
  return (output: Value) => {
    const filled = where.fill(output);
    const key = points ? filled.replaceAll("/", ".") : filled;
    if (Buffer.byteLength(key) > KEY_MAX)
      throw new RuleFailure(
        `rabbitmq: a routing key has ${KEY_MAX} octets at most, not '${key.slice(0, 60)}…'`,
      );
    return {
      ...{ exchange, routingKey: key, contentType, persistent, mandatory },
      payload: content.content(output),
      headers: lines(output),
    };
  };
}

/** Replies that say that the message is at fault (AMQP 0-9-1 §1.2). All others an operator can mend, or time. */
const AT_FAULT: readonly (string | undefined)[] = [
  "PRECONDITION_FAILED",
  "CONTENT_TOO_LARGE",
  "NOT_IMPLEMENTED",
];

function failureOf(error: unknown): SinkFailure {
  if (error instanceof SinkFailure) return error;
  const { name = "", code, message } = error as Error & { readonly code?: string };
  const broken = connectionFailure(error);
  if (broken !== undefined) return broken;
  if (!name.startsWith("AMQP")) throw error;
  return new SinkFailure(`${message} (${code})`, !AT_FAULT.includes(code));
}

/** A channel of its own for each batch that is under way: what breaks one is the fault of that batch. */
interface Channel {
  readonly publisher: Publisher;
  /** Ids of messages that no queue has taken, and why. */
  readonly returned: Map<string, string>;
}

interface Opened {
  readonly connection: Connection;
  /** Channels that no batch uses now. */
  readonly free: Channel[];
}

class RabbitMq implements Connector {
  readonly #options: ConnectionOptions;
  readonly #held = new HeldConnection<Opened>({
    open: (lost, unwanted) => this.#open(lost, unwanted),
    close: ({ connection }) => connection.unsafeDestroy(),
    failureOf,
  });

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  async send(items: readonly Item[], signal: AbortSignal): Promise<readonly (SinkFailure | undefined)[]> {
    return this.#held.use(signal, async ({ connection, free }) => {
      const channel = free.pop() ?? open(connection);
      try {
        return await publish(channel, items);
      } finally {
        free.push(channel);
      }
    });
  }

  async check(signal: AbortSignal): Promise<void> {
    await this.#held.use(signal, async ({ connection }) => {
      const channel = await connection.acquire();
      await channel.close();
    });
  }

  /** When to connect again is the connector's to say: the library's own tries are not waited for. */
  async #open(lost: () => void, unwanted: AbortSignal): Promise<Opened> {
    const { Connection: Connecting } = await import("rabbitmq-client");
    const connection = new Connecting(this.#options);
    // Its only one: we do not let it connect again by itself.
    guarded((connection as unknown as { readonly _socket: Breakable })._socket);
    await new Promise<void>((done, failed) => {
      unwanted.addEventListener("abort", () => {
        connection.unsafeDestroy();
        failed(new SinkFailure("nobody waits for the connection any more", true));
      });
      connection.on("connection", done);
      connection.on("error", (error: Error) => {
        connection.unsafeDestroy();
        // Whatever it is that answers there, an operator can mend it.
        failed(error.name.startsWith("AMQP") ? error : unreadable(error));
      });
    });
    // Broken, or a channel of it was closed while nobody waited for an answer.
    connection.on("error", () => lost());
    return { connection, free: [] };
  }

  async close(): Promise<void> {
    await this.#held.close();
  }
}

const unreadable = (error: Error): SinkFailure =>
  connectionFailure(error) ?? new SinkFailure(`what it answers cannot be read: ${error.message}`, true);

function open(connection: Connection): Channel {
  const publisher = connection.createPublisher({ confirm: true });
  const returned = new Map<string, string>();
  publisher.on("basic.return", ({ messageId, replyText }) => returned.set(messageId ?? "", replyText));
  return { publisher, returned };
}

async function publish({ publisher, returned }: Channel, items: readonly Item[]) {
  const settled = await Promise.allSettled(items.map((item) => publisher.send(...messageOf(item))));
  // Returned are told a turn later than acknowledged, and have come before.
  await new Promise((resolve) => setImmediate(resolve));
  const failures = settled.map((each) => (each.status === "rejected" ? failureOf(each.reason) : undefined));
  // The server ends the channel for one of them, and does not say which.
  const atFault = failures.find((failure) => failure?.heals === false);
  if (atFault !== undefined) throw atFault;
  const results = items.map(({ id }, index) => {
    const why = returned.get(id);
    return why === undefined ? failures[index] : new SinkFailure(`no queue takes it: ${why}`, true);
  });
  returned.clear();
  return results;
}

function messageOf({ id, at, parameters }: Item): [envelope: Envelope, body: Buffer] {
  const { exchange, routingKey, payload, contentType, headers, persistent, mandatory } =
    parameters as unknown as Parameters;
  return [
    {
      ...{ exchange, routingKey, durable: persistent, mandatory, headers: { ...headers } },
      ...(contentType === "" ? {} : { contentType }),
      ...{ messageId: id, timestamp: Math.floor(at / 1000) },
    },
    Buffer.from(octetsOf(payload)),
  ];
}

export const rabbitmq: ConnectorKind<Config, ActionConfig> = {
  kind: "rabbitmq",
  schema,
  action,
  libraries: ["rabbitmq-client"],
  open(config: Config, host: ConnectHost) {
    const { port, username, vhost, timeout, heartbeat } = config;
    const tls = tlsOf(config, host);
    return new RabbitMq({
      ...{ hostname: config.host, port, username, vhost, connectionTimeout: timeout },
      ...{ password: secretOf(config.password, host), heartbeat: inSeconds(heartbeat) },
      connectionName: "isthmus",
      noDelay: true,
      ...(tls === undefined ? {} : { tls }),
    });
  },
  compile,
};
