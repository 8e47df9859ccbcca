/** The policy as a stock MQTT client meets it, over real sockets. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { hashPassword } from "#core/authenticate/password-hash.ts";
import { loadText } from "#core/config/load.ts";
import { policySettings } from "#core/config/policy-settings.ts";
import { MODULES } from "#core/modules.ts";
import { startGateway, type TestGateway, type TestSettings } from "../../support/gateway.ts";

const NOT_AUTHORIZED = 135;
const BAD_USER_NAME_OR_PASSWORD = 134;
const BANNED = 138;

let folder = "";
let users = "";
let gateway: TestGateway | undefined;
const clients: MqttClient[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-policy-"));
  users = join(folder, "users.yaml");
  const hash = await hashPassword("right");
  writeFileSync(
    users,
    `users:\n  - { username: ann, password: "${hash}" }\n  - { username: bob, password: "plain:b" }\n`,
  );
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await gateway?.stop();
  gateway = undefined;
});
afterAll(() => rmSync(folder, { recursive: true }));

async function start(
  settings: Omit<TestSettings, "gateways">,
  mqttSettings: TestSettings["gateways"][string] = {},
): Promise<void> {
  gateway = await startGateway({ ...settings, gateways: { mqtt: mqttSettings } });
}

/** Connects; rejects with the reason code of a CONNACK that refuses, or with `closed`. */
function connect(options: IClientOptions = {}): Promise<MqttClient> {
  const port = gateway!.port("mqtt", "tcp");
  const client = mqtt.connect({
    host: "127.0.0.1",
    port,
    protocolVersion: 5,
    reconnectPeriod: 0,
    ...options,
  });
  clients.push(client);
  return new Promise((resolve, reject) => {
    client.once("connect", () => resolve(client));
    client.once("error", (error: Error & { code?: number }) => reject(error.code ?? error));
    client.once("close", () => reject("closed"));
  });
}

/** The granted QoS, or the reason code. */
const subscribe = (client: MqttClient, filter: string): Promise<number> =>
  new Promise((resolve) => {
    client.subscribe(filter, { qos: 1 }, (_error, _granted, packet) => resolve(Number(packet?.granted[0])));
  });

const publish = (client: MqttClient, topic: string): Promise<number> =>
  new Promise((resolve) => {
    client.publish(topic, "x", { qos: 1 }, (error) =>
      resolve(error === undefined || error === null ? 0 : codeOf(error)),
    );
  });
const codeOf = (error: Error): number => (error as Error & { code?: number }).code ?? -1;

const nextTopic = (client: MqttClient): Promise<string> =>
  new Promise((resolve) => client.once("message", (topic) => resolve(topic)));

describe("login", () => {
  it("follows the users file when anonymous is off", async () => {
    await start({ authentication: { anonymous: false, chain: [{ kind: "users-file", file: users }] } });
    await expect(connect({ username: "ann", password: "right" })).resolves.toBeDefined();
    await expect(connect({ username: "ann", password: "wrong" })).rejects.toBe(BAD_USER_NAME_OR_PASSWORD);
    await expect(connect({ username: "eve", password: "right" })).rejects.toBe(BAD_USER_NAME_OR_PASSWORD);
    await expect(connect()).rejects.toBe(BAD_USER_NAME_OR_PASSWORD);
  });

  it("is refused to the banned, and a flapping client becomes one of them", async () => {
    await start({
      bans: { list: [{ clientId: "old", reason: "retired" }] },
      flapping: { enable: true, threshold: 2 },
    });
    await expect(connect({ clientId: "old" })).rejects.toBe(BANNED);
    for (let round = 0; round < 2; round++) {
      const client = await connect({ clientId: "flaps" });
      await client.endAsync();
    }
    await expect(connect({ clientId: "flaps" })).rejects.toBe(BANNED);
    await expect(connect({ clientId: "steady" })).resolves.toBeDefined();
  });

  it("is not even tried from an address that the listener does not take", async () => {
    await start({}, { listeners: { tcp: { accessRules: ["deny 127.0.0.0/8"] } } });
    await expect(connect()).rejects.toBeDefined();
    expect(gateway!.composition.core.counters.connects.value).toBe(0);
  });
});

