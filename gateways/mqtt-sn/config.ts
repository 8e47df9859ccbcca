/** What an operator can set for MQTT-SN; listeners, mountpoint, ACL and rate limits are the core's. */
import { type Static, Type } from "@sinclair/typebox";
import { countSetting, durationSetting, sizeSetting } from "#core/lib/setting.ts";

const strict = { additionalProperties: false } as const;

const PredefinedTopic = Type.Object(
  {
    id: Type.Integer({ minimum: 1, maximum: 65_535, description: "Predefined topic id, 1 to 65,535." }),
    topic: Type.String({ minLength: 1, description: "The topic name that the id stands for." }),
    client: Type.Optional(
      Type.String({
        description: "Client id that this entry is for; without it the entry is for everybody.",
      }),
    ),
  },
  strict,
);

const ListedClient = Type.Object(
  {
    client: Type.String({ minLength: 1, description: "Client id of the device." }),
    username: Type.Optional(Type.String({ description: "User name for this device." })),
    password: Type.Optional(Type.String({ description: "Password for this device." })),
  },
  strict,
);

const Credentials = Type.Object(
  {
    username: Type.String({
      default: "",
      description:
        "User name for devices, which MQTT-SN 1.2 cannot send: text with %c (client id), %a (address), %n (node " +
        "behind a forwarder), %i (DTLS identity). Empty for none.",
    }),
    password: Type.String({ default: "", description: "Password for devices; the same placeholders." }),
    clients: Type.Array(ListedClient, {
      default: [],
      description: "User name and password of single devices; these win over the templates.",
    }),
    file: Type.String({
      default: "",
      description: "JSON file with more entries of the form of `clients`. Empty for none.",
    }),
    listedOnly: Type.Boolean({
      default: false,
      description: "Refuse client ids that are neither in `clients` nor in `file`.",
    }),
  },
  { ...strict, default: {}, description: "User name and password that a device gets from its client id." },
);

const QosMinusOne = Type.Object(
  {
    mode: Type.Union([Type.Literal("off"), Type.Literal("listed"), Type.Literal("open")], {
      default: "open",
      description:
        "Publishes without a connection (QoS -1): dropped, from `addresses` only, or from everybody. They are " +
        "authenticated, authorised and limited like any publish.",
    }),
    addresses: Type.Array(Type.String(), {
      default: [],
      description: "Senders for `listed`: IP addresses or ranges (`10.0.0.0/8`).",
    }),
    topics: Type.Array(Type.String(), {
      default: ["#"],
      description: "Topic filters that such a publish must match.",
    }),
    clientId: Type.String({
      default: "mqtt-sn-anonymous",
      minLength: 1,
      description: "Client id under which senders without a connection are authenticated and authorised.",
    }),
    nameForm: Type.Boolean({
      default: false,
      description:
        "Also take the private form of the Paho library: topic id type 0, where the topic id is the length of a " +
        "topic name in front of the data.",
    }),
  },
  { ...strict, default: {}, description: "PUBLISH with QoS -1 (MQTT-SN 1.2 §6.8)." },
);

const Sleep = Type.Object(
  {
    publish: Type.Union([Type.Literal("accept"), Type.Literal("refuse")], {
      default: "accept",
      description: "What a PUBLISH, SUBSCRIBE or REGISTER of a sleeper gets that did not CONNECT first.",
    }),
    flushExtra: Type.Integer({
      default: 1000,
      minimum: 0,
      description: "Messages that may join a running flush after the wake-up; later ones wait for the next.",
    }),
    forgetTopicIds: Type.Boolean({
      default: false,
      description: "Announce topic ids again after every sleep, for devices that forget them.",
    }),
  },
  { ...strict, default: {}, description: "Sleeping clients (MQTT-SN 1.2 §6.14)." },
);

const Discovery = Type.Object(
  {
    advertise: Type.Boolean({
      default: false,
      description: "Broadcast ADVERTISE on a beat, to the listener's broadcast or multicast addresses.",
    }),
    interval: durationSetting({
      default: "15m",
      minimum: "1s",
      maximum: "65535s",
      description: "Time between two ADVERTISE (T_ADV); the specification wants more than 15 minutes.",
    }),
    standby: Type.Boolean({
      default: false,
      description: "Advertise only after `missed` beats without an ADVERTISE of another gateway.",
    }),
    missed: Type.Integer({ default: 3, minimum: 1, description: "Beats that a stand-by waits (N_ADV)." }),
    search: Type.Boolean({ default: true, description: "Answer SEARCHGW with GWINFO." }),
    searchDelay: durationSetting({
      default: "0s",
      maximum: "1m",
      description:
        "Answer a SEARCHGW that was sent to all after a random time of at most this, and not at all when another gateway's GWINFO is heard first: for networks with several gateways. §6.1 has gateways answer at once.",
    }),
    broadcastInfo: Type.Boolean({
      default: false,
      description: "Send GWINFO also to the listener's broadcast addresses, as §6.1 has it.",
    }),
  },
  { ...strict, default: {}, description: "Gateway discovery (MQTT-SN 1.2 §6.1)." },
);

