import { copyFileSync, readFileSync, renameSync } from "node:fs";
import { Duplex } from "node:stream";
import { type ConnectionOptions, connect, DEFAULT_CIPHERS, type TLSSocket } from "node:tls";
import { afterAll, afterEach, describe as anyDescribe, test as anyTest, beforeAll, expect } from "vitest";
import type { Note } from "#core/contract/note.ts";
import { milliseconds } from "#core/lib/time.ts";
import { HANDSHAKES_UNDER_WAY } from "#core/net/accept-line.ts";
import { subjectName } from "#core/net/certificate-name.ts";
import { listenStream } from "#core/net/listen.ts";
import {
  ListenError,
  type Listening,
  type StreamListenerOptions,
  type TlsOptions,
  type TurnAway,
} from "#core/net/transport.ts";
import { lacks } from "../../support/programs.ts";
import { Certificates } from "./certificates.ts";
import { closed, dial, Recorder, streamOptions } from "./support.ts";

const describe = anyDescribe.skipIf(lacks("openssl"));
const test = anyTest.skipIf(lacks("openssl"));

let files: Certificates;
let listening: Listening | undefined;
let notes: Note[] = [];
let changed: (() => void) | undefined;

beforeAll(() => {
  files = new Certificates();
  files.issue("server", "/CN=localhost");
  files.issue("second", "/CN=second");
  files.issue("device", "/C=CH/O=Acme, Inc/CN=dev 1");
});
afterAll(() => files.remove());
afterEach(async () => {
  await listening?.close();
  listening = undefined;
  notes = [];
});

const serverTls = (changes: Partial<TlsOptions> = {}): TlsOptions => ({
  cert: files.path("server.pem"),
  key: files.path("server.key"),
  clientCertificate: "none",
  identity: "cn",
  minVersion: "TLSv1.2",
  ...changes,
});

async function open(
  recorder: Recorder,
  tls: Partial<TlsOptions> = {},
  changes: Partial<StreamListenerOptions> = {},
): Promise<number> {
  const options = streamOptions({ transport: "tls", tls: serverTls(tls), ...changes });
  listening = await listenStream(options, recorder.accept, (note) => {
    notes.push(note);
    changed?.();
  });
  return listening.port;
}

const noted = (event: string): Promise<void> =>
  new Promise((resolve) => {
    changed = () => {
      if (notes.some((note) => note.event === event)) resolve();
    };
    changed();
  });

const trusting = (): ConnectionOptions => ({
  ca: readFileSync(files.path("ca.pem")),
  servername: "localhost",
});
const device = (): ConnectionOptions => ({
  cert: readFileSync(files.path("device.pem")),
  key: readFileSync(files.path("device.key")),
});

const dialTls = (port: number, options: ConnectionOptions = {}): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", ...trusting(), ...options }, () => resolve(socket));
    socket.once("error", reject);
  });

/** Resolves with the error of a client that is refused; in TLS 1.3 that is after its own handshake. */
const refusal = (port: number, options: ConnectionOptions): Promise<Error> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", ...trusting(), ...options });
    socket.once("error", resolve);
    socket.once("close", () => resolve(new Error("closed")));
  });

test("bytes go both ways, and without a client certificate there is no identity", async () => {
  const recorder = new Recorder();
  const client = await dialTls(await open(recorder));
  expect(client.authorized).toBe(true);
  client.write("ping");
  await recorder.when(() => recorder.bytes.length === 4);
  expect(recorder.connection.peer).toEqual({
    transport: "tls",
    address: "127.0.0.1",
    port: client.localPort,
    identity: undefined,
  });
  const answer = new Promise<Buffer>((resolve) => client.once("data", resolve));
  recorder.connection.write(Buffer.from("pong"));
  expect((await answer).toString()).toBe("pong");
  client.end();
  await recorder.when(() => recorder.closes.length === 1);
});

