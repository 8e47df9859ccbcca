import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PasswordCheck } from "#core/authenticate/password-check.ts";
import { hashPassword } from "#core/authenticate/password-hash.ts";
import { parseUsers, UsersFile } from "#core/authenticate/users-file.ts";
import { loadText } from "#core/config/load.ts";
import { policySettings } from "#core/config/policy-settings.ts";
import { type Instant, minutes } from "#core/lib/time.ts";
import { ConfiguredPolicy } from "#core/policy/configured-policy.ts";
import type { Identity } from "#core/policy/policy.ts";
import { ConfigError } from "#core/settings/problem.ts";
import { STUB_MODULES } from "../../support/config/stub-modules.ts";
import { HandClock, identityOf, peerAt, requestOf } from "../../support/policy.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const now = 1_700_000_000_000 as Instant;
const peer = peerAt("192.0.2.1");
const limits = { concurrent: 2, waiting: 10, cacheEntries: 10, cacheTtl: minutes(1) };

const USERS = `users:
  - { username: ann, password: "plain:secret-1", superuser: true }
clients:
  - { clientId: sensor-1, password: "plain:secret-2" }
  - { clientId: sensor-2 }
`;

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-users-"));
  path = join(folder, "users.yaml");
  writeFileSync(path, USERS);
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = () => new UsersFile(path, new PasswordCheck(limits));
const ask = (file: UsersFile, clientId: string, username?: string, password?: string) =>
  file.authenticate(
    requestOf({ clientId, username, password: password === undefined ? undefined : bytes(password) }),
    peer,
    now,
  );

describe("a users file", () => {
  it("knows users by name and clients by id", () => {
    const file = open();
    expect(ask(file, "any", "ann", "secret-1")).toEqual({ answer: "accepted", superuser: true });
    const asClient = { answer: "accepted", superuser: false, clientIdOnly: true };
    expect(ask(file, "sensor-1", undefined, "secret-2")).toEqual(asClient);
    expect(ask(file, "sensor-2")).toEqual(asClient);
  });

  it("proves no user name when it knows only the client id", () => {
    expect(ask(open(), "sensor-2", "operator")).toMatchObject({ answer: "accepted", clientIdOnly: true });
    const text = `authentication: { anonymous: false, chain: [{ kind: users-file, file: "${path}" }] }`;
    const { settings } = policySettings(loadText(STUB_MODULES, text).config);
    const listener = new ConfiguredPolicy(settings, new HandClock()).listener("mqtt", "tcp");
    const verdict = listener.authenticate(
      requestOf({ clientId: "sensor-2", username: "operator" }),
      peer,
      now,
    );
    expect(verdict).toMatchObject({ ok: true, identity: { clientId: "sensor-2", username: undefined } });
  });

  it("can hold a user to one client id", () => {
    writeFileSync(path, 'users: [{ username: ann, clientId: dev-1, password: "plain:a" }]');
    const file = open();
    expect(ask(file, "dev-1", "ann", "a")).toMatchObject({ answer: "accepted" });
    expect(ask(file, "dev-2", "ann", "a")).toEqual({
      answer: "rejected",
      reason: "this user may not have this client id",
    });
  });

  it("rejects those it knows with a wrong password or none", () => {
    const file = open();
    expect(ask(file, "any", "ann", "wrong")).toEqual({ answer: "rejected", reason: "wrong password" });
    expect(ask(file, "any", "ann")).toEqual({ answer: "rejected", reason: "no password was given" });
    expect(ask(file, "sensor-1", undefined, "secret-1")).toMatchObject({ answer: "rejected" });
  });

  it("leaves those it does not know to the next in the chain", () => {
    expect(ask(open(), "sensor-9", "bob", "secret-1")).toEqual({ answer: "ignored" });
  });

  it("is read again when asked, and keeps what it had when the new text is wrong", () => {
    const file = open();
    writeFileSync(path, 'users: [{ username: bob, password: "plain:b" }]');
    file.reload();
    expect(ask(file, "any", "bob", "b")).toMatchObject({ answer: "accepted" });
    expect(ask(file, "any", "ann", "secret-1")).toEqual({ answer: "ignored" });
    writeFileSync(path, "users: [{ username: bob }]");
    expect(() => file.reload()).toThrow(ConfigError);
    expect(ask(file, "any", "bob", "b")).toMatchObject({ answer: "accepted" });
  });

  it("says on which line what is wrong, and never shows a password", () => {
    const messages = (text: string): string => {
      try {
        parseUsers(text, "users.yaml");
      } catch (error) {
        return String(error);
      }
      return "";
    };
    const unhashed = messages("users:\n  - username: ann\n    password: hunter2\n");
    expect(unhashed).toContain("users.yaml:3: users[0].password is no hash; allowed: $scrypt$");
    expect(messages("users:\n  - { username: ann, password: 4711 }\n")).toContain(
      "users[0].password is (hidden)",
    );
    expect(messages("users:\n  - { username: a, pasword: x }\n")).toContain('did you mean "password"?');
    expect(
      messages('users:\n  - { username: a, password: "plain:x" }\n  - { username: a, password: "plain:y" }'),
    ).toContain("users.yaml:3: users[1] is there twice");
    expect(unhashed + messages("users:\n  - { username: ann, password: 4711 }\n")).not.toMatch(
      /hunter2|4711/,
    );
  });
});

