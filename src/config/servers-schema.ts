/** Settings of the servers that sessions are kept on, and of the routes that lead to them (`bus.upstream`). */
import { type Static, type TUnsafe, Type } from "@sinclair/typebox";
import { durationSetting } from "../lib/setting.ts";
import { choice, flag, integer, NAME_PATTERN, qos, SECRET, text, texts } from "../settings/kinds.ts";
import { PROFILES, type ProfileName } from "../upstream/profiles.ts";
import { BALANCES } from "../upstream/servers/settings.ts";

/** `tcp`, `tls`, `ws` or `wss`, a host, and perhaps a port and a path. */
export const SERVER_URL =
  "^(tcp|tls|ws|wss)://(\\[[0-9A-Fa-f:.]+\\]|[^\\s/:@\\[\\]]+)(:[0-9]{1,5})?(/[^\\s]*)?$";

const Server = Type.Object({
  url: text({
    description:
      "tcp://host:1883, tls://host:8883, ws://host:80/mqtt or wss://host:443/mqtt; the port may be left out.",
    pattern: SERVER_URL,
  }),
  weight: integer(0, 1_000_000, {
    description: "How much it takes beside the others; 0 takes nobody new.",
    default: 1,
  }),
  priority: integer(0, 1_000, {
    description: "Servers of the lowest number are used as long as one of them is well.",
    default: 0,
  }),
});

const Caps = Type.Object(
  {
    maximumQoS: Type.Optional(qos({ description: "Highest QoS that they know." })),
    retain: Type.Optional(flag({ description: "They keep retained messages." })),
    shared: Type.Optional(flag({ description: "They know shared subscriptions ($share)." })),
    wildcards: Type.Optional(flag({ description: "They know filters with + and #." })),
    notInTopics: Type.Optional(
      text({
        description:
          "Characters over which they close the connection where they are in the topic of a PUBLISH, as NATS does over dots and blanks: such a publish is refused here.",
      }),
    ),
  },
  { description: "What they cannot do and do not tell, where it differs from the profile.", default: {} },
);

const Health = Type.Object(
  {
    check: choice(["none", "connect", "mqtt", "ping"], {
      description:
        "What each server is asked now and then. none: nothing, only what becomes of sessions counts; connect: a connection; mqtt: CONNECT; ping: CONNECT and PINGREQ.",
      default: "none",
    }),
    interval: durationSetting({ description: "How often.", default: "10s", minimum: "100ms" }),
    timeout: durationSetting({ description: "How long an answer may take.", default: "5s", minimum: "10ms" }),
    failures: integer(1, 1_000, {
      description: "Failures in a row, of checks or sessions, after which nobody is sent there.",
      default: 3,
    }),
    successes: integer(1, 1_000, {
      description: "Checks that must go well in a row before somebody is sent there again.",
      default: 2,
    }),
    retry: Type.Object(
      {
        first: durationSetting({ description: "At first.", default: "1s", minimum: "10ms" }),
        longest: durationSetting({ description: "At most.", default: "1m", minimum: "10ms" }),
      },
      {
        description:
          "Without checks: how long nobody is sent there until one session may try. Twice as long after each failure, and half of it is chance.",
      },
    ),
    slowStart: durationSetting({
      description: "How long a server that is well again takes until it gets its whole share; 0 for at once.",
      default: "30s",
    }),
  },
  { description: "Who is well." },
);

const OutgoingTls = Type.Object(
  {
    ca: Type.Optional(text({ description: "File (PEM) of authorities; absent: the system's." })),
    cert: Type.Optional(text({ description: "File (PEM) of the certificate that we show." })),
    key: Type.Optional(text({ description: "File (PEM) of its key." })),
    keyPassphrase: Type.Optional(text({ description: "Opens the key.", [SECRET]: true })),
    verify: flag({ description: "Check the server's certificate and name.", default: true }),
    serverName: Type.Optional(text({ description: "Name that is asked for (SNI); absent: the host's." })),
    alpn: texts({ description: "Application protocols offered (ALPN), such as mqtt.", default: [] }),
    pskIdentity: Type.Optional(text({ description: "Our identity, where a shared key is used." })),
    pskKey: Type.Optional(text({ description: "The key, in hexadecimal.", [SECRET]: true })),
    minVersion: choice(["TLSv1.2", "TLSv1.3"], { description: "Least version.", default: "TLSv1.2" }),
  },
  { description: "For tls and wss." },
);

