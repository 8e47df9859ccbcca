import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:tls";
import { WebSocket } from "ws";
import { type DeviceOptions, DtlsDevice } from "../../support/dtls-device.ts";
import { until as comes, dial, UdpNetwork } from "../../support/dtls-socket.ts";
import { until } from "../../support/store-process.ts";
import { Certificates } from "../../unit/net/certificates.ts";
import type { Case, Group } from "./case.ts";
import { tcpSays, tlsSays, within } from "./clients.ts";
import type { Site } from "./site.ts";

let certificates: Certificates;
let strangers: Certificates;
const KEY = Buffer.from("0102030405", "hex");

const eventsOf = (site: Site, event: string) => site.lines.filter((line) => line.event === event).length;

/** Waits for one line more than there were. */
async function leaves(site: Site, event: string, act: () => Promise<unknown>): Promise<void> {
  const before = eventsOf(site, event);
  await act();
  await until(() => eventsOf(site, event) > before, `a line ${event}`);
}

/** Waits for one record more that was dropped, and why. */
async function counts(site: Site, why: string, act: () => Promise<unknown>): Promise<void> {
  const dropped = async (): Promise<number> =>
    (await site.metrics()).get(`isthmus_dtls_records_dropped_total{why="${why}"}`) ?? 0;
  const before = await dropped();
  await act();
  await until(async () => (await dropped()) > before, `a record that is dropped as ${why}`);
}

/** `openssl s_client` until it has ended. */
const openssl = (port: number, ...options: string[]): Promise<void> => {
  const client = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, ...options], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  return new Promise((resolve) => client.once("close", () => resolve()));
};

/** The description of the alert that ends a handshake (RFC 5246 §7.2). */
async function alertOf(site: Site, options: DeviceOptions): Promise<string> {
  const network = new UdpNetwork(site.port("coap", "dtls"));
  const device = new DtlsDevice(network, options);
  device.connect();
  await comes("an alert", () => device.alerts.length > 0);
  network.close();
  const [, description] = device.alerts[0] ?? [0, 0];
  return ALERTS[description] ?? String(description);
}
const ALERTS: Readonly<Record<number, string>> = {
  20: "bad_record_mac",
  40: "handshake_failure",
  51: "decrypt_error",
  115: "unknown_psk_identity",
};

/** How a WebSocket upgrade is refused. */
const upgradeOf = (url: string, protocol: string): Promise<string> =>
  within(
    "an answer to the upgrade",
    new Promise((resolve) => {
      const socket = new WebSocket(url, protocol);
      socket.once("unexpected-response", (_, response) => resolve(String(response.statusCode)));
      socket.once("open", () => resolve("open"));
      socket.once("error", (error) => resolve(error.message));
    }),
  );

/** What STOMP's secure port answers to a CONNECT, with a certificate or without. */
const stompSays = (site: Site, of?: Certificates, name = ""): Promise<string> =>
  within(
    "an answer over TLS",
    new Promise((resolve, reject) => {
      const own =
        of === undefined
          ? {}
          : { cert: readFileSync(of.path(`${name}.pem`)), key: readFileSync(of.path(`${name}.key`)) };
      const ca = readFileSync(certificates.path("ca.pem"));
      const socket = connect({ port: site.port("stomp", "tls"), host: "127.0.0.1", ca, ...own });
      let said = "";
      socket.on("data", (bytes: Buffer) => {
        said += bytes.toString();
      });
      socket.once("error", reject);
      socket.once("close", () => resolve(said));
      socket.write("CONNECT\naccept-version:1.2\nhost:x\n\n\0");
    }),
  );
const problemIn = (said: string): string => /^ERROR\n(?:.*\n)+.*: ([A-Z_]+)/.exec(said)?.[1] ?? said;

