/** Who shows a certificate or a pre-shared key is who that names: by MQTT, CoAP and STOMP, with other people's clients. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:tls";
import { afterAll, it as anyIt, beforeAll, describe, expect } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { Certificates } from "../../unit/net/certificates.ts";
import { run } from "../coap/run.ts";

const lacking = lacks("openssl", "mosquitto_pub", "coap-client-openssl");
const it = anyIt.skipIf(lacking);
const KEY = "a key in text";
const KEY_HEX = Buffer.from(KEY).toString("hex");

const files = new Certificates();
/** What each listener takes from the certificate, and whom the device's one names by it. */
const NAMES: Readonly<Record<string, string>> = {
  cn: "dev-1",
  dn: "CN=dev-1,O=Acme",
  "san-dns": "dev-1.example",
  "san-uri": "urn:dev:1",
};
let gateway: TestGateway;

beforeAll(async () => {
  if (lacking) return;
  files.issue("server", "/CN=localhost");
  files.issue("device", "/O=Acme/CN=dev-1", 30, { names: "DNS:dev-1.example,URI:urn:dev:1" });
  files.issue("stranger", "/CN=dev-2");
  const fingerprint = new X509Certificate(readFileSync(files.path("device.pem"))).fingerprint256;
  const named = { ...NAMES, fingerprint: fingerprint.replaceAll(":", "").toLowerCase() };
  const [cert, key, ca] = [files.path("server.pem"), files.path("server.key"), files.path("ca.pem")];
  const pskFile = files.write("psk", `dev-1:${KEY_HEX}\n`);
  const listeners = (transport: string) => ({
    ...Object.fromEntries(
      Object.keys(named).map((identity) => [
        identity,
        { transport, enable: true, tls: { clientCertificate: "require", identity } },
      ]),
    ),
    psk: { transport, enable: true, tls: { pskFile } },
  });
  gateway = await startGateway({
    tls: { cert, key, ca },
    authentication: { anonymous: false, chain: [{ kind: "transport-identity" }] },
    // Each listener's own topic, for whom the certificate names there.
    authorization: {
      noMatch: "deny",
      rules: Object.entries({ ...named, psk: "dev-1" }).map(([listener, user]) => ({
        ...{ permission: "allow", who: { user }, action: "publish", topics: [listener] },
      })),
    },
    gateways: {
      mqtt: { listeners: listeners("tls") },
      coap: { listeners: listeners("dtls") },
      stomp: { listeners: listeners("tls") },
    },
  });
});
afterAll(async () => {
  await gateway?.stop();
  files.remove();
});

/** Each publishes to the topic that is called as the listener is: `published`, or what the client has instead. */
const clients = {
  /** 16: there are no subscribers. */
  async mqtt(listener: string, device: string, key?: string): Promise<string> {
    const port = String(gateway.port("mqtt", listener));
    const shown =
      key === undefined
        ? [
            "--cafile",
            files.path("ca.pem"),
            "--cert",
            files.path(`${device}.pem`),
            "--key",
            files.path(`${device}.key`),
          ]
        : ["--psk", key, "--psk-identity", device];
    const message = ["-V", "5", "-q", "1", "-u", "somebody else", "-t", listener, "-m", "x", "-d"];
    const { stdout } = await run("mosquitto_pub", ["-h", "localhost", "-p", port, ...shown, ...message]);
    return /PUBACK \(Mid: 1, RC:(0|16)\)/.test(stdout) ? "published" : stdout;
  },

  async coap(listener: string, device: string, key?: string): Promise<string> {
    const shown =
      key === undefined
        ? ["-c", files.path(`${device}.pem`), "-j", files.path(`${device}.key`), "-C", files.path("ca.pem")]
        : ["-u", device, "-k", Buffer.from(key, "hex").toString()];
    const url = `coaps://localhost:${gateway.port("coap", listener)}/ps/${listener}`;
    const { stdout, stderr } = await run("coap-client-openssl", [
      ...["-v", "6", "-B", "5", ...shown, "-m", "put", "-e", "x", url],
    ]);
    // Its log has times, such as 12.048.
    return /c:2\.04 /.test(stdout + stderr) ? "published" : stdout + stderr;
  },

  stomp: (listener: string, device: string, key?: string): Promise<string> =>
    new Promise((resolve) => {
      const shown =
        key === undefined
          ? {
              cert: readFileSync(files.path(`${device}.pem`)),
              key: readFileSync(files.path(`${device}.key`)),
            }
          : {
              pskCallback: () => ({ identity: device, psk: Buffer.from(key, "hex") }),
              ciphers: "PSK-AES128-GCM-SHA256",
              maxVersion: "TLSv1.2" as const,
              checkServerIdentity: () => undefined,
            };
      const port = gateway.port("stomp", listener);
      const socket = connect({ host: "localhost", port, ca: readFileSync(files.path("ca.pem")), ...shown });
      let heard = "";
      socket.write(
        `CONNECT\naccept-version:1.2\nhost:x\nlogin:somebody else\n\n\0SEND\ndestination:${listener}\nreceipt:1\n\nx\0`,
      );
      socket.on("data", (chunk) => {
        heard += chunk;
        if (heard.includes("RECEIPT")) socket.destroy();
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve(heard.includes("RECEIPT") ? "published" : heard));
    }),
};

for (const [protocol, publish] of Object.entries(clients)) {
  describe(`over ${protocol}`, () => {
    it.each([...Object.keys(NAMES), "fingerprint"])(
      "a client certificate proves the name that its listener takes from it: %s",
      async (listener) => {
        expect(await publish(listener, "device")).toBe("published");
        expect(await publish(listener, "stranger")).not.toBe("published");
      },
    );

    it("a pre-shared key of the file proves its identity, and another key or identity opens nothing", async () => {
      expect(await publish("psk", "dev-1", KEY_HEX)).toBe("published");
      expect(await publish("psk", "dev-1", Buffer.from("another").toString("hex"))).not.toBe("published");
      expect(await publish("psk", "dev-2", KEY_HEX)).not.toBe("published");
    });
  });
}
