import { describe, expect, it } from "vitest";
import { asLevel } from "#core/lib/topic-map.ts";
import { TopicTemplate, unknownPlaceholder } from "#core/policy/placeholders.ts";
import { identityOf, peerAt } from "../../support/policy.ts";
import { fc } from "../../support/property.ts";

const someone = identityOf({
  gateway: "lwm2m",
  listener: "udp",
  clientId: "dev-1",
  username: "ann",
  endpointName: "urn:imei:35",
  peer: peerAt("192.0.2.9"),
});
const fill = (template: string, identity = someone) => new TopicTemplate(template).fill(identity);

describe("a topic template", () => {
  it("knows the short forms %c %u %a %e", () => {
    expect(fill("%c/%u/%a/%e")).toBe("dev-1/ann/192.0.2.9/urn:imei:35");
  });

  it("knows the long forms, however they are spelled", () => {
    const template =
      // biome-ignore lint/suspicious/noTemplateCurlyInString: placeholders
      "${clientid}/${clientId}/${username}/${peerhost}/${endpoint_name}/${gateway}/${listener}";
    expect(fill(template)).toBe("dev-1/dev-1/ann/192.0.2.9/urn:imei:35/lwm2m/udp");
  });

  it("keeps a placeholder that it does not know as it is, and the configuration check names it", () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: placeholders
    expect(fill("a/${zone}/%x/%c")).toBe("a/${zone}/%x/dev-1");
    // biome-ignore lint/suspicious/noTemplateCurlyInString: placeholders
    expect(unknownPlaceholder("a/${zone}/%c")).toBe("${zone}");
    expect(unknownPlaceholder("a/%c/%u")).toBeUndefined();
  });

  it("has no value for a client that lacks the name", () => {
    expect(fill("users/%u", identityOf({ username: undefined }))).toBeUndefined();
    expect(fill("users/%u", identityOf({ username: "" }))).toBeUndefined();
    expect(fill("users/x", identityOf({ username: undefined }))).toBe("users/x");
  });

  it("encodes what would widen a topic: wildcards, separators, dollar signs", () => {
    expect(fill("d/%c/#", identityOf({ clientId: "+" }))).toBe("d/%2B/#");
    expect(fill("d/%c/#", identityOf({ clientId: "#" }))).toBe("d/%23/#");
    expect(fill("d/%c/#", identityOf({ clientId: "a/b" }))).toBe("d/a%2Fb/#");
    expect(fill("%c/#", identityOf({ clientId: "$SYS" }))).toBe("%24SYS/#");
  });

  it("does not read a placeholder in what a client has sent", () => {
    expect(fill("d/%c", identityOf({ clientId: "%u", username: "root" }))).toBe("d/%25u");
  });

  it("makes different levels of different values, and always exactly one level", () => {
    const value = fc.string({ unit: fc.constantFrom("a", "+", "#", "/", "$", "%", "2", "B", "\0") });
    fc.assert(
      fc.property(value, value, (one, other) => {
        expect(asLevel(one) === asLevel(other)).toBe(one === other);
        expect(asLevel(one)).not.toMatch(/[+#/$\0]/);
      }),
    );
  });
});
