/** Settings of whatever asks something outside this process. */
import { type Static, Type } from "@sinclair/typebox";
import { durationSetting } from "../lib/setting.ts";
import { choice, integer, text } from "../settings/kinds.ts";

/** How long and how often anything outside is asked. */
export const patienceProperties = {
  name: Type.Optional(
    text({ description: "Its name in logs and counters; absent: its kind.", minLength: 1, maxLength: 64 }),
  ),
  timeout: durationSetting({
    description: "How long an answer may take; and how long a question may wait until it is asked.",
    default: "5s",
    minimum: "10ms",
    maximum: "5m",
  }),
  concurrent: integer(1, 1024, { description: "Questions asked at the same time.", default: 16 }),
  waiting: integer(0, 1_000_000, {
    description:
      "Questions that may wait for their turn, which addresses take; beyond it who has most of them waiting is refused as congested.",
    default: 10_000,
  }),
  breaker: Type.Object(
    {
      failures: integer(1, 10_000, {
        description: "Failures in a row after which it is left alone for a while.",
        default: 5,
      }),
      pause: durationSetting({
        description: "For how long; then one question tries it again.",
        default: "5s",
        minimum: "10ms",
      }),
    },
    { description: "A source that fails again and again is not asked every time." },
  ),
};

export const outsideProperties = {
  ...patienceProperties,
  onError: choice(["deny", "next", "allow-known"], {
    description:
      "When it cannot be asked: deny refuses, next asks the next in the chain, allow-known lets in who came in with the same credentials before.",
    default: "deny",
  }),
  known: Type.Object(
    {
      entries: integer(1, 10_000_000, {
        description: "Logins remembered (as a keyed digest).",
        default: 100_000,
      }),
      ttl: durationSetting({ description: "How long.", default: "1d" }),
    },
    { description: "What allow-known remembers." },
  ),
};

const Outside = Type.Object(outsideProperties);
export type OutsideSettings = Static<typeof Outside>;
