/** Publishing and subscribing by hand: by the rules that hold for every client. */

import { type Static, Type } from "@sinclair/typebox";
import type { MessageProperties } from "../../bus/message.ts";
import { topicNameProblem } from "../../bus/topic.ts";
import { marksIn, VIA, withMarks } from "../../bus/via.ts";
import type { Delivery } from "../../contract/delivery.ts";
import { type Duration, milliseconds } from "../../lib/time.ts";
import {
  type HttpCaller,
  type HttpMessage,
  type HttpPublished,
  HttpRefusal,
} from "../../operate/http-clients.ts";
import { Published } from "../answers/messages.ts";
import type { EventStream } from "../event-stream.ts";
import type { ApiPorts } from "../ports.ts";
import { Refused, wrongField } from "../problem.ts";
import { type Answer, type Asked, Live, route } from "../route.ts";
import { bytesOf, encoding, payloadOf, qosSchema } from "../schemas.ts";

const BATCH_MAX = 1_000;
const FILTERS_MAX = 8;
const DELAY_MAX_S = 4_294_967;
/** Events a second that a stream is sent at most, unless it asks for less. */
const RATE = 1_000;

const Properties = Type.Object(
  {
    contentType: Type.Optional(Type.String({ maxLength: 65_535 })),
    responseTopic: Type.Optional(Type.String({ maxLength: 65_535 })),
    correlationData: Type.Optional(Type.String({ description: "In base64.", maxLength: 87_380 })),
    payloadFormat: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 1, description: "1: the payload is UTF-8 text." }),
    ),
    userProperties: Type.Optional(
      Type.Array(Type.Object({ name: Type.String(), value: Type.String() }), { maxItems: 100 }),
    ),
  },
  { description: "Properties of MQTT 5 that travel with the message." },
);

const Publish = Type.Object({
  topic: Type.String({ minLength: 1, description: "Where to; no wildcards." }),
  payload: Type.Optional(Type.String({ description: "What.", default: "" })),
  encoding: Type.Optional(encoding),
  qos: Type.Optional(qosSchema("How surely.")),
  retain: Type.Optional(Type.Boolean({ description: "Keep it as the topic's last value.", default: false })),
  delay: Type.Optional(
    Type.Number({ minimum: 0, maximum: DELAY_MAX_S, description: "Publish it so many seconds later." }),
  ),
  expiry: Type.Optional(
    Type.Number({ minimum: 1, maximum: 4_294_967_295, description: "Seconds after which it is of no use." }),
  ),
  clientId: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1_024,
      description: "In whose name, as rules see it; absent: http-<name of the user or key>.",
    }),
  ),
  properties: Type.Optional(Properties),
});
type Wish = Static<typeof Publish>;

type Outcome = Static<typeof Published>;

const REFUSALS: Readonly<Record<string, string>> = {
  forbidden: "a rule of the access control list forbids it",
  banned: "this client is banned",
  malformed: "the topic is one that no client may use",
  congested: "the rate is over its limit: try again later",
  quota: "a limit does not allow it",
  "too-large": "the payload is too large",
  unavailable: "the store cannot keep it now",
  unauthenticated: "the client may not connect",
};

const callerIn = ({ who, address }: Pick<Asked, "who" | "address">, clientId?: string): HttpCaller => ({
  clientId: clientId ?? `http-${who.name}`,
  username: who.name,
  address,
});

/** What another gateway has sent says what it has passed. */
export const cameVia = (line: string | undefined, properties?: MessageProperties) =>
  line === undefined ? properties : withMarks(properties, marksIn(line));

function messageOf(wish: Wish, at: string, via: string | undefined): HttpMessage {
  const { topic, payload = "", encoding, qos = 0, retain = false, delay, expiry, properties } = wish;
  const problem = topicNameProblem(topic);
  if (problem !== undefined) {
    throw wrongField({
      in: "body",
      field: `${at}/topic`,
      value: topic.slice(0, 200),
      detail: problem,
      fix: "a topic without + and #",
    });
  }
  return {
    topic: delay === undefined || delay === 0 ? topic : `$delayed/${Math.round(delay)}/${topic}`,
    payload: bytesOf(payload, encoding, `${at}/payload`),
    qos,
    retain,
    properties: cameVia(via, propertiesOf(properties, at)),
    expiry: expiry === undefined ? undefined : (milliseconds(expiry * 1000) as Duration),
  };
}

