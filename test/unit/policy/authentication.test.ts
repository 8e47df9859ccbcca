import { describe, expect, it } from "vitest";
import type { Instant } from "#core/lib/time.ts";
import {
  type Authenticator,
  type AuthenticatorAnswer,
  IGNORED,
  TransportIdentityAuthenticator,
} from "#core/policy/authentication.ts";
import { ConfiguredPolicy } from "#core/policy/configured-policy.ts";
import type { Verdict } from "#core/policy/policy.ts";
import { accepted, HandClock, peerAt, requestOf, settingsWith } from "../../support/policy.ts";

const now = 1_700_000_000_000 as Instant;
const always = (answer: AuthenticatorAnswer | Promise<AuthenticatorAnswer>): Authenticator => ({
  name: "test",
  authenticate: () => answer,
});
const late = (answer: AuthenticatorAnswer): Authenticator => ({
  name: "test",
  authenticate: () => Promise.resolve(answer),
});

function login(
  chain: readonly Authenticator[],
  request = requestOf(),
  anonymous = false,
  peer = peerAt("192.0.2.1"),
): Verdict | Promise<Verdict> {
  const policy = new ConfiguredPolicy(
    settingsWith({ authentication: { anonymous, chain } }),
    new HandClock(),
  );
  return policy.listener("mqtt", "tcp").authenticate(request, peer, now);
}

const ACCEPTED: AuthenticatorAnswer = { answer: "accepted" };
const REJECTED: AuthenticatorAnswer = { answer: "rejected", reason: "wrong password" };

describe("the authentication chain", () => {
  it("is decided by the first member that accepts or rejects", () => {
    expect(login([always(IGNORED), always(ACCEPTED), always(REJECTED)])).toMatchObject({ ok: true });
    expect(login([always(REJECTED), always(ACCEPTED)])).toEqual({
      ok: false,
      by: "test",
      refusal: "unauthenticated",
      reason: "not authenticated",
      why: "wrong password",
    });
  });

  it("keeps out who presents a password that no authenticator knows, with or without a user name", () => {
    const presents = { password: new Uint8Array(1) };
    expect(login([always(IGNORED)], requestOf(presents), true)).toMatchObject({
      ok: false,
      refusal: "unauthenticated",
    });
    expect(login([always(IGNORED)], requestOf(), true)).toMatchObject({ ok: true });
  });

  it("answers at once as long as no member needs time", async () => {
    expect(login([always(IGNORED), always(ACCEPTED)])).not.toBeInstanceOf(Promise);
    const pending = login([always(IGNORED), late(IGNORED), always(ACCEPTED)]);
    expect(pending).toBeInstanceOf(Promise);
    expect(await pending).toMatchObject({ ok: true });
    expect(await login([late(IGNORED), late(REJECTED), always(ACCEPTED)])).toMatchObject({ ok: false });
  });

  it("fails closed when a member fails", async () => {
    expect(await login([always(Promise.reject(new Error("no disk"))), always(ACCEPTED)])).toMatchObject({
      ok: false,
      refusal: "unavailable",
    });
  });

  it("asks the client to come again when too many passwords are being checked", () => {
    expect(login([always({ answer: "busy" })])).toMatchObject({ ok: false, refusal: "congested" });
  });

  it("carries superuser, expiry and the proven name into the identity", () => {
    const expiresAt = (now + 1000) as Instant;
    const answer: AuthenticatorAnswer = { answer: "accepted", username: "ann", superuser: true, expiresAt };
    const identity = accepted(
      login([always(answer)], requestOf({ username: "claimed", endpointName: "ep" })),
    );
    expect(identity).toMatchObject({ username: "ann", superuser: true, expiresAt, endpointName: "ep" });
  });
});

describe("clients that nobody knows", () => {
  it("are let in by default, whatever name they give: there is no chain", () => {
    expect(accepted(login([], requestOf({ username: "x" }), true)).username).toBe("x");
    expect(accepted(login([], requestOf(), true)).username).toBeUndefined();
  });

  it("are refused when anonymous is off", () => {
    expect(login([], requestOf(), false)).toMatchObject({ ok: false, refusal: "unauthenticated" });
    expect(login([always(IGNORED)], requestOf(), false)).toMatchObject({
      ok: false,
      refusal: "unauthenticated",
    });
  });

  it("are let in beside a chain only without a user name, or they could take any name", () => {
    expect(login([always(IGNORED)], requestOf(), true)).toMatchObject({ ok: true });
    expect(login([always(IGNORED)], requestOf({ username: "root" }), true)).toMatchObject({
      ok: false,
      refusal: "unauthenticated",
    });
  });
});

describe("an identity that the transport has proven", () => {
  const chain = [new TransportIdentityAuthenticator()];

  it("is the user name, and the claimed one does not count (A-070)", () => {
    const peer = peerAt("192.0.2.1", { transport: "tls", identity: "device-7" });
    expect(accepted(login(chain, requestOf({ username: "root" }), false, peer)).username).toBe("device-7");
  });

  it("is nothing to a client that has none", () => {
    expect(login(chain)).toMatchObject({ ok: false, refusal: "unauthenticated" });
  });
});

describe("an authenticator that fails", () => {
  const broken = (how: "at once" | "later"): Authenticator => ({
    name: "broken",
    authenticate: () => {
      if (how === "later") return Promise.reject(new Error("no directory"));
      throw new Error("no directory");
    },
  });

  it.each(["at once", "later"] as const)(
    "%s refuses the client, and is named for the log alone",
    async (how) => {
      const verdict = await login([broken(how), always({ answer: "accepted" })], requestOf());
      expect(verdict).toEqual({
        ok: false,
        refusal: "unavailable",
        reason: "an authenticator failed",
        failure: { authenticator: "broken", error: "Error: no directory" },
      });
    },
  );
});
