/** Kafka: a record for each output. The library is kafkajs 2, pure JavaScript; when to try again is not left to it. */

import { type Static, Type } from "@sinclair/typebox";
import type {
  Admin,
  ICustomPartitioner,
  ISocketFactory,
  KafkaConfig,
  Message,
  Producer,
  SASLOptions,
} from "kafkajs";
import type { Framing } from "../lib/frames.ts";
import { ANSWER_MAX } from "../lib/guarded.ts";
import { Sockets } from "../lib/sockets.ts";
import type { RawSocket } from "../net/transport.ts";
import { ActionError } from "../rules/action.ts";
import { Template, textsOf, wholeFrom } from "../rules/template.ts";
import { asText, RuleFailure, type Value } from "../rules/value.ts";
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
import { placesBy } from "./grouped.ts";
import { HeldConnection } from "./held-connection.ts";
import {
  actionSchema,
  connectorSchema,
  contentText,
  hostAndPort,
  secretText,
  templateMap,
  tlsOf,
  tlsProperties,
} from "./settings.ts";

const schema = connectorSchema("kafka", {
  is: "A Kafka cluster.",
  batch: 500,
  own: {
    brokers: Type.Array(hostAndPort, {
      description: "Brokers to ask first, as host:port; the cluster says which others there are.",
      default: ["127.0.0.1:9092"],
      minItems: 1,
    }),
    clientId: text({ description: "What the cluster's logs and quotas call us.", default: "isthmus" }),
    sasl: Type.Optional(
      Type.Object(
        {
          mechanism: choice(["plain", "scram-sha-256", "scram-sha-512"], {
            description: "How the password is shown; plain only over TLS.",
            default: "scram-sha-512",
          }),
          username: text({ description: "Who signs in.", minLength: 1 }),
          password: secretText("Its password"),
        },
        { description: "Sign in by SASL." },
      ),
    ),
    ...tlsProperties,
    acks: choice(["all", "leader", "none"], {
      description:
        "When a record counts as taken: all in-sync replicas have it, the leader has it, or it was sent. With none it may be lost.",
      default: "all",
    }),
    compression: choice(["none", "gzip"], { description: "How batches are compressed.", default: "none" }),
  },
  description: "Records for a Kafka cluster: acknowledged as `acks` says.",
});
type Config = Static<typeof schema>;

const action = actionSchema("kafka", {
  does: "Send a record.",
  own: {
    topic: text({
      description: "A template; a slash in what it gives becomes a point, since Kafka's names have none.",
      minLength: 1,
    }),
    key: text({
      description:
        "A template: records of one key are in one partition, in their order. Empty: they have no key.",
      default: "${clientid}",
    }),
    value: contentText("${.}"),
    headers: templateMap("Beside delivery-id, which is the same each time that a record is sent."),
    partition: Type.Unsafe<string | number>({
      type: ["string", "integer"],
      description:
        "A number or a template. Empty: by the key as Kafka's own clients do, or in turn without one.",
      default: "",
    }),
  },
  description: "A record for a Kafka topic for each output.",
});
type ActionConfig = Static<typeof action>;

/** What a record is. */
interface Parameters {
  readonly topic: string;
  readonly key: string | Uint8Array | null;
  readonly value: string | Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  readonly partition: number | null;
}

/** Kafka's `Topic.validate`. */
const TOPIC = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/;
const PARTITION_MAX = 2 ** 31 - 1;

function topicFrom(filled: string): string {
  const topic = filled.replaceAll("/", ".");
  if (TOPIC.test(topic)) return topic;
  throw new RuleFailure(`kafka: '${topic.slice(0, 60)}' is no name of a topic`);
}

