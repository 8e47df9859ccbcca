/** TLS with pre-shared keys that somebody else holds: TLS itself does not notice that it waits for them. */
import { readFileSync } from "node:fs";
import { connect as connectPlain, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { type ConnectionOptions, connect, DEFAULT_CIPHERS, type TLSSocket } from "node:tls";
import { afterAll, afterEach, describe as anyDescribe, beforeAll, expect, it } from "vitest";
import type { Note } from "#core/contract/note.ts";
import { milliseconds } from "#core/lib/time.ts";
import { listenStream } from "#core/net/listen.ts";
import { ClientFlight } from "#core/net/psk-identities.ts";
import type { AskForKey, Listening, TlsOptions } from "#core/net/transport.ts";
import { lacks } from "../../support/programs.ts";
import { fc } from "../../support/property.ts";
import { Certificates } from "./certificates.ts";
import { Recorder, streamOptions } from "./support.ts";

const describe = anyDescribe.skipIf(lacks("openssl"));

const KEY = "0123456789abcdef";
const PATIENCE = milliseconds(60_000);

let files: Certificates;
let listening: Listening | undefined;
let notes: Note[] = [];
let asked: string[] = [];

beforeAll(() => {
  files = new Certificates();
  files.issue("server", "/CN=localhost");
});
afterAll(() => files.remove());
afterEach(async () => {
  await listening?.close();
  listening = undefined;
  notes = [];
  asked = [];
});

const hexKey = (key: string): Uint8Array => new Uint8Array(Buffer.from(key, "hex"));
/** Answers a turn of the loop or more after the question, as a database does. */
const late: AskForKey = async (identity) => {
  asked.push(identity);
  await new Promise((resolve) => setTimeout(resolve, 5));
  return identity === "sensor" ? hexKey(KEY) : undefined;
};

const atOnce: AskForKey = (identity) => {
  asked.push(identity);
  return hexKey("00ff");
};

interface Served {
  readonly recorder: Recorder;
  readonly port: number;
}

async function serve(keys: AskForKey, certificate = false, more: Partial<TlsOptions> = {}): Promise<Served> {
  const recorder = new Recorder();
  const tls: TlsOptions = {
    ...(certificate ? { cert: files.path("server.pem"), key: files.path("server.key") } : {}),
    clientCertificate: "none",
    identity: "cn",
    minVersion: "TLSv1.2",
    keys: { presharedKey: keys },
    ...more,
  };
  const options = streamOptions({ transport: "tls", tls, handshakeTimeout: PATIENCE });
  listening = await listenStream(options, recorder.accept, (note) => notes.push(note));
  return { recorder, port: listening.port };
}

type Version = "TLSv1.2" | "TLSv1.3";
const withKey = (version: Version, identity: string, key: string): ConnectionOptions => ({
  minVersion: version,
  maxVersion: version,
  ciphers: `${DEFAULT_CIPHERS.replace(":!PSK", "")}:ECDHE-PSK-AES128-CBC-SHA256:PSK-AES128-GCM-SHA256`,
  pskCallback: () => ({ identity, psk: hexKey(key) }),
  checkServerIdentity: () => undefined,
  rejectUnauthorized: false,
});

const dial = (options: ConnectionOptions): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connect(options, () => resolve(socket));
    socket.once("error", reject);
  });

/** What a client that is refused hears. */
const refusal = (options: ConnectionOptions): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(options);
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once("close", () => resolve("closed"));
  });

/** A connection whose octets leave one by one. */
class Dribble extends Duplex {
  readonly #socket: Socket;
  constructor(port: number) {
    super();
    this.#socket = connectPlain({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (bytes) => this.push(bytes));
    this.#socket.on("close", () => this.destroy());
  }
  override _read(): void {}
  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    const send = (at: number): void => {
      if (at === bytes.length) done();
      else this.#socket.write(bytes.subarray(at, at + 1), () => setImmediate(send, at + 1));
    };
    send(0);
  }
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}

