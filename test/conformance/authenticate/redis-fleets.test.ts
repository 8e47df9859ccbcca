/** Redis behind sentinels, and as a cluster: real servers, a master that is killed, keys that are elsewhere. */
import { execFileSync } from "node:child_process";
import { Cluster, Redis } from "ioredis";
import { afterEach, describe, expect, it } from "vitest";
import { type Chain, openChain } from "../../support/chain.ts";
import { lacks } from "../../support/programs.ts";
import { clusteredRedis, PATIENCE, watchedRedis } from "../../support/redis-fleets.ts";
import type { Server } from "../../support/servers.ts";

const servers: Server[] = [];
let chain: Chain | undefined;
afterEach(async () => {
  chain?.close();
  chain = undefined;
  for (const server of servers.splice(0)) await server.stop();
});

const hashOf = (name: string) => ({ password_hash: `secret-${name}` });

describe.skipIf(lacks("redis-server"))("Redis as a source of identities", () => {
  it("behind a sentinel is asked where the master is, also when that is another one (A-062)", async () => {
    const { master, replica, sentinel } = await watchedRedis(servers);
    const write = (port: number) => new Redis({ host: "127.0.0.1", port });
    const [written, copy] = [write(master.port), write(replica.port)];
    await written.hset("mqtt_user:ann", hashOf("ann"));
    written.disconnect();
    await expect.poll(() => copy.hget("mqtt_user:ann", "password_hash"), PATIENCE).toBe("secret-ann");
    const place = `127.0.0.1:${sentinel.port}`;
    const patient = { timeout: "2s", breaker: { failures: 3, pause: "200ms" } };
    chain = openChain([{ kind: "redis", passwordHash: "plain", sentinels: [place], ...patient }]);
    const ann = { username: "ann", password: "secret-ann" };
    const outcome = async (): Promise<boolean> => (await chain!.login(ann)).ok;
    expect(await outcome()).toBe(true);
    expect(await chain.login({ ...ann, password: "wrong" })).toMatchObject({ ok: false });
    await master.kill();
    await expect.poll(outcome, PATIENCE).toBe(true);
    expect(await copy.call("ROLE")).toContain("master");
    copy.disconnect();
  }, 300_000);

  it("as a cluster is asked at the node that has the key, whichever that is (A-062)", async () => {
    const nodes = await clusteredRedis(servers);
    const places = nodes.map(({ port }) => `127.0.0.1:${port}`);
    const cluster = new Cluster(nodes.map(({ port }) => ({ host: "127.0.0.1", port })));
    cluster.on("error", () => {});
    const names = Array.from({ length: 30 }, (_, index) => `user-${index}`);
    for (const name of names) {
      // Slots settle for a while after a cluster has come together.
      await expect
        .poll(() => cluster.hset(`mqtt_user:${name}`, hashOf(name)).catch(() => -1), PATIENCE)
        .not.toBe(-1);
    }
    cluster.disconnect();
    const sizes = nodes.map(({ port }) =>
      Number(execFileSync("redis-cli", ["-p", String(port), "DBSIZE"], { encoding: "utf8" })),
    );
    expect(sizes.every((size) => size > 0)).toBe(true);
    chain = openChain([{ kind: "redis", passwordHash: "plain", cluster: places.slice(0, 1) }]);
    for (const username of names) {
      expect(await chain.login({ username, password: `secret-${username}` })).toMatchObject({ ok: true });
      expect(await chain.login({ username, password: "wrong" })).toMatchObject({ ok: false });
    }
    expect(chain.counts.get("redis failed")).toBeUndefined();
  }, 300_000);
});