function compile({ topic, key, value, headers, partition }: ActionConfig) {
  const where = new Template(topic);
  if (where.isConstant && !TOPIC.test(topic.replaceAll("/", ".")))
    throw new ActionError(`'${topic}' is no name of a Kafka topic`);
  const [byKey, content, place] = [new Template(key), new Template(value), new Template(String(partition))];
  const lines = textsOf(headers);
  return (output: Value) => ({
    topic: topicFrom(where.fill(output)),
    key: key === "" ? null : keyFrom(byKey.value(output)),
    value: content.content(output),
    headers: lines(output),
    partition:
      place.text === "" ? null : wholeFrom("kafka: the partition", place.value(output), PARTITION_MAX),
  });
}

/** What is missing is no key, rather than one that all have who miss it. */
const keyFrom = (value: Value): string | Uint8Array | null =>
  value === undefined || value === null ? null : value instanceof Uint8Array ? value : asText(value);

const octets = (value: string | Uint8Array): string | Buffer =>
  typeof value === "string" ? value : Buffer.from(value);

function recordOf({ id, at, parameters }: Item): Message {
  const { key, value, headers, partition } = parameters as unknown as Parameters;
  return {
    key: key === null ? null : octets(key),
    value: octets(value),
    headers: { ...headers, "delivery-id": id },
    timestamp: String(Math.floor(at)),
    ...(partition === null ? {} : { partition }),
  };
}

interface KafkaError extends Error {
  readonly retriable?: boolean;
  readonly type?: string;
  readonly cause?: unknown;
  readonly originalError?: unknown;
}

/** The library wraps what happened, and calls what it has tried often enough not retriable. */
function innermost(error: unknown): unknown {
  const { cause, originalError } = error as KafkaError;
  const inner = cause ?? originalError;
  return inner === undefined || inner === error ? error : innermost(inner);
}

/** Refusals that an operator can lift, so that what waits must not be lost for them. */
const LIFTED: readonly (string | undefined)[] = [
  "TOPIC_AUTHORIZATION_FAILED",
  "CLUSTER_AUTHORIZATION_FAILED",
  "SASL_AUTHENTICATION_FAILED",
  "ILLEGAL_SASL_STATE",
  "POLICY_VIOLATION",
];

export function failureOf(error: unknown): SinkFailure {
  const found = innermost(error) as KafkaError;
  if (found instanceof SinkFailure) return found;
  const broken = connectionFailure(found);
  if (broken !== undefined) return broken;
  const { name, type, retriable, message } = found;
  const says = type === undefined ? message : `${message} (${type})`;
  // What is none of its errors is a record that cannot be written.
  const heals =
    name === "KafkaJSProtocolError"
      ? retriable === true || LIFTED.includes(type)
      : name.startsWith("KafkaJS");
  return new SinkFailure(says, heals);
}

/** Its own partitioner, and a partition that is named; the library would drop what is for one that is not there. */
const partitioner =
  (usual: ICustomPartitioner): ICustomPartitioner =>
  () => {
    const choose = usual();
    return (args) => {
      const { topic, partitionMetadata, message } = args;
      const chosen = choose(args);
      if (partitionMetadata.some(({ partitionId }) => partitionId === chosen)) return chosen;
      throw new SinkFailure(`the topic ${topic} has no partition ${message.partition ?? chosen}`, false);
    };
  };

interface Opened {
  readonly producer: Producer;
  readonly admin: Admin;
}

const ACKS = { all: -1, leader: 1, none: 0 } as const;

class Kafka implements Connector {
  readonly #config: Config;
  readonly #options: KafkaConfig;
  readonly #sockets: Sockets<RawSocket>;
  /** After a failure of the connection the cluster is asked anew who leads what. */
  readonly #held = new HeldConnection<Opened>({ open: () => this.#open(), close: closed, failureOf });

  constructor(config: Config, options: KafkaConfig, host: ConnectHost) {
    this.#sockets = new Sockets(host.socket, FRAMES);
    this.#config = config;
    this.#options = options;
  }

