import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, type JWTPayload, SignJWT } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Instant } from "#core/lib/time.ts";
import { type Chain, identityIn, openChain } from "../../support/chain.ts";

const NOW = 1_800_000_000;
let clock = NOW * 1000;
const now = () => clock as Instant;
const secret = "emqxsecret";
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed25519 = generateKeyPairSync("ed25519");

const sign = (payload: JWTPayload, alg: string, key: Uint8Array | KeyObject, kid?: string): Promise<string> =>
  new SignJWT(payload).setProtectedHeader(kid === undefined ? { alg } : { alg, kid }).sign(key);
const signed = (payload: JWTPayload): Promise<string> => sign(payload, "HS256", Buffer.from(secret));
const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

let folder = "";
let chain: Chain | undefined;
let server: Server | undefined;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-jwt-"));
});
afterEach(() => {
  chain?.close();
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  clock = NOW * 1000;
});
afterAll(() => rmSync(folder, { recursive: true }));

const open = (settings: object, policy: object = {}): Chain => {
  chain = openChain([{ kind: "jwt", ...settings }], policy, now);
  return chain;
};

function fileOf(key: KeyObject, name: string): string {
  const path = join(folder, name);
  writeFileSync(path, key.export({ type: "spki", format: "pem" }));
  return path;
}

const refusal = { ok: false, refusal: "unauthenticated" };

describe("a token", () => {
  it("of each algorithm lets its holder in under its own kind of key (RFC 7518 §3.1, RFC 8037 §3.1)", async () => {
    const cases: [string, Uint8Array | KeyObject, object][] = [
      ["HS256", Buffer.from(secret), { secret }],
      [
        "HS512",
        Buffer.from(secret),
        { secret: Buffer.from(secret).toString("base64"), secretEncoding: "base64" },
      ],
      ["RS256", rsa.privateKey, { publicKeyFile: fileOf(rsa.publicKey, "rsa.pem") }],
      ["ES256", p256.privateKey, { publicKeyFile: fileOf(p256.publicKey, "p256.pem") }],
      ["EdDSA", ed25519.privateKey, { publicKeyFile: fileOf(ed25519.publicKey, "ed.pem") }],
    ];
    for (const [alg, key, settings] of cases) {
      const password = await sign({ sub: "ann" }, alg, key);
      const { login, close } = open(settings);
      expect(identityIn(await login({ username: "x", password })).username, alg).toBe("ann");
      const forged = `${password.slice(0, -8)}AAAAAAAA`;
      expect(await login({ username: "x", password: forged }), alg).toMatchObject(refusal);
      close();
    }
  });

  it("without a signature, or signed with a public key taken for a secret, lets nobody in (RFC 8725 §2.1)", async () => {
    const file = fileOf(rsa.publicKey, "confused.pem");
    const pem = Buffer.from(rsa.publicKey.export({ type: "spki", format: "pem" }));
    const { login, counts } = open({ publicKeyFile: file });
    for (const alg of ["none", "None", "NONE"]) {
      const none = `${base64url({ alg, typ: "JWT" })}.${base64url({ sub: "ann" })}.`;
      expect(await login({ username: "ann", password: none })).toMatchObject(refusal);
    }
    expect(counts.get("jwt rejected")).toBe(3);
    const confused = await sign({ sub: "ann" }, "HS256", pem);
    expect(await login({ username: "ann", password: confused })).toMatchObject(refusal);
    expect(await login({ password: confused })).toMatchObject(refusal);
  });

  it("that is expired, not yet valid, or tied to another name refuses; what is no token asks the next", async () => {
    const { login, counts } = open({ secret, verifyClaims: { device: "%c", user: "%u" } });
    const good = { device: "d1", user: "ann" };
    const enter = async (claims: JWTPayload) =>
      login({ clientId: "d1", username: "ann", password: await signed(claims) });
    expect(identityIn(await enter(good))).toMatchObject({ username: "ann", proven: "user:ann" });
    for (const bad of [
      { exp: NOW - 1 },
      { nbf: NOW + 60 },
      { device: "d2" },
      { user: "bob" },
      { user: undefined },
    ]) {
      expect(await enter({ ...good, ...bad }), JSON.stringify(bad)).toMatchObject(refusal);
    }
    expect(counts.get("jwt rejected")).toBe(5);
    const alien = await sign(good, "HS256", Buffer.from("another"));
    for (const password of ["", "geheim", "a.b", alien, "\0", `${"x".repeat(70_000)}.y.z`]) {
      expect(await login({ clientId: "d1", username: "ann", password })).toMatchObject(refusal);
    }
    expect(counts.get("jwt ignored")).toBe(5);
  });

  it("ends the login with its own end, and never proves a name that it does not hold", async () => {
    const { login } = open({ secret });
    const ends = identityIn(
      await login({ username: "x", password: await signed({ sub: "ann", exp: NOW + 60 }) }),
    );
    expect(ends.expiresAt).toBe((NOW + 60) * 1000);
    const bare = identityIn(await login({ username: "admin", password: await signed({}) }));
    expect(bare).toMatchObject({ username: "admin", proven: "bearer:c1" });
  });

  it("is valid by the date of the machine, which is set while the process goes on by its own clock (RFC 7519 §4.1.4)", async () => {
    // What a process calls now that began before its machine had asked for the time.
    clock = 60_000;
    chain = openChain([{ kind: "jwt", secret }], {}, now, () => NOW * 1000);
    const enter = async (claims: JWTPayload) =>
      chain!.login({ username: "x", password: await signed({ sub: "ann", ...claims }) });
    expect(await enter({ exp: NOW - 1 })).toMatchObject(refusal);
    const held = identityIn(await enter({ nbf: NOW - 60, exp: NOW + 60 }));
    expect(held.expiresAt).toBe(60_000 + 60_000);
  });

  it("brings its rules in both forms of EMQX, before the general ones", async () => {
    const general = {
      authorization: { noMatch: "deny", rules: [{ permission: "deny", topics: ["t/ann/#"] }] },
    };
    const { login, mayPublish, maySubscribe } = open({ secret }, general);
    const enter = async (acl: unknown) =>
      identityIn(await login({ clientId: "d1", username: "x", password: await signed({ sub: "ann", acl }) }));
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder
    const own = "t/${username}/#";
    const listed = await enter([
      { permission: "deny", action: "publish", topic: "t/ann/secret" },
      { permission: "allow", action: "publish", topic: own },
      { permission: "allow", action: "subscribe", topic: "eq t/#" },
    ]);
    expect([
      mayPublish(listed, "t/ann/1"),
      mayPublish(listed, "t/ann/secret"),
      mayPublish(listed, "t/bob/1"),
    ]).toEqual([true, false, false]);
    expect([maySubscribe(listed, "t/#"), maySubscribe(listed, "t/+")]).toEqual([true, false]);
    const older = await enter({ pub: ["p/%c"], sub: ["s/#"], all: ["a/+"] });
    expect(["p/d1", "s/1", "a/1", "p/d2"].map((topic) => mayPublish(older, topic))).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect(["p/d1", "s/1", "a/1"].map((topic) => maySubscribe(older, topic))).toEqual([false, true, true]);
  });

  it("with rules that are none lets nobody in, rather than without them", async () => {
    const { login, counts } = open({ secret });
    for (const acl of [
      "x",
      7,
      [{ permission: "deny" }],
      [{ permission: "maybe", topic: "a" }],
      { pub: ["a/#/b"] },
    ]) {
      const password = await signed({ sub: "ann", acl });
      expect(await login({ username: "ann", password }), JSON.stringify(acl)).toMatchObject({ ok: false });
    }
    expect(counts.get("jwt rejected")).toBe(5);
  });
});

