/** What an operator can set for STOMP; listeners, mountpoint, rules and rates are the core's. */
import { type Static, Type } from "@sinclair/typebox";
import { countSetting, durationSetting, sizeSetting } from "#core/lib/setting.ts";

const strict = { additionalProperties: false } as const;
const text = (description: string, fallback: string) => Type.String({ description, default: fallback });
const texts = (description: string, fallback: string[]) =>
  Type.Array(Type.String(), { description, default: fallback });
const flag = (description: string, fallback: boolean) => Type.Boolean({ description, default: fallback });
const choice = <Name extends string>(names: readonly Name[], description: string, fallback: Name) =>
  Type.Unsafe<Name>({ type: "string", enum: names, description, default: fallback });

const Destinations = Type.Object(
  {
    topicPrefixes: texts("Beginnings of destinations that are cut off: what follows is the topic.", [
      "/topic/",
    ]),
    queuePrefixes: texts(
      "Beginnings of destinations that are queues: SEND publishes to what follows, and its subscribers share the messages.",
      ["/queue/"],
    ),
    queueTopicPrefix: text(
      "Put in front of a queue's name for its topic, to keep /queue/x and /topic/x apart, as in `queue/`; empty: they are one topic.",
      "",
    ),
    leadingSlash: choice(
      ["keep", "strip"],
      "What becomes of a leading / of a destination without any of these prefixes.",
      "keep",
    ),
    separator: choice(
      ["/", "."],
      "What separates the levels of a destination; in a topic it is always /.",
      "/",
    ),
    wildcards: choice(
      ["mqtt", "amqp", "activemq"],
      "Wildcards of SUBSCRIBE: mqtt has + and #, amqp (RabbitMQ) has * and #, activemq has * and >.",
      "mqtt",
    ),
  },
  { ...strict, default: {}, description: "How destinations and MQTT topics translate into each other." },
);

const HeartBeat = Type.Object(
  {
    send: durationSetting({
      description: "Shortest period in which the gateway sends heart-beats; 0 for never.",
      default: "1s",
    }),
    receive: durationSetting({
      description: "Period in which the gateway wants heart-beats; 0 for none.",
      default: "10s",
    }),
    tolerance: Type.Number({
      description: "A client is lost after this many periods without any octet from it.",
      default: 2,
      minimum: 1,
      maximum: 100,
    }),
    grace: durationSetting({ description: "Added to that time.", default: "1s" }),
  },
  { ...strict, default: {}, description: "Heart-beats (STOMP 1.2 Heart-beating)." },
);

const Limits = Type.Object(
  {
    headers: Type.Integer({
      description: "Headers in one frame.",
      default: 100,
      minimum: 1,
      maximum: 10_000,
    }),
    headerLength: sizeSetting({ description: "Length of one header line.", default: "10KB", minimum: 16 }),
    body: sizeSetting({
      description: "Length of a body; the listener's packetSize bounds it too.",
      default: "1MB",
    }),
    connectLength: sizeSetting({ description: "Length of the frame that logs in.", default: "64KB" }),
    subscriptions: countSetting({ description: "Subscriptions of one connection.", default: 1_000 }),
    transactions: countSetting({ description: "Open transactions of one connection.", default: 16 }),
    transactionFrames: countSetting({ description: "Frames in one transaction.", default: 1_024 }),
    transactionBytes: sizeSetting({ description: "Bodies and headers in one transaction.", default: "4MB" }),
    transactionTimeout: durationSetting({
      description: "Time from BEGIN to COMMIT; afterwards the transaction is aborted with an ERROR.",
      default: "60s",
    }),
    pendingSends: Type.Integer({
      description: "SEND frames of one connection that may wait for the store; then reading pauses.",
      default: 1_000,
      minimum: 1,
      maximum: 1_000_000,
    }),
  },
  { ...strict, default: {}, description: "Limits of one connection; over one of them is an ERROR." },
);

const Acknowledgements = Type.Object(
  {
    prefetch: Type.Integer({
      description:
        "Unacknowledged messages that a subscription takes without a prefetch-count header of its own.",
      default: 1_000,
      minimum: 1,
      maximum: 65_535,
    }),
    nack: choice(
      ["requeue", "dead-letter", "drop"],
      "What a NACK without a requeue header does: deliver again, publish to the dead letter topic, or drop.",
      "requeue",
    ),
    deliveriesMax: countSetting({
      description: "Deliveries of one message to one subscription; after that a NACK dead-letters it.",
      default: 10,
    }),
    deadLetterTopic: text(
      "Topic of messages that nobody took, with the message's own topic for %t. Empty: they are counted and dropped.",
      "",
    ),
  },
  { ...strict, default: {}, description: "ACK and NACK." },
);

export const stompSchema = Type.Object(
  {
    destinations: Destinations,
    heartBeat: HeartBeat,
    limits: Limits,
    acknowledgements: Acknowledgements,
    hosts: texts("Virtual hosts that CONNECT may name; empty takes any.", []),
    requireHost: flag("Refuse a CONNECT of STOMP 1.1 or 1.2 without the host header.", false),
    unescapeConnect: flag(
      "Undo escapes in CONNECT too, for clients that escape there against the rule.",
      false,
    ),
    server: Type.String({
      description: "The server header of CONNECTED; empty leaves it out.",
      default: "Isthmus",
      pattern: "^[ -~]*$",
    }),
    sendQos: Type.Integer({
      description: "QoS of a SEND that has neither a qos nor a persistent header.",
      default: 1,
      minimum: 0,
      maximum: 2,
    }),
    subscribeQos: Type.Integer({
      description: "QoS of a SUBSCRIBE without a qos header.",
      default: 1,
      minimum: 0,
      maximum: 1,
    }),
    durableExpiry: durationSetting({
      description: "How long a durable subscription lives on without its client.",
      default: "7d",
    }),
    sockjs: texts(
      "Path prefixes under which SockJS clients connect to WebSocket listeners, as in <prefix>/<server>/<session>/websocket; without WebSocket by xhr_streaming, eventsource or xhr.",
      [],
    ),
  },
  { ...strict, default: {}, description: "STOMP 1.0, 1.1 and 1.2 over TCP, TLS and WebSocket." },
);
/** As loaded: durations in milliseconds, sizes in bytes, `unlimited` as Infinity. */
export type StompConfig = Static<typeof stompSchema>;
