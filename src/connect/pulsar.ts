/** Apache Pulsar, by its WebSocket API: a message for each output. */
import type { Static } from "@sinclair/typebox";
import type { ClientOptions, WebSocket } from "ws";
import { ActionError } from "../rules/action.ts";
import { Template, textsOf } from "../rules/template.ts";
import { asText, RuleFailure, type Value } from "../rules/value.ts";
import { integer, text } from "../settings/kinds.ts";
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
import { ANSWER_MAX, Producer, unreadable } from "./pulsar-producer.ts";
import {
  actionSchema,
  certificateProperties,
  connectorSchema,
  contentText,
  filesOf,
  secretText,
  templateMap,
} from "./settings.ts";
import { heals, MENDED } from "./web-client.ts";
import { within } from "./within.ts";

const schema = connectorSchema("pulsar", {
  is: "A Pulsar broker, or its WebSocket proxy.",
  batch: 100,
  own: {
    url: text({
      description: "Where its WebSocket service is.",
      pattern: "^wss?://[^?#\\s]+$",
      default: "ws://127.0.0.1:8080",
    }),
    token: secretText("Token that signs in. Empty: none", { default: "" }),
    producers: integer(1, 1024, {
      description:
        "Topics that have a connection at the same time; the one used least lately is closed for another.",
      default: 64,
    }),
    ...certificateProperties,
  },
  description: "Messages for Pulsar: acknowledged when its bookies have them.",
});
type Config = Static<typeof schema>;

const action = actionSchema("pulsar", {
  does: "Send a message.",
  own: {
    topic: text({
      description: "A template; a slash in what its places give becomes a point.",
      default: "persistent://public/default/${topic}",
      minLength: 1,
    }),
    key: text({
      description: "A template: messages of one key are in one partition. Empty: none.",
      default: "${clientid}",
    }),
    payload: contentText("${payload}"),
    properties: templateMap("Beside delivery-id, which is the same each time that a message is sent."),
  },
  description: "A message for a Pulsar topic for each output.",
});
type ActionConfig = Static<typeof action>;

/** pulsar.apache.org, "Messaging", Topics: tenant, namespace, and its own name. */
const TOPIC = /^persistent:\/\/[-=:.\w]+\/[-=:.\w]+\/[^/\p{Cc}]+$/u;

function compile({ topic, key, payload, properties }: ActionConfig) {
  const where = new Template(topic);
  if (where.isConstant && !TOPIC.test(topic))
    throw new ActionError(`'${topic}' is no topic: expected persistent://tenant/namespace/topic`);
  const { texts, bind } = where.between;
  const [sorted, content] = [new Template(key), new Template(payload)];
  const lines = textsOf(properties);
  return (output: Value) => {
    const values = bind(output).map((value) => asText(value).toWellFormed().replaceAll("/", "."));
    const name = texts.map((part, index) => part + (values[index] ?? "")).join("");
    if (!TOPIC.test(name)) throw new RuleFailure(`pulsar: '${name.slice(0, 80)}' is no topic`);
    return {
      topic: name,
      key: key === "" ? "" : sorted.fill(output),
      payload: content.content(output),
      properties: lines(output),
    };
  };
}

interface Topic {
  readonly held: HeldConnection<Producer>;
  /** Batches that use it now. */
  busy: number;
}

class Pulsar implements Connector {
  readonly #config: Config;
  readonly #options: ClientOptions;
  /** Those used least lately first. */
  readonly #topics = new Map<string, Topic>();

  constructor(config: Config, options: ClientOptions) {
    this.#config = config;
    this.#options = options;
  }

  async send(items: readonly Item[], signal: AbortSignal): Promise<readonly (SinkFailure | undefined)[]> {
    const results: (SinkFailure | undefined)[] = new Array(items.length).fill(undefined);
    const { producers, concurrency } = this.#config;
    const groups = [...placesBy(items, "topic")];
    // All batches together have as many connections as may be.
    const atOnce = Math.max(1, Math.floor(producers / concurrency));
    while (groups.length > 0)
      await Promise.all(
        groups.splice(0, atOnce).map(async ([topic, places]) => {
          const given = places.map((place) => items[place]!);
          const found = await this.#give(topic, given, signal);
          for (const [index, place] of places.entries()) results[place] = found[index];
        }),
      );
    return results;
  }

