/** A bridge to an MQTT broker, both ways: what rules send there, and what is subscribed to there. */
import { type Static, Type } from "@sinclair/typebox";
import { Message, type QoS } from "../bus/message.ts";
import { topicMatches, topicNameProblem } from "../bus/topic.ts";
import { isCircle, marksOf, VIA, withMarks } from "../bus/via.ts";
import { own } from "../lib/bytes.ts";
import { durationSetting, sizeSetting } from "../lib/setting.ts";
import { type Instant, inSeconds } from "../lib/time.ts";
import { Template, wholeFrom } from "../rules/template.ts";
import { asText, octetsOf, RuleFailure, type Value } from "../rules/value.ts";
import { choice, flag, text } from "../settings/kinds.ts";
import {
  type ConnectHost,
  type Connector,
  type ConnectorKind,
  type Item,
  SinkFailure,
  secretOf,
} from "./connector.ts";
import { MqttConnection } from "./mqtt-connection.ts";
import { actionSchema, certificateProperties, connectorSchema, contentText, secretText } from "./settings.ts";
import { within } from "./within.ts";

const Subscription = Type.Object({
  filter: text({ description: "Filter of topics at the broker.", minLength: 1 }),
  qos: Type.Unsafe<0 | 1>({ type: "integer", enum: [0, 1], description: "0 or 1.", default: 1 }),
  topic: text({
    description: "Topic here: a template with ${topic}, and ${rest} for what is behind `strip`.",
    default: "${topic}",
  }),
  strip: text({ description: "Beginning of the broker's topics that ${rest} leaves out.", default: "" }),
});

const schema = connectorSchema("mqtt", {
  is: "An MQTT broker.",
  batch: 100,
  own: {
    url: text({
      description: "tcp://host:1883, tls://host:8883, ws://host:8083/mqtt or wss://host:8084/mqtt.",
      pattern: "^(tcp|tls|wss?)://",
    }),
    version: choice(["5.0", "3.1.1"], { description: "MQTT version that is spoken.", default: "5.0" }),
    bridgeMode: flag({
      description:
        "Of MQTT 3.1.1: say that this is a bridge, so that brokers that know of bridges (mosquitto, EMQX, Isthmus) give back nothing of what was published from here. Others may refuse the connection.",
      default: false,
    }),
    clientId: text({
      description:
        "Client id at the broker, which keeps for it what is subscribed to; absent: isthmus- and the name.",
      default: "",
    }),
    username: text({ description: "User name.", default: "" }),
    password: secretText("Password", { default: "" }),
    keepAlive: durationSetting({
      description: "Silence after which the broker is asked whether it is there.",
      default: "60s",
      minimum: "1s",
      maximum: "65535s",
    }),
    ...certificateProperties,
    packetSize: sizeSetting({ description: "Largest packet that the broker may send.", default: "1MB" }),
    subscriptions: Type.Array(Subscription, {
      description:
        "What comes from the broker: it is published here, and acknowledged there when it is kept here. No rule sends it back to the same broker.",
      default: [],
    }),
  },
  description: "Messages for an MQTT broker, and from it: acknowledged by PUBACK.",
});
type Config = Static<typeof schema>;

const action = actionSchema("mqtt", {
  does: "Publish at the broker.",
  own: {
    topic: text({ description: "A template, as aws/${topic}.", default: "${topic}", minLength: 1 }),
    payload: contentText("${payload}"),
    qos: Type.Unsafe<0 | 1>({
      type: "integer",
      enum: [0, 1],
      description: "0 or 1. At 0 nobody acknowledges: what is on its way when a connection breaks is lost.",
      default: 1,
    }),
    retain: Type.Unsafe<string | boolean>({
      type: ["string", "boolean"],
      description: "true, false, or a template.",
      default: "${retain}",
    }),
  },
  description: "A message at an MQTT broker for each output.",
});
type ActionConfig = Static<typeof action>;

/** The mark of what came from a broker: a rule's event knows what it came through. */
export const cameFrom = (connector: string): string => `connector:${connector}`;

class Mqtt implements Connector {
  readonly #config: Config;
  readonly #host: ConnectHost;
  readonly #name: string;
  readonly #password: string;
  #connection: MqttConnection | undefined = undefined;
  #connecting: Promise<MqttConnection> | undefined = undefined;
  /** The last one, whether or not the broker has accepted it. */
  #opening: MqttConnection | undefined = undefined;
  #closed = false;

  constructor(config: Config, host: ConnectHost, name: string) {
    this.#config = config;
    this.#host = host;
    this.#name = name;
    this.#password = secretOf(config.password, host);
    for (const { topic } of config.subscriptions) new Template(topic);
  }

