/** Settings of the policy: who may connect, and what each client may do. */
import { type Static, Type } from "@sinclair/typebox";
import { ChainMemberSchema } from "../authenticate/kinds.ts";
import { SourceSchema } from "../authorize/kinds.ts";
import { countSetting, durationSetting } from "../lib/setting.ts";
import { choice, flag, integer, oneOrMore, qos, text, texts } from "../settings/kinds.ts";

const ACTIONS = ["publish", "subscribe", "both"] as const;

const anonymous = flag({
  description:
    "Let in clients that present no user name. With an empty chain everybody is let in, and a user name is a mere claim. Turn this off before strangers can reach the gateway.",
  default: true,
});

const chain = Type.Array(ChainMemberSchema, {
  description: "Authenticators in the order they are asked; the first that knows the client decides.",
  default: [],
});

/** The gateway's own authentication, instead of the general one. */
export const AuthenticationOverride = Type.Object(
  { anonymous, chain },
  { description: "Instead of the general authentication: the same keys anonymous and chain." },
);

const Authentication = Type.Object(
  {
    anonymous,
    chain,
    chains: Type.Record(Type.String(), AuthenticationOverride, {
      description:
        "Other chains by name, for listeners that name one (gateways.<name>.listeners.<name>.chain).",
      default: {},
    }),
    attempts: Type.Object(
      {
        ofAddress: countSetting({
          description: "Failed logins of one address, or /64 of IPv6; further ones are refused as congested.",
          default: 1_000,
        }),
        ofName: countSetting({ description: "Failed logins under one user name.", default: 100 }),
        window: durationSetting({ description: "Within so long; then they count anew.", default: "1m" }),
      },
      { description: "Failed logins after which no source is asked for a while: guessing becomes slow." },
    ),
    hashing: Type.Object(
      {
        concurrent: integer(1, 64, { description: "Passwords checked at the same time.", default: 4 }),
        waiting: integer(0, 1_000_000, {
          description:
            "Logins that may wait for their password check; further ones are refused as congested.",
          default: 10_000,
        }),
        cacheEntries: integer(0, 10_000_000, {
          description:
            "Successful checks remembered (as a keyed digest), so that a storm of reconnects costs no hashing; 0 for none.",
          default: 100_000,
        }),
        cacheTtl: durationSetting({ description: "How long a check is remembered.", default: "1h" }),
      },
      { description: "The cost of password checks, bounded." },
    ),
  },
  { description: "Who may connect." },
);

const patterns = (description: string) =>
  oneOrMore({ description, format: "regex", items: { type: "string", format: "regex" } });

const Who = Type.Unsafe<"all" | WhoObject>({
  description: "all, or conditions that must all hold.",
  default: "all",
  anyOf: [
    { const: "all" },
    Type.Object(
      {
        user: Type.Optional(oneOrMore({ description: "User names." })),
        clientId: Type.Optional(oneOrMore({ description: "Client ids." })),
        userPattern: Type.Optional(patterns("Regular expressions on the user name.")),
        clientIdPattern: Type.Optional(patterns("Regular expressions on the client id.")),
        address: Type.Optional(oneOrMore({ description: "IP addresses or CIDR ranges." })),
        gateway: Type.Optional(oneOrMore({ description: "Gateways, such as mqtt or coap." })),
      },
      { minProperties: 1, additionalProperties: false },
    ),
  ],
});
interface WhoObject {
  user?: string | string[];
  clientId?: string | string[];
  userPattern?: string | string[];
  clientIdPattern?: string | string[];
  address?: string | string[];
  gateway?: string | string[];
}

const AccessRule = Type.Object({
  permission: choice(["allow", "deny"], { description: "What the rule says." }),
  who: Who,
  action: choice(ACTIONS, { description: "What it is about.", default: "both" }),
  topics: Type.Optional(
    texts({
      description:
        'Topic filters with placeholders (%c client id, %u user name, %a address, %e endpoint name); "eq x" means the text x itself. Absent: every topic.',
    }),
  ),
  qos: Type.Optional(
    Type.Array(qos({ description: "A QoS." }), { description: "Only at these QoS.", minItems: 1 }),
  ),
  retain: Type.Optional(flag({ description: "Publishing: only messages with this RETAIN flag." })),
});