const Forwarders = Type.Object(
  {
    mode: Type.Union([Type.Literal("off"), Type.Literal("listed"), Type.Literal("open")], {
      default: "open",
      description: "Encapsulated messages: dropped, from `addresses` only, or from everybody.",
    }),
    addresses: Type.Array(Type.String(), {
      default: [],
      description: "Forwarders for `listed`: IP addresses or ranges.",
    }),
  },
  { ...strict, default: {}, description: "Forwarder encapsulation (MQTT-SN 1.2 §5.5)." },
);

export const mqttSnSchema = Type.Object(
  {
    gatewayId: Type.Integer({
      default: 1,
      minimum: 0,
      maximum: 255,
      description: "GwId, unique per network.",
    }),
    mode: Type.Union([Type.Literal("transparent"), Type.Literal("aggregating")], {
      default: "transparent",
      description:
        "Each device is its own session upstream, or all share one (MQTT-SN 1.2 §4.1, §4.2). Queues, will and " +
        "access rules stay the device's own either way.",
    }),
    aggregateClientId: Type.String({
      default: "mqtt-sn-gateway",
      minLength: 1,
      description: "Client id that all devices share upstream in the mode `aggregating`.",
    }),
    clientIdLengthMax: Type.Integer({
      default: 128,
      minimum: 23,
      maximum: 65_529,
      description: "Longest client id in octets; the specification knows 23.",
    }),
    emptyClientId: Type.String({
      default: "",
      description: "Client id for a CONNECT without one; empty to refuse it.",
    }),
    sessionExpiry: durationSetting({
      default: "7d",
      description: "How long a session with CleanSession=0 outlives its connection.",
    }),
    idleTimeout: durationSetting({
      default: "2h",
      minimum: "1s",
      description: "Silence after which a client with keep-alive 0 counts as lost.",
    }),
    probe: Type.Boolean({
      default: false,
      description: "Send one PINGREQ, and wait `retryInterval`, before a silent client counts as lost.",
    }),
    retryInterval: durationSetting({
      default: "10s",
      minimum: "100ms",
      description: "Time until the gateway repeats an unanswered message (T_RETRY, 10 to 15 s).",
    }),
    retries: Type.Integer({
      default: 3,
      minimum: 0,
      maximum: 100,
      description: "Repeats before a sign of life is awaited (N_RETRY, 3 to 5).",
    }),
    inFlight: Type.Integer({
      default: 1,
      minimum: 1,
      maximum: 64,
      description: "QoS 1 and 2 messages on their way to one client at a time; the specification has 1.",
    }),
    inboundMax: Type.Integer({
      default: 16,
      minimum: 1,
      maximum: 65_535,
      description: "Messages of one client that may wait for the bus; above that congestion is answered.",
    }),
    topicIdsMax: Type.Integer({
      default: 1000,
      minimum: 1,
      maximum: 65_534,
      description: "Topic names of one client that may have an id.",
    }),
    predefinedTopics: Type.Array(PredefinedTopic, {
      default: [],
      description: "Topic ids that devices know without REGISTER (MQTT-SN 1.2 §6.7).",
    }),
    predefinedTopicsFile: Type.String({
      default: "",
      description: "JSON file with more entries of the form of `predefinedTopics`. Empty for none.",
    }),
    messageSizeMax: sizeSetting({
      default: 65_507,
      minimum: 64,
      description: "Longest message in octets that is sent to a client or taken from one.",
    }),
    dropRepeatedQos1: Type.Boolean({
      default: false,
      description: "Acknowledge but do not publish a QoS 1 repeat that equals the last message acknowledged.",
    }),
    malformedMax: Type.Integer({
      default: 10,
      minimum: 1,
      description: "Malformed messages of one client after which it is disconnected.",
    }),
    unknownReplies: countSetting({
      default: 1000,
      description: "Answers a second to senders without a session; each sender gets one a second at most.",
    }),
    unprovenFactor: Type.Integer({
      default: 3,
      minimum: 0,
      maximum: 1000,
      description:
        "How many times the bytes that came from an address it may be sent until it has answered a REGISTER that " +
        "nobody can guess (RFC 9175 §2.4); above that messages wait. 0 for no bound, where senders cannot be forged.",
    }),
    credentials: Credentials,
    qosMinusOne: QosMinusOne,
    sleep: Sleep,
    discovery: Discovery,
    forwarders: Forwarders,
  },
  { ...strict, description: "MQTT-SN 1.2 over UDP and DTLS." },
);

export type MqttSnConfig = Static<typeof mqttSnSchema>;
