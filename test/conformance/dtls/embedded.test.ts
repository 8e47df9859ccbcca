/** Clients on the libraries that devices use, compiled here, and those of npm. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { CoapClient } from "node-coap-client";
import { afterAll, it as anyIt, beforeAll, describe, expect } from "vitest";
import { lacks } from "../../support/programs.ts";
import { run } from "../coap/run.ts";
import { KEY, SecureGateway } from "./support.ts";

const ofMbedtls = anyIt.skipIf(lacks("gcc", "libc6-dev", "libmbedtls-dev", "openssl"));
const ofWolfssl = anyIt.skipIf(lacks("gcc", "libc6-dev", "libwolfssl-dev", "openssl"));

let secure: SecureGateway;
beforeAll(async () => {
  const { SUITES } = await import("#core/dtls/suites.ts");
  secure = new SecureGateway();
  await secure.start({ dtls: { suites: SUITES.map(({ name }) => name) } });
});
afterAll(() => secure.stop());

/** Compiles once and gives the program. */
const compiled = new Map<string, string>();
function client(name: string, libraries: readonly string[]): string {
  const known = compiled.get(name);
  if (known !== undefined) return known;
  const source = fileURLToPath(new URL(`clients/${name}.c`, import.meta.url));
  const program = secure.path(name);
  execFileSync("gcc", ["-O1", "-o", program, source, ...libraries.map((library) => `-l${library}`)]);
  compiled.set(name, program);
  return program;
}

const PONG = "pong 4 70001234";
const mutual = () => [
  `ca=${secure.path("ca.pem")}`,
  `cert=${secure.path("client.pem")}`,
  `key=${secure.path("client.key")}`,
];

describe("mbedTLS", () => {
  const mbedtls = (...args: string[]) =>
    run(client("mbedtls", ["mbedtls", "mbedx509", "mbedcrypto"]), [String(secure.port), ...args]);

  for (const suite of [
    "TLS-PSK-WITH-AES-128-CCM-8",
    "TLS-PSK-WITH-AES-128-CCM",
    "TLS-PSK-WITH-AES-128-GCM-SHA256",
    "TLS-PSK-WITH-AES-256-GCM-SHA384",
    "TLS-PSK-WITH-AES-128-CBC-SHA256",
    "TLS-ECDHE-PSK-WITH-AES-128-CBC-SHA256",
  ]) {
    ofMbedtls(`talks over ${suite}`, async () => {
      expect((await mbedtls(`suite=${suite}`, `psk=${KEY}`)).stdout).toContain(PONG);
    });
  }
  for (const suite of [
    "TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8",
    "TLS-ECDHE-ECDSA-WITH-AES-128-CCM",
    "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256",
    "TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384",
    "TLS-ECDHE-ECDSA-WITH-AES-128-CBC-SHA256",
  ]) {
    ofMbedtls(`talks with certificates of both sides over ${suite}`, async () => {
      expect((await mbedtls(`suite=${suite}`, ...mutual())).stdout).toContain(PONG);
      expect(secure.identities()).toContain("meter-7");
    });
  }
  for (const [what, args] of [
    ["without extended master secret", ["ems=0"]],
    [
      "with fragments of 512 octets, a ClientHello in two of them among those, and a ticket",
      ["mfl=512", "runs=2"],
    ],
    ["with datagrams of 300 octets", ["mtu=300"]],
    ["with the protocol name coap", ["alpn=coap"]],
  ] as const) {
    ofMbedtls(`talks ${what}`, async () => {
      const { stdout } = await mbedtls("suite=TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8", ...mutual(), ...args);
      expect(stdout.split(PONG)).toHaveLength(what.includes("ticket") ? 3 : 2);
    });
  }
  ofMbedtls("talks with MAC-then-encrypt", async () => {
    const suite = "suite=TLS-PSK-WITH-AES-128-CBC-SHA256";
    expect((await mbedtls(suite, `psk=${KEY}`, "etm=0")).stdout).toContain(PONG);
  });
});

describe("wolfSSL", () => {
  const wolfssl = (...args: string[]) =>
    run(client("wolfssl", ["wolfssl"]), [String(secure.port), ...mutual(), ...args]);

  for (const suite of [
    "ECDHE-ECDSA-AES128-CCM-8",
    "ECDHE-ECDSA-AES128-CCM",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
  ]) {
    ofWolfssl(`talks with certificates of both sides over ${suite}`, async () => {
      expect((await wolfssl(`suite=${suite}`)).stdout).toContain(PONG);
    });
  }
  for (const [what, args] of [
    ["id", []],
    ["ticket", ["ticket=1"]],
  ] as const) {
    ofWolfssl(`goes on with a session by ${what}`, async () => {
      const { stdout } = await wolfssl("suite=ECDHE-ECDSA-AES128-CCM-8", "runs=2", ...args);
      expect(stdout).toContain("reused 1");
      expect(stdout.split(PONG)).toHaveLength(3);
    });
  }
});

describe("npm node-coap-client, whose node-dtls-client sends no extensions at all", () => {
  anyIt("puts and gets over DTLS", async () => {
    CoapClient.setSecurityParams("127.0.0.1", { psk: { dev1: Buffer.from(KEY, "hex").toString("latin1") } });
    const url = `coaps://127.0.0.1:${secure.port}/ps/npm`;
    const put = await CoapClient.request(`${url}?r=1`, "put", Buffer.from("21.5"));
    expect(put.code.toString()).toMatch(/^2\.0/);
    const got = await CoapClient.request(url, "get");
    expect(String(got.payload)).toBe("21.5");
    CoapClient.reset();
  });
});
