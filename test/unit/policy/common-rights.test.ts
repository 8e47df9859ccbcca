import { describe, expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { Acl } from "#core/policy/acl.ts";
import { ConfiguredPolicy } from "#core/policy/configured-policy.ts";
import { Rights } from "#core/policy/rights.ts";
import type { AuthorizationSettings } from "#core/policy/settings.ts";
import { HandClock, identityOf, peerAt, settingsWith } from "../../support/policy.ts";

const authorization: AuthorizationSettings = {
  noMatch: "deny",
  cache: { entries: 8, ttl: seconds(60) },
  rules: [
    { permission: "allow", who: { user: "admin" }, action: "both" },
    { permission: "deny", who: { address: "10.0.0.0/8" }, action: "publish", topics: ["x"] },
    { permission: "allow", who: { clientId: "own" }, action: "both", topics: ["own/%c"] },
    { permission: "allow", who: "all", action: "both", topics: ["x", "y/#"] },
  ],
};

describe("clients with the same rules", () => {
  const clock = new HandClock();
  const policy = new ConfiguredPolicy(settingsWith({ authorization }), clock);
  const identities = ["admin", "bob", undefined].flatMap((username) =>
    ["own", "a", "b"].flatMap((clientId) =>
      ["10.1.2.3", "192.0.2.1"].map((address) => identityOf({ username, clientId, peer: peerAt(address) })),
    ),
  );

  it("are told what each would be told alone", () => {
    const acl = new Acl(authorization);
    for (const identity of identities) {
      const alone = new Rights(acl, identity, 1, authorization.cache, clock);
      const together = policy.rightsOf(identity);
      for (const topic of ["x", "y/1", "own/own", "own/a", "z"]) {
        expect(together.mayPublish(topic, 0, false)).toBe(alone.mayPublish(topic, 0, false));
        expect(together.maySubscribe(topic, 0)).toBe(alone.maySubscribe(topic, 0));
      }
    }
  });

  it("hold nothing of their own, but those whose rules name them do", () => {
    const of = (clientId: string) => policy.rightsOf(identityOf({ clientId, peer: peerAt("192.0.2.1") }));
    expect(of("a")).toBe(of("b"));
    expect(of("own")).not.toBe(of("a"));
  });
});
