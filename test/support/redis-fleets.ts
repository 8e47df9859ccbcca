/** Redis as several servers: a master with a replica and a sentinel, and a cluster of three. */
import { execFileSync } from "node:child_process";
import { Cluster, Redis } from "ioredis";
import { expect } from "vitest";
import { freeTcpPort } from "./free-ports.ts";
import { type Server, startRedis, startSentinel } from "./servers.ts";

/** As long as a slow machine takes to elect a master. */
export const PATIENCE = { timeout: 120_000, interval: 250 };

/** All that is started is in `servers`, for the test to stop. The sentinel knows the replica when this returns. */
export async function watchedRedis(servers: Server[]) {
  const started = async (server: Promise<Server>): Promise<Server> => {
    servers.push(await server);
    return server;
  };
  const master = await started(startRedis());
  const replica = await started(startRedis("--replicaof", "127.0.0.1", String(master.port)));
  const sentinel = await started(startSentinel(master.port));
  // A sentinel promotes whom it knows.
  const watcher = new Redis({ host: "127.0.0.1", port: sentinel.port });
  const replicas = async () => ((await watcher.call("SENTINEL", "REPLICAS", "mymaster")) as unknown[]).length;
  await expect.poll(replicas, PATIENCE).toBe(1);
  watcher.disconnect();
  return { master, replica, sentinel };
}

/** Nodes of a cluster that has come together. */
export async function clusteredRedis(servers: Server[]): Promise<readonly Server[]> {
  const nodes: Server[] = [];
  for (let index = 0; index < 3; index++) {
    const own = ["--cluster-enabled", "yes", "--cluster-port", String(await freeTcpPort())];
    const node = await startRedis(...own);
    servers.push(node);
    nodes.push(node);
  }
  join(nodes);
  const cluster = new Cluster(nodes.map(({ port }) => ({ host: "127.0.0.1", port })));
  cluster.on("error", () => {});
  const state = () => cluster.cluster("INFO").catch(() => "");
  await expect.poll(state, PATIENCE).toContain("cluster_state:ok");
  cluster.disconnect();
  return nodes;
}

/** What `redis-cli --cluster create` does, which knows no ports of the cluster's bus but the usual ones. */
function join(nodes: readonly Server[]): void {
  const cli = (port: number, ...words: string[]): string =>
    execFileSync("redis-cli", ["-p", String(port), ...words], { encoding: "utf8" }).trim();
  const slots = [0, 5461, 10_923, 16_384];
  nodes.forEach(({ port }, index) => {
    cli(port, "CLUSTER", "ADDSLOTSRANGE", String(slots[index]), String(slots[index + 1]! - 1));
    cli(port, "CONFIG", "SET", "cluster-announce-ip", "127.0.0.1");
    cli(port, "CLUSTER", "SET-CONFIG-EPOCH", String(index + 1));
    const bus = cli(port, "CONFIG", "GET", "cluster-port").split(/\s+/).at(-1)!;
    if (index > 0) cli(nodes[0]!.port, "CLUSTER", "MEET", "127.0.0.1", String(port), bus);
  });
}
