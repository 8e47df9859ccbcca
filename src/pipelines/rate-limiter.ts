/** So many packets in a time, and no more. */
import { type Static, Type } from "@sinclair/typebox";
import { RecentMap } from "../lib/recent-map.ts";
import { countSetting, durationSetting, sizeSetting } from "../lib/setting.ts";
import { TokenBucket } from "../policy/token-bucket.ts";
import { choice } from "../settings/kinds.ts";
import type { Context, Failed, Filter } from "./filter.ts";
import { filterProperties } from "./settings.ts";

export const rateLimiterSchema = Type.Object(
  {
    kind: Type.Literal("RateLimiter", { description: "Let so many packets pass in a time." }),
    ...filterProperties,
    per: choice(["client", "all"], {
      description:
        "client: each client has this much; by address where it is not known yet who it is (Connect). all: all of them together.",
      default: "client",
    }),
    requestRate: countSetting({ description: "Packets in a period, also at once.", default: "unlimited" }),
    bytesRate: sizeSetting({ description: "Octets of payload in a period.", default: "unlimited" }),
    timePeriod: durationSetting({ description: "The period.", default: "1s", minimum: "1ms", maximum: "1d" }),
  },
  { description: "RateLimited where there are more: refused as over quota." },
);
export type RateLimiterSettings = Static<typeof rateLimiterSchema>;

export const RATE_LIMITED = "RateLimited";

/** Clients that are remembered: beyond that the first of them begins anew. */
const CLIENTS_MAX = 100_000;

const FAILED: Failed = { result: RATE_LIMITED, refusal: "quota", reason: "too many in this time" };

interface Buckets {
  readonly packets: TokenBucket;
  readonly octets: TokenBucket;
}

export function rateLimiter({ per, requestRate, bytesRate, timePeriod }: RateLimiterSettings): Filter {
  const period = timePeriod / 1000;
  const fresh = (): Buckets => ({
    packets: new TokenBucket(requestRate / period, requestRate),
    octets: new TokenBucket(bytesRate / period, bytesRate),
  });
  const all = fresh();
  const clients = new RecentMap<string, Buckets>(
    () => CLIENTS_MAX,
    () => false,
  );
  const bucketsOf = ({ packet: { type, sender } }: Context): Buckets => {
    if (per === "all") return all;
    const key = type === "Connect" ? sender.address : `${sender.gateway}:${sender.clientId}`;
    const known = clients.get(key);
    if (known !== undefined) return known;
    const made = fresh();
    clients.set(key, made);
    return made;
  };
  return {
    handle(context) {
      const { packets, octets } = bucketsOf(context);
      const size = context.packet.message?.payload.length ?? 0;
      const passes = packets.tryTake(1, context.now) && (size === 0 || octets.tryTake(size, context.now));
      return passes ? undefined : FAILED;
    },
  };
}
