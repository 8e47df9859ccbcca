import { until } from "../../support/store-process.ts";
import { WebSink } from "../../support/web-sink.ts";
import type { Case, Group } from "./case.ts";
import { mqttClient } from "./clients.ts";
import type { Site } from "./site.ts";

const sink = new WebSink();
const away = new WebSink();
const eventOf = (site: Site, event: string) => site.lines.some((line) => line.event === event);

async function publish(site: Site, topic: string, payload: string): Promise<void> {
  const client = await mqttClient(site.port("mqtt", "tcp"));
  await client.publishAsync(topic, payload, { qos: 1 });
  await client.endAsync();
}

const CASES: readonly Case[] = [
  {
    row: "a rule does nothing",
    async play(site) {
      await publish(site, "sensors/a", '{"t": 10}');
      return [];
    },
  },
  {
    row: "a rule does nothing, and the payload is not what it reads",
    async play(site) {
      await publish(site, "broken/a", "no JSON");
      await until(() => eventOf(site, "rule-failed"), "a line");
      return [];
    },
  },
  {
    row: "nothing arrives at a sink, and nothing is lost",
    async play(site) {
      await away.stop();
      await publish(site, "away/a", "x");
      return [];
    },
  },
  {
    row: "a message never arrives at a sink that takes the others",
    async play(site) {
      sink.answer = (_, response) => response.writeHead(400).end();
      await publish(site, "refused/a", "x");
      await until(() => eventOf(site, "dead-letter"), "a line");
      return [];
    },
  },
];

export const RULES: Group = {
  name: "Rules and connectors",
  async settings() {
    await Promise.all([sink.start(), away.start()]);
    const soon = { retry: { first: "10ms", longest: "100ms" }, health: "200ms" };
    const rule = (topic: string, connector: string) => ({
      sql: `SELECT * FROM "${topic}"`,
      actions: [{ kind: "http", connector }],
    });
    return {
      connectors: {
        away: { kind: "http", url: away.url, ...soon },
        refusing: { kind: "http", url: sink.url, ...soon },
      },
      rules: {
        hot: {
          sql: 'SELECT payload.t AS t FROM "sensors/+" WHERE payload.t > 30',
          actions: [{ kind: "console" }],
        },
        broken: {
          sql: 'SELECT json_decode(payload) AS p FROM "broken/+"',
          actions: [{ kind: "console" }],
        },
        away: rule("away/#", "away"),
        refused: rule("refused/#", "refusing"),
      },
    };
  },
  cases: CASES,
  end: () => sink.stop(),
};