test.each([
  ["cn", "dev 1"],
  ["dn", "CN=dev 1,O=Acme\\, Inc,C=CH"],
  ["none", undefined],
] as const)("a required client certificate names its holder by %s", async (identity, expected) => {
  const recorder = new Recorder();
  const port = await open(recorder, { ca: files.path("ca.pem"), clientCertificate: "require", identity });
  const client = await dialTls(port, device());
  await recorder.when(() => recorder.connections.length === 1);
  expect(recorder.connection.peer.identity).toBe(expected);
  client.destroy();
});

test("a resumed session still names its holder", async () => {
  const recorder = new Recorder();
  const port = await open(recorder, { ca: files.path("ca.pem"), clientCertificate: "require" });
  const first = await dialTls(port, device());
  const session = await new Promise<Buffer>((resolve) => first.once("session", resolve));
  first.destroy();
  const second = await dialTls(port, { ...device(), session });
  await recorder.when(() => recorder.connections.length === 2);
  expect(second.isSessionReused()).toBe(true);
  expect(recorder.connections[1]?.peer.identity).toBe("dev 1");
  second.destroy();
});

describe.each(["TLSv1.2", "TLSv1.3"] as const)("a required client certificate, with %s,", (version) => {
  const pair = (of: Certificates, name: string): ConnectionOptions => ({
    cert: readFileSync(of.path(`${name}.pem`)),
    key: readFileSync(of.path(`${name}.key`)),
  });
  const of = (options: ConnectionOptions): ConnectionOptions => ({
    ...options,
    minVersion: version,
    maxVersion: version,
  });
  /** A listener that says `<why>: <first octets>` to whom it refuses, as soon as it has three of them. */
  async function strict(changes: Partial<StreamListenerOptions> = {}) {
    const recorder = new Recorder();
    const turnedAway: string[] = [];
    const turnAway: TurnAway = {
      words: (first, why) =>
        first.length < 3 ? undefined : Buffer.from(`${why}: ${Buffer.from(first).toString()}`),
      refused: (peer, why) => void turnedAway.push(`${peer.identity} ${why}`),
    };
    const tls = { ca: files.path("ca.pem"), clientCertificate: "require" } as const;
    const port = await open(recorder, tls, { turnAway, ...changes });
    return { recorder, turnedAway, port };
  }
  /** What the listener has said until it ends the connection. */
  const hear = (socket: TLSSocket): Promise<string> =>
    new Promise((resolve) => {
      let heard = "";
      socket.on("data", (bytes: Buffer) => {
        heard += bytes.toString();
      });
      socket.once("close", () => resolve(heard));
    });
  const options = {
    "that is missing": () => ({}),
    "that has expired": () => pair(files, "expired"),
    "of another authority": () => pair(strangers, "device"),
  };
  const problems = {
    "that is missing": "PEER_DID_NOT_RETURN_A_CERTIFICATE",
    "that has expired": "CERT_HAS_EXPIRED",
    "of another authority": "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  };
  let strangers: Certificates;
  beforeAll(() => {
    strangers = new Certificates();
    strangers.issue("device", "/CN=dev 1");
    files.issue("expired", "/CN=dev 1", -1);
  });
  afterAll(() => strangers.remove());

  test.each(Object.keys(options) as (keyof typeof options)[])(
    "%s is refused in words, and gives no connection",
    async (kind) => {
      const { recorder, turnedAway, port } = await strict();
      const client = await dialTls(port, of(options[kind]()));
      const heard = hear(client);
      client.write("a");
      client.write(`bc${"d".repeat(100_000)}`);
      expect(await heard).toMatch(
        new RegExp(`^the client certificate is refused: ${problems[kind]}: abc?d{0,61}$`),
      );
      expect(turnedAway).toEqual([`undefined the client certificate is refused: ${problems[kind]}`]);
      expect(notes).toMatchObject([
        { event: "tls-handshake-failed", detail: { problem: problems[kind], address: "127.0.0.1" } },
      ]);
      expect(recorder.connections).toEqual([]);
    },
  );

  test("is asked for again where a session of a refused connection is resumed", async () => {
    const { recorder, turnedAway, port } = await strict();
    for (const kind of Object.keys(options) as (keyof typeof options)[]) {
      const first = connect({ port, host: "127.0.0.1", ...trusting(), ...of(options[kind]()) });
      const ended = hear(first);
      const session = await new Promise<Buffer | undefined>((resolve) => {
        first.once("session", resolve);
        first.once("close", () => resolve(undefined));
      });
      first.write("abc");
      await ended;
      expect(session).toBeDefined();
      const second = await dialTls(port, { ...of(options[kind]()), session });
      const heard = hear(second);
      second.write("abc");
      expect(await heard).toContain(problems[kind]);
    }
    expect(turnedAway).toHaveLength(6);
    expect(recorder.connections).toEqual([]);
  });

  test("is refused without a word where the protocol has none, or the client says nothing in time", async () => {
    let refusals = 0;
    const refused = () => void refusals++;
    for (const changes of [{ turnAway: { refused } }, { handshakeTimeout: milliseconds(200) }]) {
      const { recorder, port } = await strict(changes);
      expect(await refusal(port, of(pair(files, "expired")))).toBeInstanceOf(Error);
      if (changes.handshakeTimeout !== undefined) await noted("handshake-timeout");
      expect(recorder.connections).toEqual([]);
      await listening?.close();
      notes = [];
    }
    expect(refusals).toBe(1);
  });

  test("is refused over WebSocket with 403", async () => {
    const { recorder, port } = await strict({
      transport: "wss",
      websocket: {
        paths: ["/"],
        subprotocols: [],
        subprotocolRequired: false,
        frames: "binary",
        messageSizeMax: 1_000,
        origins: [],
      },
    });
    const client = await dialTls(port, of(pair(files, "expired")));
    const heard = hear(client);
    client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await heard).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n(?:.*\r\n)+\r\n.*CERT_HAS_EXPIRED\n$/);
    expect(recorder.connections).toEqual([]);
  });
});

