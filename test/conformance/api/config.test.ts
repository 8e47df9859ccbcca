/** Changing the configuration of a whole gateway over HTTP. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startApi, type TestApi } from "../../support/api.ts";
import { freeTcpPort } from "../../support/free-ports.ts";
import { SnSocket } from "../../support/mqtt-sn-socket.ts";

let folder: string;
let api: TestApi;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-config-"));
  api = await startApi({
    dataFolder: join(folder, "data"),
    log: { level: "warn" },
    gateways: {
      mqtt: {},
      "mqtt-sn": { listeners: { second: { transport: "udp", bind: "127.0.0.1", port: 0 } } },
    },
    connectors: { hook: { kind: "http", url: "http://127.0.0.1:9", headers: { token: "secret-of-hook" } } },
  });
});
afterEach(async () => {
  await api.stop();
  rmSync(folder, { recursive: true, force: true });
});

const patch = (body: object, query = "", headers = {}) =>
  api.ask("PATCH", `/api/v1/config${query}`, { body, headers });
const rowOf = async (key: string) =>
  (await api.ask("GET", `/api/v1/config?key=${key}`)).body.items.find(
    (row: { readonly key: string }) => row.key === key,
  );
const kept = () => JSON.parse(readFileSync(join(folder, "data", "api", "configuration.json"), "utf8"));
const connect = (port: number) => mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 });

describe("a change over HTTP", () => {
  it("is only tried with dryRun: what would change, and with which effect", async () => {
    const { status, body } = await patch(
      {
        log: { level: "debug" },
        gateways: {
          mqtt: { keepAliveFactor: 2, enable: true, listeners: { tcp: { port: 0, bind: "127.0.0.2" } } },
        },
        store: { sizeMax: "1GB" },
      },
      "?dryRun=true",
    );
    expect([status, body.errors]).toEqual([200, undefined]);
    expect(body.tried).toBe(true);
    expect(body.changes).toEqual([
      { key: "store.sizeMax", before: "16GB", after: "1GB", effect: "restart" },
      { key: "log.level", before: "warn", after: "debug", effect: "live" },
      {
        key: "gateways.mqtt.listeners.tcp.bind",
        before: "127.0.0.1",
        after: "127.0.0.2",
        effect: "listener",
        of: "mqtt.tcp",
      },
      { key: "gateways.mqtt.keepAliveFactor", before: 1.5, after: 2, effect: "live" },
    ]);
    expect(await rowOf("log.level")).toMatchObject({ value: "warn", origin: "isthmus.yaml:1" });
    expect(existsSync(join(folder, "data", "api", "configuration.json"))).toBe(false);
  });

  it("takes effect, says api where it comes from, is kept and noted, and is taken back key by key", async () => {
    const { status } = await patch({ authentication: { anonymous: false }, log: { level: "error" } });
    expect(status).toBe(200);
    expect(await rowOf("log.level")).toMatchObject({ value: "error", origin: "api", pending: false });
    expect(kept()).toEqual({ "authentication.anonymous": false, "log.level": "error" });
    await expect(connect(api.gateway.port("mqtt", "tcp"))).rejects.toThrow();
    const { body: changes } = await api.ask("GET", "/api/v1/changes?object=config");
    expect(changes.items[0]).toMatchObject({
      object: "config",
      who: "administrator",
      before: { "log.level": "warn" },
      after: { "log.level": "error" },
    });
    const { body: overlay } = await api.ask("GET", "/api/v1/config/overlay");
    expect(overlay.items).toEqual([
      { key: "authentication.anonymous", value: false, beneath: true, pending: false },
      { key: "log.level", value: "error", beneath: "warn", pending: false },
    ]);
    const { body: back } = await api.ask("DELETE", "/api/v1/config/authentication.anonymous");
    expect(back.changes).toMatchObject([{ key: "authentication.anonymous", after: true, effect: "live" }]);
    await (await connect(api.gateway.port("mqtt", "tcp"))).endAsync();
    expect(kept()).toEqual({ "log.level": "error" });
    expect((await api.ask("DELETE", "/api/v1/config/authentication.anonymous")).status).toBe(404);
  });

  it("is all or nothing, and names key, value, what is allowed and what was meant", async () => {
    const { status, body } = await patch({
      log: { level: "error" },
      api: { prot: 1 },
      session: { expiryMax: "soon" },
    });
    expect([status, body.code]).toEqual([400, "invalid-request"]);
    expect(body.errors).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ field: "/api/prot", fix: "did you mean port?" }),
        expect.objectContaining({ field: "/session/expiryMax", value: '"soon"' }),
      ]),
    );
    expect(await rowOf("log.level")).toMatchObject({ value: "warn" });
  });

  it("of what takes a restart is told so, kept, and shown as waiting", async () => {
    const { body } = await patch({ store: { sizeMax: "1GB" } });
    expect(body.changes).toMatchObject([{ key: "store.sizeMax", effect: "restart" }]);
    expect(await rowOf("store.sizeMax")).toMatchObject({ value: "1GB", pending: true });
    const { body: overlay } = await api.ask("GET", "/api/v1/config/overlay");
    expect(overlay.items).toMatchObject([{ key: "store.sizeMax", pending: true }]);
  });

  it("is refused where somebody else was faster (RFC 9110 §13.1.1)", async () => {
    const etag = (await api.ask("GET", "/api/v1/config")).headers.get("etag")!;
    const first = await patch({ log: { level: "error" } }, "", { "if-match": etag });
    expect(first.status).toBe(200);
    const second = await patch({ log: { level: "info" } }, "", { "if-match": etag });
    expect([second.status, second.body.code]).toEqual([412, "changed"]);
    expect(second.headers.get("etag")).toBe(first.headers.get("etag"));
    expect(await rowOf("log.level")).toMatchObject({ value: "error" });
  });

  it("never has a secret: references alone are taken, and none is shown", async () => {
    const set = (token: string) => patch({ connectors: { hook: { headers: { token } } } });
    const plain = await set("a-new-secret");
    expect(plain.status).toBe(400);
    expect(plain.body.errors[0]).toMatchObject({
      field: "/connectors/hook/headers/token",
      value: "(hidden)",
      fix: expect.stringContaining("env:<name>"),
    });
    const reference = await set("env:HOME");
    expect(reference.status).toBe(200);
    const listed = await patch({ authentication: { chain: [{ kind: "jwt", secret: "my-jwt-secret" }] } });
    expect(listed.status).toBe(400);
    const passphrase = await patch({ tls: { keyPassphrase: "env:HOME" } });
    expect(passphrase.status).toBe(400);
    const all = [plain, reference, listed, passphrase, await api.ask("GET", "/api/v1/changes")];
    for (const { body } of all)
      expect(JSON.stringify(body)).not.toMatch(/a-new-secret|secret-of-hook|my-jwt/);
  });

  it("does not name where data or code lie", async () => {
    for (const body of [
      { dataFolder: "/tmp" },
      { hooks: { modules: [{ name: "x", module: "/tmp/x.mjs" }] } },
      { gateways: { mine: { module: "/tmp/x.mjs" } } },
    ]) {
      const refused = await patch(body);
      expect([refused.status, refused.body.code]).toEqual([400, "invalid-request"]);
    }
  });

  it("of a listener opens it anew, and those of others stay", async () => {
    const old = await connect(api.gateway.port("mqtt", "tcp"));
    const gone = new Promise((resolve) => old.once("close", () => resolve(undefined)));
    const port = await freeTcpPort();
    const { body } = await patch({ gateways: { mqtt: { listeners: { tcp: { port } } } } });
    expect(body.changes).toMatchObject([{ effect: "listener", of: "mqtt.tcp" }]);
    await gone;
    old.end(true);
    await (await connect(port)).endAsync();
    expect(await rowOf("gateways.mqtt.listeners.tcp.port")).toMatchObject({ value: port, pending: false });
    const { body: more } = await patch({
      gateways: { mqtt: { listeners: { second: { transport: "tcp", bind: "127.0.0.1", port: 0 } } } },
    });
    expect(more.changes[0]).toMatchObject({ effect: "listener", of: "mqtt.second" });
    await (await connect(api.gateway.port("mqtt", "second"))).endAsync();
    await api.ask("DELETE", "/api/v1/config/gateways.mqtt.listeners.second");
    expect(() => api.gateway.port("mqtt", "second")).toThrow();
  });

  it("of a gateway stops and starts it with its listeners, and neither those of others nor what was closed", async () => {
    const other = await connect(api.gateway.port("mqtt", "tcp"));
    const ended = new Promise((resolve) => other.once("close", () => resolve("closed")));
    await api.ask("POST", "/api/v1/gateways/mqtt-sn/listeners/second/close");
    const { body } = await patch({ gateways: { "mqtt-sn": { gatewayId: 77 } } });
    expect(body.changes).toMatchObject([{ effect: "gateway", of: "mqtt-sn" }]);
    expect(await rowOf("gateways.mqtt-sn.gatewayId")).toMatchObject({ value: 77, pending: false });
    const device = await SnSocket.open(api.gateway.port("mqtt-sn", "udp"));
    // SEARCHGW, and GWINFO with the new id (MQTT-SN 1.2 §5.4.2, §5.4.3).
    expect(await device.ask("03 01 00")).toBe("03024d");
    await device.close();
    expect(() => api.gateway.port("mqtt-sn", "second")).toThrow();
    const still = Promise.race([ended, other.publishAsync("t", "x", { qos: 1 }).then(() => "connected")]);
    expect(await still).toBe("connected");
    await other.endAsync();
  });

  it("stops a gateway that is switched off, starts one that is switched on, and leaves one that was stopped", async () => {
    const running = async (): Promise<boolean> =>
      (await api.ask("GET", "/api/v1/gateways/mqtt-sn")).body.running;
    const { body } = await patch({ gateways: { "mqtt-sn": { enable: false } } });
    expect(body.changes).toMatchObject([{ effect: "gateway", of: "mqtt-sn" }]);
    expect(await running()).toBe(false);
    await patch({ gateways: { "mqtt-sn": { enable: true } } });
    expect(await running()).toBe(true);
    await api.ask("POST", "/api/v1/gateways/mqtt-sn/stop");
    await patch({ gateways: { "mqtt-sn": { gatewayId: 78 } } });
    expect(await running()).toBe(false);
    expect(await rowOf("gateways.mqtt-sn.gatewayId")).toMatchObject({ value: 78, pending: true });
  });

  it("that cannot be applied leaves everything as it was", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    const refused = await patch({
      log: { level: "error" },
      gateways: { mqtt: { listeners: { tcp: { port } } } },
    });
    taken.close();
    expect([refused.status, refused.body.code]).toEqual([409, "conflict"]);
    expect(refused.body.detail).toContain("listener mqtt.tcp");
    expect(await rowOf("log.level")).toMatchObject({ value: "warn" });
    expect(kept()).toEqual({});
    await (await connect(api.gateway.port("mqtt", "tcp"))).endAsync();
  });
});
