/**
 * Databases as sources of identities: the tables and keys of EMQ X 4's and EMQX 5's manuals, on real servers, for clients
 * of three protocols. One suite, run over every kind of database.
 */

import { createHash, pbkdf2Sync } from "node:crypto";
import { hashSync } from "bcryptjs";
import { Redis } from "ioredis";
import { createConnection } from "mysql2/promise";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Chain, identityIn, openChain } from "../../support/chain.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { keepsOutHostileLogins } from "../../support/hostile-logins.ts";
import { mosquittoWithKey, opensslWithKey } from "../../support/key-clients.ts";
import { IN, logins, OUT } from "../../support/logins.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startMariadb, startPostgres, startRedis } from "../../support/servers.ts";

const hex = (algorithm: string, text: string): string => createHash(algorithm).update(text).digest("hex");

interface Row {
  readonly username: string;
  readonly hash: string;
  readonly salt?: string;
  readonly superuser?: boolean;
}

interface Source {
  readonly kind: string;
  start(): Promise<Server>;
  /** Makes the tables of a dialect anew, with these users. */
  fill(port: number, dialect: "emqx4" | "emqx5", rows: readonly Row[]): Promise<void>;
  /** Settings beside kind, port and dialect that a salted password of EMQ X 4 takes. */
  readonly salted4: object;
  /** Rules of EMQ X 4 and of EMQX 5 for `ann`: may publish `t/ann/#` and subscribe `cmd`. */
  rules(port: number, dialect: "emqx4" | "emqx5"): Promise<void>;
}

const sql = (
  kind: string,
  start: () => Promise<Server>,
  run: (port: number, queries: readonly string[]) => Promise<void>,
): Source => ({
  kind,
  start,
  salted4: { query: "select password, salt from mqtt_user where username = '%u' limit 1" },
  async fill(port, dialect, rows) {
    const password = dialect === "emqx4" ? "password" : "password_hash";
    const quote = (text: string) => `'${text.replaceAll("'", "''")}'`;
    await run(port, [
      "DROP TABLE IF EXISTS mqtt_user",
      `CREATE TABLE mqtt_user (username VARCHAR(255) UNIQUE, ${password} VARCHAR(255), salt VARCHAR(64), is_superuser ${kind === "postgres" && dialect === "emqx5" ? "BOOLEAN" : "INT"})`,
      ...rows.map(({ username, hash, salt = "", superuser = false }) => {
        const flag = kind === "postgres" && dialect === "emqx5" ? String(superuser) : Number(superuser);
        return `INSERT INTO mqtt_user VALUES (${quote(username)}, ${quote(hash)}, ${quote(salt)}, ${flag})`;
      }),
    ]);
  },
  async rules(port, dialect) {
    const four = [
      "CREATE TABLE mqtt_acl (id INT, allow INT, ipaddr VARCHAR(60), username VARCHAR(100), clientid VARCHAR(100), access INT, topic VARCHAR(100))",
      "INSERT INTO mqtt_acl VALUES (1, 0, NULL, '$all', NULL, 1, 'eq #'), (2, 1, NULL, 'ann', NULL, 2, 't/%u/#'), (3, 1, '', 'ann', '', 1, 'cmd'), (4, 1, NULL, 'bob', NULL, 3, '#')",
    ];
    const five = [
      "CREATE TABLE mqtt_acl (username VARCHAR(100), permission VARCHAR(5), action VARCHAR(9), topic VARCHAR(100))",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder
      "INSERT INTO mqtt_acl VALUES ('ann', 'allow', 'publish', 't/${username}/#'), ('ann', 'allow', 'subscribe', 'cmd'), ('bob', 'allow', 'all', '#')",
    ];
    await run(port, ["DROP TABLE IF EXISTS mqtt_acl", ...(dialect === "emqx4" ? four : five)]);
  },
});

async function runPostgres(port: number, queries: readonly string[]): Promise<void> {
  // A client that could not connect is spent.
  const client = await untilReady(async () => {
    const attempt = new pg.Client({ host: "127.0.0.1", port, user: "root", database: "postgres" });
    await attempt.connect();
    return attempt;
  });
  for (const query of queries) await client.query(query);
  await client.end();
}

async function runMariadb(port: number, queries: readonly string[]): Promise<void> {
  const client = await untilReady(() => createConnection({ host: "127.0.0.1", port, user: "root" }));
  for (const query of ["CREATE DATABASE IF NOT EXISTS postgres", "USE postgres", ...queries])
    await client.query(query);
  await client.end();
}