function propertiesOf(given: Wish["properties"], at: string): MessageProperties | undefined {
  if (given === undefined) return undefined;
  const { contentType, responseTopic, correlationData, payloadFormat, userProperties } = given;
  return {
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(payloadFormat === undefined ? {} : { payloadFormat: payloadFormat as 0 | 1 }),
    ...(correlationData === undefined
      ? {}
      : { correlationData: bytesOf(correlationData, "base64", `${at}/properties/correlationData`) }),
    ...(userProperties === undefined
      ? {}
      : { userProperties: userProperties.map(({ name, value }) => [name, value] as const) }),
  };
}

/** Publishes in one name; what refuses the name itself refuses each. */
export async function publishAll(
  ports: ApiPorts,
  caller: HttpCaller,
  messages: readonly HttpMessage[],
): Promise<readonly HttpPublished[]> {
  try {
    return await ports.messages.publish(caller, messages);
  } catch (error) {
    if (!(error instanceof HttpRefusal)) throw error;
    return messages.map(() => error.refusal);
  }
}

export const isAccepted = (published: HttpPublished): boolean =>
  published === "accepted" || published === "no-subscribers";

function outcomeOf(
  { topic, delay }: Wish,
  published: HttpPublished,
  before: { all: number; connected: number },
): Outcome {
  if (!isAccepted(published)) {
    return { topic, accepted: false, refusal: published, detail: REFUSALS[published] ?? published };
  }
  if (delay !== undefined && delay > 0) {
    return { topic, accepted: true, detail: `Accepted; it will be published in ${Math.round(delay)} s.` };
  }
  const { all, connected } = published === "no-subscribers" ? { all: 0, connected: 0 } : before;
  const waits = all - connected;
  const detail =
    all === 0
      ? "Accepted. Nobody is subscribed."
      : `Accepted. Matched ${all}: ${connected} take it now${waits > 0 ? `, for ${waits} it waits` : ""}.`;
  return { topic, accepted: true, matched: all, waits, detail };
}

/** One after the other in each name, so that their order is kept. */
async function publish(
  asked: Asked,
  wishes: readonly Wish[],
  at: (index: number) => string,
): Promise<Outcome[]> {
  const { ports } = asked;
  const via = asked.header(VIA);
  const messages = wishes.map((wish, index) => messageOf(wish, at(index), via));
  const outcomes: Outcome[] = [];
  for (let from = 0; from < wishes.length; ) {
    const { clientId } = wishes[from]!;
    let to = from + 1;
    while (to < wishes.length && wishes[to]!.clientId === clientId) to++;
    const before = wishes.slice(from, to).map(({ topic }) => ports.messages.subscribers(topic));
    const published = await publishAll(ports, callerIn(asked, clientId), messages.slice(from, to));
    published.forEach((each, index) => {
      outcomes.push(outcomeOf(wishes[from + index]!, each, before[index]!));
    });
    from = to;
  }
  return outcomes;
}

const answerOf = (outcome: Outcome): Outcome | Answer => {
  if (outcome.accepted) return outcome;
  const code = outcome.refusal === "unavailable" ? "unavailable" : "refused";
  throw new Refused(code, `${outcome.topic}: ${outcome.detail}`, { refusal: outcome.refusal });
};

const Subscribe = Type.Object({
  filter: Type.String({
    minLength: 1,
    description: `Topic filters, with line feeds (%0A) between; at most ${FILTERS_MAX}.`,
  }),
  qos: Type.Optional(qosSchema("The highest that is wanted.")),
  rate: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: RATE,
      description: "Messages a second at most; the rest is counted.",
    }),
  ),
  payload: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 1_048_576,
      description: "Bytes of each payload at most.",
      default: 65_536,
    }),
  ),
});

/** So many a second, and what is above is counted. */
class Sampling {
  readonly #rate: number;
  #second = 0;
  #left = 0;
  missed = 0;

  constructor(rate: number) {
    this.#rate = rate;
  }

  passes(now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#left = this.#rate;
    }
    if (this.#left-- > 0) return true;
    this.missed++;
    return false;
  }
}

function eventOf({ topic, message, qos, retain }: Delivery, payloadMax: number, missed: number): object {
  const { payload, properties, publishedAt, publisher } = message;
  const { correlationData, userProperties, ...plain } = properties ?? {};
  return {
    topic,
    ...payloadOf(payload.subarray(0, payloadMax)),
    bytes: payload.length,
    qos,
    retain,
    from: publisher,
    publishedAt,
    ...(properties === undefined
      ? {}
      : {
          properties: {
            ...plain,
            ...(correlationData === undefined
              ? {}
              : { correlationData: Buffer.from(correlationData).toString("base64") }),
            ...(userProperties === undefined
              ? {}
              : { userProperties: userProperties.map(([name, value]) => ({ name, value })) }),
          },
        }),
    ...(missed === 0 ? {} : { missed }),
  };
}