describe("a key set", () => {
  const jwk = async (pair: { publicKey: KeyObject }, kid: string) => ({
    ...(await exportJWK(pair.publicKey)),
    kid,
  });

  /** Serves what `body` says now. */
  async function serve(body: () => string): Promise<string> {
    server = createServer((_request, response) => response.end(body()));
    await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
  }

  it("behind a URL rotates: a token of a new key has it fetched, and old keys stay while it cannot be had", async () => {
    let body = JSON.stringify({ keys: [await jwk(p256, "1")] });
    let fetched = 0;
    const jwks = await serve(() => {
      fetched++;
      return body;
    });
    const { login, notes } = open({ jwks });
    const enter = async (alg: string, key: KeyObject, kid: string) =>
      login({ username: "x", password: await sign({ sub: "ann" }, alg, key, kid) });
    expect(await enter("ES256", p256.privateKey, "1")).toMatchObject({ ok: true });
    expect(await enter("RS256", rsa.privateKey, "2")).toMatchObject(refusal);
    expect(fetched).toBe(1);
    body = JSON.stringify({ keys: [await jwk(p256, "1"), await jwk(rsa, "2")] });
    clock += 6_000;
    expect(await enter("RS256", rsa.privateKey, "2")).toMatchObject({ ok: true });
    expect(fetched).toBe(2);
    body = "broken";
    clock += 400_000;
    expect(await enter("ES256", p256.privateKey, "1")).toMatchObject({ ok: true });
    expect(notes.join()).toContain("not read again");
  });

  it("in a file is read again as often as is configured, and old keys stay while it is broken", async () => {
    const jwks = join(folder, "jwks.json");
    const write = async (...pairs: [{ publicKey: KeyObject }, string][]) =>
      writeFileSync(jwks, JSON.stringify({ keys: await Promise.all(pairs.map((pair) => jwk(...pair))) }));
    await write([p256, "1"]);
    const { login } = open({ jwks, jwksRefresh: "1m" });
    const enter = async (alg: string, key: KeyObject, kid: string) =>
      (await login({ username: "x", password: await sign({ sub: "ann" }, alg, key, kid) })).ok;
    expect(await enter("ES256", p256.privateKey, "1")).toBe(true);
    await write([ed25519, "2"]);
    clock += 61_000;
    expect(await enter("EdDSA", ed25519.privateKey, "2")).toBe(true);
    expect(await enter("ES256", p256.privateKey, "1")).toBe(false);
    writeFileSync(jwks, "broken");
    clock += 61_000;
    expect(await enter("EdDSA", ed25519.privateKey, "2")).toBe(true);
  });

  it("of 10 MB is refused, and so is a secret in it", async () => {
    let body = `{"keys":[${'{"kty":"RSA"},'.repeat(700_000)}{}]}`;
    const { login, notes } = open({ jwks: await serve(() => body) });
    const password = await sign({ sub: "ann" }, "HS256", Buffer.from(secret), "1");
    expect(await login({ username: "ann", password })).toMatchObject({ ok: false, refusal: "unavailable" });
    expect(notes.join()).toContain("octets");
    body = JSON.stringify({ keys: [{ kty: "oct", kid: "1", k: Buffer.from(secret).toString("base64url") }] });
    expect(await login({ username: "ann", password })).toMatchObject(refusal);
  });
});
