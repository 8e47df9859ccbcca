import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { RoughNetwork, type Weather } from "../../support/coap-client.ts";
import { pubsubWorld } from "../../support/coap-site.ts";

const STORM: Weather = { loss: 0.3, twice: 0.2, delay: 1500 };
const CALM: Weather = { loss: 0, twice: 0, delay: 50 };
const NOTHING = { exchanges: 0, replyBytes: 0, bodyBytes: 0, observations: 0 };

const rough = (seed: number, overrides = {}) => {
  const stack = pubsubWorld({ stack: { amplification: "large-only" }, ...overrides }, { seed });
  return { ...stack, rough: new RoughNetwork(stack.world, stack.network, STORM) };
};

it.each([1, 2, 3, 4, 5])(
  "publishes a CON PUT exactly once through loss, duplicates and reorder (seed %i)",
  (seed) => {
    const { world, held, network, rough: sky } = rough(seed);
    const published = new Map<string, number>();
    const answered = new Set<string>();
    const heard = world.listen("p/#");
    const clients = [1, 2, 3].map((port) => ({ port, client: sky.client(port) }));
    for (let round = 0; round < 40; round++) {
      for (const { port, client } of clients) {
        const name = `${port}-${round}`;
        client.request({ code: "PUT", path: `ps/p/${port}`, payload: name, token: "t" }, (answer) => {
          if (answer?.code === "2.04") answered.add(name);
        });
      }
      sky.run(1500);
    }
    sky.run(120_000);
    for (const { payload } of heard) {
      const name = Buffer.from(payload).toString();
      published.set(name, (published.get(name) ?? 0) + 1);
    }
    const again = [...published].filter(([, times]) => times !== 1);
    expect(again).toEqual([]);
    for (const name of answered) expect(published.get(name)).toBe(1);
    // One in thirty exchanges loses all of its five tries.
    expect(answered.size).toBeGreaterThan(100);
    world.advance(seconds(600));
    expect(network.runtime.peers.count).toBe(0);
    expect(held()).toEqual(NOTHING);
  },
);

it.each([11, 12, 13, 14, 15])(
  "leaves an observer with the newest value after the storm (seed %i)",
  (seed) => {
    const { world, held, network, rough: sky } = rough(seed);
    const latest = new Map<number, string>();
    const observers = [1, 2, 3].map((port) => ({ port, client: sky.client(port) }));
    const register = (): void => {
      for (const { port, client } of observers) {
        client.observe("ps/v", `ob${port}`, (payload) => {
          if (payload !== "") latest.set(port, payload);
        });
      }
    };
    for (let value = 1; value <= 60; value++) {
      if (value % 10 === 1) register();
      world.publish("v", String(value), { qos: value % 2 === 0 ? 1 : 0, retain: true });
      sky.run(2500);
    }
    sky.weather = CALM;
    register();
    sky.run(200_000);
    for (const { port } of observers) expect(latest.get(port)).toBe("60");
    world.publish("v", "61", { qos: 1, retain: true });
    sky.run(5000);
    for (const { port } of observers) expect(latest.get(port)).toBe("61");
    // The devices vanish; the next confirmable notification finds out.
    for (const { port } of observers) network.attach("10.0.0.1", port, () => {});
    world.publish("v", "62", { qos: 1, retain: true });
    world.advance(seconds(1000));
    expect(network.runtime.peers.count).toBe(0);
    expect(held()).toEqual(NOTHING);
  },
);

it.each([21, 22, 23])("puts bodies together whole or not at all (seed %i)", (seed) => {
  const { world, rough: sky } = rough(seed, {
    stack: { amplification: "off", blockwise: { maxBlockSize: 64 } },
  });
  const heard = world.listen("b/#");
  let stored = 0;
  const upload = (port: number): void => {
    const client = sky.client(port);
    const body = String(port).padStart(4, "0").repeat(100);
    const part = (number: number): void => {
      const more = (number + 1) * 64 < body.length;
      client.request(
        {
          code: "PUT",
          path: `ps/b/${port}`,
          token: String(number),
          payload: body.slice(number * 64, (number + 1) * 64),
          options: [[27, number * 16 + (more ? 8 : 0) + 2]],
        },
        (answer) => {
          if (answer?.code === "2.31" && more) part(number + 1);
          else if (answer?.code === "2.04") stored++;
        },
      );
    };
    part(0);
  };
  for (let port = 1; port <= 10; port++) upload(port);
  sky.run(400_000);
  expect(stored).toBeGreaterThan(4);
  expect(heard.length).toBeGreaterThanOrEqual(stored);
  for (const { topic, payload } of heard) {
    expect(Buffer.from(payload).toString()).toBe(topic.slice(2).padStart(4, "0").repeat(100));
  }
  expect(new Set(heard.map(({ topic }) => topic)).size).toBe(heard.length);
});