let streams = 0;

async function subscribe(asked: Asked<unknown, Static<typeof Subscribe>>): Promise<Live> {
  const { query, ports, who } = asked;
  const { filter, qos = 0, rate = RATE, payload = 65_536 } = query;
  const filters = filter.split("\n");
  if (filters.length > FILTERS_MAX) {
    throw wrongField({ in: "query", field: "filter", detail: "are too many", fix: `at most ${FILTERS_MAX}` });
  }
  const sampling = new Sampling(rate);
  let to: EventStream | undefined;
  let over: string | undefined;
  const early: Delivery[] = [];
  const write = (stream: EventStream, delivery: Delivery): boolean => {
    if (!sampling.passes(ports.now())) return true;
    const { missed } = sampling;
    sampling.missed = 0;
    return stream.send("message", eventOf(delivery, payload, missed));
  };
  const caller = callerIn(asked, `http-${who.name}-${++streams}`);
  const subscriber = await ports.messages
    .subscribe(
      caller,
      filters.map((one) => ({ filter: one, qos })),
      {
        read(delivery) {
          if (to === undefined) return early.push(delivery) > 0;
          const written = write(to, delivery);
          if (to.full) subscriber.hold(true);
          return written;
        },
        ended(reason) {
          over = reason;
          to?.send("ended", { reason });
          to?.close();
        },
      },
    )
    .catch((error: unknown) => {
      if (!(error instanceof HttpRefusal)) throw error;
      throw new Refused("refused", error.message, { refusal: error.refusal });
    });
  const refused = subscriber.granted.findIndex((granted) => typeof granted !== "number");
  if (refused !== -1) {
    subscriber.close();
    const refusal = String(subscriber.granted[refused]);
    throw new Refused("refused", `${filters[refused]}: ${REFUSALS[refusal] ?? refusal}`, { refusal });
  }
  return new Live((stream) => {
    to = stream;
    stream.send("subscribed", {
      filters: filters.map((one, index) => ({ filter: one, qos: subscriber.granted[index] })),
    });
    for (const delivery of early.splice(0)) write(stream, delivery);
    stream.onDrain = () => subscriber.hold(false);
    if (over !== undefined) stream.close();
    return () => subscriber.close();
  });
}

export const messageRoutes = [
  route({
    method: "POST",
    path: "/publish",
    role: "publisher",
    tag: "messages",
    summary: "Publish a message, by the rules that hold for its client id",
    description:
      "The answer comes when what must be kept is on disk, and says whether anybody was subscribed. A header isthmus-via, as rules of another gateway send it, ends circles. Rules see the gateway http, the client id, and the name of the user or key as user name.",
    body: Publish,
    answer: Published,
    audited: false,
    example: { body: { topic: "room/7/light", payload: "on", qos: 1 } },
    refusals: [
      { code: "invalid-request", body: { topic: "room/+/light" } },
      { code: "invalid-request", body: { topic: "a", payload: "@", encoding: "base64" } },
      { code: "refused", body: { topic: "$SYS/x", payload: "y" } },
    ],
    handle: async (asked) => {
      const [outcome] = await publish(asked, [asked.body], () => "");
      return answerOf(outcome!);
    },
  }),
  route({
    method: "POST",
    path: "/publish/batch",
    role: "publisher",
    tag: "messages",
    summary: "Publish many messages; each has its own answer",
    body: Type.Array(Publish, { minItems: 1, maxItems: BATCH_MAX }),
    answer: Type.Array(Published),
    audited: false,
    example: {
      body: [
        { topic: "room/7/light", payload: "on" },
        { topic: "room/8/light", payload: "b2Zm", encoding: "base64" },
      ],
    },
    refusals: [{ code: "invalid-request", body: [] }],
    handle: (asked) => publish(asked, asked.body, (index) => `/${index}`),
  }),
  route({
    method: "GET",
    path: "/subscribe",
    role: "operator",
    tag: "messages",
    summary: "Messages as they are published, as server-sent events",
    description:
      "Events: `subscribed` with what was granted, then `message` for each, with `missed` where the rate left some out; `ended` when an operator ends it; `dropped` when QoS 0 messages came faster than they were read. A reader that is too slow gets QoS 1 and 2 later.",
    query: Subscribe,
    answerType: "text/event-stream",
    audited: false,
    example: { query: { filter: "room/#" } },
    refusals: [{ code: "refused", query: { filter: "room/#/x" } }],
    handle: (asked) => subscribe(asked as Asked<unknown, Static<typeof Subscribe>>),
  }),
];
