import type { Message, MessageProperties } from "../bus/message.ts";
import { put } from "../lib/own-member.ts";
import { NEVER } from "../lib/time.ts";
import { type EventKind, eventName } from "./event-names.ts";
import type { Fields } from "./sql/compile.ts";
import { fromJson, RuleFailure, textOf, type Value, type ValueMap } from "./value.ts";

/** Who published, as far as it is known: delayed messages and wills have no connection any more. */
export interface Publisher {
  readonly gateway: string;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly address?: string;
  readonly port?: number;
  readonly protocol?: string | undefined;
}

/** Names of EMQ X 4.0 for fields that have another since. */
const OF_4: ReadonlyMap<string, string> = new Map([
  ["client_id", "clientid"],
  ["from_client_id", "from_clientid"],
]);
const TO_4: ReadonlyMap<string, string> = new Map(Array.from(OF_4, ([old, name]) => [name, old]));

const NOT_READ = Symbol("not read");

/** Reads a payload as JSON once, however many rules ask, and fails each of them where it is none. */
class Json {
  #value: Value | typeof NOT_READ = NOT_READ;
  #failure: RuleFailure | undefined = undefined;

  read(payload: () => Value): Value {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#value === NOT_READ) {
      try {
        this.#value = decoded(payload());
      } catch (error) {
        this.#failure = new RuleFailure(`payload: ${(error as Error).message}`);
        throw this.#failure;
      }
    }
    return this.#value;
  }
}

function decoded(payload: Value): Value {
  if (typeof payload === "string") return fromJson(payload);
  if (payload instanceof Uint8Array) throw new RuleFailure("this is no JSON: it is no text");
  return payload;
}

/** An event whose fields are there already. */
export class FieldsOfEvent implements Fields {
  readonly now: number;
  readonly kind: EventKind;
  readonly generation: 4 | 5;
  readonly #fields: ValueMap;
  readonly #json = new Json();

  constructor(kind: EventKind, now: number, fields: ValueMap, generation: 4 | 5 = 5) {
    this.kind = kind;
    this.now = now;
    this.generation = generation;
    this.#fields = { event: eventName(kind), ...fields };
  }

