import { writeFileSync } from "node:fs";
import { afterAll, it as anyIt, beforeAll, describe, expect } from "vitest";
import { lacks } from "../../support/programs.ts";
import { IDENTITY, openssl, PONG, SecureGateway, withPsk } from "./support.ts";

const it = anyIt.skipIf(lacks("openssl"));

let secure: SecureGateway;
beforeAll(async () => {
  secure = new SecureGateway();
  const cbc = [
    "ECDHE_PSK_WITH_AES_128_CBC_SHA256",
    "PSK_WITH_AES_128_CBC_SHA256",
    "ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
  ];
  const { DEFAULT_SUITES } = await import("#core/dtls/suites.ts");
  await secure.start({ dtls: { suites: [...DEFAULT_SUITES.map(({ name }) => name), ...cbc] } });
});
afterAll(() => secure.stop());

const PSK_CIPHERS = [
  "PSK-AES128-CCM8",
  "PSK-AES128-CCM",
  "PSK-AES128-GCM-SHA256",
  "PSK-AES256-CCM8",
  "PSK-AES256-CCM",
  "PSK-AES256-GCM-SHA384",
  "PSK-AES128-CBC-SHA256",
  "ECDHE-PSK-AES128-CBC-SHA256",
];
const ECDSA_CIPHERS = [
  "ECDHE-ECDSA-AES128-CCM8",
  "ECDHE-ECDSA-AES128-CCM",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-CCM8",
  "ECDHE-ECDSA-AES256-CCM",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-AES128-SHA256",
];

describe("openssl s_client", () => {
  for (const cipher of PSK_CIPHERS) {
    it(`talks with a pre-shared key over ${cipher}`, async () => {
      const { bytes, output } = await openssl(secure.port, withPsk(cipher));
      expect(output).toContain(`Cipher is ${cipher}`);
      expect(output).toContain("Extended master secret: yes");
      expect(bytes.includes(PONG)).toBe(true);
      expect(secure.identities()).toContain(IDENTITY);
    });
  }

  for (const cipher of ECDSA_CIPHERS) {
    it(`talks with certificates of both sides over ${cipher}`, async () => {
      const own = ["-cert", secure.path("client.pem"), "-key", secure.path("client.key")];
      const ca = ["-CAfile", secure.path("ca.pem"), "-verify_return_error"];
      const { bytes, output } = await openssl(secure.port, [...own, ...ca, "-cipher", cipher]);
      expect(output).toContain(`Cipher is ${cipher}`);
      expect(output).toContain("Verification: OK");
      expect(bytes.includes(PONG)).toBe(true);
      expect(secure.identities()).toContain("meter-7");
    });
  }

  it("makes the handshake without extended master secret where the client has none (RFC 7627 §5.3)", async () => {
    const conf = secure.path("no-ems.cnf");
    writeFileSync(
      conf,
      "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = system\n[system]\nOptions = -ExtendedMasterSecret\n",
    );
    const { bytes, output } = await openssl(secure.port, withPsk("PSK-AES128-CCM8"), { OPENSSL_CONF: conf });
    expect(output).toContain("Extended master secret: no");
    expect(bytes.includes(PONG)).toBe(true);
  });

  it("takes MAC-then-encrypt where the client has no encrypt-then-mac (RFC 7366 §3)", async () => {
    const { bytes } = await openssl(secure.port, [...withPsk("PSK-AES128-CBC-SHA256"), "-no_etm"]);
    expect(bytes.includes(PONG)).toBe(true);
  });

  it("puts fragments together, also of a Finished in two records, and cuts its own (RFC 6347 §4.2.3)", async () => {
    const own = ["-cert", secure.path("client.pem"), "-key", secure.path("client.key"), "-mtu", "256"];
    const { bytes } = await openssl(secure.port, [...own, "-cipher", "ECDHE-ECDSA-AES128-CCM8"]);
    expect(bytes.includes(PONG)).toBe(true);
  });

  for (const length of ["512", "1024"]) {
    it(`keeps a maximum fragment length of ${length} (RFC 6066 §4)`, async () => {
      const limit = ["-maxfraglen", length];
      const { bytes } = await openssl(secure.port, [...limit, "-cipher", "ECDHE-ECDSA-AES128-CCM8"]);
      expect(bytes.includes(PONG)).toBe(true);
    });
  }

  it("agrees on the protocol name coap (RFC 7301)", async () => {
    const { output } = await openssl(secure.port, [...withPsk("PSK-AES128-CCM8"), "-alpn", "coap"]);
    expect(output).toContain("ALPN protocol: coap");
  });

  it("refuses a protocol that is not spoken here (RFC 7301 §3.2)", async () => {
    const { output } = await openssl(secure.port, [...withPsk("PSK-AES128-CCM8"), "-alpn", "h2"]);
    expect(output).toContain("alert no application protocol");
  });

  it("goes on with a session by ticket, and by id where the client takes no tickets (RFC 5077, RFC 5246 §7.3)", async () => {
    for (const more of [[], ["-no_ticket"]]) {
      const session = secure.path(`session${more.length}.pem`);
      const args = [...withPsk("PSK-AES128-CCM8"), ...more];
      const first = await openssl(secure.port, [...args, "-sess_out", session]);
      expect(first.output).toContain("New, TLSv1.2");
      const second = await openssl(secure.port, [...args, "-sess_in", session]);
      expect(second.output).toContain("Reused, TLSv1.2");
      expect(second.bytes.includes(PONG)).toBe(true);
    }
  });

  for (const [what, args] of [
    ["a wrong key", withPsk("PSK-AES128-CCM8", "0badc0de")],
    ["an unknown identity", withPsk("PSK-AES128-CCM8", "0102030405", "nobody")],
  ] as const) {
    it(`tells ${what} by decrypt_error, and nothing else (RFC 4279 §2)`, async () => {
      const { output } = await openssl(secure.port, args);
      expect(output).toContain("alert decrypt error");
    });
  }

  it("refuses a client without a common suite by handshake_failure", async () => {
    const { output } = await openssl(secure.port, withPsk("DHE-PSK-AES128-CCM8"));
    expect(output).toContain("alert handshake failure");
  });

  it("counts handshakes by suite and outcome", async () => {
    const text = await secure.metrics();
    expect(text).toMatch(/dtls_handshakes_total\{suite="PSK_WITH_AES_128_CCM_8",outcome="completed"\} \d/);
    expect(text).toMatch(/dtls_handshakes_total\{suite="PSK_WITH_AES_128_CCM_8",outcome="resumed"\} 2/);
    expect(text).toMatch(/dtls_handshakes_total\{suite="PSK_WITH_AES_128_CCM_8",outcome="decrypt_error"\} 2/);
  });
});
