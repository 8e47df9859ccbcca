import { expect, it } from "vitest";
import { needs } from "#core/authenticate/packages.ts";

it("an authenticator whose library is not installed says at the start what to install (17.8)", () => {
  expect(() => needs("portal", "no-such-library")).toThrow(
    "authentication.chain: portal: needs the package no-such-library, which is not installed: npm install no-such-library",
  );
  expect(() => needs("portal", "jose")).not.toThrow();
});
