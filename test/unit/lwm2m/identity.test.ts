import { describe, expect, it } from "vitest";
import { FOREVER, ZERO } from "#core/lib/time.ts";
import { formatCode } from "#gateways/coap/stack/message/codes.ts";
import { codeOf } from "#gateways/lwm2m/refusals.ts";
import { impliedEndpoint, mayUse } from "#gateways/lwm2m/registration/endpoint-name.ts";
import { ObjectLists } from "#gateways/lwm2m/registration/object-list.ts";
import { type RegistrationRules, readRegister } from "#gateways/lwm2m/registration/registration.ts";

const LIST = [{ identity: "psk-1", endpoint: "meter" }];

describe("identity and endpoint name (LwM2M 1.1 Transport §5.2, A-072)", () => {
  it.each([
    ["nothing proven, any binding", undefined, "meter", "equal", true],
    ["equal and the same", "meter", "meter", "equal", true],
    ["equal and another", "meter", "other", "equal", false],
    ["prefix and the same", "meter", "meter", "prefix", true],
    ["prefix and more behind a separator", "meter", "meter:1", "prefix", true],
    ["prefix and a longer name", "meter", "meter1", "prefix", false],
    ["prefix and another", "meter", "other", "prefix", false],
    ["listed", "psk-1", "meter", "list", true],
    ["not listed", "psk-2", "meter", "list", false],
    ["off", "psk-2", "meter", "off", true],
  ] as const)("%s", (_what, identity, ep, binding, allowed) => {
    expect(mayUse(identity, ep, binding, LIST)).toBe(allowed);
  });

  it("an endpoint name that is missing follows from the identity", () => {
    expect(impliedEndpoint("meter", "equal", LIST)).toBe("meter");
    expect(impliedEndpoint("meter", "prefix", LIST)).toBe("meter");
    expect(impliedEndpoint("psk-1", "list", LIST)).toBe("meter");
    expect(impliedEndpoint("psk-2", "list", LIST)).toBeUndefined();
    expect(impliedEndpoint(undefined, "equal", LIST)).toBeUndefined();
  });

  it("a registration without ep takes the name of the identity, and without both is refused", () => {
    const rules: RegistrationRules = {
      versions: ["1.1"],
      lifetimeMin: ZERO,
      lifetimeMax: FOREVER,
      lifetimeOutside: "clamp",
      endpointNameMax: 64,
      profileIds: [],
    };
    const query = new Map([["lwm2m", "1.1"]]);
    const lists = new ObjectLists(10);
    const objects = Buffer.from("</3/0>");
    const named = readRegister(query, objects, "meter", rules, lists);
    expect(named.ok && named.value.ep).toBe("meter");
    const nameless = readRegister(query, objects, undefined, rules, lists);
    expect(!nameless.ok && formatCode(nameless.error.code)).toBe("4.00");
  });
});

it.each([
  ["unauthenticated", "4.03"],
  ["forbidden", "4.03"],
  ["banned", "4.03"],
  ["quota", "4.03"],
  ["malformed", "4.00"],
  ["congested", "4.29"],
  ["too-large", "4.13"],
  ["unavailable", "5.03"],
] as const)("the refusal %s is %s to a device", (refusal, code) => {
  expect(formatCode(codeOf(refusal))).toBe(code);
});
