/** What gateways remember of devices: one contract, over each place where it may be kept. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DeviceMemory } from "#core/upstream/devices/memory.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startMosquitto, startRedis } from "../../support/servers.ts";

const PATIENCE = 120_000;

const find = (memory: DeviceMemory, key: string): Promise<string | undefined> =>
  new Promise((resolve) => memory.find(key, resolve));
const put = (memory: DeviceMemory, key: string, text: string, seconds?: number): Promise<boolean> =>
  new Promise((resolve) => memory.put(key, text, seconds, resolve));

/** Asks again until that is the answer. */
async function finds(memory: DeviceMemory, key: string, wanted: string | undefined): Promise<void> {
  while ((await find(memory, key)) !== wanted) await new Promise((resolve) => setTimeout(resolve, 50));
}

describe.skipIf(lacks("mosquitto", "redis-server")).each(["local", "retained", "redis"] as const)(
  "kept: %s",
  { timeout: PATIENCE },
  (keep) => {
    let broker: Server;
    let redis: Server;
    const folder = mkdtempSync(join(tmpdir(), "isthmus-devices-"));
    const gateways: TestGateway[] = [];
    let memory: DeviceMemory;

    /** A gateway before the same cluster: another one, or the same one again where the store is its own. */
    async function begin(lookupTimeout = "60s"): Promise<DeviceMemory> {
      if (keep === "local") for (const gateway of gateways.splice(0)) await gateway.stop();
      const gateway = await startGateway({
        store: { engine: "lmdb" },
        dataFolder: join(folder, keep === "local" ? "one" : String(gateways.length)),
        bus: {
          engine: "upstream",
          upstream: {
            servers: [`tcp://127.0.0.1:${broker.port}`],
            grace: "1s",
            pool: { lookupTimeout },
            devices: { keep, redis: { port: redis.port, timeout: "60s" } },
          },
        },
        gateways: {},
      });
      gateways.push(gateway);
      return gateway.composition.upstream!.engine.devices!.memory;
    }

    beforeAll(async () => {
      [broker, redis] = await Promise.all([startMosquitto(), startRedis()]);
      memory = await begin();
    }, PATIENCE);
    afterAll(async () => {
      for (const gateway of gateways) await gateway.stop();
      await broker.stop();
      await redis.stop();
      rmSync(folder, { recursive: true, force: true });
    }, PATIENCE);

    it("finds what was put, the last of it, and nothing that was removed", async () => {
      expect(await find(memory, "s/a")).toBe(undefined);
      expect(await put(memory, "s/a", "one")).toBe(true);
      expect(await find(memory, "s/a")).toBe("one");
      const puts = ["two", "three", "four"].map((text) => put(memory, "s/a", text));
      expect(await Promise.all(puts)).toEqual([true, true, true]);
      await finds(memory, "s/a", "four");
      memory.remove("s/a");
      await finds(memory, "s/a", undefined);
    });

    it.each(["s/", "s/+/#", "s/a b\n", "s/é\u{1f600}", "a/lwm2m/-_x", `s/${"k".repeat(500)}`])(
      "takes any text as a key: %j",
      async (key) => {
        const text = JSON.stringify({ key, "é\u{1f600}": ["\n", "\u0000"] });
        expect(await put(memory, key, text)).toBe(true);
        expect(await find(memory, key)).toBe(text);
      },
    );

    it("keeps a text of 100 KB, and many texts apart", async () => {
      const long = "x".repeat(100_000);
      expect(await put(memory, "s/long", long)).toBe(true);
      const names = Array.from({ length: 100 }, (_, n) => `s/many/${n}`);
      await Promise.all(names.map((name) => put(memory, name, name)));
      expect(await Promise.all(names.map((name) => find(memory, name)))).toEqual(names);
      expect(await find(memory, "s/long")).toBe(long);
    });

    it(
      keep === "local"
        ? "is read back when the gateway starts again"
        : "is found by another gateway, which sees changes at once",
      async () => {
        await put(memory, "s/there", "text");
        const other = await begin();
        expect(await find(other, "s/there")).toBe("text");
        expect([...other.entries()].some(([key]) => key === "s/there")).toBe(keep === "local");
        await put(other, "s/there", "changed");
        if (keep === "local") memory = other;
        await finds(memory, "s/there", "changed");
        other.remove("s/there");
        await finds(memory, "s/there", undefined);
      },
    );

    // What is in this process is always there, and ends with its sessions.
    if (keep === "local") return;

    it("forgets what has had its time", async () => {
      expect(await put(memory, "s/short", "text", 1)).toBe(true);
      await finds(memory, "s/short", undefined);
    });

    it("says so when it cannot be asked, and works again afterwards", async () => {
      memory = await begin("1s");
      while (!(await put(memory, "s/still", "there")));
      const server = keep === "redis" ? redis : broker;
      await server.kill();
      await finds(memory, "s/still", "unavailable");
      if (keep === "redis") expect(await put(memory, "s/lost", "text")).toBe(false);
      await server.restart();
      while (!(await put(memory, "s/again", "text"))) await new Promise((resolve) => setTimeout(resolve, 50));
      await finds(memory, "s/again", "text");
    });
  },
);
