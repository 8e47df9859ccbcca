/** Messages under `$delayed/` before a broker: what their publishers were told is accepted survives `kill -9`. */
import mqtt, { type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lacks } from "../../support/programs.ts";
import { type Server, startMosquitto } from "../../support/servers.ts";
import { PersistentClient } from "../../support/store-mqtt.ts";
import { StoreSite, until } from "../../support/store-process.ts";

const PATIENCE = 240_000;
const COUNT = 20;

describe.skipIf(lacks("mosquitto"))("messages that wait for their time before mosquitto", () => {
  let broker: Server;
  let site: StoreSite;
  const clients: PersistentClient[] = [];
  const apps: MqttClient[] = [];

  beforeEach(async () => {
    broker = await startMosquitto();
    site = await StoreSite.create();
    const servers = [`tcp://127.0.0.1:${broker.port}`];
    site.configure({ bus: { engine: "upstream", upstream: { servers, grace: "10m", patience: "10m" } } });
  }, PATIENCE);

  afterEach(async () => {
    for (const app of apps.splice(0)) app.end(true);
    for (const client of clients.splice(0)) client.end();
    site.close();
    await broker.stop();
  }, PATIENCE);

  function device(): PersistentClient {
    const client = new PersistentClient(site.ports.mqtt, "device");
    clients.push(client);
    return client;
  }

  /** An application at the broker, and what it is sent. */
  async function app(): Promise<string[]> {
    const heard: string[] = [];
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.port}`, { connectTimeout: PATIENCE });
    apps.push(client);
    client.on("message", (_, payload) => heard.push(String(payload)));
    await client.subscribeAsync("late/#", { qos: 2 });
    return heard;
  }

  it(
    "come when the gateway was killed in between, and once when it ended in order",
    async () => {
      const heard = await app();
      const process = await site.start();
      const sensor = device();
      const names = Array.from({ length: COUNT }, (_, n) => `m${n}`);
      const qos = (n: number) => (n % 2 === 0 ? 1 : 2);
      await Promise.all(names.map((name, n) => sensor.publish(`$delayed/4/late/${n}`, name, qos(n))));
      await process.kill("SIGKILL");
      const second = await site.start();
      await until(() => new Set(heard).size === COUNT, "some were lost", PATIENCE);
      expect([...heard].sort()).toEqual(names.sort());
      await second.kill("SIGTERM");
      await site.start();
      // By the same client, and so behind whatever of its would come again.
      await sensor.publish("$delayed/0/late/end", "end", 1);
      await until(() => heard.includes("end"), "the last one was lost", PATIENCE);
      expect(heard).toHaveLength(COUNT + 1);
    },
    PATIENCE,
  );

  it(
    "wait for the broker when it is away at their time, over a kill of the gateway",
    async () => {
      const process = await site.start();
      const sensor = device();
      await sensor.publish("other", "x", 1);
      await broker.kill();
      await sensor.publish("$delayed/1/late/a", "a", 1, true);
      await process.kill("SIGKILL");
      await site.start();
      await broker.restart();
      const heard = await app();
      await until(() => heard.includes("a"), "it was lost", PATIENCE);
    },
    PATIENCE,
  );
});
