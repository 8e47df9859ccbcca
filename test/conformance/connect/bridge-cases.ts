/** What a bridge to any broker must do; sessions at the broker are durable, so that all that it took is heard in the end. */
import mqtt, { type MqttClient } from "mqtt";
import { afterEach, describe, expect, it } from "vitest";
import type { MessageServer } from "../../support/message-servers.ts";
import { addsUp, losesNothingWhenKilled, publishNumbers, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";

interface Broker {
  readonly username: string;
  readonly password: string;
}

export const bridgeCases = (server: () => MessageServer, { username, password }: Broker) =>
  describe("its MQTT", () => {
    const site = new SinkSite();
    const clients: MqttClient[] = [];
    afterEach(async () => {
      await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
      await site.stop();
    });

    const connector = (more: object = {}) => ({
      ...{ kind: "mqtt", url: `tcp://127.0.0.1:${server().mqtt}`, version: "3.1.1", username, password },
      ...more,
    });
    async function there(clientId: string, clean = true): Promise<MqttClient> {
      const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${server().mqtt}`, {
        ...{ clientId, clean, username, password, reconnectPeriod: 200 },
      });
      client.on("error", () => {});
      clients.push(client);
      return client;
    }
    async function heard(client: MqttClient, filter: string): Promise<string[]> {
      const messages: string[] = [];
      client.on("message", (topic, payload) => messages.push(`${topic} ${payload}`));
      await client.subscribeAsync(filter, { qos: 1 });
      return messages;
    }
    const NUMBERS = 'SELECT payload, payload.n AS n FROM "t/#"';

    it("is given what rules send, remapped, in its order", async () => {
      const messages = await heard(await there("order"), "order/#");
      const sink = await site.run(connector(), NUMBERS, { topic: "order/t", payload: "${n}", qos: 1 });
      await publishNumbers(await site.connect(), 0, 20);
      await until(() => sink.counters.success === 20 && messages.length === 20, "twenty messages");
      expect(messages).toEqual(Array.from({ length: 20 }, (_, n) => `order/t ${n}`));
    });

    it("gives what is subscribed to there, remapped, and gets none of it back", async () => {
      const away = await heard(await there("away"), "up/#");
      const subscriptions = [{ filter: "down/#", strip: "down/", topic: "cloud/${rest}" }];
      await site.run(connector({ subscriptions }), 'SELECT * FROM "#"', { topic: "up/${topic}" });
      const local = await site.connect();
      const messages = await heard(local, "#");
      const remote = await there("remote");
      await until(
        async () => {
          await remote.publishAsync("down/try", "1", { qos: 1 });
          return messages.includes("cloud/try 1");
        },
        "the subscription is made",
        120_000,
      );
      await local.publishAsync("mine", "2", { qos: 1 });
      await until(() => away.includes("up/mine 2"), "ours is there");
      await remote.publishAsync("down/end", "3", { qos: 1 });
      await until(() => messages.includes("cloud/end 3"), "the last");
      expect(away.filter((message) => message.includes("cloud"))).toEqual([]);
      expect(messages.filter((message) => message.endsWith(" 2"))).toEqual(["mine 2"]);
    });

    it("keeps for the bridge what comes while the gateway is away", async () => {
      const subscriptions = [{ filter: "kept/#" }];
      // What comes from there goes nowhere else, and is counted by the rule.
      const run = () =>
        site.run(connector({ subscriptions }), 'SELECT payload FROM "kept/#"', {
          topic: "x",
        });
      const first = await run();
      await until(() => first.state === "connected", "it has subscribed", 120_000);
      await site.stop();
      const remote = await there("remote");
      for (let n = 0; n < 10; n++) await remote.publishAsync("kept/n", `${n}`, { qos: 1 });
      await run();
      const rule = site.gateway!.composition.rules.rules.get("r")!;
      await until(() => rule.counters.matched === 10, "all have come", 120_000);
      // None of it went back.
      expect(rule.actions[0]!.counters).toMatchObject({ dropped: 10 });
    });

    it("loses nothing when it is killed under load", async () => {
      const numbers = new Set<number>();
      const reader = await there("reader-killed", false);
      reader.on("message", (_, payload) => numbers.add(Number(payload.toString())));
      await reader.subscribeAsync("killed", { qos: 1 });
      const sink = await site.run(connector(), NUMBERS, { topic: "killed", payload: "${n}", qos: 1 });
      const client = await site.connect();
      await publishNumbers(client, 0, 50);
      await server().kill();
      await publishNumbers(client, 50, 100);
      await until(() => site.isAway(), "it is noticed", 120_000);
      await server().restart();
      await until(() => sink.counters.success === 100, "all are acknowledged", 240_000);
      await until(() => numbers.size === 100, "all are heard", 120_000);
      expect(sink.counters).toMatchObject({ taken: 100, failed: 0 });
      addsUp(sink);
    }, 600_000);

    it("has what was acknowledged when the gateway is killed", async () => {
      const numbers = new Set<number>();
      const reader = await there("reader-survived", false);
      reader.on("message", (_, payload) => numbers.add(Number(payload.toString())));
      await reader.subscribeAsync("survived", { qos: 1 });
      await losesNothingWhenKilled({
        connector: connector(),
        action: { topic: "survived", payload: "${n}", qos: 1 },
        away: () => server().kill(),
        back: () => server().restart(),
        has: async () => numbers,
      });
    }, 900_000);
  });
