import { describe, expect, it } from "vitest";
import { type Instant, milliseconds, NEVER, seconds } from "#core/lib/time.ts";
import { BanList } from "#core/policy/bans.ts";
import { ConfiguredPolicy } from "#core/policy/configured-policy.ts";
import { Flapping } from "#core/policy/flapping.ts";
import type { Ban } from "#core/policy/settings.ts";
import { accepted, HandClock, identityOf, peerAt, requestOf, settingsWith } from "../../support/policy.ts";

const at = (ms: number) => (1_000_000 + ms) as Instant;
const ban = (fields: Partial<Ban>): Ban => ({ until: NEVER, reason: "test", ...fields });

describe("the ban list", () => {
  it("finds clients by id, user, address and range", () => {
    const bans = new BanList(10);
    bans.add(ban({ clientId: "c1" }), at(0));
    bans.add(ban({ user: "ann" }), at(0));
    bans.add(ban({ address: "192.0.2.1" }), at(0));
    bans.add(ban({ address: "198.51.100.0/24" }), at(0));
    const isBanned = (clientId: string, username: string | undefined, address: string) =>
      bans.find({ clientId, username, address }, at(1)) !== undefined;
    expect(isBanned("c1", undefined, "203.0.113.1")).toBe(true);
    expect(isBanned("c2", "ann", "203.0.113.1")).toBe(true);
    expect(isBanned("c2", "bob", "192.0.2.1")).toBe(true);
    expect(isBanned("c2", "bob", "198.51.100.77")).toBe(true);
    expect(isBanned("c2", "bob", "192.0.2.2")).toBe(false);
  });

  it("knows an address however it is spelled", () => {
    const bans = new BanList(10);
    bans.add(ban({ address: "2001:DB8:0:0::1" }), at(0));
    bans.add(ban({ address: "::ffff:192.0.2.1" }), at(0));
    expect(bans.find({ address: "2001:db8::1" }, at(1))).toBeDefined();
    expect(bans.find({ address: "192.0.2.1" }, at(1))).toBeDefined();
  });

  it("needs all the fields of a ban to match", () => {
    const bans = new BanList(10);
    bans.add(ban({ clientId: "c1", address: "192.0.2.1" }), at(0));
    expect(bans.find({ clientId: "c1", address: "192.0.2.1" }, at(1))).toBeDefined();
    expect(bans.find({ clientId: "c1", address: "192.0.2.2" }, at(1))).toBeUndefined();
    expect(bans.find({ clientId: "c2", address: "192.0.2.1" }, at(1))).toBeUndefined();
    expect(bans.find({ address: "192.0.2.1" }, at(1))).toBeUndefined();
  });

  it("lets a ban end, be lifted and be replaced", () => {
    const bans = new BanList(10);
    bans.add(ban({ clientId: "c1", until: at(100) }), at(0));
    expect(bans.find({ clientId: "c1", address: "192.0.2.1" }, at(99))).toBeDefined();
    expect(bans.find({ clientId: "c1", address: "192.0.2.1" }, at(100))).toBeUndefined();
    bans.add(ban({ clientId: "c1", until: at(500) }), at(100));
    expect(bans.size).toBe(1);
    expect(bans.remove({ clientId: "c1" })).toBe(true);
    expect(bans.remove({ clientId: "c1" })).toBe(false);
    expect(bans.find({ clientId: "c1", address: "192.0.2.1" }, at(200))).toBeUndefined();
  });

  it("keeps no more bans than its limit; those that are over make room", () => {
    const bans = new BanList(2);
    expect(bans.add(ban({ clientId: "a", until: at(10) }), at(0))).toBe(true);
    expect(bans.add(ban({ clientId: "b" }), at(0))).toBe(true);
    expect(bans.add(ban({ clientId: "c" }), at(5))).toBe(false);
    expect(bans.add(ban({ clientId: "c" }), at(10))).toBe(true);
    expect(bans.size).toBe(2);
  });
});

