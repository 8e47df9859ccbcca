import { describe, expect, it } from "vitest";
import { AutomaticSubscriptions } from "#core/policy/automatic-subscriptions.ts";
import { compileRewrite } from "#core/policy/rewrite.ts";
import type { AutomaticSubscriptionRule, RewriteRule } from "#core/policy/settings.ts";
import { identityOf } from "../../support/policy.ts";

const rule = (filter: string, pattern: string, target: string, action: RewriteRule["action"] = "both") => ({
  action,
  filter,
  pattern,
  target,
});
const publish = (rules: readonly RewriteRule[], topic: string, identity = identityOf()) =>
  compileRewrite(rules, "publish")!(identity, topic);
const subscribe = (rules: readonly RewriteRule[], filter: string, identity = identityOf()) =>
  compileRewrite(rules, "subscribe")!(identity, filter);

describe("topic rewriting", () => {
  const rules = [rule("x/#", "^x/y/(.+)$", "z/y/$1"), rule("y/+/z/#", "^y/(.+)/z/(.+)$", "y/z/$2")];

  it("puts the groups of the pattern into the target", () => {
    expect(publish(rules, "x/y/1")).toBe("z/y/1");
    expect(publish(rules, "y/a/z/b")).toBe("y/z/b");
    expect(subscribe(rules, "x/y/#")).toBe("z/y/#");
  });

  it("leaves alone what filter or pattern do not match", () => {
    expect(publish(rules, "x/other/1")).toBe("x/other/1");
    expect(publish(rules, "other")).toBe("other");
  });

  it("applies the first rule that matches, once", () => {
    const chain = [rule("#", "^a$", "b"), rule("#", "^a$", "c"), rule("#", "^b$", "d")];
    expect(publish(chain, "a")).toBe("b");
  });

  it("is told apart for publish and subscribe, and is not there at all without a rule", () => {
    const one = [rule("#", "^a$", "b", "subscribe")];
    expect(compileRewrite(one, "publish")).toBeUndefined();
    expect(subscribe(one, "a")).toBe("b");
    expect(compileRewrite([], "subscribe")).toBeUndefined();
  });

  it("knows the client's names, which cannot widen the topic", () => {
    const mine = [rule("up/#", "^up/(.+)$", "dev/%c/$1")];
    expect(publish(mine, "up/t", identityOf({ clientId: "c9" }))).toBe("dev/c9/t");
    expect(subscribe(mine, "up/t", identityOf({ clientId: "#" }))).toBe("dev/%23/t");
    expect(publish([rule("#", "^t$", "u/%u")], "t", identityOf({ username: undefined }))).toBe("t");
  });

  it("keeps the topic when the result would be none", () => {
    expect(publish([rule("#", "^(.*)$", "$2")], "t")).toBe("t");
    expect(publish([rule("#", "^t$", "a/+")], "t")).toBe("t");
    expect(subscribe([rule("#", "^t$", "a+b")], "t")).toBe("t");
  });
});

describe("automatic subscriptions", () => {
  const automatic = (fields: Partial<AutomaticSubscriptionRule>): AutomaticSubscriptionRule => ({
    topic: "t",
    qos: 1,
    noLocal: false,
    retainAsPublished: false,
    retainHandling: 0,
    ...fields,
  });

  it("carry the client's names and their options", () => {
    const rules = new AutomaticSubscriptions([automatic({ topic: "client/%c", noLocal: true })]);
    expect(rules.for(identityOf({ clientId: "c9" }))).toEqual([
      {
        filter: "client/c9",
        options: { qos: 1, noLocal: true, retainAsPublished: false, retainHandling: 0 },
      },
    ]);
  });

  it("are left out for clients without the name and for other gateways", () => {
    const rules = new AutomaticSubscriptions([
      automatic({ topic: "user/%u" }),
      automatic({ topic: "sn", gateways: ["mqtt-sn"] }),
      automatic({ topic: "all" }),
    ]);
    expect(rules.for(identityOf()).map((each) => each.filter)).toEqual(["all"]);
    const sensor = identityOf({ gateway: "mqtt-sn", username: "ann" });
    expect(rules.for(sensor).map((each) => each.filter)).toEqual(["user/ann", "sn", "all"]);
  });
});
