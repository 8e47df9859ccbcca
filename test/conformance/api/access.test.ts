/** Who gets in, and what becomes of who does not: over the real port. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { isCommonPassword } from "#core/api/access/common-passwords.ts";
import { readKeysFile } from "#core/api/access/credentials.ts";
import { askAt, startApi, type TestApi } from "../../support/api.ts";

const PASSWORD = "a sentence that nobody else has";
let fresh: TestApi;
let api: TestApi;

beforeAll(async () => {
  [fresh, api] = [await startApi({}, { accounts: false }), await startApi()];
  await api.ask("POST", "/api/v1/users", { body: { name: "ana", password: PASSWORD, role: "operator" } });
}, 120_000);
afterAll(async () => {
  await fresh.stop();
  await api.stop();
});
afterEach(() => {
  for (const { ports } of [fresh, api]) ports.access.attempts.succeeded("ana", "127.0.0.1");
});

test("before anybody has an account this machine gets in, and what comes from elsewhere hears how to begin", async () => {
  expect((await askAt(fresh.base, "GET", "/api/v1/node")).status).toBe(200);
  const forwarded = await askAt(fresh.base, "GET", "/api/v1/node", {
    headers: { "x-forwarded-for": "192.0.2.1" },
  });
  expect([forwarded.status, forwarded.body.code]).toEqual([403, "no-account"]);
  expect(forwarded.body.detail).toContain("isthmus admin add");
});

test("the first account needs the code of the log; from then on nobody gets in without credentials", async () => {
  const setup = (code: string) =>
    askAt(fresh.base, "POST", "/api/v1/setup", { body: { code, name: "ana", password: PASSWORD } });
  const wrong = await setup("AAAA-AAAA");
  expect([wrong.status, wrong.body.code]).toEqual([401, "unauthenticated"]);
  const soon = await setup(fresh.ports.access.setupCode);
  expect([soon.status, soon.headers.get("retry-after")]).toEqual([429, "1"]);
  fresh.ports.access.attempts.succeeded(undefined, "127.0.0.1");
  const made = await setup(fresh.ports.access.setupCode.toLowerCase().replaceAll("-", " "));
  expect([made.status, made.body.role]).toEqual([200, "administrator"]);
  expect((await askAt(fresh.base, "GET", "/api/v1/node")).status).toBe(401);
  expect((await setup(fresh.ports.access.setupCode)).status).toBe(409);
}, 60_000);

test("a user signs in, is known by the cookie, changes nothing without the token, and signs out", async () => {
  const login = await askAt(api.base, "POST", "/api/v1/session", {
    body: { name: "ana", password: PASSWORD },
  });
  expect(login.status).toBe(200);
  const cookie = login.headers.get("set-cookie") ?? "";
  expect(cookie).toMatch(/^isthmus_session=[\w-]{40,}; Path=\/; HttpOnly; SameSite=Strict$/);
  const headers = { cookie: cookie.split(";")[0]! };
  const who = await askAt(api.base, "GET", "/api/v1/session", { headers });
  expect(who.body).toMatchObject({ name: "ana", kind: "user", role: "operator", csrf: login.body.csrf });
  const body = { topic: "a", payload: "b" };
  const without = await askAt(api.base, "POST", "/api/v1/publish", { headers, body });
  expect([without.status, without.body.code]).toEqual([403, "cross-site"]);
  const token = { ...headers, "x-csrf-token": login.body.csrf };
  expect((await askAt(api.base, "POST", "/api/v1/publish", { headers: token, body })).status).toBe(200);
  const foreign = { ...token, origin: "http://evil.example" };
  expect((await askAt(api.base, "POST", "/api/v1/publish", { headers: foreign, body })).body.code).toBe(
    "cross-site",
  );
  const admin = await askAt(api.base, "GET", "/api/v1/users", { headers });
  expect([admin.status, admin.body.needs]).toEqual([403, "administrator"]);
  expect((await askAt(api.base, "DELETE", "/api/v1/session", { headers: token })).status).toBe(204);
  expect((await askAt(api.base, "GET", "/api/v1/session", { headers })).status).toBe(401);
}, 60_000);

test("an unknown name and a wrong password sound the same, and the next attempt waits 1, 2, 4 s", async () => {
  const attempt = (name: string) =>
    askAt(api.base, "POST", "/api/v1/session", { body: { name, password: "not the password" } });
  const { attempts } = api.ports.access;
  const unknown = await attempt("nobody at all");
  attempts.succeeded(undefined, "127.0.0.1");
  const known = await attempt("ana");
  expect([unknown.status, unknown.body]).toEqual([401, known.body]);
  const blocked = await attempt("ana");
  expect([blocked.status, blocked.body.code]).toEqual([429, "too-many-requests"]);
  const waits: number[] = [];
  for (let failure = 0; failure < 9; failure++) {
    attempts.failed("eve", "192.0.2.9", 1_000_000);
    waits.push(attempts.wait("eve", "192.0.2.9", 1_000_000) / 1000);
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  // Who has a key does not wait for neighbours who guess.
  expect((await api.ask("GET", "/api/v1/node")).status).toBe(200);
}, 60_000);

test("a key has a role and an end, its secret is shown once, and removed it lets nobody in", async () => {
  const made = await api.ask("POST", "/api/v1/keys", {
    body: { name: "till later", role: "viewer", expiresAt: new Date(Date.now() + 3_600_000).toISOString() },
  });
  expect(made.status).toBe(201);
  const { key, id } = made.body;
  expect((await api.ask("GET", "/api/v1/node", { key })).status).toBe(200);
  const basic = { authorization: `Basic ${Buffer.from(key.replace(".", ":")).toString("base64")}` };
  expect((await askAt(api.base, "GET", "/api/v1/node", { headers: basic })).status).toBe(200);
  const listed = await api.ask("GET", "/api/v1/keys");
  expect(JSON.stringify(listed.body)).not.toContain(key.split(".")[1]);
  expect(listed.body.items).toContainEqual(expect.objectContaining({ id, usedAt: expect.any(String) }));
  const credentials = api.ports.access.credentials;
  const secret = key.slice(key.indexOf(".") + 1);
  expect(credentials.keyHolder(id, secret, Date.now() + 7_200_000)).toBe(undefined);
  expect((await api.ask("DELETE", `/api/v1/keys/${id}`)).status).toBe(204);
  expect((await api.ask("GET", "/api/v1/node", { key })).status).toBe(401);
});

test("accounts lie in a file for its owner only, without passwords and secrets; changes are noted without them", async () => {
  const path = api.ports.access.credentials.accounts.path;
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const text = readFileSync(path, "utf8");
  expect(text).not.toContain(PASSWORD);
  expect(text).toContain("$scrypt$");
  for (const key of Object.values(api.keys)) expect(text).not.toContain(key.split(".")[1]);
  const changes = await api.ask("GET", "/api/v1/changes?limit=1000");
  expect(JSON.stringify(changes.body)).not.toContain(PASSWORD);
  expect(changes.body.items).toContainEqual(
    expect.objectContaining({ object: "user ana", who: "administrator", result: "done" }),
  );
});

test("a role that may not is noted, and the last administrator among users cannot be removed", async () => {
  await api.ask("DELETE", "/api/v1/retained?filter=a", { key: api.keys.viewer });
  const changes = await api.ask("GET", "/api/v1/changes?who=viewer");
  expect(changes.body.items[0]).toMatchObject({
    who: "viewer",
    action: "DELETE /api/v1/retained?filter=a",
    result: "403",
  });
  await api.ask("POST", "/api/v1/users", {
    body: { name: "root", password: PASSWORD, role: "administrator" },
  });
  const demoted = await api.ask("PATCH", "/api/v1/users/root", { body: { role: "viewer" } });
  expect([demoted.status, demoted.body.code]).toEqual([409, "conflict"]);
}, 60_000);

test("publishing over HTTP passes the access rules of its client id, and says which kind of refusal it was", async () => {
  const ruled = await startApi({
    authorization: {
      rules: [{ permission: "deny", who: { gateway: "http" }, action: "publish", topics: ["secret/#"] }],
    },
  });
  const refused = await ruled.ask("POST", "/api/v1/publish", { body: { topic: "secret/x", payload: "y" } });
  expect([refused.status, refused.body.code, refused.body.refusal]).toEqual([403, "refused", "forbidden"]);
  const batch = await ruled.ask("POST", "/api/v1/publish/batch", {
    body: [
      { topic: "secret/x", payload: "1" },
      { topic: "open/x", payload: "2" },
    ],
  });
  expect(batch.body.map(({ accepted }: { accepted: boolean }) => accepted)).toEqual([false, true]);
  await ruled.stop();
}, 60_000);

test("keys from a file say on which line they are wrong", () => {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-keys-"));
  const path = join(folder, "keys");
  const read = (text: string) => {
    writeFileSync(path, text);
    return readKeysFile(path);
  };
  expect(
    read("# ours\nci:0123456789abcdef:publisher:2030-01-31T12:00:00Z\nops:fedcba9876543210\n"),
  ).toMatchObject([
    { id: "ci", role: "publisher", expiresAt: Date.parse("2030-01-31T12:00:00Z") },
    { id: "ops", role: "administrator" },
  ]);
  expect(() => read("ci:short:viewer\n")).toThrow(/keys:1: a secret has at least 16 characters/);
  expect(() => read("\nci:0123456789abcdef:king\n")).toThrow(/keys:2: a role is one of/);
  rmSync(folder, { recursive: true });
});

test("passwords that are tried first are common ones, also spelled otherwise, repeated, counted up", () => {
  for (const common of [
    "password1234",
    "P@ssw0rd!2024",
    "aaaaaaaaaaaa",
    "123456789012",
    "qwertyuiopas",
    "abcabcabcabc",
    "Administrator1",
    "annaannaanna",
  ]) {
    expect([common, isCommonPassword(common, "anna")]).toEqual([common, true]);
  }
  for (const good of [PASSWORD, "correct battery horse", "hR7!k2-Vw9zQ"])
    expect([good, isCommonPassword(good, "anna")]).toEqual([good, false]);
});
