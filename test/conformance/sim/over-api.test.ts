/** The simulated fleet that is started over HTTP: a process beside the gateway. */
import { connectAsync } from "mqtt";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startApi, type TestApi } from "../../support/api.ts";

const LIMIT = 120_000;
let api: TestApi;
beforeAll(async () => {
  api = await startApi({ gateways: { mqtt: {}, "mqtt-sn": {}, coap: {}, lwm2m: {}, stomp: {} } });
});
afterAll(() => api.stop());

const state = async () => (await api.ask("GET", "/api/v1/simulator")).body;
const start = (body: object) => api.ask("POST", "/api/v1/simulator", { body });

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + LIMIT; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`never: ${holds} ${JSON.stringify(await state())}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

it(
  "comes in at this node's own listeners, tells how it is doing, and leaves nothing behind when it is ended",
  async () => {
    expect(await state()).toEqual({ running: false, offered: true });
    expect((await api.ask("DELETE", "/api/v1/simulator")).status).toBe(404);
    const answer = await start({ scenario: "water-meters", devices: 10, interval: 0.5 });
    expect([answer.status, answer.body.running, answer.body.wish.duration]).toEqual([202, true, 600]);
    expect((await start({ scenario: "cold-chain" })).body.code).toBe("conflict");
    await until(async () => {
      const { status } = await state();
      return status?.readings > 10 && status.fleet.lwm2m.connected === status.fleet.lwm2m.devices;
    });
    const { items } = (await api.ask("GET", "/api/v1/clients")).body;
    expect(items.every(({ clientId }: { clientId: string }) => clientId.startsWith("sim-"))).toBe(true);
    expect((await api.ask("DELETE", "/api/v1/simulator")).status).toBe(204);
    expect((await state()).running).toBe(false);
    expect((await api.ask("GET", "/api/v1/clients")).body.items).toEqual([]);
    const { bus, sessions } = api.gateway.composition;
    expect([bus.retainedMessages.count, sessions.count, bus.filters]).toEqual([0, 0, 0]);
    const changes = (await api.ask("GET", "/api/v1/changes")).body.items;
    expect(changes.filter(({ object }: { object: string }) => object === "simulator")).toHaveLength(2);
  },
  2 * LIMIT,
);

it(
  "ends by itself when its time is over",
  async () => {
    await start({ scenario: "street-lamps", devices: 3, duration: 1 });
    await until(async () => !(await state()).running);
    expect(await state()).toMatchObject({ running: false, offered: true });
    expect((await state()).failure).toBeUndefined();
  },
  2 * LIMIT,
);

it("is not offered where real clients are, unless the configuration says always", async () => {
  const client = await connectAsync(`mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`, {
    clientId: "pump-7",
  });
  const { offered, why } = await state();
  expect([offered, why]).toEqual([false, "pump-7 is there: only with api.simulator: always"]);
  const refused = await start({ scenario: "cold-chain" });
  expect([refused.status, refused.body.detail]).toEqual([409, why]);
  await client.endAsync();
});
