import { readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createConnection, createServer, type Server } from "node:net";
import { createServer as createTlsServer, type TlsOptions as ServerOptions } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { milliseconds } from "#core/lib/time.ts";
import { Dialler, type Resolve } from "#core/net/dial.ts";
import { listenStream } from "#core/net/listen.ts";
import { LocalPorts } from "#core/net/local-ports.ts";
import { sweep } from "#core/net/sweep.ts";
import type {
  DialError,
  DialOptions,
  DialTlsOptions,
  Listening,
  StreamConnection,
  StreamListenerOptions,
  TlsOptions,
} from "#core/net/transport.ts";
import { lacks } from "../../support/programs.ts";
import { Certificates } from "./certificates.ts";
import { Recorder, streamOptions } from "./support.ts";

const servers: (Listening | Server)[] = [];
const recorders: Recorder[] = [];
afterEach(async () => {
  for (const { connections } of recorders.splice(0)) for (const each of connections) each.destroy();
  for (const server of servers.splice(0)) await server.close();
});

const recorder = (): Recorder => {
  const made = new Recorder();
  recorders.push(made);
  return made;
};

async function listen(changes: Partial<StreamListenerOptions> = {}): Promise<[number, Recorder]> {
  const peers = recorder();
  const listening = await listenStream(streamOptions(changes), peers.accept);
  servers.push(listening);
  return [listening.port, peers];
}

/** A server that accepts and says nothing. */
async function silent(
  server: Server = createServer((socket) => socket.on("error", () => {})),
): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as { port: number }).port;
}

const options = (port: number, changes: Partial<DialOptions> = {}): DialOptions => ({
  transport: "tcp",
  host: "127.0.0.1",
  port,
  timeout: milliseconds(3000),
  highWaterMark: 65_536,
  linger: milliseconds(500),
  noDelay: true,
  ...changes,
});

/** The connection, or why there is none. */
async function dial(how: DialOptions, resolve?: Resolve): Promise<Recorder | DialError> {
  const ours = recorder();
  let told = 0;
  const outcome = await new Promise<Recorder | DialError>((done) => {
    const connected: Recorder["accept"] = (connection) => {
      told++;
      const receiver = ours.accept(connection);
      done(ours);
      return receiver;
    };
    new Dialler(how, resolve).dial(connected, (error) => {
      told++;
      done(error);
    });
  });
  expect(told).toBe(1);
  return outcome;
}

async function connection(how: DialOptions, resolve?: Resolve): Promise<Recorder> {
  const made = await dial(how, resolve);
  if (made instanceof Error) throw made;
  return made;
}

async function failure(how: DialOptions, resolve?: Resolve): Promise<string> {
  const made = await dial(how, resolve);
  if (!(made instanceof Error)) throw new Error("a connection was made");
  return made.failure;
}

/** Sends both ways, then ends from our side. */
async function converse(ours: Recorder, theirs: Recorder): Promise<void> {
  await theirs.when(() => theirs.connections.length > 0);
  ours.connection.write(Buffer.from("question"));
  await theirs.when(() => theirs.bytes.length >= 8);
  theirs.connection.write(Buffer.from("answer"));
  await ours.when(() => ours.bytes.length >= 6);
  expect([theirs.bytes.toString(), ours.bytes.toString()]).toEqual(["question", "answer"]);
  ours.connection.end();
  await theirs.when(() => theirs.closes.length > 0);
  await ours.when(() => ours.closes.length > 0);
  expect([ours.closes, theirs.closes]).toEqual([[undefined], [undefined]]);
}

const to =
  (...addresses: string[]): Resolve =>
  (_host, done) =>
    setImmediate(() => done(null, addresses));

