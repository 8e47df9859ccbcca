/** Hooks that come while clients are there, and go again (src/hooks): nobody's connection ends, and nothing is lost. */
import { describe, expect, it } from "vitest";
import type { Will } from "#core/contract/client.ts";
import type { BusClient } from "#core/door/bus-client.ts";
import type { Hook } from "#core/hooks/plugin.ts";
import { seconds } from "#core/lib/time.ts";
import { plugAgain } from "../../support/plug-in.ts";
import { messageOf, Puppets } from "../../support/puppet.ts";
import { World, type WorldOptions } from "../../support/world.ts";

const NO_HOOKS: readonly Hook[] = [];

function site(options: WorldOptions = {}) {
  const world = new World({ hooks: NO_HOOKS, ...options });
  const puppets = new Puppets();
  const listener = world.streams("puppet", puppets);
  const open = () => {
    const stream = listener.connect();
    return { stream, puppet: puppets.last };
  };
  return { world, open, heard: world.listen("#") };
}

async function late(world: World): Promise<void> {
  for (let round = 0; round < 20; round++) {
    await Promise.resolve();
    world.settle();
  }
}

const topics = (messages: readonly { topic: string }[]): string[] => messages.map(({ topic }) => topic);

const WILL = {
  ...{ topic: "will", payload: Buffer.from("gone"), qos: 1, retain: false, delay: seconds(0) },
  options: { properties: {}, expiry: seconds(3600) },
} satisfies Will;

describe("a client of a gateway without hooks", () => {
  it("has nothing of them between it and its session, before the first comes and when the last has gone", () => {
    const { world, open } = site();
    const client = open().puppet.connect("a") as BusClient;
    expect(client.follow()).toBeUndefined();
    plugAgain([{ authPublish: () => undefined }], world);
    world.judge();
    expect(client.follow()).toBeDefined();
    plugAgain([], world);
    world.judge();
    expect(client.follow()).toBeUndefined();
  });
});

describe("the first hook of a gateway", () => {
  it("is asked from the next message on, before anybody has been judged, and ends no connection", () => {
    const { world, open, heard } = site();
    const { puppet, stream } = open();
    const client = puppet.connect("a");
    client.publish(messageOf("t", "1", 1), 1);
    plugAgain([{ authPublish: (_client, { topic }) => ({ topic: `x/${topic}` }) }], world);
    client.publish(messageOf("t", "2", 1), 2);
    world.judge();
    client.publish(messageOf("t", "3", 1), 3);
    world.settle();
    expect(topics(heard)).toEqual(["t", "x/t", "x/t"]);
    expect([puppet.log.filter((line) => line.startsWith("stop")), stream.closed]).toEqual([[], false]);
  });

  it("is told what follows of those who were there: subscriptions, deliveries, their end", () => {
    const told: string[] = [];
    const { world, open } = site();
    const { puppet } = open();
    const client = puppet.connect("a");
    client.subscribe("early", { qos: 1 }, 1);
    const hook: Hook = {
      connected: ({ clientId }) => void told.push(`connected ${clientId}`),
      subscribed: (_client, filter) => void told.push(`subscribed ${filter}`),
      unsubscribed: (_client, filter) => void told.push(`unsubscribed ${filter}`),
      delivered: (_client, { topic }) => void told.push(`delivered ${topic}`),
      disconnected: ({ clientId }) => void told.push(`disconnected ${clientId}`),
    };
    plugAgain([hook], world);
    world.judge();
    puppet.settles = true;
    client.subscribe("late", { qos: 1 }, 2);
    world.settle();
    world.publish("late", "x", { qos: 1 });
    client.unsubscribe("early", 3);
    world.settle();
    client.end("closed");
    world.settle();
    expect(told).toEqual([
      ...["subscribed late", "delivered late", "unsubscribed early"],
      // With its session, which does not outlive it.
      ...["unsubscribed late", "disconnected a"],
    ]);
  });

  it("is asked about the wills of those who were there, as of one that is given now", () => {
    const { world, open, heard } = site();
    const [asked, refused, kept] = [open(), open(), open()];
    asked.puppet.connect("a", { will: WILL });
    refused.puppet.connect("b", { will: { ...WILL, topic: "bad" } });
    kept.puppet.connect("c", { will: { ...WILL, topic: "good" } });
    const hook: Hook = {
      authPublish: (_client, { topic }) => {
        if (topic === "bad") return { refuse: "no" };
        return topic === "good" ? undefined : { topic: `x/${topic}` };
      },
    };
    plugAgain([hook], world);
    world.judge();
    for (const { stream } of [asked, refused, kept]) stream.drop();
    world.settle();
    expect(topics(heard)).toEqual(["x/will", "good"]);
  });

  it("that thinks keeps the order: what was sent before it came is not overtaken, and what follows waits", async () => {
    let answer = (): void => {};
    const { world, open, heard } = site();
    const client = open().puppet.connect("a");
    client.publish(messageOf("t/1", "", 1), 1);
    const hook: Hook = { authPublish: () => new Promise((resolve) => (answer = () => resolve(undefined))) };
    plugAgain([hook], world);
    expect(client.publish(messageOf("t/2", "", 1), 2)).toBe("pending");
    // It has gone before it answered: what waits for it goes on, and what follows stays behind that.
    plugAgain(NO_HOOKS, world);
    world.judge();
    expect(client.publish(messageOf("t/3", "", 1), 3)).toBe("pending");
    world.settle();
    expect(topics(heard)).toEqual(["t/1"]);
    answer();
    await late(world);
    client.publish(messageOf("t/4", "", 1), 4);
    world.settle();
    expect(topics(heard)).toEqual(["t/1", "t/2", "t/3", "t/4"]);
  });
});