  async send(items: readonly Item[], signal: AbortSignal): Promise<readonly (SinkFailure | undefined)[]> {
    const connection = await within(signal, this.#connect());
    // All lanes share what the broker takes at once.
    const room = Math.max(1, Math.floor(connection.window / this.#config.concurrency));
    const results: (SinkFailure | undefined)[] = [];
    for (let at = 0; at < items.length; at += room) {
      const part = items.slice(at, at + room).map((item) => connection.publish(this.#message(item)));
      for (const settled of await within(signal, Promise.allSettled(part)))
        results.push(settled.status === "fulfilled" ? undefined : (settled.reason as SinkFailure));
    }
    return results;
  }

  /** With the delivery's id where the protocol has a place for it: who hears it knows what comes twice. */
  #message({ id, parameters, via }: Item): Message {
    const { topic, payload, qos, retain } = parameters as unknown as Parameters;
    const said = [["delivery-id", id] as const, ...(via === undefined ? [] : [[VIA, via] as const])];
    const properties = this.#config.version === "5.0" ? { userProperties: said } : undefined;
    return new Message(topic, octetsOf(payload), qos, retain, this.#host.now() as Instant, properties);
  }

  async check(signal: AbortSignal): Promise<void> {
    await within(signal, this.#connect());
  }

  #connect(): Promise<MqttConnection> {
    if (this.#connection?.open === true) return Promise.resolve(this.#connection);
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #open(): Promise<MqttConnection> {
    const { url, timeout, ca, cert, key, verify, packetSize } = this.#config;
    let connection: MqttConnection | undefined;
    await new Promise<void>((done, failed) => {
      this.#host.dial(
        { url, timeout, packetSize, tls: { ca, cert, key, verify } },
        (stream) => {
          connection = new MqttConnection(stream, this.#parts(), { done, failed });
          this.#opening = connection;
          return connection;
        },
        (says) => failed(new SinkFailure(says, true)),
      );
    });
    if (this.#closed) {
      connection!.close();
      throw new SinkFailure("the connector is closed", true);
    }
    this.#connection = connection!;
    const noLocal = this.#config.version === "5.0";
    for (const { filter, qos } of this.#config.subscriptions)
      await connection!.subscribe(filter, qos, noLocal);
    return connection!;
  }

  #parts() {
    const { version, bridgeMode, clientId, username, keepAlive, timeout, packetSize, subscriptions } =
      this.#config;
    const isNewest = version === "5.0";
    // Brokers keep what is subscribed to while we are away.
    const lasts = subscriptions.length > 0;
    return {
      connect: {
        version: isNewest ? (5 as const) : (4 as const),
        bridge: bridgeMode && !isNewest,
        clientId: clientId === "" ? `isthmus-${this.#name}` : clientId,
        cleanStart: !lasts,
        keepAlive: inSeconds(keepAlive),
        properties: isNewest && lasts ? { sessionExpiryInterval: SESSION_EXPIRY } : {},
        will: undefined,
        username: username === "" ? undefined : username,
        password: this.#password === "" ? undefined : octetsOf(this.#password),
      },
      timeout,
      packetSize,
      now: () => this.#host.now() as Instant,
      arrived: (message: Message, retain: boolean, taken: (ok: boolean) => void) =>
        this.#arrived(message, retain, taken),
      ended: () => {
        this.#connection = undefined;
      },
    };
  }

  /** Remapped, and published here. One that has no topic here is nobody's: the broker need not send it again. */
  #arrived(message: Message, retain: boolean, taken: (ok: boolean) => void): void {
    const topic = this.#topicHere(message.topic);
    const [mark, marks] = [this.#host.mark(this.#name), marksOf(message.properties)];
    const again = isCircle(marks, mark);
    if (again) this.#host.cameAgain(this.#name, message.topic);
    if (topic === undefined || again) {
      taken(true);
      return;
    }
    const here = new Message(
      topic,
      own(message.payload),
      Math.min(message.qos, 1) as QoS,
      retain,
      this.#host.now() as Instant,
      withMarks(message.properties, [...marks, mark]),
    );
    here.publisher = `connector:${this.#name}`;
    here.through = [cameFrom(this.#name)];
    this.#host.publish(here, taken);
  }

  #topicHere(topic: string): string | undefined {
    const found = this.#config.subscriptions.find(({ filter }) => topicMatches(filter, topic));
    if (found === undefined) return undefined;
    const rest = topic.startsWith(found.strip) ? topic.slice(found.strip.length) : topic;
    const here = new Template(found.topic).fill({ topic, rest });
    return topicNameProblem(here) === undefined && !here.startsWith("$") ? here : undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#opening?.close();
  }
}

/** A week, in seconds. */
const SESSION_EXPIRY = 604_800;

interface Parameters {
  readonly topic: string;
  readonly payload: string | Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
}

function retainOf(value: Value): boolean {
  const said = asText(value);
  if (said === "true" || said === "1") return true;
  if (said === "false" || said === "0" || said === "undefined") return false;
  throw new RuleFailure(`mqtt: retain must be true or false, not '${said}'`);
}

export const mqtt: ConnectorKind<Config, ActionConfig> = {
  kind: "mqtt",
  schema,
  action,
  saysVia: true,
  open: (config, host, name) => new Mqtt(config, host, name),
  compile({ topic, payload, qos, retain }) {
    const [where, content, retained] = [
      new Template(topic),
      new Template(payload),
      new Template(String(retain)),
    ];
    return (output) => {
      const filled = where.fill(output);
      const problem = topicNameProblem(filled);
      if (problem !== undefined) throw new RuleFailure(`mqtt: '${filled}' is no topic: ${problem}`);
      return {
        topic: filled,
        payload: content.content(output),
        qos: wholeFrom("mqtt: qos", qos, 1),
        retain: retainOf(retained.value(output)),
      };
    };
  },
};