describe("a connection over TCP", () => {
  test("is what a listener's is: it writes, receives, and ends in order", async () => {
    const [port, theirs] = await listen();
    const ours = await connection(options(port));
    expect(ours.connection.peer).toEqual({ transport: "tcp", address: "127.0.0.1", port });
    await converse(ours, theirs);
  });

  test("pauses and goes on reading, and says when what it queued is written", async () => {
    const [port, theirs] = await listen();
    const ours = await connection(options(port));
    await theirs.when(() => theirs.connections.length > 0);
    theirs.connection.pauseReading();
    let written = 0;
    while (ours.connection.write(Buffer.alloc(65_536))) written++;
    expect(written).toBeGreaterThan(0);
    expect(ours.connection.backlog).toBeGreaterThan(0);
    theirs.connection.resumeReading();
    await ours.when(() => ours.drains > 0);
  });

  test("finds the addresses of a name by the system's ways", async () => {
    const [port, theirs] = await listen({ bind: "::" });
    await converse(await connection(options(port, { host: "localhost" })), theirs);
  });

  test("tries one address after the other until one answers", async () => {
    const [port, theirs] = await listen();
    const ours = await connection(options(port, { host: "many" }), to("127.0.0.9", "127.0.0.8", "127.0.0.1"));
    expect(ours.connection.peer.address).toBe("127.0.0.1");
    await converse(ours, theirs);
  });

  test("tells what was wrong with each address when none answers", async () => {
    const error = await dial(options(1, { host: "many" }), to("127.0.0.9", "127.0.0.8"));
    expect((error as DialError).failure).toBe("connection-refused");
    expect((error as DialError).message).toMatch(/^tcp:\/\/many:1: .*127\.0\.0\.9.*127\.0\.0\.8/);
  });

  test("comes from the local address that is asked for, and only to addresses of its family", async () => {
    const [port, theirs] = await listen();
    const how = options(port, { host: "many", localAddress: "127.0.0.7" });
    const ours = await connection(how, to("::1", "127.0.0.1"));
    await theirs.when(() => theirs.connections.length > 0);
    expect(theirs.connection.peer.address).toBe("127.0.0.7");
    await converse(ours, theirs);
    expect(await failure(how, to("::1"))).toBe("address-not-available");
    expect(await failure(options(port, { localAddress: "203.0.113.1" }))).toBe("address-not-available");
  });

  test("chooses the ports of a local address itself: passes over who has one, says when none is free, and takes what is given back", async () => {
    const [port, theirs] = await listen();
    const localAddress = "127.0.0.8";
    // Somebody else's connection to the same server.
    const other = createConnection({ port, host: "127.0.0.1", localAddress });
    await new Promise((resolve) => other.once("connect", resolve));
    const first = other.localPort as number;
    const ports = new LocalPorts({ first, last: first + 1 }, 0);
    const dialler = new Dialler(options(port, { localAddress }), undefined, ports);
    const dialled = () =>
      new Promise<StreamConnection>((resolve, reject) => {
        const receiver = recorder();
        dialler.dial((connection) => {
          resolve(connection);
          return receiver.accept(connection);
        }, reject);
      });
    const ours = await dialled();
    await theirs.when(() => theirs.connections.length === 2);
    expect(theirs.connections.map(({ peer }) => peer.port)).toEqual([first, first + 1]);
    await expect(dialled()).rejects.toMatchObject({ failure: "address-not-available" });
    ours.destroy();
    const free: number[] = [];
    for (let tries = 0; tries < 400 && free.length < 2; tries++) {
      const taken = ports.take();
      if (taken === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
      else free.push(taken);
    }
    expect(free.sort()).toEqual([first, first + 1]);
    other.destroy();
  });

  test.each([
    ["a name without an address", { host: "nobody.invalid" }, "name-not-found"],
    ["a port where nobody listens", { port: 1 }, "connection-refused"],
  ] as const)("is not made to %s", async (_what, changes, expected) => {
    expect(await failure(options(1, { timeout: milliseconds(20_000), ...changes }))).toBe(expected);
  });

  test("a name that the resolver answers with nothing has no address", async () => {
    expect(await failure(options(1), to())).toBe("name-not-found");
  });

  test("is refused by who dialled: it is destroyed at once", async () => {
    const [port, theirs] = await listen();
    new Dialler(options(port)).dial(
      () => undefined,
      () => {},
    );
    await theirs.when(() => theirs.closes.length > 0);
  });
});

describe("giving up", () => {
  const stuck: Resolve = () => {};

  test("a look-up that never ends is over in time", async () => {
    expect(await failure(options(1, { timeout: milliseconds(100) }), stuck)).toBe("timeout");
  });

  test.each(["tls", "ws", "wss"] as const)(
    "a server that is silent is left in time: %s",
    async (transport) => {
      const port = await silent();
      const how = { transport, timeout: milliseconds(150), tls: clientTls(), websocket };
      expect(await failure(options(port, how))).toBe("timeout");
    },
  );

  test.each(["tcp", "tls", "ws"] as const)(
    "a cancelled connection is never heard of: %s",
    async (transport) => {
      let seen = 0;
      let gone = 0;
      const port = await silent(
        createServer((socket) => {
          seen++;
          socket.on("error", () => {}).on("close", () => gone++);
          socket.resume();
        }),
      );
      const told: unknown[] = [];
      const before = sweep.size;
      const start = () =>
        new Dialler(options(port, { transport, tls: clientTls(), websocket })).dial(
          (made) => {
            told.push(made);
            return undefined;
          },
          (error) => told.push(error),
        );
      // At once, that is during the look-up; and in the middle of the handshake.
      start().cancel();
      if (transport !== "tcp") {
        const dialling = start();
        await expect.poll(() => seen).toBe(1);
        dialling.cancel();
        dialling.cancel();
        await expect.poll(() => gone).toBe(1);
      }
      expect(told).toEqual([]);
      expect(sweep.size).toBe(before);
    },
  );

  test("cancelling what has been made does nothing", async () => {
    const [port, theirs] = await listen();
    const ours = recorder();
    const dialling = new Dialler(options(port)).dial(ours.accept, () => {});
    await ours.when(() => ours.connections.length > 0);
    dialling.cancel();
    await converse(ours, theirs);
  });
});

const websocket = { path: "/mqtt", subprotocols: ["mqtt"], messageSizeMax: 100_000 };

const clientTls = (changes: Partial<DialTlsOptions> = {}): DialTlsOptions => ({
  verify: true,
  minVersion: "TLSv1.2",
  ...changes,
});

describe("a connection over WebSocket", () => {
  const server = {
    paths: ["/mqtt"],
    subprotocols: ["mqtt"],
    subprotocolRequired: true,
    frames: "binary",
    messageSizeMax: 100_000,
    origins: [],
  } as const;

  test("agrees on a subprotocol, and each write is a message", async () => {
    const [port, theirs] = await listen({ transport: "ws", websocket: server });
    const ours = await connection(options(port, { transport: "ws", websocket }));
    expect(ours.connection.peer).toMatchObject({ transport: "ws", path: "/mqtt", subprotocol: "mqtt" });
    await converse(ours, theirs);
  });

  test.each([
    ["another path", { ...websocket, path: "/other" }],
    ["a subprotocol that the server does not speak", { ...websocket, subprotocols: ["stomp"] }],
  ])("is refused for %s", async (_what, changes) => {
    const [port] = await listen({ transport: "ws", websocket: server });
    expect(await failure(options(port, { transport: "ws", websocket: changes }))).toBe("websocket-refused");
  });

  test("is refused by a server that knows no WebSocket, with its status", async () => {
    const port = await silent(createHttpServer((_request, response) => response.writeHead(401).end()));
    const error = await dial(options(port, { transport: "ws", websocket }));
    expect(error).toMatchObject({ failure: "websocket-refused", message: expect.stringContaining("401") });
  });

  test("carries the headers that it is given", async () => {
    let header: string | undefined;
    const http = createHttpServer();
    http.on("upgrade", (request, socket) => {
      header = request.headers.authorization;
      socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
    });
    const port = await silent(http);
    const headers = { authorization: "Bearer x" };
    await failure(options(port, { transport: "ws", websocket: { ...websocket, headers } }));
    expect(header).toBe("Bearer x");
  });
});

describe.skipIf(lacks("openssl"))("a connection over TLS", () => {
  let files: Certificates;
  beforeAll(() => {
    files = new Certificates();
    files.issue("server", "/CN=localhost");
    files.issue("device", "/CN=dev 1");
  });
  afterAll(() => files.remove());

  const pair = (name: string) => ({ cert: files.path(`${name}.pem`), key: files.path(`${name}.key`) });
  const serverTls = (changes: Partial<TlsOptions> = {}): TlsOptions => ({
    ...pair("server"),
    clientCertificate: "none",
    identity: "cn",
    minVersion: "TLSv1.2",
    ...changes,
  });
  const trusting = (changes: Partial<DialTlsOptions> = {}) =>
    clientTls({ ca: files.path("ca.pem"), ...changes });
  const secure = (port: number, tls: DialTlsOptions, changes: Partial<DialOptions> = {}) =>
    options(port, { transport: "tls", tls, ...changes });

  test("trusts who has signed the server, by name and by address", async () => {
    const [port, theirs] = await listen({ transport: "tls", tls: serverTls() });
    await converse(await connection(secure(port, trusting())), theirs);
    const [second, others] = await listen({ transport: "tls", tls: serverTls() });
    await converse(await connection(secure(second, trusting(), { host: "localhost" })), others);
  });

  test("does not trust an unknown signer, nor a certificate of another name, unless it is told to", async () => {
    const [port, theirs] = await listen({ transport: "tls", tls: serverTls() });
    expect(await failure(secure(port, clientTls()))).toBe("tls-failed");
    expect(await failure(secure(port, trusting({ serverName: "elsewhere" })))).toBe("tls-failed");
    await converse(await connection(secure(port, clientTls({ verify: false }))), theirs);
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "%s: takes the session up again at the next connection, but none whose certificate had another name (RFC 8446 §2.2)",
    async (version) => {
      const settings: ServerOptions = {
        cert: readFileSync(files.path("server.pem")),
        key: readFileSync(files.path("server.key")),
        maxVersion: version,
      };
      const resumed: boolean[] = [];
      const server = createTlsServer(settings, (socket) => {
        resumed.push(socket.isSessionReused());
        // What the server has said of the session is read before this.
        socket.on("error", () => {}).write("hello");
      });
      const port = await silent(server);
      const connect = async (dialler: Dialler): Promise<Recorder | DialError> => {
        const ours = recorder();
        const made = await new Promise<Recorder | DialError>((done) => {
          dialler.dial((one) => {
            done(ours);
            return ours.accept(one);
          }, done);
        });
        if (!(made instanceof Error)) await made.when(() => made.bytes.length > 0);
        return made;
      };
      const dialler = new Dialler(secure(port, trusting()));
      for (let times = 0; times < 3; times++) await connect(dialler);
      expect(resumed).toEqual([false, true, true]);
      const misled = new Dialler(secure(port, trusting({ serverName: "elsewhere" })));
      for (let times = 0; times < 2; times++)
        expect(await connect(misled)).toMatchObject({ failure: "tls-failed" });
      expect(misled.session).toBeUndefined();
    },
  );

  test("shows its own certificate", async () => {
    const tls = serverTls({ clientCertificate: "require", ca: files.path("ca.pem") });
    const [port, theirs] = await listen({ transport: "tls", tls });
    const ours = await connection(secure(port, trusting(pair("device"))));
    await theirs.when(() => theirs.connections.length > 0);
    expect(theirs.connection.peer.identity).toBe("dev 1");
    await converse(ours, theirs);
  });

  test("that the server turns down for want of a certificate closes with the reason", async () => {
    const file = (name: string): Buffer => readFileSync(files.path(name));
    const settings = { cert: file("server.pem"), key: file("server.key"), ca: file("ca.pem") };
    const server = createTlsServer({ ...settings, requestCert: true, rejectUnauthorized: true });
    const port = await silent(server);
    // In TLS 1.3 the client is through before the server has looked.
    const ours = await connection(secure(port, trusting({ minVersion: "TLSv1.3" })));
    await ours.when(() => ours.closes.length > 0);
    expect(ours.closes[0]).toMatch(/CERTIFICATE_REQUIRED|ECONNRESET/);
  });

  async function negotiated(tls: DialTlsOptions, host: string): Promise<[string | undefined, unknown]> {
    let asked: string | undefined;
    const settings: ServerOptions = {
      cert: readFileSync(files.path("server.pem")),
      key: readFileSync(files.path("server.key")),
      ALPNProtocols: ["mqtt", "x-amzn-mqtt-ca"],
      SNICallback: (name, done) => {
        asked = name;
        done(null);
      },
    };
    const port = await silent(createTlsServer(settings, (socket) => socket.on("error", () => {})));
    const ours = await connection(secure(port, tls, { host }), to("127.0.0.1"));
    return [asked, ours.connection.peer.subprotocol];
  }

  test("asks for the server by name (SNI), never by address, and agrees on a protocol (ALPN)", async () => {
    const alpn = ["x-amzn-mqtt-ca", "h2"];
    expect(await negotiated(trusting({ alpn }), "localhost")).toEqual(["localhost", "x-amzn-mqtt-ca"]);
    expect(await negotiated(trusting(), "127.0.0.1")).toEqual([undefined, undefined]);
    expect(await negotiated(trusting({ serverName: "localhost" }), "127.0.0.1")).toEqual([
      "localhost",
      undefined,
    ]);
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)("proves a pre-shared key, %s", async (minVersion) => {
    const pskFile = files.write("psk", "dev-7:00112233445566778899aabbccddeeff\n");
    const tls = serverTls({ cert: undefined, key: undefined, pskFile });
    const [port, theirs] = await listen({ transport: "tls", tls });
    const key = Buffer.from("00112233445566778899aabbccddeeff", "hex");
    const psk = { identity: "dev-7", key };
    const ours = await connection(secure(port, clientTls({ psk, minVersion })));
    await theirs.when(() => theirs.connections.length > 0);
    expect(theirs.connection.peer.identity).toBe("dev-7");
    await converse(ours, theirs);
    const wrong = { identity: "dev-7", key: Buffer.alloc(16) };
    expect(await failure(secure(port, clientTls({ psk: wrong, minVersion })))).toBe("tls-failed");
  });

  test("a server that does not know the key must have a certificate to trust", async () => {
    const [port] = await listen({ transport: "tls", tls: serverTls() });
    const psk = { identity: "dev-7", key: Buffer.alloc(16, 1) };
    expect(await failure(secure(port, clientTls({ psk })))).toBe("tls-failed");
    expect(await failure(secure(port, trusting({ psk, serverName: "elsewhere" })))).toBe("tls-failed");
  });

  test("carries WebSocket too", async () => {
    const server = {
      paths: ["/mqtt"],
      subprotocols: ["mqtt"],
      subprotocolRequired: true,
      frames: "binary",
      messageSizeMax: 100_000,
      origins: [],
    } as const;
    const [port, theirs] = await listen({ transport: "wss", tls: serverTls(), websocket: server });
    const ours = await connection(options(port, { transport: "wss", tls: trusting(), websocket }));
    expect(ours.connection.peer).toMatchObject({ transport: "wss", subprotocol: "mqtt" });
    await converse(ours, theirs);
    expect(await failure(options(port, { transport: "wss", tls: clientTls(), websocket }))).toBe(
      "tls-failed",
    );
  });

  test.each([
    ["a key without its certificate", { key: "server.key" }, "certificate-missing"],
    ["a certificate without its key", { cert: "server.pem" }, "certificate-missing"],
    ["a file that is not there", { ca: "nothing.pem" }, "certificate-missing"],
    ["a key of another certificate", { cert: "server.pem", key: "device.key" }, "certificate-mismatch"],
  ])("is not even tried with %s", (_what, names, code) => {
    const tls = clientTls(
      Object.fromEntries(Object.entries(names).map(([name, file]) => [name, files.path(file)])),
    );
    expect(() => new Dialler(secure(1, tls))).toThrow(expect.objectContaining({ code }));
  });
});
