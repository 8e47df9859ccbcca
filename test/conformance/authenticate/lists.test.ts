/** Users and client ids that are changed over the HTTP API: for clients of three protocols, at once, and past kill -9. */
import { readFileSync } from "node:fs";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { afterEach, describe, expect, it } from "vitest";
import { localKeyPath } from "#core/data-files.ts";
import { askAt, startApi, type TestApi } from "../../support/api.ts";
import { keepsOutHostileLogins } from "../../support/hostile-logins.ts";
import { IN, logins, OUT } from "../../support/logins.ts";
import { StoreSite } from "../../support/store-process.ts";

const USERS = "/api/v1/authentication/users";
const CLIENT_IDS = "/api/v1/authentication/client-ids";
const PASSWORD = "correct-horse";

let api: TestApi | undefined;
afterEach(async () => {
  await api?.stop();
  api = undefined;
});

/** A client of MQTT 5, and with which reason it is disconnected. */
async function connectedClient(
  port: number,
  options: IClientOptions,
): Promise<{ readonly client: MqttClient; readonly ended: Promise<number | undefined> }> {
  const url = `mqtt://127.0.0.1:${port}`;
  const client = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0, ...options });
  const ended = new Promise<number | undefined>((resolve) => {
    client.once("disconnect", ({ reasonCode }) => resolve(reasonCode));
    client.once("close", () => resolve(undefined));
  });
  return { client, ended };
}

async function start(...chain: readonly object[]): Promise<TestApi> {
  api = await startApi({
    authentication: { anonymous: false, chain },
    gateways: { mqtt: {}, coap: {}, stomp: {} },
  });
  return api;
}

const everywhere = (name: string, password: string): Promise<readonly string[]> =>
  logins(api!.gateway, name).everywhere(password);
/** Administrative action. */
const ENDED = 0x98;

describe("a list of users", () => {
  it("lets in who is on it with the right password, by MQTT, CoAP and STOMP, and nobody else (A-030)", async () => {
    const { ask } = await start({ kind: "user-list" });
    const added = await ask("POST", USERS, { body: { username: "ann", password: PASSWORD } });
    expect([added.status, added.body]).toMatchObject([201, { username: "ann", password: true }]);
    expect(await everywhere("ann", PASSWORD)).toEqual(IN);
    expect(await everywhere("ann", "wrong")).toEqual(OUT);
    expect(await everywhere("bob", PASSWORD)).toEqual(OUT);
    await keepsOutHostileLogins(api!.gateway, PASSWORD);
    expect((await ask("POST", USERS, { body: { username: "ann", password: "x" } })).status).toBe(409);
  });

  it("ends the connection of who is removed, or whose rights have changed, at once", async () => {
    const { ask } = await start({ kind: "user-list" });
    for (const username of ["ann", "bob"])
      await ask("POST", USERS, { body: { username, password: PASSWORD } });
    const port = api!.gateway.port("mqtt", "tcp");
    const ann = await connectedClient(port, { username: "ann", password: PASSWORD });
    const bob = await connectedClient(port, { username: "bob", password: PASSWORD, clientId: "b" });
    await ask("PATCH", `${USERS}/bob`, { body: { password: "a new one" } });
    expect((await ask("DELETE", `${USERS}/ann`)).status).toBe(204);
    expect(await ann.ended).toBe(ENDED);
    expect(bob.client.connected).toBe(true);
    await ask("PATCH", `${USERS}/bob`, { body: { clientId: "another" } });
    expect(await bob.ended).toBe(ENDED);
    expect(await logins(api!.gateway, "bob").overMqtt("a new one")).toBe("134");
  });

  it("takes CSV and JSON of EMQX's import in one piece or not at all, and gives it back (A-031)", async () => {
    const { ask } = await start({ kind: "user-list", passwordHash: "sha256,salt" });
    const csv = (body: string) =>
      ask("POST", `${USERS}/import`, { body, headers: { "content-type": "text/csv" } });
    const hash = "f4a8615be301fbaf6213df33cfe5f22953aafc0c31beb8f2daef55b127444d27";
    const rows = `user_id,password_hash,salt,is_superuser\r\nann,${hash},salt,true\r\n"o""neil, j",${hash},salt,false\r\n`;
    expect((await csv(rows)).body).toEqual({ added: 2, changed: 0 });
    expect((await csv(rows)).body).toEqual({ added: 0, changed: 2 });
    expect(await everywhere("ann", "public")).toEqual(IN);
    const bad = await csv("user_id,password_hash\nbob,x\ncarl\n");
    expect([bad.status, bad.body.code]).toEqual([400, "invalid-request"]);
    expect(bad.body.errors[0].detail).toContain("row 3");
    const none = await csv("user_id,password_hash\nbob,x\ncarl,\n");
    expect(none.status).toBe(400);
    const listed = await ask("GET", `${USERS}?sort=name&columns=username,superuser`);
    expect(listed.body.items).toEqual([
      { username: "ann", superuser: true },
      { username: 'o"neil, j', superuser: false },
    ]);
    const kept = await ask("GET", `${USERS}/export`);
    await ask("DELETE", `${USERS}/ann`);
    expect(await everywhere("ann", "public")).toEqual(OUT);
    expect((await ask("POST", `${USERS}/import`, { body: kept.body })).body).toEqual({
      added: 1,
      changed: 1,
    });
    expect(await everywhere("ann", "public")).toEqual(IN);
  });

  it("pages, searches, names entries that no path can carry, and never says a password or hash", async () => {
    const { ask, gateway } = await start({ kind: "user-list", passwordHash: "sha256" });
    const names = ["..", "a/b", "ünï", "x%00", ...Array.from({ length: 5 }, (_, index) => `m${index}`)];
    const body = names.map((user_id) => ({ user_id, password: "a-secret-word" }));
    expect((await ask("POST", `${USERS}/import`, { body })).body.added).toBe(9);
    const first = await ask("GET", `${USERS}?limit=4`);
    const second = await ask("GET", `${USERS}?limit=8&cursor=${first.body.next}`);
    expect([...first.body.items, ...second.body.items].map(({ username }) => username)).toEqual(names);
    expect((await ask("GET", `${USERS}?search=m`)).body.items).toHaveLength(5);
    expect((await ask("DELETE", `${USERS}/-?name=..`)).status).toBe(204);
    expect((await ask("DELETE", `${USERS}/a%2Fb`)).status).toBe(204);
    const hash = (await ask("GET", `${USERS}/export`)).body[0].password_hash;
    const said = JSON.stringify([first.body, (await ask("GET", "/api/v1/changes")).body, gateway.log]);
    expect(said).not.toContain("a-secret-word");
    expect(said).not.toContain(hash);
  });

  it("is full at its limit, and says so", async () => {
    const { ask } = await start({ kind: "user-list", entries: 1, passwordHash: "sha256" });
    await ask("POST", USERS, { body: { username: "ann", password: "x" } });
    const full = await ask("POST", USERS, { body: { username: "bob", password: "x" } });
    expect([full.status, full.body.detail]).toEqual([409, "the list is full: entries allows 1"]);
  });

  it.each(["plain", "md5", "sha512,salt", "salt,sha256", "bcrypt", "pbkdf2,sha256,4096,32", "scrypt"])(
    "keeps new passwords as %s, and knows them again (A-020, A-021)",
    async (passwordHash) => {
      const { ask } = await start({ kind: "user-list", passwordHash });
      await ask("POST", USERS, { body: { username: "ann", password: "pässwört" } });
      const { overMqtt } = logins(api!.gateway, "ann");
      expect([await overMqtt("pässwört"), await overMqtt("other")]).toEqual(["in", "134"]);
      const [row] = (await ask("GET", `${USERS}/export`)).body;
      expect(row.password_hash === "pässwört").toBe(passwordHash === "plain");
    },
  );
});