describe("a policy from a configuration", () => {
  const policyFor = (text: string) =>
    new ConfiguredPolicy(policySettings(loadText(STUB_MODULES, text).config).settings, new HandClock());

  it("asks the users file that the chain names", async () => {
    writeFileSync(path, `users: [{ username: ann, password: "${await hashPassword("pw")}" }]`);
    const listener = policyFor(
      `authentication: { anonymous: false, chain: [{ kind: users-file, file: "${path}" }] }`,
    ).listener("mqtt", "tcp");
    const login = (password: string) =>
      listener.authenticate(requestOf({ username: "ann", password: bytes(password) }), peer, now);
    expect(login("pw")).toBeInstanceOf(Promise);
    expect(await login("pw")).toMatchObject({ ok: true, identity: { username: "ann" } });
    expect(await login("no")).toMatchObject({ ok: false, refusal: "unauthenticated" });
    expect(listener.authenticate(requestOf(), peer, now)).toMatchObject({ ok: false });
  });

  it("knows its users as long as they are there with the same rights", async () => {
    const file = open();
    const knows = (fields: Partial<Identity>) => file.knows(identityOf(fields));
    const hash = await hashPassword("pw");
    const write = (text: string) => {
      writeFileSync(path, text);
      file.reload();
    };
    write(
      `users: [{ username: ann, password: "${hash}" }, { username: bob, password: "${hash}", clientId: b }]`,
    );
    const [ann, bob] = [
      { username: "ann", proven: "user:ann" },
      { username: "bob", proven: "user:bob" },
    ];
    expect([knows(ann), knows({ ...bob, clientId: "b" }), knows({ ...bob, clientId: "c" })]).toEqual([
      true,
      true,
      false,
    ]);
    write(
      `{ users: [{ username: ann, password: "${hash}", superuser: true }], clients: [{ clientId: c1 }] }`,
    );
    expect([knows(ann), knows({ ...bob, clientId: "b" })]).toEqual([false, false]);
    expect([knows({ proven: "client:c1" }), knows({ proven: "client:c2", clientId: "c2" })]).toEqual([
      true,
      false,
    ]);
  });

  it("lets only this machine read $SYS by default, and everybody else the rest", () => {
    const listener = policyFor("").listener("mqtt", "tcp");
    const identity = (address: string) => {
      const verdict = listener.authenticate(requestOf(), peerAt(address), now);
      if (verdict instanceof Promise || !verdict.ok) throw new Error("refused");
      return verdict.identity;
    };
    const here = identity("127.0.0.1");
    const there = identity("203.0.113.1");
    expect([listener.maySubscribe(here, "$SYS/#", 0), listener.maySubscribe(there, "$SYS/#", 0)]).toEqual([
      true,
      false,
    ]);
    expect([listener.maySubscribe(there, "#", 0), listener.mayPublish(there, "a", 0, false)]).toEqual([
      true,
      true,
    ]);
    expect(listener.mayPublish(here, "$SYS/x", 0, false)).toBe(false);
  });

  it("bans until the time that the file says", () => {
    const text = "bans: { list: [{ clientId: c1, until: 2026-01-01T00:00:00Z }] }";
    const listener = policyFor(text).listener("mqtt", "tcp");
    const at = (time: string) => listener.authenticate(requestOf(), peer, Date.parse(time) as Instant);
    expect(at("2025-12-31T23:59:59Z")).toMatchObject({ ok: false, refusal: "banned" });
    expect(at("2026-01-01T00:00:00Z")).toMatchObject({ ok: true });
  });

  it("does not come to be when its users file is missing", () => {
    rmSync(path);
    const text = `authentication: { chain: [{ kind: users-file, file: "${path}" }] }`;
    expect(() => policyFor(text)).toThrow(/there is no such users file; see authentication\.chain/);
    writeFileSync(path, USERS);
    chmodSync(path, 0o600);
    expect(() => policyFor(text)).not.toThrow();
  });
});
