import { expect, it } from "vitest";
import type { Instant } from "#core/lib/time.ts";
import type { Authenticator } from "#core/policy/authentication.ts";
import { ConfiguredPolicy } from "#core/policy/configured-policy.ts";
import { DeviceKeys } from "#core/policy/device-keys.ts";
import { settingsWith } from "../../support/policy.ts";

const KEY = Uint8Array.of(1, 2, 3);
const clock = { now: () => 0 as Instant };
const ignoring: Authenticator = { name: "test", authenticate: () => ({ answer: "ignored" }) };
const knowing = (identity: string): Authenticator => ({
  ...ignoring,
  presharedKey: (asked) => (asked === identity ? KEY : undefined),
});
const slow = (identity: string): Authenticator => ({
  ...ignoring,
  presharedKey: (asked) => Promise.resolve(asked === identity ? KEY : undefined),
  rawKeyHolder: () => Promise.resolve(identity),
});

const keys = (general: readonly Authenticator[], own?: readonly Authenticator[]) => {
  const authentication = { anonymous: true, chain: [...general] };
  const coap = { mountpoint: "", listeners: {} };
  const gateways = {
    coap: own === undefined ? coap : { ...coap, authentication: { anonymous: true, chain: [...own] } },
  };
  return new DeviceKeys(new ConfiguredPolicy(settingsWith({ authentication, gateways }), clock), "coap");
};

it("asks the members in turn, and answers at once as long as all of them do", () => {
  const asked = keys([ignoring, knowing("a"), knowing("b")]);
  expect(asked.presharedKey("b")).toEqual(KEY);
  expect(asked.presharedKey("c")).toBeUndefined();
});

it("waits for a member that has to ask somebody else, and goes on behind it", async () => {
  const asked = keys([slow("a"), knowing("b"), slow("c")]);
  expect(await asked.presharedKey("a")).toEqual(KEY);
  expect(await asked.presharedKey("b")).toEqual(KEY);
  expect(await asked.presharedKey("c")).toEqual(KEY);
  expect(await asked.presharedKey("d")).toBeUndefined();
  expect(await asked.rawKeyHolder(KEY)).toBe("a");
});

it("asks the gateway's own chain before the general one", () => {
  expect(keys([knowing("general")], [knowing("own")]).presharedKey("own")).toEqual(KEY);
  expect(keys([knowing("general")], [knowing("own")]).presharedKey("general")).toEqual(KEY);
});