test("a requested certificate that nobody vouches for gives no identity", async () => {
  const recorder = new Recorder();
  const port = await open(recorder, { clientCertificate: "request" });
  const client = await dialTls(port, device());
  await recorder.when(() => recorder.connections.length === 1);
  expect(recorder.connection.peer.identity).toBeUndefined();
  client.destroy();
});

/** A client that names an identity and a key, and does not care for the server's certificate. */
const withKey = (version: "TLSv1.2" | "TLSv1.3", identity: string, key: string): ConnectionOptions => ({
  minVersion: version,
  maxVersion: version,
  ciphers: `${DEFAULT_CIPHERS.replace(":!PSK", "")}:DHE-PSK-AES128-GCM-SHA256:PSK-AES128-GCM-SHA256`,
  pskCallback: () => ({ identity, psk: Buffer.from(key, "hex") }),
  checkServerIdentity: () => undefined,
  rejectUnauthorized: false,
});
const KEY = "0123456789abcdef";

describe.each(["TLSv1.2", "TLSv1.3"] as const)("pre-shared keys of a file with %s (A-071)", (version) => {
  describe.each(["without a certificate", "beside a certificate"])("%s", (certificate) => {
    const openPsk = (recorder: Recorder): Promise<number> => {
      const pskFile = files.write("psk", `# keys\nline:with:colons:00ff\nsensor:${KEY}\n`);
      const none = { cert: undefined, key: undefined };
      return open(recorder, { pskFile, ...(certificate.startsWith("without") ? none : {}) });
    };

    test("the right key proves the identity", async () => {
      const recorder = new Recorder();
      const client = await dialTls(await openPsk(recorder), withKey(version, "sensor", KEY));
      await recorder.when(() => recorder.connections.length === 1);
      expect(recorder.connection.peer.identity).toBe("sensor");
      client.destroy();
    });

    test.each([
      ["a wrong key", "sensor", "0123456789abcdee"],
      ["an unknown identity", "nobody", KEY],
    ])("%s is refused", async (_name, identity, key) => {
      const recorder = new Recorder();
      await refusal(await openPsk(recorder), withKey(version, identity, key));
      await noted("tls-handshake-failed");
      expect(recorder.connections).toEqual([]);
    });
  });
});

