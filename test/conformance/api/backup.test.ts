/** What operators have made, carried from one node to another. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { askAt, startApi, type TestApi } from "../../support/api.ts";

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
    expect(restored.body).toEqual({ users: 1, keys: 4, bans: 1, routes: 0 });
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