  async send(items: readonly Item[], signal: AbortSignal): Promise<readonly (SinkFailure | undefined)[]> {
    return this.#held.use(signal, async ({ producer }) => {
      const results: (SinkFailure | undefined)[] = new Array(items.length).fill(undefined);
      // Topics know nothing of each other: one that fails does not hold up the rest of the batch.
      await Promise.all(
        [...placesBy(items, "topic")].map(([topic, places]) =>
          this.#produce(producer, topic, items, places, results),
        ),
      );
      return results;
    });
  }

  async #produce(
    producer: Producer,
    topic: string,
    items: readonly Item[],
    places: readonly number[],
    results: (SinkFailure | undefined)[],
  ): Promise<void> {
    const { acks, compression, timeout } = this.#config;
    try {
      await producer.send({
        ...{ topic, acks: ACKS[acks], timeout, compression: compression === "gzip" ? 1 : 0 },
        messages: places.map((place) => recordOf(items[place]!)),
      });
    } catch (error) {
      const failure = failureOf(error);
      if (isBroken(error)) throw failure;
      // Of what is refused as a whole, each record by itself shows which one is at fault.
      if (failure.heals || places.length === 1) for (const place of places) results[place] = failure;
      else for (const place of places) await this.#produce(producer, topic, items, [place], results);
    }
  }

  async check(signal: AbortSignal): Promise<void> {
    await this.#held.use(signal, ({ admin }) => admin.describeCluster());
  }

  async #open(): Promise<Opened> {
    const { default: kafkajs } = await import("kafkajs");
    const client = new kafkajs.Kafka({
      ...{ ...this.#options, logLevel: 0, logCreator: () => () => {} },
      socketFactory: await socketsIn(this.#sockets),
    });
    const producer = client.producer({
      createPartitioner: partitioner(kafkajs.Partitioners.DefaultPartitioner),
      allowAutoTopicCreation: true,
    });
    const opened = { producer, admin: client.admin() };
    try {
      await Promise.all([producer.connect(), opened.admin.connect()]);
    } catch (error) {
      await closed(opened);
      throw error;
    }
    return opened;
  }

  async close(): Promise<void> {
    await this.#sockets.endedBy(this.#held.close());
  }
}

/** Kafka's protocol guide: a length, and behind it at least which question is answered. */
const FRAMES: Framing = {
  head: 4,
  lengthOf(head) {
    const length = head.readInt32BE(0);
    return length >= 4 && length <= ANSWER_MAX ? 4 + length : undefined;
  },
};

/** The library's own sockets, at which it may throw. */
async function socketsIn(sockets: Sockets<RawSocket>): Promise<ISocketFactory> {
  // What it does not export has no types either.
  const path: string = "kafkajs/src/network/socketFactory.js";
  const { default: usual } = (await import(path)) as { readonly default: () => ISocketFactory };
  const open = usual();
  return (args) => sockets.adopt(open(args));
}

async function closed({ producer, admin }: Opened): Promise<void> {
  await Promise.allSettled([producer.disconnect(), admin.disconnect()]);
}

/** Nothing more comes over this connection. */
const isBroken = (error: unknown): boolean =>
  /^KafkaJS(Connection|RequestTimeout|BrokerNotFound|NoBroker)/.test((innermost(error) as Error).name);

export const kafka: ConnectorKind<Config, ActionConfig> = {
  kind: "kafka",
  schema,
  action,
  libraries: ["kafkajs"],
  open(config: Config, host: ConnectHost) {
    const { brokers, clientId, sasl, timeout } = config;
    const tls = tlsOf(config, host);
    const options: KafkaConfig = {
      ...{ brokers, clientId, connectionTimeout: timeout, requestTimeout: timeout },
      retry: { retries: 0 },
      ...(sasl === undefined
        ? {}
        : { sasl: { ...sasl, password: secretOf(sasl.password, host) } as SASLOptions }),
      ...(tls === undefined ? {} : { ssl: tls }),
    };
    return new Kafka(config, options, host);
  },
  compile,
};