const Authorization = Type.Object(
  {
    noMatch: choice(["allow", "deny"], { description: "When no rule matches.", default: "allow" }),
    revoked: choice(["disconnect", "quiet"], {
      description:
        "What a connected client gets when a change of the rules takes a subscription from it. disconnect: its protocol's own word, and the end of the connection (MQTT 5 DISCONNECT 0x87, STOMP ERROR, MQTT-SN DISCONNECT, CoAP 4.03 to its observers). quiet: nothing; the subscription ends.",
      default: "disconnect",
    }),
    cache: Type.Object(
      {
        entries: integer(0, 100_000, {
          description:
            "Decisions remembered for one client, for each of publish and subscribe; 64 times as many for all clients together that have the same rules; 0 for none.",
          default: 128,
        }),
        ttl: durationSetting({ description: "How long decisions are remembered.", default: "1m" }),
      },
      { description: "Decisions are remembered, and forgotten when the rules change." },
    ),
    sources: Type.Array(SourceSchema, {
      description:
        "Services and databases that know access rules, in the order they are asked; the first that allows or denies decides. What they say is remembered as cache says.",
      default: [],
    }),
    order: choice(["rules-first", "sources-first"], {
      description:
        "Whether rules decide before sources are asked, or after. Rules that came with a login go with the rules.",
      default: "rules-first",
    }),
    rules: Type.Array(AccessRule, {
      description:
        "The access control list: the first rule that matches decides. A list given here replaces the default rules. Publishing under $SYS is never allowed.",
      default: [
        {
          permission: "allow",
          who: { address: ["127.0.0.0/8", "::1"] },
          action: "subscribe",
          topics: ["$SYS/#"],
        },
        { permission: "deny", who: "all", action: "subscribe", topics: ["$SYS/#"] },
      ],
    }),
  },
  { description: "What each client may do." },
);

const Bans = Type.Object(
  {
    max: integer(0, 10_000_000, {
      description: "Bans at most, those of flapping detection and of operators included.",
      default: 10_000,
    }),
    list: Type.Array(
      Type.Object({
        clientId: Type.Optional(text({ description: "Client id." })),
        user: Type.Optional(text({ description: "User name." })),
        address: Type.Optional(text({ description: "IP address or CIDR range." })),
        until: Type.Optional(
          text({
            description: "When the ban ends, as 2030-01-31T12:00:00Z; absent: never.",
            format: "date-time",
          }),
        ),
        reason: text({ description: "For the log.", default: "on the ban list" }),
      }),
      { description: "Clients that are refused; all fields given must match.", default: [] },
    ),
  },
  { description: "The ban list." },
);

const Flapping = Type.Object(
  {
    enable: flag({ description: "Ban clients that come and go too often.", default: false }),
    threshold: integer(2, 100_000, {
      description: "Disconnects within the window that lead to a ban.",
      default: 15,
    }),
    window: durationSetting({ description: "Over what time they are counted.", default: "1m" }),
    ban: durationSetting({ description: "How long the ban lasts.", default: "5m" }),
    clients: integer(1, 10_000_000, { description: "Clients watched at once.", default: 10_000 }),
  },
  { description: "Flapping detection, by client id and address together." },
);

const Rewrite = Type.Array(
  Type.Object({
    action: choice(ACTIONS, { description: "Where it applies.", default: "both" }),
    filter: text({ description: "Topic filter that the rule looks at." }),
    pattern: text({ description: "Regular expression on the topic.", format: "regex" }),
    target: text({ description: "The new topic, with $1 to $9 for groups, and placeholders." }),
  }),
  {
    description:
      "Topic rewriting, after authorization and before the mountpoint; the first rule that matches is applied.",
    default: [],
  },
);

const Subscriptions = Type.Array(
  Type.Object({
    topic: text({ description: "Topic filter, with placeholders." }),
    qos: qos({ description: "Maximum QoS.", default: 0 }),
    noLocal: flag({ description: "Not the client's own messages.", default: false }),
    retainAsPublished: flag({ description: "Keep the RETAIN flag.", default: false }),
    retainHandling: Type.Unsafe<0 | 1 | 2>({
      type: "integer",
      enum: [0, 1, 2],
      description: "Retained messages: 0 send, 1 only if the subscription is new, 2 do not send.",
      default: 0,
    }),
    gateways: Type.Optional(texts({ description: "Only clients of these gateways; absent: of all." })),
  }),
  { description: "Subscriptions made for every client when it connects.", default: [] },
);

export const policyProperties = {
  authentication: Authentication,
  authorization: Authorization,
  bans: Bans,
  flapping: Flapping,
  rewrite: Rewrite,
  subscriptions: Subscriptions,
};

const PolicySchema = Type.Object(policyProperties);
export type PolicyConfig = Static<typeof PolicySchema>;
