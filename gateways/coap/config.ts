import { type Static, Type } from "@sinclair/typebox";
import { durationSetting } from "#core/lib/setting.ts";
import { StackSettings } from "./stack/settings.ts";

const flag = (description: string, byDefault: boolean) => Type.Boolean({ description, default: byDefault });
const count = (description: string, byDefault: number, minimum: number, maximum: number) =>
  Type.Integer({ description, default: byDefault, minimum, maximum });
const words = <const Word extends string>(description: string, byDefault: Word, choices: readonly Word[]) =>
  Type.Unsafe<Word>({ type: "string", enum: [...choices], description, default: byDefault });

const QOS = ["coap", "qos0", "qos1", "qos2"] as const;

const publish = Type.Object(
  {
    qos: words("QoS of a publish that does not say `qos`: `coap` takes NON as 0 and CON as 1.", "coap", QOS),
    retain: flag("Retain a publish that does not say `retain`.", false),
    userProperties: flag(
      "Take query parts `up.<name>=<value>` as MQTT 5 user properties, and give them back.",
      true,
    ),
  },
  { description: "Publishing.", default: {}, additionalProperties: false },
);

const subscribe = Type.Object(
  {
    qos: words(
      "QoS of an observation that does not say `qos`: `coap` takes NON as 0 and CON as 1.",
      "coap",
      QOS,
    ),
    retainHandling: Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)], {
      description:
        "Retained messages for an observation that does not say `rh`: 0 always, 1 if new, 2 never.",
      default: 0,
    }),
    notify: words("Type of notifications: `qos` sends QoS 0 as NON and the rest as CON.", "qos", [
      "qos",
      "non",
      "con",
    ]),
    window: count("QoS 1 and 2 messages handed to one client's observations at a time.", 1, 1, 1000),
    endByTopic: flag(
      "Let Observe 1 with a client id end the observations of its topic whatever the token is, for clients that do not repeat theirs.",
      false,
    ),
    coalesce: flag("Let a newer notification replace those that wait for an acknowledgement.", false),
    sessionExpiry: durationSetting({
      description: "How long the session of a client that gave its client id outlives its last observation.",
      default: "2h",
    }),
  },
  { description: "Observing.", default: {}, additionalProperties: false },
);

const connection = Type.Object(
  {
    required: flag("Refuse requests that carry no token of `POST mqtt/connection`.", false),
    heartbeat: durationSetting({
      description: "How often a connected device shows itself; after one and a half times this it is lost.",
      default: "30s",
      minimum: "1s",
    }),
    cleanStart: flag("Throw away an earlier session when a device connects without `clean`.", false),
    sessionExpiry: durationSetting({
      description: "How long the session of a lost connection is kept.",
      default: "2h",
    }),
  },
  { description: "Connection mode: `POST mqtt/connection`.", default: {}, additionalProperties: false },
);

const forms = Type.Object(
  {
    pubsub: flag("`ps/{topic}`: publish, read, observe, delete.", true),
    connection: flag("`mqtt/connection`: connection mode.", true),
    mqttTopic: flag("`mqtt/{topic}?c=&u=&p=`: the form of 2018.", true),
    mqttForm: flag("`mqtt` with a body `qos=0&retain=0&topic=t&message=m`: the form of 2016.", true),
    collection: flag("`pubsub`: topic collection of draft-ietf-core-coap-pubsub-21.", true),
  },
  { description: "Which ways of speaking to the bus are served.", default: {}, additionalProperties: false },
);

const collection = Type.Object(
  {
    topics: count("Topics that the collection may have; a further one is 4.03.", 1000, 0, 1_000_000),
  },
  { description: "The topic collection `pubsub`.", default: {}, additionalProperties: false },
);

const credentials = Type.Object(
  {
    remember: durationSetting({
      description:
        "How long the outcome of a check of the credentials in a query is good for the same peer and credentials; 0s checks each request.",
      default: "10s",
    }),
    perPeer: count("Identities of one peer that are remembered.", 8, 1, 1000),
  },
  { description: "Credentials in the query of single requests.", default: {}, additionalProperties: false },
);

const operator = Type.Object(
  { results: count("Requests to clients that are remembered with their results.", 1000, 1, 100_000) },
  { description: "Requests of operators to connected clients.", default: {}, additionalProperties: false },
);

/** Options of the CoAP gateway; its listeners, mountpoint and rates are the core's. */
export const schema = Type.Object({
  publish,
  subscribe,
  connection,
  forms,
  collection,
  credentials,
  operator,
  topicPrefix: Type.String({
    description: "First path segment of publish and subscribe.",
    default: "ps",
    minLength: 1,
    maxLength: 64,
    pattern: "^[A-Za-z0-9_.-]+$",
  }),
  percentDecoding: flag(
    "Decode `%23` in a path segment once more, and let a slash in it part levels: for clients that send a topic in one encoded segment (`ps/a%2Fb`), or do not decode.",
    false,
  ),
  stack: StackSettings,
});
export type CoapConfig = Static<typeof schema>;