test("a client without a key is served beside pre-shared keys where there is a certificate, without identity", async () => {
  const recorder = new Recorder();
  const client = await dialTls(await open(recorder, { pskFile: files.write("psk", `sensor:${KEY}`) }));
  await recorder.when(() => recorder.connections.length === 1);
  expect(recorder.connection.peer.identity).toBeUndefined();
  client.destroy();
});

test("a pre-shared key that cannot go with the configured ciphers is refused, not passed over", async () => {
  const recorder = new Recorder();
  const pskFile = files.write("psk", `sensor:${KEY}`);
  const port = await open(recorder, { pskFile, ciphers: "TLS_AES_256_GCM_SHA384" });
  await refusal(port, withKey("TLSv1.3", "sensor", "00"));
  await noted("tls-handshake-failed");
  expect(recorder.connections).toEqual([]);
});

test("a certificate that is replaced is used by the next client, the old one stays on a mistake", async () => {
  copyFileSync(files.path("server.pem"), files.path("live.pem"));
  copyFileSync(files.path("server.key"), files.path("live.key"));
  const recorder = new Recorder();
  const port = await open(recorder, {
    cert: files.path("live.pem"),
    key: files.path("live.key"),
    reloadInterval: milliseconds(20),
  });
  const subjectSeen = async (): Promise<string | string[] | undefined> => {
    const client = await dialTls(port, { checkServerIdentity: () => undefined });
    const name = client.getPeerCertificate().subject.CN;
    client.destroy();
    return name;
  };
  expect(await subjectSeen()).toBe("localhost");
  files.write("live.pem", "nonsense");
  await noted("certificate-reload-failed");
  expect(await subjectSeen()).toBe("localhost");
  copyFileSync(files.path("second.key"), files.path("new.key"));
  copyFileSync(files.path("second.pem"), files.path("new.pem"));
  renameSync(files.path("new.key"), files.path("live.key"));
  renameSync(files.path("new.pem"), files.path("live.pem"));
  await noted("certificate-reloaded");
  expect(await subjectSeen()).toBe("second");
});

test("plain text on a TLS listener ends that connection and is noted", async () => {
  const recorder = new Recorder();
  const client = await dial(await open(recorder));
  client.on("error", () => {}).write("100c00044d515454 this is no client hello");
  await closed(client.resume());
  expect(notes).toEqual([expect.objectContaining({ event: "tls-handshake-failed" })]);
  expect(recorder.connections).toEqual([]);
});

test("a silent client is cut after the handshake time", async () => {
  const client = await dial(await open(new Recorder(), {}, { handshakeTimeout: milliseconds(50) }));
  await closed(client.on("error", () => {}).resume());
  expect(notes.map((note) => note.event)).toEqual(["handshake-timeout"]);
});

test.each(["together with the client hello", "before the client hello"])(
  "a PROXY header %s comes before TLS",
  async (when) => {
    const recorder = new Recorder();
    const port = await open(recorder, {}, { proxyProtocol: true });
    const raw = await dial(port);
    let header = Buffer.from("PROXY TCP4 192.0.2.7 198.51.100.1 4660 8883\r\n");
    if (when.startsWith("before")) {
      raw.write(header);
      await new Promise((resolve) => setTimeout(resolve, 20));
      header = Buffer.alloc(0);
    }
    const wire = new Duplex({
      read: () => {},
      write: (bytes, _encoding, done) => {
        raw.write(Buffer.concat([header, bytes]), done);
        header = Buffer.alloc(0);
      },
    });
    raw.on("data", (bytes) => wire.push(bytes));
    const client = connect({ socket: wire, ...trusting() }, () => client.write("hello"));
    await recorder.when(() => recorder.bytes.length === 5);
    expect(recorder.connection.peer).toMatchObject({ transport: "tls", address: "192.0.2.7", port: 4660 });
    raw.destroy();
  },
);

