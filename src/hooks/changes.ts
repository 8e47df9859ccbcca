/** What a hook gave, read: it comes from somebody else's code, and what makes no sense is that hook's failure. */
import { meantTopic } from "../bus/delayed.ts";
import { Errand } from "../bus/errand.ts";
import { Message, type MessageProperties, type QoS } from "../bus/message.ts";
import { parseSharedFilter, topicFilterProblem, topicNameProblem } from "../bus/topic.ts";
import type { Credentials, SubscribeOptions } from "../contract/client.ts";
import { REFUSALS } from "../lib/refusals.ts";
import { type Duration, FOREVER, NEVER } from "../lib/time.ts";
import { type Decided, refused } from "./decided.ts";

/** What a client wants to be subscribed to, or to read. */
export interface Wanted {
  readonly filter: string;
  readonly options: SubscribeOptions;
}

const encoder = new TextEncoder();

const wrong = (what: string, expected: string): TypeError => new TypeError(`${what} is not ${expected}`);

function refusalIn(given: object): Decided<never> | undefined {
  if (!("refuse" in given)) return undefined;
  const as = "as" in given && given.as !== undefined ? given.as : "forbidden";
  const refusal = REFUSALS.find((word) => word === as);
  if (refusal === undefined) throw wrong("as", `one of ${REFUSALS.join(", ")}`);
  return refused(refusal, String(given.refuse));
}

const bytesOf = (value: unknown, what: string): Uint8Array => {
  if (typeof value === "string") return encoder.encode(value);
  if (value instanceof Uint8Array) return value;
  throw wrong(what, "text or bytes");
};

const qosOf = (value: unknown): QoS => {
  if (value === 0 || value === 1 || value === 2) return value;
  throw wrong("qos", "0, 1 or 2");
};

export function changedLogin<Request extends Credentials>(request: Request, given: object): Decided<Request> {
  const refusal = refusalIn(given);
  if (refusal !== undefined) return refusal;
  const { clientId = request.clientId, ...rest } = given as Record<string, unknown>;
  if (typeof clientId !== "string") throw wrong("clientId", "a text");
  const changed = { ...request, clientId };
  if ("username" in rest) {
    if (rest["username"] !== undefined && typeof rest["username"] !== "string")
      throw wrong("username", "a text");
    Object.assign(changed, { username: rest["username"] });
  }
  if ("password" in rest) {
    const { password } = rest;
    Object.assign(changed, { password: password === undefined ? undefined : bytesOf(password, "password") });
  }
  return { ok: true, value: changed };
}

export function changedMessage(message: Message, given: object): Decided<Message> {
  const refusal = refusalIn(given);
  if (refusal !== undefined) return refusal;
  const change = given as Record<string, unknown>;
  if (change["drop"] === true) return refused("dropped", "dropped");
  const { topic = message.topic, payload = message.payload } = change;
  const { qos = message.qos, retain = message.retain, properties = message.properties } = change;
  if (typeof topic !== "string") throw wrong("topic", "a text");
  const problem = topicNameProblem(meantTopic(topic));
  if (problem !== undefined) throw new TypeError(`topic: ${problem}`);
  if (topic.startsWith("$SYS/")) throw wrong("topic", "outside $SYS");
  if (typeof retain !== "boolean") throw wrong("retain", "true or false");
  return {
    ok: true,
    value: copyOf(message, {
      topic,
      payload: bytesOf(payload, "payload"),
      qos: qosOf(qos),
      retain,
      properties: propertiesOf(properties),
      expiry: "expiry" in change ? expiryOf(change["expiry"]) : expiryLeft(message),
      errand: errandOf(change["errand"], message),
    }),
  };
}

/** Pipelines have such, modules have not. */
const errandOf = (given: unknown, { errand }: Message): Errand | undefined =>
  given instanceof Errand ? given.behind(errand) : errand;

const expiryLeft = ({ expiresAt, publishedAt }: Message): Duration =>
  expiresAt === NEVER ? FOREVER : ((expiresAt - publishedAt) as Duration);

function expiryOf(value: unknown): Duration {
  if (value === undefined) return FOREVER;
  if (typeof value !== "number" || !(value >= 0)) throw wrong("expiry", "a number of milliseconds");
  return value as Duration;
}

interface Parts {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: MessageProperties | undefined;
  readonly expiry: Duration;
  readonly errand: Errand | undefined;
}

function copyOf(message: Message, parts: Parts): Message {
  const { topic, payload, qos, retain, properties, expiry, errand } = parts;
  const copy = new Message(topic, payload, qos, retain, message.publishedAt, properties, expiry);
  copy.publisher = message.publisher;
  copy.errand = errand;
  return copy;
}

const isText = (value: unknown): boolean => value === undefined || typeof value === "string";

function propertiesOf(value: unknown): MessageProperties | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "object" || value === null) throw wrong("properties", "an object");
  const { payloadFormat, contentType, responseTopic, correlationData, userProperties } = value as Record<
    string,
    unknown
  >;
  if (payloadFormat !== undefined && payloadFormat !== 0 && payloadFormat !== 1)
    throw wrong("payloadFormat", "0 or 1");
  if (!isText(contentType)) throw wrong("contentType", "a text");
  if (!isText(responseTopic)) throw wrong("responseTopic", "a text");
  if (typeof responseTopic === "string" && topicNameProblem(responseTopic) !== undefined) {
    throw wrong("responseTopic", "a topic name");
  }
  if (correlationData !== undefined && !(correlationData instanceof Uint8Array)) {
    throw wrong("correlationData", "bytes");
  }
  const pairs = Array.isArray(userProperties) ? (userProperties as unknown[]) : [];
  if (userProperties !== undefined && (!Array.isArray(userProperties) || !pairs.every(isPair))) {
    throw wrong("userProperties", "a list of pairs of texts");
  }
  return value as MessageProperties;
}

const isPair = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 2 && value.every((each) => typeof each === "string");

export function changedSubscription(wanted: Wanted, given: object): Decided<Wanted> {
  const refusal = refusalIn(given);
  if (refusal !== undefined) return refusal;
  const { filter = wanted.filter, qos = wanted.options.qos } = given as Record<string, unknown>;
  if (typeof filter !== "string") throw wrong("filter", "a text");
  const shared = parseSharedFilter(filter);
  const problem = shared === "malformed" ? shared : topicFilterProblem(shared?.filter ?? filter);
  if (problem !== undefined) throw new TypeError(`filter: ${problem}`);
  return { ok: true, value: { filter, options: { ...wanted.options, qos: qosOf(qos) } } };
}