describe("the last hook of a gateway that goes", () => {
  it("is on nobody's way any more, and what it made of a filter is ended by the filter that the client knows", () => {
    const { world, open } = site();
    const { puppet } = open();
    const client = puppet.connect("a");
    plugAgain([{ authSubscribe: (_client, { filter }) => ({ filter: `x/${filter}` }) }], world);
    client.subscribe("f", { qos: 0 }, 1);
    plugAgain(NO_HOOKS, world);
    world.judge();
    client.subscribe("g", { qos: 0 }, 2);
    const hear = (): string[] => {
      for (const topic of ["f", "x/f", "g", "x/g"]) world.publish(topic, topic);
      world.settle();
      return puppet.take();
    };
    expect(hear()).toEqual(["x/f", "g"]);
    client.unsubscribe("f", 3);
    client.unsubscribe("g", 4);
    world.settle();
    expect(hear()).toEqual([]);
  });

  it("keeps nobody who leaves waiting, and the sessions that wait for their clients stay", () => {
    const { world, open } = site();
    const { puppet } = open();
    const client = puppet.connect("a", { sessionExpiry: seconds(600) });
    client.subscribe("f", { qos: 1 }, 1);
    plugAgain([{ authPublish: () => undefined }], world);
    world.judge();
    plugAgain(NO_HOOKS, world);
    world.judge();
    client.end("closed");
    world.publish("f", "while away", { qos: 1 });
    const again = open().puppet;
    again.connect("a", { sessionExpiry: seconds(600) });
    world.settle();
    expect(again.take()).toEqual(["while away"]);
  });
});

describe("sources of rules that come while clients are there", () => {
  it("are asked about the next message, which waits for them", async () => {
    let asks = false;
    const policy = {
      mayPublish: () => (asks ? undefined : true),
      ask: async (_identity: unknown, { topic }: { topic: string }) => topic !== "no",
    };
    const { world, open, heard } = site({ policy });
    const { puppet } = open();
    const client = puppet.connect("a");
    client.publish(messageOf("before", "", 1), 1);
    asks = true;
    const inForce = (client as BusClient).door.policy as { asks: boolean };
    inForce.asks = true;
    expect(client.publish(messageOf("no", "", 1), 2)).toBe("pending");
    expect(client.publish(messageOf("yes", "", 1), 3)).toBe("pending");
    await late(world);
    expect(topics(heard)).toEqual(["before", "yes"]);
    expect(puppet.answers.find(({ ticket }) => ticket === 2)?.answer).toBe("forbidden");
  });
});
