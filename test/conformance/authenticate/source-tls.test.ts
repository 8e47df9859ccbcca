/** Databases of identities over TLS: only the server whose name and authority were configured is asked. */
import { createHash } from "node:crypto";
import { chmodSync, chownSync, readFileSync } from "node:fs";
import { connect } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Chain, identityIn, openChain } from "../../support/chain.ts";
import { freeTcpPort } from "../../support/free-ports.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startMariadb, startPostgres, startRedis } from "../../support/servers.ts";
import { Certificates } from "../../unit/net/certificates.ts";

const HASH = createHash("sha256").update("public").digest("hex");
const QUERY = `SELECT '${HASH}' AS password_hash, '' AS salt WHERE '%u' = 'ann'`;
/** Debian's, as whom PostgreSQL runs. */
const NOBODY = 65_534;

const files = new Certificates();
const pathsOf = (name: string) => ({
  ca: files.path("ca.pem"),
  cert: files.path(`${name}.pem`),
  key: files.path(`${name}.key`),
});
type Files = ReturnType<typeof pathsOf>;

async function redis({ ca, cert, key }: Files): Promise<Server> {
  const port = await freeTcpPort();
  const tls = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca];
  const server = await startRedis("--tls-port", `${port}`, "--tls-auth-clients", "no", ...tls);
  const raw = connect({ port, ca: readFileSync(ca), checkServerIdentity: () => undefined });
  raw.write(`HSET mqtt_user:ann password_hash ${HASH} salt ""\r\n`);
  await new Promise((resolve) => raw.once("data", resolve));
  raw.destroy();
  return { ...server, port };
}

function postgres({ cert, key }: Files): Promise<Server> {
  // It reads no key that others can read, or that is another's.
  chmodSync(key, 0o600);
  chownSync(key, NOBODY, NOBODY);
  return startPostgres("ssl=on", `ssl_cert_file=${cert}`, `ssl_key_file=${key}`);
}

const mariadb = ({ ca, cert, key }: Files): Promise<Server> =>
  startMariadb(`--ssl-cert=${cert}`, `--ssl-key=${key}`, `--ssl-ca=${ca}`);

/** Certificates by their subject, and the names and addresses that each holds for. */
const NAMES = { localhost: "DNS:localhost", elsewhere: "DNS:elsewhere", address: "IP:127.0.0.1" } as const;

const KINDS: readonly (readonly [string, (files: Files) => Promise<Server>, object])[] = [
  ["redis", redis, {}],
  ["postgres", postgres, { database: "postgres", query: QUERY }],
  ["mysql", mariadb, { database: "mysql", query: QUERY }],
];

describe.skipIf(lacks("openssl", "redis-server", "pg_ctlcluster", "mariadbd"))(
  "a login source over TLS",
  () => {
    let chain: Chain | undefined;
    beforeAll(() => {
      for (const [name, names] of Object.entries(NAMES)) files.issue(name, `/CN=${name}`, 30, { names });
      chmodSync(files.folder, 0o755);
    });
    afterEach(() => chain?.close());
    afterAll(() => files.remove());

    const ask = async (settings: object) => {
      chain?.close();
      chain = openChain([{ host: "localhost", tls: true, ...settings }]);
      const answer = await chain.login({ username: "ann", password: "public" });
      return { answer, counts: Object.fromEntries(chain.counts) };
    };

    it.each(KINDS)(
      "of kind %s is asked by its own name or address and its authority, and one of another name is not (RFC 9525)",
      async (kind, start, settings) => {
        for (const name of Object.keys(NAMES)) {
          const server = await start(pathsOf(name));
          try {
            const at = { kind, port: server.port, ...settings };
            const refuses = async (settings: object): Promise<void> => {
              const strange = await ask(settings);
              expect(strange.answer).toMatchObject({ ok: false });
              expect(strange.counts).toEqual({ [`${kind} failed`]: 1 });
            };
            for (const [subject, host] of [
              ["localhost", "localhost"],
              ["address", "127.0.0.1"],
            ] as const) {
              const known = { ...at, host, caFile: files.path("ca.pem") };
              if (name !== subject) await refuses(known);
              else {
                expect(identityIn((await ask(known)).answer).proven).toBe("user:ann");
                await refuses({ ...at, host });
              }
            }
          } finally {
            chain?.close();
            await server.stop();
          }
        }
      },
      120_000,
    );
  },
);