const CASES: readonly Case[] = [
  {
    row: "TLS: `SELF_SIGNED_CERT_IN_CHAIN`, certificate verify failed",
    async play(site) {
      const code = await tlsSays(site.port("mqtt", "tls"));
      // OpenSSL judges within the handshake, and says so to the gateway.
      await leaves(site, "tls-handshake-failed", () =>
        openssl(site.port("mqtt", "tls"), "-verify_return_error"),
      );
      return [code];
    },
  },
  {
    row: "TLS: `ERR_TLS_CERT_ALTNAME_INVALID`, hostname mismatch",
    play: async (site) => [
      await tlsSays(site.port("mqtt", "tls"), {
        ca: readFileSync(certificates.path("ca.pem")),
        servername: "another.example",
      }),
    ],
  },
  {
    row: "after TLS: `PEER_DID_NOT_RETURN_A_CERTIFICATE` in an ERROR or reason string, MQTT CONNACK 5",
    play: async (site) => [problemIn(await stompSays(site))],
  },
  {
    row: "after TLS: `CERT_HAS_EXPIRED`, `UNABLE_TO_VERIFY_LEAF_SIGNATURE` in such a place",
    play: async (site) => [
      problemIn(await stompSays(site, certificates, "old")),
      problemIn(await stompSays(site, strangers, "device")),
    ],
  },
  {
    row: "TLS: wrong version number, or the plain protocol on a secure port",
    async play(site) {
      await leaves(site, "tls-handshake-failed", () =>
        tcpSays(site.port("mqtt", "tls"), Buffer.from("100c00044d515454040000000000", "hex")),
      );
      return [];
    },
  },
  {
    row: "TLS to a port that speaks the plain protocol",
    async play(site) {
      await leaves(site, "protocol-error", () => tlsSays(site.port("mqtt", "tcp")));
      return [];
    },
  },
  {
    row: "TLS: an old version only",
    async play(site) {
      await leaves(site, "tls-handshake-failed", () =>
        tlsSays(site.port("mqtt", "tls"), {
          minVersion: "TLSv1",
          maxVersion: "TLSv1.1",
          ciphers: "DEFAULT@SECLEVEL=0",
          rejectUnauthorized: false,
        }),
      );
      return [];
    },
  },
  {
    row: "DTLS: `decrypt_error`",
    play: async (site) => [await alertOf(site, { identity: "dev1", key: Buffer.from("99", "hex") })],
  },
  {
    row: "DTLS: `decrypt_error`, and the identity is new",
    play: async (site) => [await alertOf(site, { identity: "nobody", key: KEY })],
  },
  {
    row: "DTLS: `handshake_failure`",
    play: async (site) => [
      await alertOf(site, { identity: "dev1", key: KEY, suite: "PSK_WITH_AES_128_CBC_SHA256" }),
    ],
  },
  {
    row: "DTLS: no answer at all",
    async play(site) {
      const network = new UdpNetwork(site.port("coap", "dtls"));
      network.attach("", 1, () => {});
      await counts(site, "malformed", async () => {
        // CoAP in plain text.
        network.send(Buffer.from("40011234", "hex"), "", 1);
      });
      network.close();
      return [];
    },
  },
  {
    row: "DTLS: it worked before, and after a pause nothing is answered",
    async play(site) {
      const device = await dial(site.port("coap", "dtls"), { identity: "dev1", key: KEY });
      // A NAT gives it another port, and it has no connection id.
      device.move();
      await counts(site, "unknown", async () => {
        device.device.sendBytes(device.device.record(Buffer.from("40001234", "hex")));
      });
      device.close();
      return [];
    },
  },
  {
    row: "WebSocket: `404`",
    play: async (site) => [await upgradeOf(`ws://127.0.0.1:${site.port("mqtt", "ws")}/socket`, "mqtt")],
  },
  {
    row: "WebSocket: `426`",
    async play(site) {
      const answer = await fetch(`http://127.0.0.1:${site.port("mqtt", "ws")}/mqtt`);
      return [String(answer.status)];
    },
  },
  {
    row: "WebSocket: `403`",
    play: async (site) =>
      within(
        "an answer",
        new Promise<string[]>((resolve) => {
          const socket = new WebSocket(`ws://127.0.0.1:${site.port("stomp", "ws")}/stomp`, "v12.stomp", {
            headers: { origin: "https://elsewhere.example" },
          });
          socket.once("unexpected-response", (_, response) => resolve([String(response.statusCode)]));
          socket.once("open", () => resolve(["open"]));
          socket.once("error", () => {});
        }),
      ),
  },
  {
    row: "WebSocket: the client ends it: Server sent no subprotocol",
    async play(site) {
      const said = await upgradeOf(`ws://127.0.0.1:${site.port("mqtt", "ws")}/mqtt`, "v12.stomp");
      return said === "Server sent no subprotocol" ? [] : [said];
    },
  },
];

export const SECURED: Group = {
  name: "TLS, DTLS and WebSocket",
  settings() {
    certificates = new Certificates();
    certificates.issue("server", "/CN=gw.example");
    certificates.issue("old", "/CN=meter-7", -1);
    strangers = new Certificates();
    strangers.issue("device", "/CN=meter-7");
    const path = (name: string): string => certificates.path(name);
    certificates.write("psk", "dev1:0102030405\n");
    return {
      tls: { cert: path("server.pem"), key: path("server.key"), ca: path("ca.pem"), pskFile: path("psk") },
      gateways: {
        stomp: {
          listeners: {
            tls: { tls: { clientCertificate: "require" } },
            ws: { websocket: { paths: ["/stomp"], origins: ["https://dashboard.example"] } },
          },
        },
      },
    };
  },
  cases: CASES,
  end() {
    certificates.remove();
    strangers.remove();
  },
};
