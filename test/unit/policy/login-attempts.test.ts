import { describe, expect, it } from "vitest";
import type { Credentials } from "#core/contract/client.ts";
import { seconds } from "#core/lib/time.ts";
import type { Authenticator } from "#core/policy/authentication.ts";
import { ConfiguredPolicy } from "#core/policy/configured-policy.ts";
import { HandClock, peerAt, requestOf, settingsWith } from "../../support/policy.ts";

/** Lets in whoever says `right`, and counts how often it is asked. */
class Counting implements Authenticator {
  readonly name = "counting";
  asked = 0;

  authenticate({ password }: Credentials) {
    this.asked++;
    return String(password) === String(Buffer.from("right"))
      ? ({ answer: "accepted" } as const)
      : ({ answer: "rejected", reason: "wrong" } as const);
  }
}

function enter() {
  const clock = new HandClock();
  const source = new Counting();
  const policy = new ConfiguredPolicy(
    settingsWith({
      authentication: { anonymous: false, chain: [source] },
      attempts: { ofAddress: 5, ofName: 3, window: seconds(60) },
    }),
    clock,
  );
  const login = async (
    username: string,
    password: string,
    address: string,
    gateway = "mqtt",
    forgeable = false,
  ) => {
    const request = requestOf({ clientId: "c", username, password: Buffer.from(password) });
    const peer = peerAt(address, { forgeable });
    const verdict = await policy.listener(gateway, "l").authenticate(request, peer, clock.now());
    return verdict.ok ? "in" : verdict.refusal;
  };
  return { clock, source, login };
}

describe("failed logins", () => {
  it("under one name end in `congested`, from wherever and over whatever they come, and no source is asked", async () => {
    const { login, source, clock } = enter();
    for (const [address, gateway] of [
      ["192.0.2.1", "mqtt"],
      ["192.0.2.2", "coap"],
      ["192.0.2.3", "stomp"],
    ] as const) {
      expect(await login("ann", "wrong", address, gateway)).toBe("unauthenticated");
    }
    expect(await login("ann", "right", "192.0.2.9")).toBe("congested");
    expect(source.asked).toBe(3);
    expect(await login("bob", "right", "192.0.2.1")).toBe("in");
    clock.pass(seconds(61));
    expect(await login("ann", "right", "192.0.2.9")).toBe("in");
  });

  it("from one address, or /64 of IPv6, end in `congested` under whatever names they come", async () => {
    for (const [one, other, far] of [
      ["192.0.2.1", "192.0.2.1", "192.0.2.2"],
      ["2001:db8::1", "2001:db8::2", "2001:db8:1::1"],
    ] as const) {
      const { login } = enter();
      for (let count = 0; count < 5; count++) await login(`user${count}`, "wrong", one);
      expect(await login("ann", "right", other)).toBe("congested");
      expect(await login("ann", "right", far)).toBe("in");
    }
  });

  it("from an address that may be forged count against nobody", async () => {
    const { login } = enter();
    for (let count = 0; count < 20; count++)
      expect(await login("ann", "wrong", "192.0.2.1", "mqtt-sn", true)).toBe("unauthenticated");
    expect(await login("ann", "right", "192.0.2.1")).toBe("in");
    for (let count = 0; count < 3; count++) await login("ann", "wrong", "192.0.2.1");
    expect(await login("ann", "right", "192.0.2.1")).toBe("congested");
  });

  it("are told apart by neither an unknown name nor a wrong password", async () => {
    const { login } = enter();
    const answers = [];
    for (let count = 0; count < 4; count++) answers.push(await login("nobody", "x", `192.0.2.${count}`));
    expect(answers).toEqual(["unauthenticated", "unauthenticated", "unauthenticated", "congested"]);
  });
});