const profiles = (): TUnsafe<ProfileName> =>
  choice(Object.keys(PROFILES) as ProfileName[], {
    description:
      "What kind of server they are: sets what they cannot do and do not tell. generic: everything.",
    default: "generic",
  });

/** A group, as it stands in the configuration. */
export const ServerGroup = Type.Object({
  servers: Type.Array(Server, {
    description: "The servers. For primary-backup the first that is well is used.",
    minItems: 1,
  }),
  balance: choice(BALANCES, {
    description:
      "Which of them a session goes to. hash: by client id, the same in every gateway, and a server that comes or goes moves only its share; least-connections, round-robin, random; primary-backup: the first that is well.",
    default: "hash",
  }),
  profile: profiles(),
  version: Type.Optional(
    choice(["auto", "3.1.1", "5.0"], {
      description: "MQTT version. auto: 5.0, and 3.1.1 where that is not understood. Absent: the profile's.",
    }),
  ),
  caps: Caps,
  tls: Type.Optional(OutgoingTls),
  connectTimeout: durationSetting({
    description: "From the look-up of the name to the end of TLS and upgrade.",
    default: "10s",
    minimum: "100ms",
  }),
  health: Health,
  resolve: durationSetting({
    description:
      "Each address that a name stands for is a server of its own, and names are looked up again so often. 0: a name is one server, looked up at each connection.",
    default: "0s",
  }),
  drainRate: integer(1, 1_000_000, {
    description: "Sessions a second that are moved away from a server that is drained or taken out.",
    default: 100,
  }),
  proxyProtocol: choice(["off", "v1", "v2"], {
    description:
      "Put a header of the PROXY protocol before each connection, with the address of its device: for servers and balancers that are set to expect it, and no others.",
    default: "off",
  }),
  localAddresses: texts({
    description:
      "Addresses of this machine that connections come from, in turn: about 27,000 fit between one of them and one server. Empty: the system's choice, which is slow from half as many on.",
    default: [],
  }),
});

const patternText = "With * for any text and ? for one character.";

/** A route, as it stands in the configuration. */
const ServerRoute = Type.Object({
  id: text({ description: "Its name.", pattern: NAME_PATTERN }),
  gateways: Type.Optional(texts({ description: "Gateways, such as mqtt or coap." })),
  listeners: Type.Optional(texts({ description: "Names of listeners, such as tcp or tls." })),
  addresses: Type.Optional(texts({ description: "Addresses or ranges of devices." })),
  clientId: Type.Optional(text({ description: `Client ids as servers know them. ${patternText}` })),
  username: Type.Optional(text({ description: `User names. ${patternText}` })),
  protocols: Type.Optional(
    texts({ description: "What devices speak: MQTT for all versions, MQTT 3.1.1 or MQTT 5.0 for one." }),
  ),
  group: text({ description: "Where they go." }),
  order: integer(0, 1_000_000, { description: "Lower ones are asked first.", default: 0 }),
});

/** Part of `bus.upstream`. */
export const serversProperties = {
  group: text({ description: "Group of those sessions that no route is for.", default: "default" }),
  groups: Type.Record(Type.String({ pattern: NAME_PATTERN }), ServerGroup, {
    description: "Groups of servers, by name.",
    default: {},
  }),
  routes: Type.Array(ServerRoute, {
    description: "Which sessions go to which group: the first route of which all conditions hold.",
    default: [],
  }),
};

export type ServerGroupConfig = Static<typeof ServerGroup>;
export type ServerRouteConfig = Static<typeof ServerRoute>;
