/** Pipelines made and changed over HTTP and by a reload, while real clients are there (R-100 ff.). */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startApi, type TestApi } from "../../support/api.ts";
import { CoapSocket } from "../../support/store-coap.ts";
import { until } from "../../support/store-process.ts";
import { WebSink } from "../../support/web-sink.ts";

let folder: string;
let api: TestApi;
let web: WebSink;
const clients: MqttClient[] = [];

const settings = () => ({
  gateways: { mqtt: {}, coap: {} },
  dataFolder: join(folder, "data"),
  store: { engine: "embedded" },
  easegress: { files: [join(folder, "proxy.yaml")] },
  connectors: { hook: { kind: "http", url: web.url, order: "none" } },
});
const proxy = (limit: number): void =>
  writeFileSync(
    join(folder, "proxy.yaml"),
    `kind: MQTTProxy\nname: proxy\nbrokerMode: true\nclientPublishLimit: { requestRate: ${limit}, timePeriod: 3600 }\n`,
  );

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-pipelines-"));
  web = await new WebSink().start();
  writeFileSync(join(folder, "proxy.yaml"), "kind: MQTTProxy\nname: proxy\n");
  api = await startApi(settings() as never);
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
  await api.stop();
  await web.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function connect(options: IClientOptions = {}): Promise<MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`, {
    ...{ protocolVersion: 5, reconnectPeriod: 0, clientId: "c1", ...options },
  });
  client.on("error", () => {});
  clients.push(client);
  return client;
}
const ask = (method: string, path: string, body?: object) =>
  api.ask(method, `/api/v1${path}`, body === undefined ? {} : { body });
const kept = () => JSON.parse(readFileSync(join(folder, "data", "api", "configuration.json"), "utf8"));
const NUMBERS = { type: "object", required: ["t"], properties: { t: { type: "number" } } };
const SHAPE = { packetType: "Publish", filters: [{ name: "shape", kind: "Validator", schema: NUMBERS }] };
const LIMIT = {
  packetType: "Publish",
  filters: [{ name: "limit", kind: "RateLimiter", requestRate: 1, timePeriod: "1h" }],
};
const REFUSED = { code: 0x90 };

describe("a pipeline over HTTP", () => {
  it("begins with those who are there already, and changes under them", async () => {
    const device = new CoapSocket(api.gateway.port("coap", "udp"));
    expect(await device.put("s/2", "no JSON")).toMatch(/^2\.0[14]$/);
    const client = await connect();
    await client.subscribeAsync("s/#", { qos: 1 });
    const made = await ask("PUT", "/pipelines/shape", SHAPE);
    expect(made.body.changes[0]).toMatchObject({ key: "pipelines.shape", effect: "live" });
    const heard: string[] = [];
    client.on("message", (topic, payload) => heard.push(`${topic} ${payload}`));
    await expect(client.publishAsync("s/1", "no JSON", { qos: 1 })).rejects.toMatchObject(REFUSED);
    expect(await device.put("s/2", '{"t":1}')).toMatch(/^2\.0[14]$/);
    await client.publishAsync("s/1", '{"t":2}', { qos: 1 });
    await until(() => heard.includes('s/1 {"t":2}'), "what fits");
    const looser = { ...SHAPE, filters: [{ ...SHAPE.filters[0], schema: {} }] };
    expect((await ask("PUT", "/pipelines/shape", looser)).status).toBe(200);
    await client.publishAsync("s/1", '"text"', { qos: 1 });
    expect((await ask("GET", "/pipelines/shape")).body).toMatchObject({
      ...{ enable: true, origin: "api", packetType: "Publish" },
      filters: [{ name: "shape", kind: "Validator", passed: 3, results: { Invalid: 1 } }],
    });
    await ask("POST", "/pipelines/shape/disable");
    await client.publishAsync("s/1", "no JSON", { qos: 1 });
    await ask("POST", "/pipelines/shape/enable");
    await expect(client.publishAsync("s/1", "no JSON", { qos: 1 })).rejects.toMatchObject(REFUSED);
    expect(kept()).toMatchObject({ "pipelines.shape": { packetType: "Publish" } });
    expect((await ask("DELETE", "/pipelines/shape")).status).toBe(200);
    expect((await ask("GET", "/pipelines/shape")).status).toBe(404);
    await client.publishAsync("s/1", "the end", { qos: 1 });
    await until(() => heard.includes("s/1 the end"), "the last");
    device.close();
    const { body } = await ask("GET", "/changes?object=pipeline");
    expect(body.items.map(({ object }: { object: string }) => object)).toContain("pipeline shape");
  });

  it("leaves the others as they are, with what their limits remember", async () => {
    await ask("PUT", "/pipelines/limit", LIMIT);
    const client = await connect();
    await client.publishAsync("x", "1", { qos: 1 });
    await ask("PUT", "/pipelines/shape", { ...SHAPE, gateways: ["coap"] });
    await expect(client.publishAsync("x", "2", { qos: 1 })).rejects.toMatchObject({ code: 0x97 });
    await ask("DELETE", "/pipelines/shape");
    await expect(client.publishAsync("x", "3", { qos: 1 })).rejects.toMatchObject({ code: 0x97 });
  });

  it("sends what passes, also where none was when the gateway started", async () => {
    const send = { name: "send", kind: "HTTP", connector: "hook", ack: "after_sink" };
    await ask("PUT", "/pipelines/up", { packetType: "Publish", brokerMode: false, filters: [send] });
    const client = await connect();
    await client.publishAsync("x", "first", { qos: 1 });
    expect(web.bodies).toEqual(["first"]);
  });

  it("that is wrong is refused with the place of the mistake, and nothing changes", async () => {
    const wrong = async (body: object) => (await ask("PUT", "/pipelines/p", body)).body.errors[0];
    expect(await wrong({ ...LIMIT, packetType: "Ping" })).toMatchObject({ field: "/packetType" });
    const nowhere = { packetType: "Publish", filters: [{ name: "s", kind: "HTTP", connector: "none" }] };
    expect(await wrong(nowhere)).toMatchObject({
      field: "/filters/0/connector",
      detail: expect.stringContaining("is no connector"),
    });
    expect(await wrong({ ...LIMIT, flow: [{ filter: "other" }] })).toMatchObject({
      field: "/flow/0/filter",
      detail: expect.stringContaining("expected one of limit, END"),
    });
    expect((await ask("PUT", "/pipelines/__proto__", LIMIT)).status).toBe(400);
    expect((await ask("GET", "/pipelines")).body.items).toEqual([]);
    const used = await ask("PUT", "/connectors/mine", { kind: "http", url: web.url });
    expect(used.status).toBe(200);
    await ask("PUT", "/pipelines/p", { ...nowhere, filters: [{ ...nowhere.filters[0], connector: "mine" }] });
    const gone = await ask("DELETE", "/connectors/mine");
    expect([gone.status, gone.body.detail]).toEqual([409, expect.stringContaining("is no connector")]);
  });

  it("takes its secrets by reference, reads them before it is taken, and never shows them", async () => {
    const hash = createHash("sha256").update("passsalt").digest("hex");
    const auth = (saltedSha256Pass: string, salt: string) => ({
      packetType: "Connect",
      gateways: ["mqtt"],
      filters: [{ name: "a", kind: "MQTTClientAuth", salt, auth: [{ username: "u", saltedSha256Pass }] }],
    });
    const file = join(folder, "hash");
    writeFileSync(file, `${hash}\n`);
    writeFileSync(join(folder, "salt"), "salt");
    const plain = await ask("PUT", "/pipelines/who", auth(hash, ""));
    expect(plain.body.errors[0]).toMatchObject({ field: "/filters/0/auth/0/saltedSha256Pass" });
    const missing = await ask("PUT", "/pipelines/who", auth(`file:${folder}/none`, ""));
    expect(missing.body.errors[0]).toMatchObject({ detail: expect.stringContaining("cannot be read") });
    const odd = await ask("PUT", "/pipelines/who", auth(`file:${folder}/salt`, ""));
    expect(odd.body.errors[0].detail).toContain("expected 64 digits");
    const made = await ask("PUT", "/pipelines/who", auth(`file:${file}`, `file:${folder}/salt`));
    expect(made.status).toBe(200);
    expect(JSON.stringify((await ask("GET", "/pipelines/who")).body)).not.toContain(folder);
    await expect(connect({ username: "u", password: "wrong" })).rejects.toThrow();
    await connect({ username: "u", password: "pass" });
  });

  it("is tried on a packet: what each filter comes to, what would be sent, and nothing is", async () => {
    const filters = [
      ...LIMIT.filters,
      ...SHAPE.filters,
      { name: "send", kind: "HTTP", connector: "hook", path: "/in" },
    ];
    await ask("PUT", "/pipelines/all", { packetType: "Publish", brokerMode: false, filters });
    const tryIt = (packet: object) => ask("POST", "/pipelines/all/test", { packet });
    for (let again = 0; again < 2; again++)
      expect((await tryIt({ topic: "x", payload: { t: 1 }, clientid: "c9" })).body).toEqual({
        ...{ outcome: "passed", delivered: false, keys: {} },
        filters: ["limit", "shape", "send"].map((filter) => ({ filter, result: "passed" })),
        sends: [
          {
            connector: "hook",
            parameters: { method: "POST", path: "/in", headers: {}, body: '{"t":1}' },
          },
        ],
      });
    expect((await tryIt({ topic: "x", payload: { t: "warm" } })).body).toMatchObject({
      ...{ outcome: "refused", refusal: "malformed", reason: "/t must be number", sends: [] },
      filters: [
        { filter: "limit", result: "passed" },
        { filter: "shape", result: "Invalid" },
      ],
    });
    expect(web.requests).toEqual([]);
    expect((await ask("GET", "/pipelines/all")).body.filters[0].passed).toBe(0);
    const wrong = await ask("POST", "/pipelines/test", {
      pipeline: { ...LIMIT, filters: [{ ...LIMIT.filters[0], timePeriod: "soon" }] },
      packet: {},
    });
    expect([wrong.status, wrong.body.errors[0].field]).toEqual([400, "/pipeline/filters/0/timePeriod"]);
  });
});

describe("a file of Easegress", () => {
  it("that has changed is taken by a reload: its limits are others, and nobody is restarted", async () => {
    proxy(1);
    expect((await ask("POST", "/config/reload")).body.changed.join()).toContain("proxy-clientPublishLimit");
    const client = await connect();
    await client.publishAsync("x", "1", { qos: 1 });
    await expect(client.publishAsync("x", "2", { qos: 1 })).rejects.toMatchObject({ code: 0x97 });
    proxy(2);
    await ask("POST", "/config/reload");
    await client.publishAsync("x", "3", { qos: 1 });
    expect((await ask("GET", "/pipelines")).body.items).toMatchObject([{ name: "proxy-clientPublishLimit" }]);
    writeFileSync(join(folder, "proxy.yaml"), "kind: MQTTProxy\nname: proxy\nclientPublishLimit: 7\n");
    expect((await ask("POST", "/config/reload")).body.detail).toContain("clientPublishLimit");
    await client.publishAsync("x", "4", { qos: 1 });
    await expect(client.publishAsync("x", "5", { qos: 1 })).rejects.toMatchObject({ code: 0x97 });
  });
});
