/** Two gateways before a cluster, each a process: what waits for a sleeper outlives the one that it fell asleep at. */
import { expect, it } from "vitest";
import { type Server, startRedis } from "../support/servers.ts";
import { StoreSite, until } from "../support/store-process.ts";
import { execute, executes, register, Sockets, update } from "../support/upstream-devices.ts";
import type { Kind } from "./kind.ts";
import type { Site } from "./site.ts";

const PATIENCE = 120_000;

export function twoGateways({ profile, version, retainedAt }: Kind, site: () => Site): void {
  it("LwM2M: a sleeper finds its commands at another gateway, in order, when that where it fell asleep was killed", async () => {
    const { cluster } = site();
    const sockets = new Sockets();
    let redis: Server | undefined;
    const [a, b] = [await StoreSite.create(), await StoreSite.create()];
    try {
      // Where not every node has what another one retains, gateways remember devices elsewhere.
      if (retainedAt !== "all") redis = await startRedis();
      const devices =
        redis === undefined
          ? { keep: "retained" }
          : { keep: "redis", redis: { port: redis.port, timeout: "2m" } };
      const { credentials } = cluster;
      const servers = cluster.nodes.map(({ port }) => ({ url: `tcp://127.0.0.1:${port}` }));
      const upstream = {
        groups: { default: { servers, profile, ...(version === undefined ? {} : { version }) } },
        // Nobody is given up because a machine is slow.
        ...{
          grace: "10m",
          patience: "10m",
          linger: "10m",
          connackTimeout: "60s",
          pool: { lookupTimeout: "2m" },
        },
        ...(credentials === undefined ? {} : { credentials: "service", ...credentials }),
        devices,
      };
      for (const [each, queueMode] of [
        [a, { awake: "1s" }],
        // What comes when it has woken up may take a while.
        [b, { awake: "10m" }],
      ] as const) {
        const udp = { transport: "udp", bind: "127.0.0.1", port: each.ports.coap };
        const stack = { amplification: "off" };
        each.configure(
          { bus: { engine: "upstream", upstream } },
          { coap: { listeners: { udp, tcp: { enable: false } }, stack }, lwm2m: { stack, queueMode } },
        );
      }
      const [first] = await Promise.all([a.start(), b.start()]);
      const app = await site().app(cluster.nodes.length - 1);
      await app.client.subscribeAsync("lwm2m/sleeper/up/#", { qos: 1 });

      const location = await register(sockets.coap(a.ports.coap), "sleeper", "UQ");
      const resting = async () => {
        const metrics = await (await fetch(`http://127.0.0.1:${a.ports.api}/metrics`)).text();
        return /^isthmus_upstream_sessions\{.*state="resting".*\} 1$/m.test(metrics);
      };
      await until(resting, "its connection is not released", PATIENCE);
      const command = async (text: string) => app.client.publishAsync("lwm2m/sleeper/dn/x", text, { qos: 1 });
      await command(execute(1, "/3/0/4", { time: Math.floor(Date.now() / 1000) }));
      await command(execute(2, "/3/0/5"));
      await command(execute(3, "/3/0/6", { ttl: 0.5 }));
      await command(execute(4, "/3/0/7"));
      await first.kill("SIGKILL");
      // The device sleeps for longer than that.
      await new Promise((resolve) => setTimeout(resolve, 700));

      const awake = sockets.coap(b.ports.coap);
      const executed = executes(awake);
      await update(awake, location);
      const answers = await app.until((heard) => [1, 2, 3, 4].every((id) => heard.some(answerTo(id))));
      expect(executed).toEqual(["/3/0/4", "/3/0/5", "/3/0/7"]);
      expect(answers.filter(answerTo(3)).join()).toContain('"expired"');
    } finally {
      await sockets.close();
      a.close();
      b.close();
      await redis?.stop();
    }
  });
}

const answerTo = (reqID: number) => (heard: string) => heard.includes(`"reqID":${reqID}`);
