/** What operators have made, carried from one node to another. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { askAt, startApi, type TestApi } from "../../support/api.ts";
import { logins } from "../../support/logins.ts";

const PASSWORD = "a sentence that nobody else has";
let here: TestApi;
let there: TestApi;
beforeAll(async () => {
  here = await startApi({ bans: { list: [{ clientId: "configured", reason: "by the file" }] } });
  there = await startApi();
});
afterAll(async () => {
  await here.stop();
  await there.stop();
});

const bansOf = async (api: TestApi) =>
  (await api.ask("GET", "/api/v1/bans")).body.items.map(({ clientId }: { clientId: string }) => clientId);

it("users, keys and bans of one node hold at another, with their passwords and secrets, and twice is as once", async () => {
  await here.ask("POST", "/api/v1/users", { body: { name: "ana", role: "operator", password: PASSWORD } });
  await here.ask("POST", "/api/v1/bans", { body: { clientId: "pump-9", reason: "floods" } });
  await here.ask("POST", "/api/v1/bans", {
    body: { clientId: "soon over", until: new Date(Date.now() + 500).toISOString() },
  });
  const { status, body: backup } = await here.ask("GET", "/api/v1/backup");
  expect(status).toBe(200);
  expect(JSON.stringify(backup)).not.toContain(PASSWORD);
  expect(JSON.stringify(backup)).not.toContain(here.keys.viewer.split(".")[1]);
  expect(backup.bans.map(({ clientId }: { clientId: string }) => clientId)).not.toContain("configured");

  await there.ask("POST", "/api/v1/bans", { body: { clientId: "there before" } });
  await new Promise((resolve) => setTimeout(resolve, 600));
  for (let time = 0; time < 2; time++) {
    const restored = await there.ask("POST", "/api/v1/restore", { body: backup });
    expect(restored.body).toEqual({ users: 1, keys: 4, bans: 1, routes: 0, logins: 0 });
  }
  expect((await bansOf(there)).toSorted()).toEqual(["pump-9", "there before"]);
  // Its own keys hold, and those of the other node.
  expect((await there.ask("GET", "/api/v1/node")).status).toBe(200);
  expect((await there.ask("GET", "/api/v1/node", { key: here.keys.viewer })).status).toBe(200);
  const session = await askAt(there.base, "POST", "/api/v1/session", {
    body: { name: "ana", password: PASSWORD },
  });
  expect([session.status, session.body.role]).toEqual([200, "operator"]);
  const { items } = (await there.ask("GET", "/api/v1/changes")).body;
  expect(items.filter(({ object }: { object: string }) => object === "backup")).toHaveLength(2);
  expect(JSON.stringify(items)).not.toContain("scrypt");
});

it("a backup with anything wrong in it changes nothing", async () => {
  const before = await there.ask("GET", "/api/v1/backup");
  const wrong = { ...before.body, users: [], bans: [{ clientId: "new" }, { address: "10.0" }] };
  const refused = await there.ask("POST", "/api/v1/restore", { body: wrong });
  expect([refused.status, refused.body.errors[0].field]).toEqual([400, "/bans/1/address"]);
  const routes = [{ id: "meters", group: "other" }];
  const elsewhere = await there.ask("POST", "/api/v1/restore", {
    body: { ...before.body, bans: [], routes },
  });
  expect(elsewhere.status).toBe(409);
  const after = await there.ask("GET", "/api/v1/backup");
  expect({ ...after.body, madeAt: "" }).toEqual({ ...before.body, madeAt: "" });
});

it("only an administrator gets a backup, because it holds hashes of passwords", async () => {
  expect((await there.ask("GET", "/api/v1/backup", { key: there.keys.operator })).status).toBe(403);
  expect((await there.ask("POST", "/api/v1/restore", { key: there.keys.operator, body: {} })).status).toBe(
    403,
  );
});

it("lists of users and client ids go along as hashes, and whoever could log in here can log in there", async () => {
  const chain = [{ kind: "user-list", scram: true }, { kind: "client-id-list" }];
  const settings = { authentication: { anonymous: false, chain }, gateways: { mqtt: {} } };
  const [from, to] = [await startApi(settings), await startApi(settings)];
  try {
    const ann = { username: "ann", password: PASSWORD, superuser: true, clientId: "the only" };
    await from.ask("POST", "/api/v1/authentication/users", { body: ann });
    const bob = {
      user_id: "bob",
      password_hash: "f4a8615be301fbaf6213df33cfe5f22953aafc0c31beb8f2daef55b127444d27",
    };
    await from.ask("POST", "/api/v1/authentication/users/import", {
      body: [{ ...bob, salt: "salt", form: "sha256,salt" }],
    });
    await from.ask("POST", "/api/v1/authentication/client-ids", { body: { clientId: "lamp" } });
    const { body: backup } = await from.ask("GET", "/api/v1/backup");
    expect(JSON.stringify(backup.lists)).not.toContain(PASSWORD);
    await to.ask("POST", "/api/v1/authentication/users", { body: { username: "bob", password: "older" } });
    await to.ask("POST", "/api/v1/authentication/users", { body: { username: "zoe", password: "stays" } });
    for (let time = 0; time < 2; time++)
      expect((await to.ask("POST", "/api/v1/restore", { body: backup })).body).toMatchObject({ logins: 3 });
    expect(await logins(to.gateway, "bob").overMqtt("public")).toBe("in");
    expect(await logins(to.gateway, "bob").overMqtt("older")).not.toBe("in");
    expect(await logins(to.gateway, "zoe").overMqtt("stays")).toBe("in");
    const back = (await to.ask("GET", "/api/v1/backup")).body.lists;
    expect(back[0].entries).toEqual(expect.arrayContaining(backup.lists[0].entries));
    expect(back[1]).toEqual(backup.lists[1]);
  } finally {
    await from.stop();
    await to.stop();
  }
});

it("a backup with entries that no list here can take changes nothing, and says which", async () => {
  const chain = [{ kind: "user-list", entries: 1 }];
  const api = await startApi({ authentication: { anonymous: false, chain }, gateways: { mqtt: {} } });
  try {
    const empty = { ...(await api.ask("GET", "/api/v1/backup")).body, bans: [{ clientId: "new" }] };
    const restore = async (of: string, list: string, ...entries: object[]) => {
      const answer = await api.ask("POST", "/api/v1/restore", {
        body: { ...empty, lists: [{ of, list, entries }] },
      });
      return [answer.status, answer.body.errors?.[0]?.field ?? answer.body.detail];
    };
    const [ann, bob] = ["ann", "bob"].map((user_id) => ({ user_id, password: "x" }));
    expect(await restore("client-ids", "client-ids", { user_id: "lamp" })).toEqual([
      409,
      'the backup has entries of the list "client-ids" of client-ids, which no authentication chain here names',
    ]);
    expect(await restore("users", "users", ann!, { password: "x" })).toEqual([400, "/lists/0/entries/1"]);
    expect(await restore("users", "users", { user_id: "a", password_hash: "no hash" })).toEqual([
      400,
      "/lists/0/entries",
    ]);
    expect(await restore("users", "users", ann!, bob!)).toEqual([409, "the list is full: entries allows 1"]);
    const after = (await api.ask("GET", "/api/v1/backup")).body;
    expect([after.bans, after.lists]).toEqual([[], [{ of: "users", list: "users", entries: [] }]]);
  } finally {
    await api.stop();
  }
});
