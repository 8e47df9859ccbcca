import { describe, expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { Acl } from "#core/policy/acl.ts";
import type { Identity } from "#core/policy/policy.ts";
import { Rights } from "#core/policy/rights.ts";
import type { AccessRule } from "#core/policy/settings.ts";
import { HandClock, identityOf, peerAt } from "../../support/policy.ts";

const cache = { entries: 8, ttl: seconds(60) };

function rightsOf(
  rules: readonly AccessRule[],
  identity: Partial<Identity> = {},
  noMatch: "allow" | "deny" = "deny",
  clock = new HandClock(),
): Rights {
  const acl = new Acl({ noMatch, cache, rules });
  return new Rights(acl, identityOf(identity), 1, cache, clock);
}

const allow = (rule: Partial<AccessRule>): AccessRule => ({
  permission: "allow",
  who: "all",
  action: "both",
  ...rule,
});
const deny = (rule: Partial<AccessRule>): AccessRule => ({ ...allow(rule), permission: "deny" });

describe("the access control list", () => {
  it("lets the first rule that matches decide", () => {
    const rights = rightsOf([deny({ topics: ["a/b"] }), allow({ topics: ["a/#"] })]);
    expect(rights.mayPublish("a/b", 0, false)).toBe(false);
    expect(rights.mayPublish("a/c", 0, false)).toBe(true);
  });

  it("falls back to what is configured when no rule matches", () => {
    expect(rightsOf([], {}, "allow").mayPublish("x", 0, false)).toBe(true);
    expect(rightsOf([], {}, "deny").mayPublish("x", 0, false)).toBe(false);
    expect(rightsOf([allow({ topics: ["y"] })], {}, "deny").maySubscribe("x", 0)).toBe(false);
  });

  it("tells publish from subscribe", () => {
    const rights = rightsOf([
      allow({ action: "publish", topics: ["p"] }),
      allow({ action: "subscribe", topics: ["s"] }),
    ]);
    expect([rights.mayPublish("p", 0, false), rights.maySubscribe("p", 0)]).toEqual([true, false]);
    expect([rights.mayPublish("s", 0, false), rights.maySubscribe("s", 0)]).toEqual([false, true]);
  });

  it("knows a rule without topics as one for every topic, $ topics included", () => {
    expect(rightsOf([allow({})]).maySubscribe("$SYS/#", 0)).toBe(true);
    expect(rightsOf([allow({ topics: ["#"] })]).maySubscribe("$SYS/#", 0)).toBe(false);
  });
});

describe("who a rule is for", () => {
  const may = (who: AccessRule["who"], identity: Partial<Identity>) =>
    rightsOf([allow({ who })], identity).mayPublish("t", 0, false);

  it("can be a user, a client id or a gateway, one or several", () => {
    expect(may({ user: "ann" }, { username: "ann" })).toBe(true);
    expect(may({ user: ["bob", "ann"] }, { username: "ann" })).toBe(true);
    expect(may({ user: "ann" }, { username: undefined })).toBe(false);
    expect(may({ clientId: "c1" }, { clientId: "c1" })).toBe(true);
    expect(may({ clientId: "c1" }, { clientId: "c2" })).toBe(false);
    expect(may({ gateway: "coap" }, { gateway: "mqtt" })).toBe(false);
  });

  it("can be an address or a range, IPv4 or IPv6", () => {
    expect(may({ address: "192.0.2.7" }, {})).toBe(true);
    expect(may({ address: "192.0.2.0/24" }, {})).toBe(true);
    expect(may({ address: "198.51.100.0/24" }, {})).toBe(false);
    expect(may({ address: "2001:db8::/32" }, { peer: peerAt("2001:db8::5") })).toBe(true);
    expect(may({ address: "0.0.0.0/0" }, { peer: peerAt("2001:db8::5") })).toBe(false);
    expect(may({ address: "10.0.0.0/8" }, { peer: peerAt("::ffff:10.1.2.3") })).toBe(true);
  });

  it("can be who has a name that a regular expression finds, and nobody without a name (A-069)", () => {
    expect(may({ userPattern: "^dash" }, { username: "dashboard" })).toBe(true);
    expect(may({ userPattern: ["^x", "board$"] }, { username: "dashboard" })).toBe(true);
    expect(may({ userPattern: "^dash" }, { username: "a dash" })).toBe(false);
    expect(may({ userPattern: "" }, { username: undefined })).toBe(false);
    expect(may({ clientIdPattern: "^c\\d$" }, { clientId: "c1" })).toBe(true);
    expect(may({ clientIdPattern: "^c\\d$", user: "ann" }, { clientId: "c1", username: "bob" })).toBe(false);
  });

  it("needs every condition that it names", () => {
    const who = { user: "ann", address: "192.0.2.0/24" };
    expect(may(who, { username: "ann" })).toBe(true);
    expect(may(who, { username: "ann", peer: peerAt("203.0.113.1") })).toBe(false);
    expect(may(who, { username: "bob" })).toBe(false);
  });
});

describe("topics of a rule", () => {
  it("hold the client's own names", () => {
    const rights = rightsOf([allow({ topics: ["dev/%c/#", "user/%u", "ip/%a", "ep/%e"] })], {
      clientId: "c9",
      username: "ann",
      endpointName: "ep1",
    });
    for (const topic of ["dev/c9/x", "user/ann", "ip/192.0.2.7", "ep/ep1"]) {
      expect(rights.mayPublish(topic, 0, false), topic).toBe(true);
    }
    expect(rights.mayPublish("dev/c8/x", 0, false)).toBe(false);
  });

  it("match nothing when the client has no such name", () => {
    const rights = rightsOf([allow({ topics: ["user/%u/#", "ok"] })], { username: undefined });
    expect(rights.mayPublish("user//x", 0, false)).toBe(false);
    expect(rights.maySubscribe("user/+/x", 0)).toBe(false);
    expect(rights.mayPublish("ok", 0, false)).toBe(true);
  });

  it("are not widened by a client that is called + or #", () => {
    for (const clientId of ["+", "#", "+/+"]) {
      const rights = rightsOf([allow({ topics: ["dev/%c", "dev/%c/#"] })], { clientId });
      expect(rights.mayPublish("dev/other", 0, false), clientId).toBe(false);
      expect(rights.maySubscribe("dev/+", 0), clientId).toBe(false);
      expect(rights.maySubscribe("dev/#", 0), clientId).toBe(false);
    }
  });

  it("are not widened by a client whose id reaches into another's topics", () => {
    const rights = rightsOf([allow({ topics: ["dev/%c/#"] })], { clientId: "victim/private" });
    expect(rights.maySubscribe("dev/victim/private/#", 0)).toBe(false);
  });

  it("mean the text itself behind eq", () => {
    const rights = rightsOf([deny({ topics: ["eq #", "eq a/+"] }), allow({})]);
    expect(rights.maySubscribe("#", 0)).toBe(false);
    expect(rights.maySubscribe("a/+", 0)).toBe(false);
    expect(rights.maySubscribe("a/#", 0)).toBe(true);
    expect(rights.maySubscribe("a/b", 0)).toBe(true);
    expect(rights.mayPublish("a/b", 0, false)).toBe(true);
  });
});

/** `{deny, all, subscribe, ["$SYS/#", {eq, "#"}]}` and the rest of the file that EMQ X 4 comes with. */
const FILE_OF_EMQX4: readonly AccessRule[] = [
  allow({ who: { user: "dashboard" }, action: "subscribe", topics: ["$SYS/#"] }),
  allow({ who: { address: "127.0.0.1" }, topics: ["$SYS/#", "#"] }),
  deny({ action: "subscribe", topics: ["$SYS/#", "eq #"] }),
  allow({}),
];

describe("the rules of EMQ X's and EMQX's files", () => {
  it("of EMQ X 4 by default let the dashboard and this machine read $SYS, and nobody subscribe to all there is (A-068)", () => {
    const of = (identity: Partial<Identity>) => {
      const rights = rightsOf(FILE_OF_EMQX4, identity);
      return [
        ...["$SYS/#", "#", "+/#", "a/#"].map((filter) => rights.maySubscribe(filter, 0)),
        rights.mayPublish("a/b", 0, false),
      ];
    };
    expect(of({ username: "dashboard" })).toEqual([true, false, true, true, true]);
    expect(of({ peer: peerAt("127.0.0.1") })).toEqual([true, true, true, true, true]);
    expect(of({ username: "ann" })).toEqual([false, false, true, true, true]);
  });

  it("of EMQX 5 tell addresses of a list, all of several conditions, QoS and RETAIN (A-069)", () => {
    const rules = [
      allow({
        who: { address: ["192.0.2.1", "192.0.2.7"], user: "ann" },
        action: "publish",
        qos: [1],
        retain: false,
      }),
    ];
    const [ann, bob] = ["ann", "bob"].map((username) => rightsOf(rules, { username }));
    expect([ann!.mayPublish("t", 1, false), bob!.mayPublish("t", 1, false)]).toEqual([true, false]);
    expect([ann!.mayPublish("t", 0, false), ann!.mayPublish("t", 1, true)]).toEqual([false, false]);
    expect(ann!.maySubscribe("t", 1)).toBe(false);
    const elsewhere = rightsOf(rules, { username: "ann", peer: peerAt("192.0.2.2") });
    expect(elsewhere.mayPublish("t", 1, false)).toBe(false);
  });
});

describe("a subscription with wildcards", () => {
  it("is allowed only where the rule covers all of it", () => {
    const rights = rightsOf([allow({ topics: ["a/+"] })]);
    expect(rights.maySubscribe("a/b", 0)).toBe(true);
    expect(rights.maySubscribe("a/+", 0)).toBe(true);
    expect(rights.maySubscribe("a/#", 0)).toBe(false);
    expect(rights.maySubscribe("+/b", 0)).toBe(false);
  });

  it("is denied as soon as it touches what is denied", () => {
    const rights = rightsOf([deny({ topics: ["secret/x"] }), allow({})]);
    for (const filter of ["secret/x", "secret/+", "+/x", "#", "secret/#"]) {
      expect(rights.maySubscribe(filter, 0), filter).toBe(false);
    }
    expect(rights.maySubscribe("public/#", 0)).toBe(true);
  });

  it("reaches no $ topic by a leading wildcard, so # is allowed where $SYS is denied [MQTT-4.7.2-1]", () => {
    const rights = rightsOf([deny({ topics: ["$SYS/#"] }), allow({})]);
    expect(rights.maySubscribe("#", 0)).toBe(true);
    expect(rights.maySubscribe("$SYS/#", 0)).toBe(false);
    expect(rights.maySubscribe("$SYS/brokers/+/version", 0)).toBe(false);
  });

  it("is judged by what it shares when it is shared", () => {
    const rights = rightsOf([allow({ topics: ["a/#"] })]);
    expect(rights.maySubscribe("$share/g/a/b", 0)).toBe(true);
    expect(rights.maySubscribe("$queue/a/b", 0)).toBe(true);
    expect(rights.maySubscribe("$share/a/b", 0)).toBe(false);
    expect(rights.maySubscribe("$queue/b", 0)).toBe(false);
  });
});

describe("publishing", () => {
  it("is judged by the topic behind $delayed", () => {
    const rights = rightsOf([allow({ topics: ["a/#"] })]);
    expect(rights.mayPublish("$delayed/10/a/b", 0, false)).toBe(true);
    expect(rights.mayPublish("$delayed/10/b", 0, false)).toBe(false);
    expect(rights.mayPublish("$delayed/10", 0, false)).toBe(false);
  });

  it("under $SYS is allowed to nobody, delayed or not", () => {
    const rights = rightsOf([allow({}), allow({ topics: ["$SYS/#"] })]);
    for (const topic of ["$SYS/brokers/x", "$SYS", "$delayed/1/$SYS/x"]) {
      expect(rights.mayPublish(topic, 0, false), topic).toBe(false);
    }
    expect(rights.mayPublish("$SYSTEM/x", 0, false)).toBe(true);
  });

  it("can be restricted by QoS and RETAIN", () => {
    const rights = rightsOf([deny({ action: "publish", retain: true }), deny({ qos: [2] }), allow({})]);
    expect(rights.mayPublish("t", 0, false)).toBe(true);
    expect(rights.mayPublish("t", 0, true)).toBe(false);
    expect(rights.mayPublish("t", 2, false)).toBe(false);
    expect(rights.mayPublish("t", 1, false)).toBe(true);
    expect(rights.maySubscribe("t", 2)).toBe(false);
    expect(rights.maySubscribe("t", 1)).toBe(true);
  });
});

describe("the decision cache", () => {
  it("gives the answers of the rules whatever it has kept and dropped", () => {
    const clock = new HandClock();
    const rights = rightsOf([allow({ topics: ["even/+"] })], {}, "deny", clock);
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < 50; index++) {
        const topic = `${index % 2 === 0 ? "even" : "odd"}/${index}`;
        expect(rights.mayPublish(topic, 0, false)).toBe(index % 2 === 0);
        expect(rights.maySubscribe(topic, 0)).toBe(index % 2 === 0);
      }
      clock.pass(seconds(61));
    }
  });
});