/** A server that listens may be starting up still; PostgreSQL says so by a code of its own. */
const STARTING = ["57P03", "ETIMEDOUT", "ECONNREFUSED", "ECONNRESET"];
async function untilReady<Value>(attempt: () => Promise<Value>): Promise<Value> {
  for (let left = 50; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0 || !STARTING.includes((error as { code?: string }).code ?? "")) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function withRedis(port: number, run: (redis: Redis) => Promise<unknown>): Promise<void> {
  const redis = new Redis({ host: "127.0.0.1", port });
  await run(redis);
  redis.disconnect();
}

const redis: Source = {
  kind: "redis",
  start: startRedis,
  salted4: { command: "HMGET mqtt_user:%u password salt" },
  fill: (port, dialect, rows) =>
    withRedis(port, async (client) => {
      await client.flushall();
      for (const { username, hash, salt = "", superuser = false } of rows) {
        const password = dialect === "emqx4" ? "password" : "password_hash";
        await client.hset(`mqtt_user:${username}`, {
          [password]: hash,
          salt,
          is_superuser: superuser ? "1" : "0",
        });
      }
    }),
  rules: (port, dialect) =>
    withRedis(port, async (client) => {
      await client.del("mqtt_acl:ann");
      await client.hset(
        "mqtt_acl:ann",
        dialect === "emqx4"
          ? { "t/%u/#": "2", cmd: "1" }
          : { "t/${username}/#": "publish", cmd: '{"action":"subscribe"}' },
      );
    }),
};

const SOURCES: readonly [Source, boolean][] = [
  [redis, lacks("redis-server")],
  [sql("postgres", startPostgres, runPostgres), lacks("pg_ctlcluster")],
  [sql("mysql", startMariadb, runMariadb), lacks("mariadbd")],
];

const refusal = { ok: false, refusal: "unauthenticated" };
const SALT = "salt";
/** Where keys are in the tables of this suite. */
const KEYS = {
  redis: {
    pskCommand: "HGET mqtt_user:%u password_hash",
    rawKeyCommand: "HGET mqtt_user:%k password_hash",
  },
  sql: {
    pskQuery: "SELECT password_hash FROM mqtt_user WHERE username = '%u'",
    rawKeyQuery: "SELECT password_hash FROM mqtt_user WHERE username = '%k'",
  },
};
const KEY_OF_ANN = Buffer.from("a public key").toString("base64");

for (const [source, missing] of SOURCES) {
  describe.skipIf(missing)(`a ${source.kind} server`, () => {
    let server: Server;
    let chain: Chain | undefined;
    let gateway: TestGateway | undefined;
    beforeAll(async () => {
      server = await source.start();
    }, 120_000);
    afterEach(async () => {
      chain?.close();
      await gateway?.stop();
      gateway = undefined;
    });
    afterAll(() => server.stop());

    const common = source.kind === "redis" ? {} : { database: "postgres" };
    const member = (settings: object) => ({ kind: source.kind, port: server.port, ...common, ...settings });
    const open = (settings: object, policy: object = {}): Chain => {
      chain?.close();
      chain = openChain([member(settings)], policy);
      return chain;
    };

    it("lets in by EMQX 5's query and hash: password, salt after it, superuser", async () => {
      await source.fill(server.port, "emqx5", [
        { username: "ann", hash: hex("sha256", `public${SALT}`), salt: SALT },
        { username: "root", hash: hex("sha256", `public${SALT}`), salt: SALT, superuser: true },
      ]);
      const { login, counts } = open({});
      const ann = identityIn(await login({ username: "ann", password: "public" }));
      expect(ann).toMatchObject({ proven: "user:ann", superuser: false });
      expect(identityIn(await login({ username: "root", password: "public" })).superuser).toBe(true);
      for (const password of ["wrong", "", "PUBLIC", Uint8Array.from({ length: 256 }, (_, octet) => octet)]) {
        expect(await login({ username: "ann", password })).toMatchObject(refusal);
      }
      expect(await login({ username: "ann" })).toMatchObject(refusal);
      expect(await login({ username: "eve", password: "public" })).toMatchObject(refusal);
      expect(await login({})).toMatchObject(refusal);
      const { kind } = source;
      expect(Object.fromEntries(counts)).toEqual({
        [`${kind} accepted`]: 2,
        [`${kind} rejected`]: 5,
        [`${kind} ignored`]: 2,
      });
    });

    it("lets in by EMQ X 4's queries, with each of its hash forms (A-020, A-022)", async () => {
      const forms: [string, string][] = [
        ["plain", "public"],
        ["md5", "4c9184f37cff01bcdc32dc486ec36961"],
        ["sha", "61c9b2b17db77a27841bbeeabff923448b0f6388"],
        ["sha256", "efa1f375d76194fa51a3556a97e641e61685f914d446979da50a551a4333ffd7"],
        ["salt,sha256", "f2ef7f9aedb2c3b5040bc16691a1177758a92ad91e1ee77770215a332bf6099f"],
        ["sha256 salt", "f4a8615be301fbaf6213df33cfe5f22953aafc0c31beb8f2daef55b127444d27"],
        ["pbkdf2,sha256,1000,20", "5a21f11c597da1447641c0a5ba58b856a76f1084"],
        ["pbkdf2,ripemd160,10,20", pbkdf2Sync("public", SALT, 10, 20, "ripemd160").toString("hex")],
        ["salt,bcrypt", hashSync("public", 4)],
      ];
      for (const [passwordHash, hash] of forms) {
        await source.fill(server.port, "emqx4", [{ username: "ann", hash, salt: SALT, superuser: true }]);
        const { login } = open({ dialect: "emqx4", passwordHash, ...source.salted4 });
        const ann = identityIn(await login({ username: "ann", password: "public" }));
        expect(ann.superuser, passwordHash).toBe(true);
        for (const who of [
          { username: "ann", password: "publi" },
          { username: "bob", password: "public" },
        ]) {
          expect(await login(who), passwordHash).toMatchObject(refusal);
        }
      }
    });

    it("gives each client the rules of its rows, in both dialects (A-056, A-058, A-062, A-063)", async () => {
      for (const dialect of ["emqx4", "emqx5"] as const) {
        await source.fill(server.port, dialect, [{ username: "ann", hash: "public" }]);
        await source.rules(server.port, dialect);
        const policy = { authorization: { noMatch: "deny", rules: [] } };
        const { login, mayPublish, maySubscribe } = open(
          { dialect, passwordHash: "plain", readRules: true },
          policy,
        );
        const ann = identityIn(await login({ username: "ann", password: "public" }));
        expect(
          ["t/ann/1", "t/bob/1", "cmd"].map((topic) => mayPublish(ann, topic)),
          dialect,
        ).toEqual([true, false, false]);
        expect(
          ["cmd", "t/ann/1", "#"].map((filter) => maySubscribe(ann, filter)),
          dialect,
        ).toEqual([true, false, false]);
      }
    });

    it("is asked with names as values, whatever they spell", async () => {
      await source.fill(server.port, "emqx5", [{ username: "ann", hash: "public" }]);
      const { login, counts } = open({ passwordHash: "plain" });
      const names = [
        ...["' OR '1'='1", "ann' -- ", "ann'; DROP TABLE mqtt_user; --", "ann\\' OR 1=1 #", "$1", "?"],
        ...[
          "ann password_hash",
          "ann\r\nFLUSHALL\r\n",
          "*",
          "mqtt_user:ann",
          "%00",
          "ann\0",
          "ü".repeat(500),
        ],
        ...["x".repeat(65_535), "\ud800"],
      ];
      for (const username of names) {
        expect(
          await login({ username, password: "public" }),
          JSON.stringify(username.slice(0, 40)),
        ).toMatchObject(refusal);
      }
      expect(counts.get(`${source.kind} ignored`)).toBe(names.length);
      expect(await login({ username: "ann", password: "public" })).toMatchObject({ ok: true });
    });

    it("may be asked by client id, which is then what is proven", async () => {
      await source.fill(server.port, "emqx4", [{ username: "d1", hash: "public" }]);
      const asked =
        source.kind === "redis"
          ? { command: "HMGET mqtt_user:%c password", superuserCommand: "" }
          : { query: "select password from mqtt_user where username = '%c'", superuserQuery: "" };
      const { login } = open({ dialect: "emqx4", passwordHash: "plain", ...asked });
      const device = identityIn(await login({ clientId: "d1", username: "admin", password: "public" }));
      expect(device).toMatchObject({ username: undefined, proven: "client:d1" });
    });

    it("lets clients of MQTT, CoAP and STOMP in, and keeps others out", async () => {
      await source.fill(server.port, "emqx5", [
        { username: "ann", hash: hex("sha256", `public${SALT}`), salt: SALT },
      ]);
      gateway = await startGateway({
        authentication: { anonymous: false, chain: [member({})] },
        gateways: { mqtt: {}, coap: {}, stomp: {} },
      });
      const { everywhere } = logins(gateway, "ann");
      expect(await everywhere("public")).toEqual(IN);
      expect(await everywhere("wrong")).toEqual(OUT);
      await keepsOutHostileLogins(gateway, "public");
    });

    it("holds the pre-shared keys of DTLS identities, and the names of raw public keys", async () => {
      await source.fill(server.port, "emqx5", [
        { username: "meter", hash: "0102030405" },
        { username: KEY_OF_ANN, hash: "ann" },
        { username: "broken", hash: "no key" },
      ]);
      const { keys, counts } = open(source.kind === "redis" ? KEYS.redis : KEYS.sql);
      expect(await keys.presharedKey("meter")).toEqual(Uint8Array.of(1, 2, 3, 4, 5));
      expect(await keys.presharedKey("nobody")).toBeUndefined();
      expect(await keys.presharedKey("' OR '1'='1")).toBeUndefined();
      expect(await keys.presharedKey("x".repeat(2000))).toBeUndefined();
      await expect(keys.presharedKey("broken")).rejects.toThrow(/cannot be asked/);
      expect(await keys.rawKeyHolder(Buffer.from(KEY_OF_ANN, "base64"))).toBe("ann");
      expect(await keys.rawKeyHolder(Buffer.from("other"))).toBeUndefined();
      expect(counts.get(`${source.kind} failed`)).toBe(1);
      expect(chain?.notes.join(" ")).toContain("no hexadecimal text");
    });

    it.skipIf(lacks("mosquitto_pub") || lacks("openssl"))(
      "holds the keys of TLS clients: mosquitto_pub and openssl s_client get in with theirs, by their identity",
      async () => {
        await source.fill(server.port, "emqx5", [{ username: "meter", hash: "0102030405" }]);
        const asked = member(source.kind === "redis" ? KEYS.redis : KEYS.sql);
        gateway = await startGateway({
          tls: { keysFromAuthentication: true },
          authentication: { anonymous: false, chain: [asked, { kind: "transport-identity" }] },
          gateways: { mqtt: {} },
        });
        const port = gateway.port("mqtt", "tls");
        expect(await mosquittoWithKey(port, "meter", "0102030405")).toBe(true);
        for (const version of ["-tls1_2", "-tls1_3"]) {
          expect(await opensslWithKey(port, "meter", "0102030405", version), version).toBe(true);
          expect(await opensslWithKey(port, "meter", "0102030406", version), version).toBe(false);
          expect(await opensslWithKey(port, "nobody", "0102030405", version), version).toBe(false);
        }
        expect(await mosquittoWithKey(port, "' OR '1'='1", "0102030405")).toBe(false);
        await server.kill();
        await expect
          .poll(() => opensslWithKey(port, "meter", "0102030405", "-tls1_2"), { timeout: 60_000 })
          .toBe(false);
        await server.restart();
        await expect
          .poll(() => mosquittoWithKey(port, "meter", "0102030405"), { timeout: 60_000 })
          .toBe(true);
        expect(await gateway.composition.metrics.text()).toMatch(
          new RegExp(`authenticator_answers_total\\{[^}]*"${source.kind}"[^}]*"failed"\\} [1-9]`),
        );
      },
    );

    it("that goes away refuses logins in bounded time, and lets in again when it is back", async () => {
      await source.fill(server.port, "emqx5", [{ username: "ann", hash: "public" }]);
      const patient = { passwordHash: "plain", timeout: "1s", breaker: { failures: 2, pause: "50ms" } };
      const { login, notes } = open(patient);
      const ann = { username: "ann", password: "public" };
      expect(await login(ann)).toMatchObject({ ok: true });
      await server.kill();
      // A process of PostgreSQL's that serves a connection may live a moment longer than the one that was killed.
      await expect.poll(async () => (await login(ann)).ok, { timeout: 20_000, interval: 20 }).toBe(false);
      for (let attempt = 0; attempt < 4; attempt++) {
        expect(await login(ann)).toMatchObject({ ok: false, refusal: "unavailable" });
      }
      expect(notes.length).toBeGreaterThan(0);
      await server.restart();
      await expect.poll(async () => (await login(ann)).ok, { timeout: 20_000, interval: 200 }).toBe(true);
      expect(notes.at(-1)).toContain("answers again");
    }, 90_000);
  });
}
