import { connectAsync, type MqttClient } from "mqtt";
import { afterAll, beforeAll, expect, it } from "vitest";
import { StoreSite, until } from "../../support/store-process.ts";

let site: StoreSite;
const clients: MqttClient[] = [];
beforeAll(async () => {
  site = await StoreSite.create();
  site.configure({ flapping: { enable: true, threshold: 3, window: "1h", ban: "1h" } });
});
afterAll(() => {
  for (const client of clients) client.end(true);
  site.close();
});

/** Comes and goes; resolves to why not, when it is not let in. */
const visit = async (clientId: string): Promise<string | undefined> => {
  const url = `mqtt://127.0.0.1:${site.ports.mqtt}`;
  try {
    const client = await connectAsync(url, { clientId, protocolVersion: 5, reconnectPeriod: 0 });
    clients.push(client);
    await client.endAsync();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
};

it("a device that was banned because it flaps stays banned when the process is killed", {
  timeout: 60_000,
}, async () => {
  const process = await site.start();
  await until(async () => (await visit("flapper")) !== undefined, "it is not banned");
  // Whoever gets an answer to a durable CONNECT after that finds the ban committed.
  const url = `mqtt://127.0.0.1:${site.ports.mqtt}`;
  const durable = { clean: false, properties: { sessionExpiryInterval: 60 } };
  clients.push(await connectAsync(url, { clientId: "witness", protocolVersion: 5, ...durable }));
  clients.at(-1)?.end(true);
  await process.kill("SIGKILL");
  await site.start();
  expect(await visit("flapper")).toMatch(/Banned/i);
  expect(await visit("another")).toBeUndefined();
});
