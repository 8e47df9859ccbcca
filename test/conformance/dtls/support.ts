/** Foreign DTLS clients, and a gateway with all the keys that they need. */
import { execFileSync, spawn } from "node:child_process";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { Certificates } from "../../unit/net/certificates.ts";

export const IDENTITY = "dev1";
export const KEY = "0102030405";
/** libcoap takes its keys as text. */
export const TEXT_IDENTITY = "dev2";
export const TEXT_KEY = "secretPSK";

/** A CoAP ping (RFC 7252 §4.3) and the Reset that answers it. */
export const PING = Buffer.from([0x40, 0x00, 0x12, 0x34]);
export const PONG = Buffer.from([0x70, 0x00, 0x12, 0x34]);

export class SecureGateway {
  readonly certificates = new Certificates();
  gateway!: TestGateway;
  readonly #identities: unknown[] = [];
  readonly #events: string[] = [];

  constructor() {
    const { certificates } = this;
    certificates.issue("server", "/CN=gw.example");
    certificates.issue("client", "/CN=meter-7");
    certificates.issue("client-ec", "/CN=meter-8");
    certificates.write(
      "psk",
      `${IDENTITY}:${KEY}\n${TEXT_IDENTITY}:${Buffer.from(TEXT_KEY).toString("hex")}\n`,
    );
    const ec = execFileSync("openssl", ["ec", "-in", this.path("client-ec.key")], { stdio: "pipe" });
    certificates.write("client-ec.sec1.key", ec.toString());
    const lines = ["client", "client-ec"].map((name) => `raw-${name}:${this.publicKey(name)}`);
    certificates.write("client-keys", `${lines.join("\n")}\n`);
  }

  path(name: string): string {
    return this.certificates.path(name);
  }

  /** SubjectPublicKeyInfo in base64. */
  publicKey(name: string): string {
    const options = ["pkey", "-in", this.path(`${name}.key`), "-pubout", "-outform", "DER"];
    return execFileSync("openssl", options, { stdio: "pipe" }).toString("base64");
  }

  get tls() {
    return {
      cert: this.path("server.pem"),
      key: this.path("server.key"),
      ca: this.path("ca.pem"),
      pskFile: this.path("psk"),
      clientCertificate: "request",
    };
  }

  async start(settings: object = {}): Promise<void> {
    this.gateway = await startGateway({ tls: this.tls, gateways: { coap: {} }, ...settings });
    const { core } = this.gateway.composition;
    const { note } = core;
    core.note = (gateway, what, about) => {
      this.#events.push(what.event);
      if (what.event === "dtls-associated") this.#identities.push(what.detail?.["identity"]);
      note.call(core, gateway, what, about);
    };
  }

  get port(): number {
    return this.gateway.port("coap", "dtls");
  }

  /** Identities of those that came to share keys with the gateway. */
  identities(): readonly unknown[] {
    return this.#identities;
  }

  /** What was noted, at any level. */
  events(): readonly string[] {
    return this.#events;
  }

  async metrics(): Promise<string> {
    return this.gateway.composition.metrics.text();
  }

  async stop(): Promise<void> {
    await this.gateway?.stop();
    this.certificates.remove();
  }
}

export interface Talk {
  readonly output: string;
  readonly bytes: Buffer;
}

/**
 * Runs a client that sends its standard input, until it has printed the answer or ended by itself. What is written has
 * a line end, which most clients want; CoAP ignores a datagram that is too long for its header.
 */
export function talk(
  command: string,
  args: readonly string[],
  input: Buffer,
  enough: (bytes: Buffer) => boolean,
  environment: NodeJS.ProcessEnv = {},
): Promise<Talk> {
  const child = spawn(command, args, { stdio: "pipe", env: { ...process.env, ...environment } });
  const chunks: Buffer[] = [];
  child.stdin.on("error", () => {});
  if (input.length > 0) child.stdin.write(input);
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => child.kill("SIGKILL"), 50_000);
    const take = (chunk: Buffer): void => {
      chunks.push(chunk);
      if (enough(Buffer.concat(chunks))) child.kill("SIGTERM");
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", reject);
    child.on("close", () => {
      clearTimeout(limit);
      const bytes = Buffer.concat(chunks);
      resolve({ bytes, output: bytes.toString("latin1") });
    });
  });
}

/** `openssl s_client` that pings over DTLS 1.2. */
export const openssl = (
  port: number,
  args: readonly string[],
  environment?: NodeJS.ProcessEnv,
): Promise<Talk> =>
  talk(
    "openssl",
    ["s_client", "-dtls1_2", "-connect", `127.0.0.1:${port}`, ...args],
    PING,
    (bytes) => bytes.includes(PONG),
    environment,
  );

export const withPsk = (cipher: string, key = KEY, identity = IDENTITY): readonly string[] => [
  "-psk",
  key,
  "-psk_identity",
  identity,
  "-cipher",
  cipher,
];