  /** Of what is refused as a whole, each by itself shows which one is at fault. */
  async #give(
    topic: string,
    items: readonly Item[],
    signal: AbortSignal,
  ): Promise<readonly (SinkFailure | undefined)[]> {
    const failure = await this.#through(topic, items, signal);
    if (Array.isArray(failure)) return failure;
    const whole = failure as SinkFailure;
    if (whole.heals || items.length === 1) return items.map(() => whole);
    const results: (SinkFailure | undefined)[] = [];
    for (const item of items) results.push((await this.#give(topic, [item], signal))[0]);
    return results;
  }

  async #through(
    name: string,
    items: readonly Item[],
    signal: AbortSignal,
  ): Promise<SinkFailure | readonly (SinkFailure | undefined)[]> {
    const topic = this.#topic(name);
    topic.busy++;
    try {
      return await topic.held.use(signal, (producer) => producer.send(items));
    } catch (error) {
      const failure = error as SinkFailure;
      // A connection that it has ended for one of them is of no use for the others.
      if (!failure.heals) await this.#forget(name, topic);
      return failure;
    } finally {
      topic.busy--;
    }
  }

  #topic(name: string): Topic {
    const topic = this.#topics.get(name) ?? { held: this.#held(name), busy: 0 };
    this.#topics.delete(name);
    this.#topics.set(name, topic);
    if (this.#topics.size > this.#config.producers)
      for (const [other, idle] of this.#topics) {
        if (idle.busy > 0 || idle === topic) continue;
        void this.#forget(other, idle);
        break;
      }
    return topic;
  }

  async #forget(name: string, topic: Topic): Promise<void> {
    if (this.#topics.get(name) === topic) this.#topics.delete(name);
    await topic.held.close();
  }

  #held(name: string): HeldConnection<Producer> {
    return new HeldConnection<Producer>({
      open: async (lost, unwanted) => {
        const path = name
          .replace("persistent://", "persistent/")
          .split("/")
          .map(encodeURIComponent)
          .join("/");
        return new Producer(await this.#connect(`/ws/v2/producer/${path}`, unwanted), lost);
      },
      close: (producer) => producer.close(),
      failureOf: (error) => {
        if (error instanceof SinkFailure) return error;
        throw error;
      },
    });
  }

  async #connect(path: string, unwanted: AbortSignal): Promise<WebSocket> {
    const { WebSocket: Client } = await import("ws");
    const socket = new Client(this.#config.url.replace(/\/$/, "") + path, this.#options);
    const give = (): void => socket.terminate();
    unwanted.addEventListener("abort", give);
    try {
      await new Promise<void>((done, failed) => {
        socket.once("open", done);
        socket.once("unexpected-response", (_, { statusCode = 0 }) => {
          failed(new Refused(statusCode));
          socket.terminate();
        });
        // Whatever it is that answers there, an operator can mend it. It stays: a socket may break more than once.
        socket.on("error", (error) => failed(connectionFailure(error) ?? unreadable(error.message)));
        socket.once("close", () => failed(new SinkFailure("the connection has ended", true)));
      });
    } finally {
      unwanted.removeEventListener("abort", give);
    }
    return socket;
  }

  /** It is there when it answers, whatever it says to a path without a topic. */
  async check(signal: AbortSignal): Promise<void> {
    try {
      (await within(signal, this.#connect("/ws/v2", signal))).terminate();
    } catch (error) {
      if (!(error instanceof Refused) || error.status >= 500) throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#topics].map(([name, topic]) => this.#forget(name, topic)));
  }
}

/** It does not let us speak WebSocket there. */
class Refused extends SinkFailure {
  readonly status: number;

  constructor(status: number) {
    super(`the server answers ${status}`, heals(status) || MENDED.includes(status));
    this.status = status;
  }
}

export const pulsar: ConnectorKind<Config, ActionConfig> = {
  kind: "pulsar",
  schema,
  action,
  open(config: Config, host: ConnectHost) {
    const { timeout, verify } = config;
    const token = secretOf(config.token, host);
    return new Pulsar(config, {
      ...{ handshakeTimeout: timeout, maxPayload: ANSWER_MAX, perMessageDeflate: false },
      ...{ ...filesOf(config, host), rejectUnauthorized: verify },
      ...(token === "" ? {} : { headers: { authorization: `Bearer ${token}` } }),
    });
  },
  compile,
};
