import { topicFilterProblem, topicNameProblem } from "../bus/topic.ts";
import type { Refusal } from "../contract/answers.ts";
import type { AskedOfPolicy, Verdict } from "../policy/policy.ts";
import type { Door } from "./door.ts";

/** Which rule, limit or property of the topic has refused it: looked for once more, for whoever reads the log. */
export function whyNot(
  { policy }: Door,
  refusal: Refusal,
  meant: AskedOfPolicy,
  /** Who has, where it is not the rules. */
  forbids?: string,
): string {
  switch (refusal) {
    case "malformed":
      return (
        (meant.action === "publish" ? topicNameProblem(meant.topic) : topicFilterProblem(meant.filter)) ??
        "no topic that a client may use"
      );
    case "forbidden":
      if (forbids !== undefined) return forbids;
      if (meant.action === "publish" && meant.topic.startsWith("$SYS"))
        return "$SYS is not for clients to publish to";
      return policy.decidedBy?.(meant) ?? "access rules";
    case "quota": {
      const { topicLevels, subscriptions } = policy.limits;
      return meant.action === "publish"
        ? `limits.topicLevels ${limit(topicLevels)}, or bus.delayed`
        : `limits.topicLevels ${limit(topicLevels)}, or limits.subscriptions ${limit(subscriptions)}`;
    }
    case "congested":
      return `limits.messageRate ${limit(policy.limits.messageRate)}, or limits.byteRate ${limit(policy.limits.byteRate)}`;
    case "unavailable":
      return "the store or the bus cannot take it now";
    default:
      return refusal;
  }
}

/** As the configuration has it. */
const limit = (value: number): string => (value === Number.POSITIVE_INFINITY ? "unlimited" : String(value));

/** Who has refused a login: an authenticator by its name, a ban, a rule. */
export const decidedBy = ({ by, reason, why }: Verdict & { readonly ok: false }): string => {
  const said = why ?? reason;
  if (by === undefined) return said;
  return by.includes(said) ? by : `${by}: ${said}`;
};
