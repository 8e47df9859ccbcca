import { describe, expect, it } from "vitest";
import { NEVER, seconds } from "#core/lib/time.ts";
import type { Authenticator } from "#core/policy/authentication.ts";
import { ConfiguredPolicy } from "#core/policy/configured-policy.ts";
import type { Identity, ListenerLimits } from "#core/policy/policy.ts";
import type { AccessRule, GatewaySettings, ListenerSettings, PolicySettings } from "#core/policy/settings.ts";
import { UNLIMITED } from "#core/policy/unlimited.ts";
import { accepted, HandClock, identityOf, peerAt, requestOf, settingsWith } from "../../support/policy.ts";

const peer = peerAt("192.0.2.1");

const gateway = (
  own: Partial<GatewaySettings>,
  listener: Partial<ListenerSettings> = {},
): GatewaySettings => ({
  mountpoint: "",
  listeners: { tcp: { authenticate: true, accessRules: [], limits: UNLIMITED, ...listener } },
  ...own,
});

const policyWith = (fields: Partial<PolicySettings>, clock = new HandClock()) =>
  new ConfiguredPolicy(settingsWith(fields), clock);
const listenerOf = (own: Partial<GatewaySettings>, listener: Partial<ListenerSettings> = {}) =>
  policyWith({ gateways: { mqtt: gateway(own, listener) } }).listener("mqtt", "tcp");

describe("who may stay", () => {
  const stays = (chain: readonly Authenticator[], fields: Partial<Identity>, anonymous = false) =>
    policyWith({ authentication: { anonymous, chain } })
      .listener("mqtt", "tcp")
      .mayStay(identityOf(fields), new HandClock().now());
  const knowing = (...names: string[]): Authenticator => ({
    name: "test",
    authenticate: () => ({ answer: "ignored" }),
    knows: ({ username }) => names.includes(String(username)),
  });
  const bob = { username: "bob", proven: "user:bob" };

  it("is a user whom some authenticator still knows", () => {
    expect(stays([knowing("ann"), knowing("bob")], bob)).toBe("accepted");
    expect(stays([knowing("ann")], bob)).toBe("unauthenticated");
    expect(stays([{ name: "test", authenticate: () => ({ answer: "ignored" }) }], bob)).toBe("accepted");
    expect(stays([], bob, true)).toBe("unauthenticated");
  });

  it("is nobody in particular as long as anybody may come, and with no user name that needs proof", () => {
    expect(stays([], {}, true)).toBe("accepted");
    expect(stays([], { username: "claimed" }, true)).toBe("accepted");
    expect(stays([knowing("ann")], {}, true)).toBe("accepted");
    expect(stays([knowing("ann")], { username: "claimed" }, true)).toBe("unauthenticated");
    expect(stays([knowing("ann")], {})).toBe("unauthenticated");
  });

  it("is nobody who is banned, or at an address that may not come any more", () => {
    const ban = { user: "bob", until: NEVER, reason: "no" };
    const banned = policyWith({ bans: { max: 1, list: [ban] } }).listener("mqtt", "tcp");
    const now = new HandClock().now();
    expect(banned.mayStay(identityOf(bob), now)).toBe("banned");
    const walled = listenerOf({}, { accessRules: ["deny 192.0.2.7"] });
    expect(walled.mayStay(identityOf(), now)).toBe("forbidden");
  });
});