describe("a list of client ids", () => {
  it("knows clients by their id, with a password or, where none is given, by the id alone", async () => {
    const { ask } = await start({ kind: "client-id-list" });
    await ask("POST", CLIENT_IDS, { body: { clientId: "pump", password: PASSWORD } });
    await ask("POST", CLIENT_IDS, { body: { clientId: "lamp" } });
    const port = api!.gateway.port("mqtt", "tcp");
    const outcome = (clientId: string, password?: string) =>
      connectedClient(port, {
        clientId,
        ...(password === undefined ? {} : { username: "u", password }),
      }).then(
        () => "in",
        (error: { code?: number }) => String(error.code),
      );
    expect(await outcome("pump", PASSWORD)).toBe("in");
    expect(await outcome("pump", "wrong")).toBe("134");
    expect(await outcome("pump")).toBe("134");
    expect(await outcome("lamp")).toBe("in");
    expect(await outcome("other")).toBe("134");
  });
});

describe("the forms of EMQ X 4", () => {
  it("add, change and remove client ids and user names (A-030, O-021)", async () => {
    await start({ kind: "client-id-list" }, { kind: "user-list", passwordHash: "sha256" });
    const ask = (method: string, path: string, body?: object) =>
      api!.ask(method, `/api/v3/${path}`, body === undefined ? {} : { body });
    const added = await ask("POST", "auth_username", { username: "ann", password: "public" });
    expect(added.body).toEqual({ code: 0, data: [] });
    expect((await ask("POST", "auth_clientid", { clientid: "c", password: "public" })).body.code).toBe(0);
    expect((await ask("POST", "auth_clientid", { clientid: "c", password: "public" })).body.code).not.toBe(0);
    expect((await ask("GET", "auth_clientid")).body).toEqual({ code: 0, data: [{ clientid: "c" }] });
    expect(await logins(api!.gateway, "ann").overMqtt("public")).toBe("in");
    expect((await ask("PUT", "auth_username/ann", { password: "other" })).body.code).toBe(0);
    expect(await logins(api!.gateway, "ann").overMqtt("public")).toBe("134");
    expect((await ask("DELETE", "auth_username/ann")).body.code).toBe(0);
    expect((await ask("GET", "auth_username")).body.data).toEqual([]);
  });
});

it("what was answered with 201 is there after kill -9", async () => {
  const site = await StoreSite.create();
  site.configure({
    authentication: { anonymous: false, chain: [{ kind: "user-list", passwordHash: "sha256" }] },
  });
  try {
    let process = await site.start();
    const { url, key } = JSON.parse(readFileSync(localKeyPath({ dataFolder: site.data }), "utf8"));
    const add = (username: string) =>
      askAt(url, "POST", USERS, { key, body: { username, password: PASSWORD } });
    expect([(await add("ann")).status, (await add("bob")).status]).toEqual([201, 201]);
    expect((await askAt(url, "DELETE", `${USERS}/bob`, { key })).status).toBe(204);
    await process.kill("SIGKILL");
    process = await site.start();
    const options = { username: "ann", password: PASSWORD, reconnectPeriod: 0 };
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${site.ports.mqtt}`, options);
    await client.endAsync();
    await expect(
      mqtt.connectAsync(`mqtt://127.0.0.1:${site.ports.mqtt}`, { ...options, username: "bob" }),
    ).rejects.toMatchObject({ code: 4 });
  } finally {
    site.close();
  }
}, 300_000);
