/** Rules whose outputs go to Redis behind sentinels, and to a cluster of it. */
import { execFileSync } from "node:child_process";
import mqtt, { type MqttClient } from "mqtt";
import { afterEach, describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { clusteredRedis, PATIENCE, watchedRedis } from "../../support/redis-fleets.ts";
import type { Server } from "../../support/servers.ts";

const servers: Server[] = [];
let gateway: TestGateway | undefined;
let client: MqttClient | undefined;
afterEach(async () => {
  await client?.endAsync(true);
  await gateway?.stop();
  for (const server of servers.splice(0)) await server.stop();
});

/** What a client publishes to `keep/x` is kept as `device:x`, through a connector with these settings. */
async function start(connector: object) {
  const retry = { first: "50ms", longest: "500ms" };
  gateway = await startGateway({
    gateways: { mqtt: {} },
    connectors: { kept: { kind: "redis", timeout: "5s", health: "200ms", retry, ...connector } },
    rules: {
      r: {
        sql: "SELECT payload, nth(2, split(topic, '/')) as name FROM \"keep/+\"",
        actions: [{ kind: "redis", connector: "kept", command: "SET device:${name} ${payload}" }],
      },
    },
  });
  client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`);
  return gateway.composition.rules.connectors.get("kept")!.counters;
}

const cli = (port: number, ...words: string[]): string =>
  execFileSync("redis-cli", ["-p", String(port), ...words], { encoding: "utf8" }).trim();

describe.skipIf(lacks("redis-server"))("a connector to Redis", () => {
  it("behind a sentinel writes to the master, and to the next one when that is killed", async () => {
    const { master, replica, sentinel } = await watchedRedis(servers);
    const counters = await start({ sentinels: [`127.0.0.1:${sentinel.port}`] });
    await client!.publishAsync("keep/a", "1", { qos: 1 });
    await expect.poll(() => counters.success, PATIENCE).toBe(1);
    expect(cli(master.port, "GET", "device:a")).toBe("1");
    await master.kill();
    await client!.publishAsync("keep/b", "2", { qos: 1 });
    await expect.poll(() => counters.success, PATIENCE).toBe(2);
    expect(cli(replica.port, "GET", "device:b")).toBe("2");
  }, 300_000);

  it("as a cluster writes each key to the node that has it", async () => {
    const nodes = await clusteredRedis(servers);
    const counters = await start({ cluster: [`127.0.0.1:${nodes[0]!.port}`] });
    const names = Array.from({ length: 40 }, (_, index) => `n${index}`);
    await Promise.all(names.map((name) => client!.publishAsync(`keep/${name}`, name, { qos: 1 })));
    await expect.poll(() => counters.success, PATIENCE).toBe(names.length);
    const sizes = nodes.map(({ port }) => Number(cli(port, "DBSIZE")));
    expect(sizes.reduce((sum, size) => sum + size)).toBe(names.length);
    expect(sizes.every((size) => size > 0)).toBe(true);
  }, 300_000);
});