describe("flapping detection", () => {
  const settings = { enable: true, threshold: 3, window: seconds(60), ban: seconds(300), clients: 2 };

  it("bans a client that disconnects too often within the window, from that address", () => {
    const flapping = new Flapping(settings);
    expect(flapping.disconnected("c1", "192.0.2.1", at(0))).toBeUndefined();
    expect(flapping.disconnected("c1", "192.0.2.1", at(1000))).toBeUndefined();
    expect(flapping.disconnected("c1", "192.0.2.1", at(2000))).toMatchObject({
      clientId: "c1",
      address: "192.0.2.1",
      until: at(302_000),
    });
  });

  it("begins anew when the window is over", () => {
    const flapping = new Flapping(settings);
    flapping.disconnected("c1", "192.0.2.1", at(0));
    flapping.disconnected("c1", "192.0.2.1", at(1000));
    expect(flapping.disconnected("c1", "192.0.2.1", at(60_000))).toBeUndefined();
    expect(flapping.disconnected("c1", "192.0.2.1", at(60_001))).toBeUndefined();
  });

  it("does not let a stranger get a device banned by using its id from elsewhere", () => {
    const flapping = new Flapping(settings);
    flapping.disconnected("c1", "192.0.2.1", at(0));
    flapping.disconnected("c1", "198.51.100.9", at(1));
    expect(flapping.disconnected("c1", "198.51.100.9", at(2))).toBeUndefined();
  });

  it("watches no more clients than its limit", () => {
    const flapping = new Flapping(settings);
    for (let index = 0; index < 100; index++) flapping.disconnected(`c${index}`, "192.0.2.1", at(index));
    expect(flapping.watched).toBe(2);
  });

  it("is off by default", () => {
    const flapping = new Flapping({ ...settings, enable: false, threshold: 1 });
    expect(flapping.disconnected("c1", "192.0.2.1", at(0))).toBeUndefined();
  });
});

describe("a banned client", () => {
  const clock = new HandClock();
  const request = requestOf({ clientId: "c1", username: "ann" });
  const peer = peerAt("192.0.2.1");

  it("is refused with the reason of the ban, before any password is looked at", () => {
    const settings = settingsWith({ bans: { max: 10, list: [ban({ user: "ann", reason: "left us" })] } });
    const listener = new ConfiguredPolicy(settings, clock).listener("mqtt", "tcp");
    const verdict = listener.authenticate(request, peer, clock.now());
    expect(verdict).toMatchObject({
      ok: false,
      refusal: "banned",
      by: "ban of user ann for good (left us)",
      reason: "left us",
    });
  });

  it("is refused by the name that was proven, not only by the one it claims", () => {
    const settings = settingsWith({
      bans: { max: 10, list: [ban({ user: "real" })] },
      authentication: {
        anonymous: false,
        chain: [{ name: "test", authenticate: () => ({ answer: "accepted", username: "real" }) }],
      },
    });
    const listener = new ConfiguredPolicy(settings, clock).listener("mqtt", "tcp");
    expect(listener.authenticate(request, peer, clock.now())).toMatchObject({ refusal: "banned" });
  });

  it("is not even admitted when its address is banned", () => {
    const settings = settingsWith({ bans: { max: 10, list: [ban({ address: "192.0.2.0/24" })] } });
    const listener = new ConfiguredPolicy(settings, clock).listener("mqtt", "tcp");
    expect(listener.admit(peer, clock.now())).toBe("banned");
    expect(listener.admit(peerAt("203.0.113.1"), clock.now())).toBe("accepted");
  });

  it("comes back when its flapping ban is over", () => {
    const flapping = { enable: true, threshold: 2, window: seconds(60), ban: seconds(10), clients: 10 };
    const policy = new ConfiguredPolicy(settingsWith({ flapping }), clock);
    const listener = policy.listener("mqtt", "tcp");
    const identity = accepted(listener.authenticate(request, peer, clock.now()));
    listener.disconnected(identity, clock.now());
    listener.disconnected(identity, clock.pass(seconds(1)));
    expect(listener.authenticate(request, peer, clock.now())).toMatchObject({ refusal: "banned" });
    expect(policy.bans).toHaveLength(1);
    clock.pass(milliseconds(10_000));
    expect(listener.authenticate(request, peer, clock.now())).toMatchObject({ ok: true });
  });

  it("stays banned over a reload when an operator has banned it", () => {
    const policy = new ConfiguredPolicy(settingsWith(), clock);
    policy.ban(ban({ clientId: "c1" }));
    policy.update(settingsWith());
    const listener = policy.listener("mqtt", "tcp");
    expect(listener.authenticate(request, peer, clock.now())).toMatchObject({ refusal: "banned" });
    expect(policy.unban({ clientId: "c1" })).toBe(true);
    policy.update(settingsWith());
    expect(listener.authenticate(request, peer, clock.now())).toMatchObject({ ok: true });
    expect(identityOf().clientId).toBe("c1");
  });
});
