/** Bridges to mosquitto, both ways. */
import mqtt, { type MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startMosquitto } from "../../support/servers.ts";
import { losesNothingWhenKilled } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";

describe.skipIf(lacks("mosquitto"))("a bridge to mosquitto", () => {
  let broker: Server;
  let gateway: TestGateway | undefined;
  const clients: MqttClient[] = [];

  beforeAll(async () => {
    broker = await startMosquitto();
  }, 120_000);
  afterAll(() => broker.stop());
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
    await gateway?.stop();
    gateway = undefined;
  });

  async function connect(port: number, clientId: string): Promise<MqttClient> {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { clientId, reconnectPeriod: 100 });
    client.on("error", () => {});
    clients.push(client);
    return client;
  }
  const here = (clientId = "here") => connect(gateway!.port("mqtt", "tcp"), clientId);
  const there = (clientId = "there") => connect(broker.port, clientId);

  async function heard(client: MqttClient, filter: string): Promise<string[]> {
    const messages: string[] = [];
    client.on("message", (topic, payload, { retain }) =>
      messages.push(`${topic} ${payload}${retain ? " R" : ""}`),
    );
    await client.subscribeAsync(filter, { qos: 1 });
    return messages;
  }

  const start = async (connector: object, sql = 'SELECT * FROM "out/#"', action: object = {}) => {
    gateway = await startGateway({
      gateways: { mqtt: {} },
      connectors: {
        up: {
          kind: "mqtt",
          url: `tcp://127.0.0.1:${broker.port}`,
          retry: { first: "10ms", longest: "100ms" },
          health: "100ms",
          ...connector,
        },
      },
      rules: { r: { sql, actions: [{ kind: "mqtt", connector: "up", ...action }] } },
    });
    return gateway.composition.rules.connectors.get("up")!;
  };

  it.each(["5.0", "3.1.1"])("publishes what rules send, remapped, over MQTT %s", async (version) => {
    const sink = await start({ version }, 'SELECT * FROM "out/#"', { topic: "bridge/${topic}" });
    const messages = await heard(await there(), "bridge/#");
    const client = await here();
    for (let count = 0; count < 10; count++) await client.publishAsync("out/a", `${count}`, { qos: 1 });
    await until(() => sink.counters.success === 10 && messages.length === 10, "ten messages");
    expect(messages).toEqual(Array.from({ length: 10 }, (_, count) => `bridge/out/a ${count}`));
  });

  it("brings what is subscribed to there, remapped, and sends none of it back", async () => {
    await start(
      { subscriptions: [{ filter: "shared/#", strip: "shared/", topic: "cloud/${rest}" }] },
      'SELECT * FROM "#"',
      { topic: "shared/${topic}" },
    );
    const messages = await heard(await here("listener"), "#");
    const [local, remote] = [await here(), await there()];
    const away = await heard(await there("listener-there"), "shared/#");
    await until(async () => {
      await remote.publishAsync("shared/try", "1", { qos: 1 });
      return messages.includes("cloud/try 1");
    }, "the subscription is made");
    await local.publishAsync("mine", "2", { qos: 1 });
    await until(() => away.includes("shared/mine 2"), "ours is there");
    await remote.publishAsync("shared/end", "3", { qos: 1 });
    await until(() => messages.includes("cloud/end 3"), "the last");
    expect(messages.filter((message) => message.endsWith(" 2"))).toEqual(["mine 2"]);
    expect(away.filter((message) => message.includes("cloud"))).toEqual([]);
  });

  it("loses nothing when the broker is killed under load, in either direction", async () => {
    const sink = await start({ subscriptions: [{ filter: "in/#" }] }, 'SELECT * FROM "out/#"');
    const client = await here();
    const away = new Set<string>();
    const listening = await there();
    listening.on("message", (_, payload) => away.add(payload.toString()));
    await listening.subscribeAsync("out/#", { qos: 1 });
    for (let count = 0; count < 50; count++) await client.publishAsync("out/a", `${count}`, { qos: 1 });
    await until(() => away.size === 50, "the first half");
    await broker.kill();
    for (let count = 50; count < 100; count++) await client.publishAsync("out/a", `${count}`, { qos: 1 });
    await until(() => sink.state === "disconnected", "it is noticed", 120_000);
    await broker.restart();
    await until(() => sink.counters.success === 100, "all are acknowledged", 120_000);
    expect(sink.counters).toMatchObject({ taken: 100, failed: 0 });
    // And back: the subscription is there again.
    const messages = await heard(client, "in/#");
    const remote = await there("remote");
    await until(
      async () => {
        await remote.publishAsync("in/a", "x", { qos: 1 });
        return messages.length > 0;
      },
      "what is published there comes here again",
      120_000,
    );
  }, 300_000);

  it("brings over everything that was acknowledged when the gateway is killed", async () => {
    const heardThere = new Set<number>();
    await losesNothingWhenKilled({
      connector: { kind: "mqtt", url: `tcp://127.0.0.1:${broker.port}` },
      action: { topic: "survived", payload: '{"n":${n}}', qos: 1 },
      away: () => broker.kill(),
      // A broker that was killed knows no subscription: what comes before there is one again is nobody's.
      async back() {
        await broker.restart();
        const reader = await there("reader");
        reader.on("message", (_, payload) => heardThere.add(JSON.parse(payload.toString()).n));
        await reader.subscribeAsync("survived", { qos: 1 });
      },
      has: async () => heardThere,
    });
  }, 900_000);
});