describe.each(["TLSv1.2", "TLSv1.3"] as const)("with %s, keys that are asked for", (version) => {
  it.each([false, true])(
    "let in who has one, by its identity (a certificate beside them: %s)",
    async (beside) => {
      const { recorder, port } = await serve(late, beside);
      const client = await dial({ port, ...withKey(version, "sensor", KEY) });
      await recorder.when(() => recorder.connections.length === 1);
      expect(recorder.connection.peer.identity).toBe("sensor");
      expect(asked).toEqual(["sensor"]);
      client.destroy();
    },
  );

  it("let in where they are known at once, and where a file has them nobody is asked", async () => {
    const { recorder, port } = await serve(atOnce, false, { pskFile: files.write("psk", `sensor:${KEY}\n`) });
    // Over TLS 1.3 a client is through before the server is: it stays until it has been seen.
    const clients = [
      await dial({ port, ...withKey(version, "sensor", KEY) }),
      await dial({ port, ...withKey(version, "other", "00ff") }),
    ];
    await recorder.when(() => recorder.connections.length === 2);
    expect(asked).toEqual(["other"]);
    for (const client of clients) client.destroy();
  });

  it.each([false, true])(
    "say nothing about which identities there are: an unknown one fails as a wrong key does (RFC 4279 §2; a certificate: %s)",
    async (beside) => {
      const { recorder, port } = await serve(late, beside);
      const wrong = await refusal({ port, ...withKey(version, "sensor", "0123456789abcdee") });
      const unknown = await refusal({ port, ...withKey(version, "nobody", KEY) });
      expect(wrong).toMatch(/^ERR_SSL_/);
      expect(unknown).toBe(wrong);
      expect(asked).toEqual(["sensor", "nobody"]);
      expect(recorder.connections).toEqual([]);
    },
  );

  it("end the handshake by internal_error where nobody can be asked, which is said in the log", async () => {
    const { port } = await serve(() => Promise.reject(new Error("redis cannot be asked for keys")));
    expect(await refusal({ port, ...withKey(version, "sensor", KEY) })).toMatch(/INTERNAL_ERROR/);
    expect(notes).toEqual([
      expect.objectContaining({
        event: "tls-handshake-failed",
        detail: expect.objectContaining({ problem: "redis cannot be asked for keys" }),
      }),
    ]);
  });

  it("are found however the handshake is cut into pieces, and all octets behind it arrive in order", async () => {
    const { recorder, port } = await serve(late);
    const client = await dial({ socket: new Dribble(port), ...withKey(version, "sensor", KEY) });
    const words = "all of this, ".repeat(20);
    client.write(words);
    await recorder.when(() => recorder.bytes.length === words.length);
    expect(recorder.bytes.toString()).toBe(words);
    client.destroy();
  });

  it("leave a connection as good as any: a megabyte each way, paused and resumed, and its end", async () => {
    const { recorder, port } = await serve(late);
    const client = await dial({ port, ...withKey(version, "sensor", KEY) });
    recorder.pauseAfter = 3;
    const megabyte = Buffer.alloc(1_000_000, "0123456789");
    client.write(megabyte);
    await recorder.when(() => recorder.chunks.length >= 3);
    const back: Buffer[] = [];
    const heard = new Promise<void>((resolve) => {
      client.on("data", (chunk: Buffer) => {
        back.push(chunk);
        if (back.reduce((sum, { length }) => sum + length, 0) === megabyte.length) resolve();
      });
    });
    recorder.connection.write(megabyte);
    recorder.connection.resumeReading();
    await Promise.all([heard, recorder.when(() => recorder.bytes.length === megabyte.length)]);
    expect(recorder.bytes.equals(megabyte) && Buffer.concat(back).equals(megabyte)).toBe(true);
    const ended = new Promise((resolve) => client.once("close", resolve));
    client.end();
    await Promise.all([ended, recorder.when(() => recorder.closes.length === 1)]);
    expect(recorder.closes).toEqual([undefined]);
  });

  it("are not waited for by a client that has gone meanwhile", async () => {
    const answers: ((key: Uint8Array) => void)[] = [];
    const { recorder, port } = await serve(() => new Promise((resolve) => answers.push(resolve)));
    const client = connect({ port, ...withKey(version, "sensor", KEY) });
    client.on("error", () => {});
    const askedFor = (count: number) =>
      expect.poll(() => answers.length, { timeout: 60_000, interval: 5 }).toBe(count);
    await askedFor(1);
    client.destroy();
    answers[0]?.(hexKey(KEY));
    // Whoever comes next is served.
    const next = connect({ port, ...withKey(version, "sensor", KEY) });
    await askedFor(2);
    answers[1]?.(hexKey(KEY));
    await recorder.when(() => recorder.connections.some(({ peer }) => peer.port === next.localPort));
    next.destroy();
  });
});

