/** The driver of MongoDB against a server of ours: no MongoDB server can be had here. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Chain, identityIn, openChain } from "../../support/chain.ts";
import { FakeMongodb } from "../../support/mongodb-server.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const refusal = { ok: false, refusal: "unauthenticated" };

describe("documents of a MongoDB server", () => {
  const server = new FakeMongodb();
  let port: number;
  const chains: Chain[] = [];
  beforeAll(async () => {
    port = await server.start();
  });
  beforeEach(() => {
    server.collections["mqtt_user"] = [
      {
        username: "ann",
        password_hash: sha256("publicsalt"),
        salt: "salt",
        is_superuser: false,
        psk: "0102",
      },
      { username: "root", password_hash: sha256("publicsalt"), salt: "salt", is_superuser: true },
      { username: "four", password: sha256("public") },
      { username: "null", password_hash: null },
    ];
    server.collections["mqtt_acl"] = [
      { username: "ann", permission: "allow", action: "publish", topics: ["t/%u/#", "eq x"], qos: [0, 1] },
      { username: "ann", permission: "deny", action: "all", topics: ["secret/#"] },
      { username: "four", publish: ["p/%u"], subscribe: ["s"], pubsub: ["both/#"] },
    ];
    server.asked.length = 0;
  });
  afterAll(async () => {
    for (const chain of chains) chain.close();
    await server.stop();
  });

  const open = (settings: object, policy: object = {}): Chain => {
    const chain = openChain([{ kind: "mongodb", url: `mongodb://127.0.0.1:${port}`, ...settings }], policy);
    chains.push(chain);
    return chain;
  };

  it("let in by EMQX 5's fields, and tell superusers (A-065)", async () => {
    const { login } = open({});
    const ann = identityIn(await login({ username: "ann", password: "public" }));
    expect(ann).toMatchObject({ proven: "user:ann", superuser: false });
    expect(identityIn(await login({ username: "root", password: "public" })).superuser).toBe(true);
    for (const username of ["ann", "null", "eve"]) {
      expect(await login({ username, password: "wrong" })).toMatchObject(refusal);
      expect(await login({ username, password: "" })).toMatchObject(refusal);
    }
  });

  it("let in by EMQ X 4's fields (A-064)", async () => {
    const { login } = open({ dialect: "emqx4" });
    expect(await login({ username: "four", password: "public" })).toMatchObject({ ok: true });
    expect(await login({ username: "four", password: "x" })).toMatchObject(refusal);
  });

  it("bring the rules of both dialects", async () => {
    const policy = { authorization: { noMatch: "deny", rules: [] } };
    for (const [dialect, username, topics, allowed] of [
      ["emqx5", "ann", ["t/ann/1", "x", "secret/1", "other"], [true, true, false, false]],
      ["emqx4", "four", ["p/four", "s", "both/1", "other"], [true, false, true, false]],
    ] as const) {
      const { login, mayPublish } = open({ dialect, readRules: true }, policy);
      const who = identityIn(await login({ username, password: "public" }));
      expect(topics.map((topic) => mayPublish(who, topic))).toEqual(allowed);
    }
  });

  it("are asked for by texts, whatever a client calls itself", async () => {
    const { login } = open({});
    for (const username of ['{"$ne": ""}', "$where", "ann\0", "this.a"]) {
      expect(await login({ username, password: "public" })).toMatchObject(refusal);
    }
    for (const filter of server.asked) expect(typeof filter["username"].$eq).toBe("string");
  });

  it("hold pre-shared keys", async () => {
    const { keys } = open({ pskField: "psk" });
    expect(await keys.presharedKey("ann")).toEqual(Uint8Array.of(1, 2));
    expect(await keys.presharedKey("root")).toBeUndefined();
  });

  it("that cannot be had refuse the login in bounded time", async () => {
    const { login } = open({ url: "mongodb://127.0.0.1:1", timeout: "300ms" });
    expect(await login({ username: "ann", password: "public" })).toMatchObject({ refusal: "unavailable" });
  });
});
