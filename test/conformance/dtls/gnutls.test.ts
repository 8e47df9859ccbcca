import { afterAll, it as anyIt, beforeAll, describe, expect } from "vitest";
import { lacks } from "../../support/programs.ts";
import { IDENTITY, KEY, SecureGateway, talk } from "./support.ts";

const it = anyIt.skipIf(lacks("gnutls-cli", "openssl"));

let secure: SecureGateway;
let rawOnly: SecureGateway;
beforeAll(async () => {
  secure = new SecureGateway();
  await secure.start({
    dtls: {
      clientKeys: secure.path("client-keys"),
      suites: [
        "PSK_WITH_AES_128_CCM_8",
        "PSK_WITH_AES_128_GCM_SHA256",
        "PSK_WITH_AES_128_CBC_SHA256",
        "ECDHE_ECDSA_WITH_AES_128_CCM_8",
        "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
      ],
    },
  });
  rawOnly = new SecureGateway();
  await rawOnly.start({
    tls: { key: rawOnly.path("server.key"), clientCertificate: "require" },
    dtls: { clientKeys: rawOnly.path("client-keys") },
  });
});
afterAll(() => Promise.all([secure.stop(), rawOnly.stop()]));

const BASE = "NONE:+VERS-DTLS1.2:+GROUP-ALL:+SIGN-ALL:+COMP-NULL:+SHA256:+SHA384:+SHA1:+AEAD";

const gnutls = (port: number, priority: string, args: readonly string[], host = "127.0.0.1") =>
  talk(
    "gnutls-cli",
    ["--udp", "--port", String(port), "--priority", `${BASE}:${priority}`, ...args, host],
    Buffer.alloc(0),
    (bytes) => bytes.includes("Handshake was completed") && bytes.includes("Simple Client Mode"),
  );

const psk = ["--pskusername", IDENTITY, "--pskkey", KEY];
const ofClient = (to: SecureGateway) => [
  "--x509cafile",
  to.path("ca.pem"),
  "--x509certfile",
  to.path("client.pem"),
  "--x509keyfile",
  to.path("client.key"),
  "--verify-hostname",
  "localhost",
];

describe("gnutls-cli", () => {
  for (const [cipher, shown] of [
    ["AES-128-CCM-8", "AES-128-CCM-8"],
    ["AES-128-GCM", "AES-128-GCM"],
    ["AES-128-CBC", "AES-128-CBC"],
  ] as const) {
    it(`shakes hands with a pre-shared key over ${cipher}`, async () => {
      const { output } = await gnutls(secure.port, `+CTYPE-ALL:+PSK:+${cipher}`, psk);
      expect(output).toContain("Handshake was completed");
      expect(output).toContain(shown);
      expect(secure.identities()).toContain(IDENTITY);
    });
  }

  it("goes on with a session by ticket (RFC 5077)", async () => {
    const { output } = await talk(
      "gnutls-cli",
      [
        "--udp",
        "-r",
        "--port",
        String(secure.port),
        "--priority",
        `${BASE}:+CTYPE-ALL:+PSK:+AES-128-CCM-8`,
        ...psk,
        "127.0.0.1",
      ],
      Buffer.alloc(0),
      (bytes) => bytes.includes("resumed session") || bytes.includes("Resume Handshake"),
    );
    expect(output).toContain("This is a resumed session");
  });

  it("is answered by a warning when it wants to negotiate again (RFC 5746 §4.5)", async () => {
    const { output } = await talk(
      "gnutls-cli",
      [
        "--udp",
        "-e",
        "--port",
        String(secure.port),
        "--priority",
        `${BASE}:+CTYPE-ALL:+PSK:+AES-128-GCM`,
        ...psk,
        "127.0.0.1",
      ],
      Buffer.alloc(0),
      (bytes) => bytes.includes("TLS warning alert"),
    );
    expect(output).toContain("Non fatal error: A TLS warning alert has been received");
  });

  it("keeps the record size limit of the client (RFC 8449), and small datagrams", async () => {
    const more = ["--recordsize", "512", "--mtu", "300"];
    const priority = "+CTYPE-ALL:+ECDHE-ECDSA:+AES-128-CCM-8";
    const { output } = await gnutls(secure.port, priority, [...ofClient(secure), ...more]);
    expect(output).toContain("Handshake was completed");
    expect(secure.identities()).toContain("meter-7");
  });

  it("shakes hands with certificates of both sides", async () => {
    const { output } = await gnutls(secure.port, "+CTYPE-ALL:+ECDHE-ECDSA:+AES-128-GCM", ofClient(secure));
    expect(output).toContain("Status: The certificate is trusted");
    expect(output).toContain("Handshake was completed");
  });

  const raw = (to: SecureGateway) => {
    const { execFileSync } = process.getBuiltinModule("node:child_process");
    const pub = to.path("client.pub.pem");
    execFileSync("openssl", ["pkey", "-in", to.path("client.key"), "-pubout", "-out", pub]);
    return ["--rawpkfile", pub, "--rawpkkeyfile", to.path("client.key"), "--insecure"];
  };
  const RAW = "+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK:+ECDHE-ECDSA:+AES-128-CCM-8";

  for (const [what, to] of [
    ["a server that has certificates as well", () => secure],
    ["a server that has a key and no certificate", () => rawOnly],
  ] as const) {
    it(`shakes hands by raw public keys of both sides with ${what} (RFC 7250)`, async () => {
      const { output } = await gnutls(to().port, RAW, raw(to()));
      expect(output).toContain("(DTLS1.2-Raw Public Key)");
      expect(output).toContain("Handshake was completed");
      expect(to().identities()).toContain("raw-client");
    });
  }
});
