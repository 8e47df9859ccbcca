/** The one list of filters. */
import { type TSchema, type TUnsafe, Type } from "@sinclair/typebox";
import { byKind } from "../settings/json-schema.ts";
import { AUTH_FAIL, clientAuth, clientAuthSchema } from "./client-auth.ts";
import type { Filter, PacketType } from "./filter.ts";
import { RATE_LIMITED, rateLimiter, rateLimiterSchema } from "./rate-limiter.ts";
import { http, httpSchema, kafka, kafkaSchema, SEND_FAILED, type SinkHost } from "./sinks.ts";
import { MAP_FAILED, topicMapper, topicMapperSchema } from "./topic-mapper.ts";
import { INVALID, validator, validatorSchema } from "./validator.ts";

export interface FilterKind<Settings> {
  readonly schema: TSchema;
  /** Packets that it can do something with. */
  readonly packets: readonly PacketType[];
  /** What it may end with, for `jumpIf`. */
  readonly results: readonly string[];
  /** Throws `FilterError`. */
  open(settings: Settings, host: SinkHost): Filter;
}

const ASKED = ["Publish", "Subscribe"] as const;
const SENT = ["Publish", "Subscribe", "Unsubscribe", "Disconnect"] as const;

/** Each kind takes the settings that its own schema has passed. */
// biome-ignore lint/suspicious/noExplicitAny: kinds of different settings stand in one list
export const KINDS: Readonly<Record<string, FilterKind<any>>> = {
  MQTTClientAuth: { schema: clientAuthSchema, packets: ["Connect"], results: [AUTH_FAIL], open: clientAuth },
  TopicMapper: { schema: topicMapperSchema, packets: ASKED, results: [MAP_FAILED], open: topicMapper },
  RateLimiter: {
    schema: rateLimiterSchema,
    packets: ["Connect", ...ASKED],
    results: [RATE_LIMITED],
    open: rateLimiter,
  },
  Validator: { schema: validatorSchema, packets: ["Publish"], results: [INVALID], open: validator },
  Kafka: { schema: kafkaSchema, packets: SENT, results: [SEND_FAILED], open: kafka },
  HTTP: { schema: httpSchema, packets: SENT, results: [SEND_FAILED], open: http },
};

export interface FilterSettings {
  readonly kind: string;
  readonly name: string;
}

export const FilterSchema: TUnsafe<FilterSettings> = Type.Unsafe<FilterSettings>({
  type: "object",
  description: "A filter; its kind says which keys it has.",
  required: ["kind"],
  oneOf: Object.values(KINDS).map(({ schema }) => schema),
  ...byKind,
});