describe("topics", () => {
  const rules = [
    { permission: "deny", who: "all", topics: ["secret/#"] },
    { permission: "allow", who: { user: "ann" }, topics: ["#"] },
    { permission: "allow", who: "all", topics: ["dev/%c/#"] },
  ];

  it("are the client's to publish and subscribe only as the rules say", async () => {
    await start({ authorization: { noMatch: "deny", rules } });
    const device = await connect({ clientId: "d1" });
    expect(await publish(device, "dev/d1/t")).toBe(0);
    expect(await publish(device, "dev/d2/t")).toBe(NOT_AUTHORIZED);
    expect(await subscribe(device, "dev/d1/#")).toBe(1);
    expect(await subscribe(device, "dev/#")).toBe(NOT_AUTHORIZED);
    expect(await subscribe(device, "$share/g/dev/d1/#")).toBe(1);
    expect(await publish(device, "$SYS/x")).toBe(NOT_AUTHORIZED);
    const ann = await connect({ clientId: "a", username: "ann" });
    expect(await subscribe(ann, "public/#")).toBe(1);
    expect(await subscribe(ann, "secret/+")).toBe(NOT_AUTHORIZED);
    expect(await subscribe(ann, "#")).toBe(NOT_AUTHORIZED);
  });

  it("are not opened by a client that calls itself # or +", async () => {
    await start({ authorization: { noMatch: "deny", rules } });
    for (const clientId of ["#", "+", "d1/x"]) {
      const device = await connect({ clientId });
      expect(await subscribe(device, "dev/#"), clientId).toBe(NOT_AUTHORIZED);
      expect(await subscribe(device, "dev/+/t"), clientId).toBe(NOT_AUTHORIZED);
      expect(await subscribe(device, "dev/d1/x/#"), clientId).toBe(NOT_AUTHORIZED);
    }
  });

  it("change hands at once when the rules are reloaded, for clients that are connected", async () => {
    await start({});
    const client = await connect({ clientId: "c" });
    expect(await publish(client, "t")).not.toBe(NOT_AUTHORIZED);
    const { config } = loadText(MODULES, "authorization: { noMatch: deny }");
    gateway!.composition.policy.update(policySettings(config).settings);
    expect(await publish(client, "t")).toBe(NOT_AUTHORIZED);
  });

  it("are apart under mountpoints that hold the client's name", async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder
    await start({}, { mountpoint: "site/${username}/" });
    const [ann, bob] = [await connect({ username: "ann" }), await connect({ username: "bob" })];
    expect(await subscribe(ann, "#")).toBe(1);
    expect(await subscribe(bob, "#")).toBe(1);
    const atAnn = nextTopic(ann);
    const atBob = nextTopic(bob);
    await publish(ann, "from/ann");
    await publish(bob, "from/bob");
    expect([await atAnn, await atBob]).toEqual(["from/ann", "from/bob"]);
    await expect(connect()).rejects.toBe(NOT_AUTHORIZED);
  });

  it("are rewritten on the way in, and subscribed to without being asked", async () => {
    await start({
      rewrite: [{ filter: "x/#", pattern: "^x/y/(.+)$", target: "dev/%c/$1" }],
      subscriptions: [{ topic: "dev/%c/#", qos: 1 }],
    });
    const client = await connect({ clientId: "c7" });
    const topic = nextTopic(client);
    await publish(client, "x/y/t");
    expect(await topic).toBe("dev/c7/t");
  });
});

describe("rates", () => {
  it("slow a publisher down to its rate and lose nothing at QoS 1", async () => {
    await start({}, { listeners: { tcp: { limits: { messageRate: 50 } } } });
    const client = await connect();
    const begun = performance.now();
    // One second's worth and a half of it at once: the debt is paid before anything else is read.
    await Promise.all(Array.from({ length: 75 }, () => publish(client, "t")));
    await publish(client, "t");
    expect(performance.now() - begun).toBeGreaterThan(450);
  });

  it("refuse connections above the listener's rate", async () => {
    await start({}, { listeners: { tcp: { limits: { connectionRate: 3 } } } });
    const outcomes = await Promise.allSettled(Array.from({ length: 60 }, () => connect()));
    const entered = outcomes.filter((outcome) => outcome.status === "fulfilled").length;
    expect(entered).toBeGreaterThanOrEqual(3);
    expect(entered).toBeLessThan(60);
  });
});