  field(name: string): Value {
    if (Object.hasOwn(this.#fields, name)) return this.#fields[name];
    const now = OF_4.get(name);
    return now !== undefined && Object.hasOwn(this.#fields, now) ? this.#fields[now] : undefined;
  }

  all(): ValueMap {
    return this.generation === 4 ? withOldNames(this.#fields) : { ...this.#fields };
  }

  json(): Value {
    return this.#json.read(() => this.field("payload"));
  }

  /** The same for rules that name their source as EMQ X 4.0 does. */
  of(generation: 4 | 5): FieldsOfEvent {
    return generation === this.generation
      ? this
      : new FieldsOfEvent(this.kind, this.now, this.#fields, generation);
  }
}

function withOldNames(fields: ValueMap): ValueMap {
  const named: Record<string, Value> = {};
  for (const [name, value] of Object.entries(fields)) put(named, TO_4.get(name) ?? name, value);
  return named;
}

/** Times of events are whole numbers, as in the manuals: the clock has fractions. */
export const wholeMilliseconds = (at: number): number => Math.floor(at);

/** What of a message a rule can be told wherever it meets it: published, delivered, dropped. */
export function messageFields(message: Message, id: string, node: string): Record<string, Value> {
  const { topic, payload, qos, retain, publishedAt, properties } = message;
  return {
    id,
    topic,
    payload: textOf(payload),
    qos,
    retain,
    flags: { retain, dup: false },
    pub_props: propertiesOf(message, properties),
    timestamp: wholeMilliseconds(publishedAt),
    publish_received_at: wholeMilliseconds(publishedAt),
    node,
  };
}

/** Names of MQTT 5 (§2.2.2.2) as EMQX writes them. */
function propertiesOf(message: Message, properties: MessageProperties = {}): ValueMap {
  const { payloadFormat, contentType, responseTopic, correlationData, userProperties: pairs } = properties;
  const named: Record<string, Value> = {};
  if (payloadFormat !== undefined) named["Payload-Format-Indicator"] = payloadFormat;
  if (message.expiresAt !== NEVER)
    named["Message-Expiry-Interval"] = Math.round((message.expiresAt - message.publishedAt) / 1000);
  if (contentType !== undefined) named["Content-Type"] = contentType;
  if (responseTopic !== undefined) named["Response-Topic"] = responseTopic;
  if (correlationData !== undefined) named["Correlation-Data"] = textOf(correlationData);
  return { ...named, ...userProperties(pairs) };
}

type Pairs = readonly (readonly [string, string])[];

/** As an object, and as a list that keeps what is there twice. */
export function userProperties(pairs: Pairs = []): Record<string, Value> {
  const named: Record<string, Value> = {};
  for (const [name, value] of pairs) put(named, name, value);
  return { "User-Property": named, "User-Property-Pairs": pairs.map(([key, value]) => ({ key, value })) };
}

export function publisherFields(by: Publisher, prefix = ""): Record<string, Value> {
  return { [`${prefix}clientid`]: by.clientId, [`${prefix}username`]: by.username };
}

export function connectionFields(by: Publisher): Record<string, Value> {
  const { gateway, clientId, address, port, protocol } = by;
  return {
    peerhost: address,
    peername: address === undefined ? undefined : peerName(address, port),
    gateway,
    protocol: protocol ?? gateway,
    gw_client: `${gateway}:${clientId}`,
    client_attrs: {},
  };
}

const peerName = (address: string, port = 0): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

/** A message that was published: its fields are made when a rule asks for them. */
export class Published implements Fields {
  readonly message: Message;
  readonly by: Publisher;
  readonly #node: string;
  readonly #newId: () => string;
  readonly #json = new Json();
  #id: string | undefined = undefined;
  #payload: Value = undefined;

  constructor(message: Message, by: Publisher, node: string, newId: () => string) {
    this.message = message;
    this.by = by;
    this.#node = node;
    this.#newId = newId;
  }

  get now(): number {
    return this.message.publishedAt;
  }

  get id(): string {
    this.#id ??= this.message.id ?? this.#newId();
    return this.#id;
  }

  get #text(): Value {
    this.#payload ??= textOf(this.message.payload);
    return this.#payload;
  }

  field(name: string): Value {
    const { message, by } = this;
    switch (name) {
      case "topic":
        return message.topic;
      case "payload":
        return this.#text;
      case "clientid":
      case "client_id":
        return by.clientId;
      case "username":
        return by.username;
      case "qos":
        return message.qos;
      case "retain":
        return message.retain;
      case "id":
        return this.id;
      case "event":
        return "message.publish";
      case "timestamp":
      case "publish_received_at":
        return wholeMilliseconds(message.publishedAt);
      case "node":
        return this.#node;
      default:
        return Object.hasOwn(this.#others, name) ? this.#others[name] : undefined;
    }
  }

  #made: ValueMap | undefined = undefined;
  /** Those that few rules ask for. */
  get #others(): ValueMap {
    this.#made ??= {
      ...connectionFields(this.by),
      headers: {},
      ...messageFields(this.message, this.id, this.#node),
    };
    return this.#made;
  }

  all(): ValueMap {
    return { event: "message.publish", ...publisherFields(this.by), ...this.#others };
  }

  json(): Value {
    return this.#json.read(() => this.#text);
  }

  /** The same for rules that name their source as EMQ X 4.0 does. */
  of(generation: 4 | 5): Fields {
    if (generation === 5) return this;
    return {
      now: this.now,
      field: (name) => this.field(name),
      json: () => this.json(),
      all: () => withOldNames(this.all()),
    };
  }
}