describe("beside keys that are asked for", () => {
  it("a client with neither key nor certificate is served by the server's certificate, and nobody is asked", async () => {
    const { recorder, port } = await serve(late, true);
    const client = await dial({ port, ca: readFileSync(files.path("ca.pem")), servername: "localhost" });
    await recorder.when(() => recorder.connections.length === 1);
    expect(recorder.connection.peer.identity).toBeUndefined();
    expect(asked).toEqual([]);
    client.destroy();
  });

  it.each(["asked for", "of a file"])(
    "a ticket of an earlier session is no identity: that client gets a new session (keys %s)",
    async (from) => {
      const more =
        from === "of a file" ? { keys: undefined, pskFile: files.write("psk", `sensor:${KEY}\n`) } : {};
      const { recorder, port } = await serve(late, true, more);
      const options = { port, ca: readFileSync(files.path("ca.pem")), servername: "localhost" };
      const first = await dial(options);
      const session = await new Promise<Buffer>((resolve) => first.once("session", resolve));
      const again = await dial({ ...options, session });
      await recorder.when(() => recorder.connections.length === 2);
      expect(again.isSessionReused()).toBe(false);
      expect(asked).toEqual([]);
      for (const client of [first, again]) client.destroy();
    },
  );
});

/** A ClientHello of TLS 1.3 with these identities, in one record. */
function helloWith(identities: readonly Buffer[]): Buffer {
  const vector = (width: number, ...parts: Buffer[]): Buffer => {
    const body = Buffer.concat(parts);
    const length = Buffer.alloc(width);
    length.writeUIntBE(body.length, 0, width);
    return Buffer.concat([length, body]);
  };
  const offered = identities.map((identity) => Buffer.concat([vector(2, identity), Buffer.alloc(4)]));
  const extension = Buffer.concat([Buffer.from([0, 41]), vector(2, vector(2, ...offered), vector(2))]);
  const hello = Buffer.concat([
    ...[Buffer.from([3, 3]), Buffer.alloc(32), vector(1), vector(2, Buffer.from([0x13, 0x01]))],
    ...[vector(1, Buffer.from([0])), vector(2, Buffer.from([0, 10, 0, 0]), extension)],
  ]);
  return Buffer.concat([Buffer.from([22, 3, 1]), vector(2, Buffer.from([1]), vector(3, hello))]);
}

it("one that offers a hundred identities is asked about for four of them", async () => {
  const names = Array.from({ length: 100 }, (_, index) => `name-${index}`);
  const { port } = await serve(late);
  const socket = connectPlain(port, "127.0.0.1");
  socket.write(helloWith(names.map((name) => Buffer.from(name))));
  await new Promise((resolve) =>
    socket
      .once("close", resolve)
      .once("error", () => {})
      .resume(),
  );
  expect(asked).toEqual(names.slice(0, 4));
});

it("identities are texts of 128 octets at most, without control characters (RFC 4279 §5)", () => {
  const flight = new ClientFlight();
  const [ticket, long] = [Buffer.from([0xff, 0xfe, 1]), Buffer.alloc(129, "x")];
  const texts = ["fine", "zürich", "nul\0", "line\n", ""].map((text) => Buffer.from(text));
  flight.take(helloWith([ticket, long, ...texts]));
  expect(flight.next()?.identities).toEqual(["fine", "zürich"]);
});

const piece = fc.oneof(
  fc.constant(helloWith([Buffer.from("sensor")])),
  fc.constant(Buffer.from([22, 3, 3, 0, 4, 16, 0, 0, 0])),
  fc.uint8Array({ minLength: 40, maxLength: 40 }).map((octets) => Buffer.from([22, 3, 3, 0, 40, ...octets])),
  fc.uint8Array({ maxLength: 60 }).map((octets) => Buffer.from(octets)),
);

it("whatever a client sends goes on to TLS as it came, however it is cut", () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 4 }), fc.integer({ min: 1, max: 90 }), (pieces, length) => {
      const all = Buffer.concat(pieces);
      const flight = new ClientFlight();
      const out: Buffer[] = [];
      for (let at = 0; at < all.length; at += length) {
        flight.take(all.subarray(at, at + length));
        for (let record = flight.next(); record !== undefined; record = flight.next()) out.push(record.bytes);
      }
      const passed = Buffer.concat(out);
      expect(passed.equals(all.subarray(0, passed.length))).toBe(true);
      // What is held back is the beginning of a record that is not whole.
      const held = all.subarray(passed.length);
      if (held.length >= 5) expect(held.readUInt16BE(3) + 5).toBeGreaterThan(held.length);
    }),
  );
});
