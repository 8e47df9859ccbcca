/**
 * Servers that answer rubbish: zeros or noise for ever, packets whose length is a lie, a greeting and then nothing. Whoever
 * asks them has a bounded time and a bounded memory, counts it, and goes on as `onError` says.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Chain, openChain } from "../../support/chain.ts";
import { mulberry32 } from "../../support/random.ts";

/** What is written again and again, for ever, after a beginning; undefined: then silence. */
interface Rubbish {
  readonly name: string;
  readonly begin: Buffer;
  readonly again?: Buffer;
  /** Only for these kinds. */
  readonly kinds?: readonly string[];
}

const random = mulberry32(7);
const noise = Buffer.from(Array.from({ length: 65_536 }, () => Math.floor(random() * 256)));
const zeros = Buffer.alloc(65_536);
const text = (words: string): Buffer => Buffer.from(words, "latin1");
const octets = (...values: number[]): Buffer => Buffer.from(values);

const RUBBISH: readonly Rubbish[] = [
  { name: "nothing at all", begin: Buffer.alloc(0) },
  { name: "zeros for ever", begin: zeros, again: zeros },
  { name: "noise for ever", begin: noise, again: noise },
  { name: "lines for ever", begin: text("hello\r\n"), again: Buffer.alloc(65_536, "hello\r\n") },
  { name: "one line that never ends", begin: text("HTTP/1.1 200 "), again: Buffer.alloc(65_536, "x") },
  // RESP: a bulk string of two gigabytes.
  {
    ...{ name: "a text of two gigabytes", kinds: ["redis"] },
    ...{ begin: text("$2000000000\r\n"), again: Buffer.alloc(65_536, "x") },
  },
  // PostgreSQL: an authentication message of two gigabytes.
  {
    ...{ name: "a message of two gigabytes", kinds: ["postgres"] },
    ...{ begin: octets(0x52, 0x7f, 0xff, 0xff, 0xff), again: zeros },
  },
  // MySQL: packets of 16 MiB, each of which says that there is more (a length of ff ff ff).
  {
    ...{ name: "a packet that goes on and on", kinds: ["mysql"] },
    ...{ begin: octets(0xff, 0xff, 0xff, 0, 10), again: Buffer.alloc(65_536, 1) },
  },
  // LDAP: a sequence of two gigabytes (BER, RFC 4511 §5.1).
  {
    ...{ name: "a message of two gigabytes", kinds: ["ldap"] },
    ...{ begin: octets(0x30, 0x84, 0x7f, 0xff, 0xff, 0xff), again: zeros },
  },
  {
    ...{ name: "headers for ever", kinds: ["http"] },
    ...{ begin: text("HTTP/1.1 200 OK\r\n"), again: Buffer.from("x-more: of it\r\n".repeat(4_000)) },
  },
  {
    ...{ name: "an answer that never ends", kinds: ["http"] },
    ...{ begin: text("HTTP/1.1 200 OK\r\n\r\n"), again: Buffer.alloc(65_536, "x") },
  },
  {
    ...{ name: "a document that is nested too deep to read", kinds: ["http"] },
    begin: text(`HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n${"[".repeat(200_000)}`),
  },
];

/** Writes rubbish to whoever comes: 64 KB each millisecond, while it is read. */
class RubbishServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #rubbish: Rubbish = RUBBISH[0]!;
  /** Octets that somebody took. */
  taken = 0;

  constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  listen(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.listen(0, "127.0.0.1", () => resolve((this.#server.address() as { port: number }).port));
    });
  }

  write(rubbish: Rubbish): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#rubbish = rubbish;
    this.taken = 0;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
    socket.resume();
    const { begin, again } = this.#rubbish;
    const more = (): void => {
      if (again === undefined || socket.destroyed) return;
      socket.write(again, (error) => {
        if (error != null) return;
        this.taken += again.length;
        setTimeout(more, 1);
      });
    };
    socket.write(begin, more);
  }
}

const TIMEOUT = 100;
/** What three questions may take in: a part of what is announced, and of what is sent as long as somebody reads. */
const OCTETS_MAX = 500_000_000;

const KINDS: Readonly<Record<string, (port: number) => object>> = {
  redis: (port) => ({ port }),
  postgres: (port) => ({ port }),
  mysql: (port) => ({ port }),
  ldap: (port) => ({ url: `ldap://127.0.0.1:${port}` }),
  http: (port) => ({ url: `http://127.0.0.1:${port}/` }),
  mongodb: (port) => ({ url: `mongodb://127.0.0.1:${port}/?directConnection=true` }),
};
/** Their libraries would work through whatever comes; they are left at the first octets that are none of their protocol. */
const FRAMED: readonly string[] = ["postgres", "mysql"];

let folder = "";
let users = "";
const server = new RubbishServer();
let port = 0;
let chain: Chain | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-rubbish-"));
  users = join(folder, "users.yaml");
  writeFileSync(users, "users: [{ username: ann, password: plain:secret }]\n");
  port = await server.listen();
});
afterEach(() => {
  chain?.close();
  chain = undefined;
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

describe.each(Object.entries(KINDS))("%s", (kind, place) => {
  const rubbish = RUBBISH.filter(({ kinds }) => kinds?.includes(kind) ?? true);
  it.each(rubbish)(
    "that answers $name lets nobody in, in bounded time, and the next in the chain is asked",
    async (what) => {
      server.write(what);
      const patience = { timeout: `${TIMEOUT}ms`, onError: "next", breaker: { failures: 10_000 } };
      const rubbishing = { kind, ...place(port), ...patience };
      chain = openChain([rubbishing, { kind: "users-file", file: users }]);
      for (let attempt = 0; attempt < 3; attempt++) {
        const verdict = await chain.login({ username: "ann", password: "secret" });
        expect(verdict).toMatchObject({ ok: true });
      }
      // What is well-formed and says nothing is no failure.
      const { counts } = chain;
      expect((counts.get(`${kind} failed`) ?? 0) + (counts.get(`${kind} ignored`) ?? 0)).toBe(3);
      expect(counts.get("users-file accepted")).toBe(3);
      if (FRAMED.includes(kind) && what.begin === zeros)
        expect(chain.notes).toContain(`${kind}: what it answers is not in its protocol`);
      // Whoever is asked no more is not read from any more.
      chain.close();
      await expect.poll(() => server.connections, { timeout: 60_000, interval: 5 }).toBe(0);
      expect(server.taken).toBeLessThan(OCTETS_MAX);
    },
  );
});