describe("admission to a listener", () => {
  const admits = (accessRules: readonly string[], address: string) =>
    listenerOf({}, { accessRules }).admit(peerAt(address), new HandClock().now());

  it("follows the first access rule that matches", () => {
    const rules = ["deny 192.0.2.66", "allow 192.0.2.0/24", "deny all"];
    expect(admits(rules, "192.0.2.1")).toBe("accepted");
    expect(admits(rules, "192.0.2.66")).toBe("forbidden");
    expect(admits(rules, "203.0.113.1")).toBe("forbidden");
  });

  it("refuses the rest where some are allowed by name, and lets the rest in where some are denied", () => {
    expect(admits(["allow 192.0.2.0/24"], "203.0.113.1")).toBe("forbidden");
    expect(admits(["deny 192.0.2.0/24"], "203.0.113.1")).toBe("accepted");
    expect(admits([], "203.0.113.1")).toBe("accepted");
  });

  it("slows down a flood of connections, for everybody on that listener alike", () => {
    const clock = new HandClock();
    const limits: ListenerLimits = { ...UNLIMITED, connectionRate: 10 };
    const policy = policyWith({ gateways: { mqtt: gateway({}, { limits }) } }, clock);
    const listener = policy.listener("mqtt", "tcp");
    const outcomes = Array.from({ length: 12 }, () => listener.admit(peer, clock.now()));
    expect(outcomes.filter((outcome) => outcome === "accepted")).toHaveLength(10);
    expect(outcomes.at(-1)).toBe("congested");
    expect(listener.admit(peer, clock.pass(seconds(0.1)))).toBe("accepted");
    expect(listener.admit(peer, clock.now())).toBe("congested");
  });

  it("keeps the connection rate over a reload that does not change it", () => {
    const clock = new HandClock();
    const limits: ListenerLimits = { ...UNLIMITED, connectionRate: 1 };
    const settings = settingsWith({ gateways: { mqtt: gateway({}, { limits }) } });
    const policy = new ConfiguredPolicy(settings, clock);
    const listener = policy.listener("mqtt", "tcp");
    expect(listener.admit(peer, clock.now())).toBe("accepted");
    policy.update(settings);
    expect(listener.admit(peer, clock.now())).toBe("congested");
  });
});

describe("a mountpoint", () => {
  it("is the listener's, or else the gateway's, with the client's names in it", () => {
    const identity = identityOf({ clientId: "c1", username: "ann" });
    expect(listenerOf({ mountpoint: "site/%u/" }).mountpoint(identity)).toBe("site/ann/");
    expect(listenerOf({ mountpoint: "g/" }, { mountpoint: "l/%c/" }).mountpoint(identity)).toBe("l/c1/");
    expect(listenerOf({ mountpoint: "g/" }, { mountpoint: "" }).mountpoint(identity)).toBe("");
  });

  it("keeps clients apart whatever they call themselves", () => {
    const listener = listenerOf({ mountpoint: "%c/" });
    const prefixes = ["a", "a/b", "+", "#", "$SYS", "%2B", "%"].map((clientId) =>
      listener.mountpoint(identityOf({ clientId })),
    );
    expect(prefixes).toEqual(["a/", "a%2Fb/", "%2B/", "%23/", "%24SYS/", "%252B/", "%25/"]);
  });

  it("that needs a name refuses a client without it, or all who lack one would share their topics", () => {
    const listener = listenerOf({ mountpoint: "user/%u/" });
    const now = new HandClock().now();
    expect(listener.authenticate(requestOf(), peer, now)).toMatchObject({ ok: false, refusal: "forbidden" });
    expect(listener.authenticate(requestOf({ username: "ann" }), peer, now)).toMatchObject({ ok: true });
  });
});