test("a slow TLS reader is noticed and drained", async () => {
  const recorder = new Recorder();
  const client = await dialTls(await open(recorder, {}, { highWaterMark: 100_000 }));
  client.pause();
  await recorder.when(() => recorder.connections.length === 1);
  let sent = 0;
  for (let more = true; more && sent < 2_000; sent++) more = recorder.connection.write(Buffer.alloc(50_000));
  expect(sent).toBeLessThan(2_000);
  let received = 0;
  client.on("data", (bytes) => {
    received += bytes.length;
  });
  client.resume();
  await recorder.when(() => recorder.drains === 1);
  recorder.connection.end();
  await recorder.when(() => recorder.closes.length === 1);
  expect(received).toBe(sent * 50_000);
});

test.each<[string, () => Partial<TlsOptions>, string]>([
  ["certificate-missing", () => ({ cert: files.path("nowhere.pem") }), "nowhere.pem"],
  ["certificate-missing", () => ({ key: undefined }), "`cert` and `key`"],
  ["certificate-missing", () => ({ pskFile: files.path("no-psk") }), "no-psk"],
  ["certificate-unreadable", () => ({ cert: files.folder }), "cannot be read"],
  ["certificate-mismatch", () => ({ key: files.path("device.key") }), "device.key"],
  ["certificate-invalid", () => ({ cert: files.write("bad.pem", "bad") }), "bad.pem"],
  ["certificate-invalid", () => ({ key: files.write("bad.key", "bad") }), "bad.key"],
  ["certificate-invalid", () => ({ ca: files.write("bad.ca", "bad") }), "bad.ca"],
  ["psk-file-invalid", () => ({ pskFile: files.write("bad.psk", "a:00\nsecret:xyz") }), "line 2"],
])("a TLS listener that cannot start says %s", async (code, changes, hint) => {
  const failure = await open(new Recorder(), changes()).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ListenError);
  expect(failure).toMatchObject({ code });
  const { message } = failure as ListenError;
  expect(message).toContain(hint);
  expect(message).not.toContain("\n");
  expect(message).not.toContain("xyz");
});

test("a certificate near its end is warned about at the start", async () => {
  files.issue("short", "/CN=localhost", 1);
  await open(new Recorder(), { cert: files.path("short.pem"), key: files.path("short.key") });
  expect(notes).toEqual([expect.objectContaining({ level: "warn", event: "certificate-expires-soon" })]);
});

test("the name of a subject is read as RFC 4514 writes it", () => {
  const subject = "C=CH\nO=Acme\\, Inc\nCN=old\nCN=dev\\+1";
  expect(subjectName(subject, "dn")).toBe("CN=dev\\+1,CN=old,O=Acme\\, Inc,C=CH");
  expect(subjectName(subject, "cn")).toBe("dev+1");
  expect(subjectName("O=Acme", "cn")).toBeUndefined();
});

test("clients that connect and say nothing hold up no handshake for longer than a second", async () => {
  const recorder = new Recorder();
  const port = await open(recorder, {}, { handshakeTimeout: milliseconds(60_000), handshakes: 1_000 });
  const silent = await Promise.all(Array.from({ length: HANDSHAKES_UNDER_WAY + 5 }, () => dial(port)));
  const client = await dialTls(port, trusting());
  await recorder.when(() => recorder.connections.length === 1);
  // Those that are silent are still there.
  expect(silent.some(({ destroyed }) => destroyed)).toBe(false);
  for (const socket of [...silent, client]) socket.destroy();
});
