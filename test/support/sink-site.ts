/** A gateway with one rule that leads to one connector, and what tests of every kind of connector ask of it. */
import { readFileSync } from "node:fs";
import mqtt, { type MqttClient } from "mqtt";
import { expect } from "vitest";
import { parse } from "yaml";
import type { Sink } from "#core/connect/sink.ts";
import { startGateway, type TestGateway } from "./gateway.ts";
import { StoreSite, until } from "./store-process.ts";

/** Tries come soon after each other, so that tests do not wait. */
export const SOON = { retry: { first: "10ms", longest: "100ms" }, health: "200ms" };
const LONG = 240_000;

export class SinkSite {
  gateway: TestGateway | undefined = undefined;
  readonly #clients: MqttClient[] = [];

  /** The connector has the kind of its actions. */
  async run(
    connector: { readonly kind: string; readonly [key: string]: unknown },
    sql: string,
    ...actions: object[]
  ): Promise<Sink> {
    await this.runAll(settings(connector, sql, actions));
    return this.sink("out");
  }

  /** `more`: connectors and rules, as in the configuration. */
  async runAll(more: { readonly connectors: object; readonly rules: object }): Promise<void> {
    this.gateway = await startGateway({ gateways: { mqtt: {} }, ...more });
  }

  sinks(): Iterable<Sink> {
    return this.gateway!.composition.rules.connectors.all;
  }

  sink(connector: string): Sink {
    return this.gateway!.composition.rules.connectors.get(connector)!;
  }

  async connect(clientId = "c1", port = this.gateway!.port("mqtt", "tcp")): Promise<MqttClient> {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
      ...{ clientId, protocolVersion: 5, reconnectPeriod: 0 },
    });
    client.on("error", () => {});
    this.#clients.push(client);
    return client;
  }

  /** What is dead-lettered from now on, as it comes. */
  async letters(): Promise<Record<string, unknown>[]> {
    const found: Record<string, unknown>[] = [];
    const reader = await this.connect("letters");
    reader.on("message", (topic, payload) => found.push({ topic, ...JSON.parse(payload.toString()) }));
    await reader.subscribeAsync("$dead-letter/#", { qos: 1 });
    return found;
  }

  isAway(): boolean {
    return this.gateway!.composition.alarms.active.some(({ name }) => name === "connector-out-away");
  }

  async stop(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.endAsync(true)));
    await this.gateway?.stop();
    this.gateway = undefined;
  }
}

const settings = (
  connector: { readonly kind: string; readonly [key: string]: unknown },
  sql: string,
  actions: readonly object[],
) => ({
  connectors: { out: { ...SOON, ...connector } },
  rules: {
    r: { sql, actions: actions.map((action) => ({ kind: connector.kind, connector: "out", ...action })) },
  },
});

interface Guided {
  readonly connector: { readonly kind: string; readonly [key: string]: unknown };
  readonly sql: string;
  readonly action: object;
}

/** What the guide's page of this kind shows first: as it stands there, but for where the server is. */
export function guided(kind: string, more: object = {}): Guided {
  const page = readFileSync(new URL(`../../docs/connectors/${kind}.md`, import.meta.url), "utf8");
  const [, yaml] = /```yaml.*\n([\s\S]*?)```/.exec(page) ?? [];
  if (yaml === undefined) throw new Error(`the guide has no configuration of kind ${kind}`);
  const { connectors, rules } = parse(yaml);
  const [connector] = Object.values(connectors) as [Guided["connector"]];
  const [{ sql, actions }] = Object.values(rules) as [{ sql: string; actions: [{ connector: string }] }];
  const { connector: _, ...action } = actions[0];
  return { connector: { ...connector, ...more }, sql, action };
}

/** The counters say where everything is. */
export function addsUp({ counters, inflight, queuing }: Sink): void {
  const { taken, restored, success, failed, expired, full } = counters;
  expect(success + failed + expired + full + inflight + queuing).toBe(taken + restored);
}

/** Publishes numbers as `{"n":1}`; those that are acknowledged are counted. */
export async function publishNumbers(client: MqttClient, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) await client.publishAsync("t/1", `{"n":${n}}`, { qos: 1 });
}

interface Killed {
  readonly connector: { readonly kind: string; readonly [key: string]: unknown };
  readonly action: object;
  /** The sink is not there. */
  away(): Promise<void>;
  back(): Promise<void>;
  /** Which of the numbers it has. */
  has(): Promise<ReadonlySet<number>>;
}

/**
 * The process is killed with SIGKILL twice, once while the sink is away and once while it takes; whatever of
 * `SELECT payload.n AS n` was acknowledged to its publisher has to be in the sink in the end.
 */
export async function losesNothingWhenKilled({ connector, action, away, back, has }: Killed): Promise<void> {
  const site = await StoreSite.create();
  const acknowledged = new Set<number>();
  let next = 0;
  try {
    site.configure(settings(connector, 'SELECT payload.n AS n FROM "t/#"', [action]));
    await away();
    for (let life = 0; life < 2; life++) {
      const process = await site.start();
      const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${site.ports.mqtt}`, { reconnectPeriod: 0 });
      client.on("error", () => {});
      const before = acknowledged.size;
      for (let count = 0; count < 300; count++) {
        const n = next++;
        void client.publishAsync("t/1", `{"n":${n}}`, { qos: 1 }).then(
          () => acknowledged.add(n),
          () => {},
        );
      }
      await until(() => acknowledged.size >= before + 150, "half of them are acknowledged", LONG);
      await process.kill();
      client.end(true);
      if (life === 0) await back();
    }
    const process = await site.start();
    const missing = async (): Promise<readonly number[]> => {
      const there = await has();
      return [...acknowledged].filter((n) => !there.has(n));
    };
    await until(async () => (await missing()).length === 0, "every one has arrived", LONG).catch(async () => {
      expect(await missing()).toEqual([]);
    });
    await process.kill();
  } finally {
    site.close();
  }
}
