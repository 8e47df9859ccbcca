import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { alternativeName, nameIn } from "#core/net/certificate-name.ts";
import { Certificates } from "./certificates.ts";

const made = new Certificates();
let certificate: X509Certificate;
beforeAll(() => {
  const names = "DNS:meter-7.example,DNS:second.example,email:a@b.example,URI:urn:dev:7,IP:192.0.2.7";
  made.issue("client", "/O=Acme/CN=meter-7", 30, { names });
  certificate = new X509Certificate(readFileSync(made.path("client.pem")));
});
afterAll(() => made.remove());

it("finds common name, distinguished name, fingerprint and the first alternative name of each kind (A-070)", () => {
  expect(nameIn(certificate, "cn")).toBe("meter-7");
  expect(nameIn(certificate, "dn")).toBe("CN=meter-7,O=Acme");
  expect(nameIn(certificate, "fingerprint")).toMatch(/^[0-9a-f]{64}$/);
  expect(nameIn(certificate, "san-dns")).toBe("meter-7.example");
  expect(nameIn(certificate, "san-email")).toBe("a@b.example");
  expect(nameIn(certificate, "san-uri")).toBe("urn:dev:7");
  expect(nameIn(certificate, "san-ip")).toBe("192.0.2.7");
  expect(nameIn(certificate, "none")).toBeUndefined();
});

it("takes no part of a name for another name, and no name with control characters", () => {
  expect(alternativeName('DNS:"a, DNS:victim"', "san-dns")).toBe("a, DNS:victim");
  expect(alternativeName('URI:"x, DNS:victim", DNS:real', "san-dns")).toBe("real");
  expect(alternativeName('DNS:"victim\\u0000.evil"', "san-dns")).toBeUndefined();
  expect(alternativeName("", "san-dns")).toBeUndefined();
});
