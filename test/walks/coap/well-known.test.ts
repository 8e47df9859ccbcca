import { expect, it } from "vitest";
import { CoapDevice } from "../../support/coap-device.ts";
import { stackWorld } from "../../support/coap-site.ts";

const list = (query: string[] = [], more = {}) => {
  const { network } = stackWorld();
  return new CoapDevice(network).ask({ path: ".well-known/core", query, ...more });
};

it("lists what all sites offer as application/link-format (RFC 6690 §4)", () => {
  const answer = list();
  expect(answer).toMatchObject({
    code: "2.05",
    payload: '</t>;rt="test.one test.two";ct=0;obs,</u>;if="sensor";title="the second"',
  });
  expect(answer.number(12)).toBe(40);
});

it.each([
  ["rt=test.one", "</t>"],
  ["rt=test.two", "</t>"],
  ["rt=test.*", "</t>"],
  ["rt=test", ""],
  ["if=sensor", "</u>"],
  ["if=sens*", "</u>"],
  ["ct=0", "</t>"],
  ["ct=1", ""],
  ["href=/u", "</u>"],
  ["href=/*", "</t></u>"],
  ["obs", "</t>"],
  ["title=the second", "</u>"],
  ["nothing=x", ""],
])("filters by %s (RFC 6690 §4.1)", (query, targets) => {
  expect(
    list([query])
      .payload.match(/<[^>]+>/g)
      ?.join("") ?? "",
  ).toBe(targets);
});

it("answers 4.06 to another format, 4.05 to another method, 4.04 beside core", () => {
  expect(list([], { options: [[17, 50]] }).code).toBe("4.06");
  expect(list([], { options: [[17, 40]] }).code).toBe("2.05");
  expect(list([], { code: "PUT" }).code).toBe("4.05");
  expect(list([], { path: ".well-known/other" }).code).toBe("4.04");
  expect(list([], { path: ".well-known" }).code).toBe("4.04");
});
