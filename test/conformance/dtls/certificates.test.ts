/** Kinds of server certificates, key exchanges and refusals, as other people's client sees them; and keys that change. */
import { writeFileSync } from "node:fs";
import { afterAll, it as anyIt, beforeAll, describe, expect } from "vitest";
import { dial, until } from "../../support/dtls-socket.ts";
import { lacks } from "../../support/programs.ts";
import { IDENTITY, KEY, openssl, PING, PONG, SecureGateway, withPsk } from "./support.ts";

const it = anyIt.skipIf(lacks("openssl"));

let secure: SecureGateway;
beforeAll(async () => {
  secure = new SecureGateway();
  const { certificates } = secure;
  certificates.issue("rsa", "/CN=gw.example", 30, { key: "RSA" });
  certificates.issue("p384", "/CN=p384.example", 30, { key: "P-384", names: "DNS:p384.example" });
  certificates.issue("short", "/CN=meter-7", 30, { usage: "serverAuth" });
  const pair = (name: string) => ({ cert: secure.path(`${name}.pem`), key: secure.path(`${name}.key`) });
  await secure.start({
    tls: { ...secure.tls, reloadInterval: "100ms" },
    dtls: { certificates: [pair("rsa"), pair("p384")] },
  });
});
afterAll(() => secure.stop());

const client = (...more: string[]) => [
  "-cert",
  secure.path("client.pem"),
  "-key",
  secure.path("client.key"),
  "-CAfile",
  secure.path("ca.pem"),
  "-verify_return_error",
  ...more,
];

describe("openssl s_client", () => {
  for (const cipher of ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"]) {
    it(`talks with an RSA certificate of the server over ${cipher} (RFC 5289)`, async () => {
      const { bytes, output } = await openssl(secure.port, client("-cipher", cipher));
      expect(output).toContain(`Cipher is ${cipher}`);
      expect(output).toContain("Verification: OK");
      expect(bytes.includes(PONG)).toBe(true);
    });
  }

  for (const [group, shown] of [
    ["X25519", "X25519, 253 bits"],
    ["P-384", "ECDH, secp384r1, 384 bits"],
    ["P-256", "ECDH, prime256v1, 256 bits"],
  ] as const) {
    it(`agrees on a key in the group ${group} (RFC 8422 §5.1.1)`, async () => {
      // An RSA certificate asks nothing of the groups.
      const args = client("-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-groups", group);
      const { bytes, output } = await openssl(secure.port, args);
      expect(output).toContain(`Server Temp Key: ${shown}`);
      expect(bytes.includes(PONG)).toBe(true);
    });
  }

  it("gets the certificate of the server name that it asks for (RFC 6066 §3)", async () => {
    const asked = async (name: string) => {
      const args = client("-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256", "-servername", name);
      const { output, bytes } = await openssl(secure.port, args);
      expect(bytes.includes(PONG)).toBe(true);
      return output;
    };
    expect(await asked("p384.example")).toContain("subject=CN = p384.example");
    expect(await asked("localhost")).toContain("subject=CN = gw.example");
    expect(await asked("127.0.0.1")).toContain("subject=CN = gw.example");
  });

  it("is told that its certificate is for servers, or of strangers", async () => {
    const strangers = new SecureGateway();
    try {
      for (const [folder, name, alert] of [
        [secure, "short", "unsupported certificate"],
        [strangers, "client", "unknown ca"],
      ] as const) {
        const own = ["-cert", folder.path(`${name}.pem`), "-key", folder.path(`${name}.key`)];
        const { output } = await openssl(secure.port, [...own, "-cipher", "ECDHE-ECDSA-AES128-CCM8"]);
        expect(output).toContain(`alert ${alert}`);
      }
    } finally {
      strangers.certificates.remove();
    }
  });
});

describe("a PSK file that changes", () => {
  it("counts for new handshakes, and leaves associations that are open as they are", async () => {
    const key = new Uint8Array(Buffer.from(KEY, "hex"));
    const open = await dial(secure.port, { identity: IDENTITY, key });
    expect(Buffer.from(await open.ask(PING))).toEqual(PONG);
    writeFileSync(secure.path("psk"), `${IDENTITY}:ffffffffff\n`);
    const changed = async () => (await openssl(secure.port, withPsk("PSK-AES128-CCM8", "ffffffffff"))).bytes;
    await until("the new key", () => secure.events().includes("dtls-keys-reloaded"), 30_000);
    expect((await changed()).includes(PONG)).toBe(true);
    const { output } = await openssl(secure.port, withPsk("PSK-AES128-CCM8"));
    expect(output).toContain("alert decrypt error");
    expect(Buffer.from(await open.ask(PING))).toEqual(PONG);
    open.close();
  });

  it("that cannot be read is refused with a line of the log, and the old keys stay", async () => {
    writeFileSync(secure.path("psk"), "this is no key\n");
    await until("the refusal", () => secure.events().includes("dtls-keys-reload-failed"), 30_000);
    const { bytes } = await openssl(secure.port, withPsk("PSK-AES128-CCM8", "ffffffffff"));
    expect(bytes.includes(PONG)).toBe(true);
    expect(secure.gateway.log.join("")).not.toContain("this is no key");
  });
});