describe("authentication of a listener", () => {
  const nobody = { anonymous: false, chain: [] };
  const now = new HandClock().now();

  it("is the gateway's own where it has one", () => {
    const policy = policyWith({
      gateways: { mqtt: gateway({ authentication: nobody }), coap: gateway({}) },
    });
    expect(policy.listener("mqtt", "tcp").authenticate(requestOf(), peer, now)).toMatchObject({ ok: false });
    expect(policy.listener("coap", "tcp").authenticate(requestOf(), peer, now)).toMatchObject({ ok: true });
  });

  it("can be left out for one listener", () => {
    const listener = listenerOf({ authentication: nobody }, { authenticate: false });
    expect(accepted(listener.authenticate(requestOf({ username: "x" }), peer, now)).username).toBe("x");
  });

  it("of a gateway that is served on another's listener is its own, the limits are the listener's", () => {
    const limits: ListenerLimits = { ...UNLIMITED, packetSize: 1280 };
    const policy = policyWith({
      gateways: {
        coap: gateway(
          { mountpoint: "coap/" },
          { limits, mountpoint: "here/", accessRules: ["deny 192.0.2.1"] },
        ),
        lwm2m: { mountpoint: "lwm2m/%e/", authentication: nobody, listeners: {} },
      },
    });
    const served = policy.listener("lwm2m", "tcp", "coap");
    expect(served.limits.packetSize).toBe(1280);
    expect(served.admit(peer, now)).toBe("forbidden");
    expect(served.mountpoint(identityOf({ endpointName: "ep" }))).toBe("lwm2m/ep/");
    expect(served.authenticate(requestOf({ endpointName: "ep" }), peer, now)).toMatchObject({ ok: false });
    expect(policy.listener("coap", "tcp").mountpoint(identityOf())).toBe("here/");
  });
});

describe("a superuser", () => {
  it("skips the ACL, but has no voice under $SYS either", () => {
    const rules: AccessRule[] = [{ permission: "deny", who: "all", action: "both" }];
    const authorization = { noMatch: "deny" as const, cache: { entries: 4, ttl: seconds(60) }, rules };
    const listener = policyWith({ authorization }).listener("mqtt", "tcp");
    const root = identityOf({ superuser: true });
    expect(listener.mayPublish(root, "a", 0, false)).toBe(true);
    expect(listener.maySubscribe(root, "$SYS/#", 0)).toBe(true);
    expect(listener.mayPublish(root, "$SYS/x", 0, false)).toBe(false);
    expect(listener.mayPublish(identityOf(), "a", 0, false)).toBe(false);
  });
});

describe("a reload", () => {
  it("takes effect for clients that are connected, and is seen by its generation", () => {
    const clock = new HandClock();
    const policy = new ConfiguredPolicy(settingsWith(), clock);
    const listener = policy.listener("mqtt", "tcp");
    const client = identityOf();
    expect(listener.mayPublish(client, "a", 0, false)).toBe(true);
    const before = listener.generation;
    policy.update(
      settingsWith({
        authorization: { noMatch: "deny", cache: { entries: 4, ttl: seconds(60) }, rules: [] },
      }),
    );
    expect(listener.generation).toBeGreaterThan(before);
    expect(listener.mayPublish(client, "a", 0, false)).toBe(false);
  });

  it("does not open up a listener that it no longer names", () => {
    const policy = policyWith({ gateways: { mqtt: gateway({}, { accessRules: ["deny all"] }) } });
    const listener = policy.listener("mqtt", "tcp");
    const now = new HandClock().now();
    expect(listener.admit(peer, now)).toBe("forbidden");
    policy.update(settingsWith({ gateways: { mqtt: { mountpoint: "", listeners: {} } } }));
    expect(listener.admit(peer, now)).toBe("forbidden");
  });

  it("changes limits, mountpoints and rewriting of listeners that are in use", () => {
    const policy = policyWith({});
    const listener = policy.listener("mqtt", "tcp");
    expect([listener.mountpoint(identityOf()), listener.rewritePublish]).toEqual(["", undefined]);
    policy.update(
      settingsWith({
        gateways: { mqtt: gateway({ mountpoint: "m/" }, { limits: { ...UNLIMITED, topicLevels: 3 } }) },
        rewrite: [{ action: "publish", filter: "#", pattern: "^a$", target: "b" }],
      }),
    );
    expect(listener.mountpoint(identityOf())).toBe("m/");
    expect(listener.limits.topicLevels).toBe(3);
    expect(listener.rewritePublish?.(identityOf(), "a")).toBe("b");
  });
});
