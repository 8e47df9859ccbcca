/** `dtls.keyLog`: what it writes opens the traffic of every suite for another's eyes. */
import { execFileSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it as test } from "vitest";
import { DEFAULT_SUITES, SUITES } from "#core/dtls/suites.ts";
import { lacks } from "../../support/programs.ts";
import { openssl, PING, PONG, SecureGateway, withPsk } from "./support.ts";

const it = test.skipIf(lacks("openssl", "tshark"));

/** By OpenSSL's names; those of DTLS that it does not know by any are not offered to it. */
const CIPHERS = {
  PSK_WITH_AES_128_CCM: "PSK-AES128-CCM",
  PSK_WITH_AES_128_GCM_SHA256: "PSK-AES128-GCM-SHA256",
  PSK_WITH_AES_128_CCM_8: "PSK-AES128-CCM8",
  PSK_WITH_AES_256_GCM_SHA384: "PSK-AES256-GCM-SHA384",
  PSK_WITH_AES_256_CCM: "PSK-AES256-CCM",
  PSK_WITH_AES_256_CCM_8: "PSK-AES256-CCM8",
  PSK_WITH_AES_128_CBC_SHA256: "PSK-AES128-CBC-SHA256",
  ECDHE_PSK_WITH_AES_128_CBC_SHA256: "ECDHE-PSK-AES128-CBC-SHA256",
  ECDHE_ECDSA_WITH_AES_128_CCM: "ECDHE-ECDSA-AES128-CCM",
  ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "ECDHE-ECDSA-AES128-GCM-SHA256",
  ECDHE_ECDSA_WITH_AES_128_CCM_8: "ECDHE-ECDSA-AES128-CCM8",
  ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "ECDHE-ECDSA-AES256-GCM-SHA384",
  ECDHE_ECDSA_WITH_AES_256_CCM: "ECDHE-ECDSA-AES256-CCM",
  ECDHE_ECDSA_WITH_AES_256_CCM_8: "ECDHE-ECDSA-AES256-CCM8",
  ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: "ECDHE-ECDSA-AES128-SHA256",
  ECDHE_RSA_WITH_AES_128_GCM_SHA256: "ECDHE-RSA-AES128-GCM-SHA256",
  ECDHE_RSA_WITH_AES_256_GCM_SHA384: "ECDHE-RSA-AES256-GCM-SHA384",
};
const all = SUITES.map(({ name }) => name);

/** Stands between a client and the gateway, and keeps what passes in the form that text2pcap reads. */
class Relay {
  readonly #socket = createSocket("udp4");
  readonly #inner = createSocket("udp4");
  readonly lines: string[] = [];
  #client = 0;

  async open(to: number): Promise<number> {
    for (const socket of [this.#socket, this.#inner]) {
      socket.bind(0, "127.0.0.1");
      await once(socket, "listening");
    }
    this.#socket.on("message", (bytes, { port }) => {
      this.#client = port;
      this.#pass(bytes, "I", this.#inner, to);
    });
    this.#inner.on("message", (bytes) => this.#pass(bytes, "O", this.#socket, this.#client));
    return this.#socket.address().port;
  }

  close(): void {
    this.#socket.close();
    this.#inner.close();
  }

  #pass(bytes: Uint8Array, direction: "I" | "O", socket: Socket, port: number): void {
    const octets = [...bytes].map((octet) => octet.toString(16).padStart(2, "0"));
    this.lines.push(`${direction}\n000000 ${octets.join(" ")}\n`);
    socket.send(bytes, port, "127.0.0.1");
  }
}

let secure: SecureGateway;
/** What tshark saw of the content, by suite. */
const seen = new Map<string, string>();
beforeAll(async () => {
  if (lacks("openssl", "tshark")) return;
  secure = new SecureGateway();
  secure.certificates.issue("rsa", "/CN=rsa.example", 30, { key: "RSA" });
  const rsa = { cert: secure.path("rsa.pem"), key: secure.path("rsa.key") };
  await secure.start({ dtls: { suites: all, certificates: [rsa], keyLog: secure.path("secrets.txt") } });
  const captures: string[] = [];
  for (const [index, cipher] of Object.values(CIPHERS).entries()) {
    captures.push(capture(FIRST_PORT + index, await exchange(cipher)));
  }
  look(captures);
});
afterAll(() => secure?.stop());

const PIPE = { stdio: "pipe" } as const;
/** Of the client, in captures: one for each suite. */
const FIRST_PORT = 40_000;

/** A ping and what answers it. */
async function exchange(cipher: string): Promise<readonly string[]> {
  const relay = new Relay();
  const port = await relay.open(secure.port);
  const own = ["-cert", secure.path("client.pem"), "-key", secure.path("client.key")];
  try {
    await openssl(port, cipher.includes("PSK") ? withPsk(cipher) : [...own, "-cipher", cipher]);
    return relay.lines;
  } finally {
    relay.close();
  }
}

function capture(port: number, lines: readonly string[]): string {
  const [text, file] = [secure.path(`${port}.txt`), secure.path(`${port}.pcap`)];
  writeFileSync(text, lines.join(""));
  execFileSync("text2pcap", ["-D", "-u", `${port},5684`, text, file], PIPE);
  return file;
}

function look(captures: readonly string[]): void {
  const merged = secure.path("all.pcap");
  execFileSync("mergecap", ["-a", "-w", merged, ...captures], PIPE);
  const decode = ["-d", "udp.port==5684,dtls", "-d", "dtls.port==5684,data"];
  const keys = ["-o", `tls.keylog_file:${secure.path("secrets.txt")}`];
  const show = ["-Y", "data", "-T", "fields", "-e", "udp.srcport", "-e", "udp.dstport", "-e", "data.data"];
  const rows = execFileSync("tshark", ["-n", "-r", merged, ...decode, ...keys, ...show], PIPE).toString();
  for (const row of rows.trim().split("\n")) {
    const [source, target, data = ""] = row.split("\t");
    const suite = Object.keys(CIPHERS)[Math.max(Number(source), Number(target)) - FIRST_PORT]!;
    seen.set(suite, `${seen.get(suite) ?? ""} ${data}`);
  }
}

for (const suite of Object.keys(CIPHERS)) {
  it(`opens ${suite} for tshark`, () => {
    expect(seen.get(suite)).toContain(PING.toString("hex"));
    expect(seen.get(suite)).toContain(PONG.toString("hex"));
  });
}

test("every suite is one of these, or has an ephemeral exchange with a key that OpenSSL does not know by name", () => {
  const others = all.filter((name) => !(name in CIPHERS));
  expect(others.filter((name) => !/^ECDHE_PSK_WITH_AES_\d+_(CCM|GCM)/.test(name))).toEqual([]);
  expect(DEFAULT_SUITES.length).toBeGreaterThan(others.length);
});

it("is warned of, and can be read by the gateway's own user only", () => {
  expect(statSync(secure.path("secrets.txt")).mode & 0o777).toBe(0o600);
  expect(readFileSync(secure.path("secrets.txt"), "utf8")).toMatch(
    /^(CLIENT_RANDOM [0-9a-f]{64} [0-9a-f]{96}\n)+$/,
  );
  expect(secure.gateway.log.join("")).toContain('"event":"dtls-key-log"');
});
