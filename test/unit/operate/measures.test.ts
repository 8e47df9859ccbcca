import { describe, expect, it } from "vitest";
import { milliseconds, minutes, seconds } from "#core/lib/time.ts";
import { type SlowSettings, SlowSubscriptions } from "#core/operate/slow-subscriptions.ts";
import { TopicMetrics } from "#core/operate/topic-metrics.ts";
import { type Puppet, Puppets } from "../../support/puppet.ts";
import { World } from "../../support/world.ts";

function site() {
  const world = new World();
  const puppets = new Puppets();
  world.open(
    { name: "puppet", schema: {} as never, anyTopic: true, open: () => ({ endpoint: () => puppets }) },
    {},
  );
  const listener = world.streams("puppet", puppets);
  const connect = (
    id: string,
    filter: string,
    qos: 0 | 1 | 2,
    login: Parameters<Puppet["connect"]>[1] = {},
  ) => {
    const stream = listener.connect({ address: "10.0.0.1" });
    const puppet = puppets.last;
    const client = puppet.connect(id, login);
    client.subscribe(filter, { qos }, 1 as never);
    return { client, puppet, stream };
  };
  const settle = ({ client, puppet }: ReturnType<typeof connect>): void => {
    for (const { delivery } of puppet.delivered.splice(0))
      if (delivery.qos > 0) client.settle(delivery.id, "done");
  };
  const { followers } = world;
  return { world, connect, settle, followers };
}

describe("metrics of a topic filter (O-089)", () => {
  const measured = () => {
    const one = site();
    const topics = new TopicMetrics({
      look: (looker) => one.world.gate.look(looker),
      followers: one.followers,
    });
    const look = (): void => topics.look(one.world.now);
    return { ...one, topics, look };
  };

  it("count what comes, what each client is handed, and what a queue drops, by QoS, and of no other topic", () => {
    const { world, connect, topics } = measured();
    connect("a", "room/#", 2);
    connect("b", "room/#", 1);
    connect("full", "room/#", 1, { credit: 0 });
    topics.take(["room/+/temp", "room/7/temp", "other"], world.now);
    for (const qos of [0, 1, 1, 2] as const) world.publish("room/7/temp", "x", { qos });
    world.publish("room/7", "x");
    world.publish("room/8/temp", "x", { qos: 1 });
    expect(topics.get("room/7/temp")?.messages).toEqual({
      in: [1, 2, 1],
      out: [2, 5, 1],
      dropped: [0, 0, 0],
    });
    expect(topics.get("room/+/temp")?.messages).toMatchObject({ in: [1, 3, 1], out: [2, 7, 1] });
    expect(topics.get("other")?.messages.in).toEqual([0, 0, 0]);
    expect(topics.get("room/#")).toBeUndefined();
  });

  it("count what is dropped because it has expired in a queue", () => {
    const { world, connect, topics } = measured();
    const late = connect("late", "t", 1, { credit: 0 });
    topics.take(["t"], world.now);
    world.publish("t", "x", { qos: 1, expiry: seconds(1) });
    world.advance(seconds(2));
    late.client.credit(1);
    expect(topics.get("t")?.messages.dropped).toEqual([0, 1, 0]);
  });

  it("have rates, the mean of ten seconds, which fall to zero when nothing comes any more", () => {
    const { world, topics, look } = measured();
    topics.take(["t"], world.now);
    const rate = () => topics.get("t")!.rates.in[1];
    expect(rate()).toBe(0);
    for (let second = 0; second < 10; second++) {
      for (let each = 0; each < 5; each++) world.publish("t", "x", { qos: 1 });
      world.advance(seconds(1));
      look();
    }
    expect(rate()).toBeCloseTo(5);
    for (let second = 0; second < 5; second++) {
      world.advance(seconds(1));
      look();
    }
    expect(rate()).toBeCloseTo(2.5);
    for (let second = 0; second < 6; second++) {
      world.advance(seconds(1));
      look();
    }
    expect(rate()).toBe(0);
  });

  it("begin anew when they are reset, go on when others come, and end with the last", () => {
    const { world, topics } = measured();
    const follower = () => world.sessions.context.follower;
    expect(follower()).toBeUndefined();
    topics.take(["t", "u"], world.now);
    world.publish("t", "x");
    world.publish("u", "x");
    world.advance(seconds(1));
    expect([topics.reset("t", world.now), topics.reset("none", world.now)]).toEqual([true, false]);
    topics.take(["t", "u", "v"], world.now);
    world.publish("t", "x");
    expect(
      topics.all.map(({ filter, since, messages }) => [filter, world.now - since, messages.in[0]]),
    ).toEqual([
      ["t", 0, 1],
      ["u", 1000, 1],
      ["v", 0, 0],
    ]);
    expect(follower()).toBeDefined();
    topics.take([], world.now);
    world.publish("t", "x");
    expect([follower(), topics.all]).toEqual([undefined, []]);
  });
});

describe("slow subscriptions (O-090)", () => {
  const SETTINGS: SlowSettings = {
    ...{ enable: true, measure: "whole" as const, threshold: milliseconds(100), rows: 3 },
    forgetAfter: minutes(5),
  };
  const measured = (settings: Partial<SlowSettings> = {}) => {
    const one = site();
    const slow = new SlowSubscriptions(one.followers, () => one.world.core.now);
    slow.take({ ...SETTINGS, ...settings });
    const seen = () =>
      slow.rows.map(({ clientId, topic, last, longest, times }) => [clientId, topic, last, longest, times]);
    return { ...one, slow, seen };
  };

  it.each([
    ["whole", 0, 0],
    ["whole", 1, 300],
    ["whole", 2, 300],
    ["internal", 0, 0],
    ["internal", 1, 0],
    ["response", 0, 0],
    ["response", 1, 300],
  ] as const)(
    "measured %s at QoS %i, one that acknowledges after 300 ms is late by %i ms",
    (measure, qos, late) => {
      const { world, connect, settle, seen } = measured({ measure });
      const one = connect("c", "t", qos);
      world.advance(milliseconds(10));
      world.publish("t", "x", { qos });
      world.advance(milliseconds(300));
      settle(one);
      expect(seen()).toEqual(late === 0 ? [] : [["c", "t", late, late, 1]]);
    },
  );

  it.each([
    ["whole", 500],
    ["internal", 200],
    ["response", 300],
  ] as const)(
    "measured %s, one that takes it after 200 ms and acknowledges 300 ms later is late by %i ms",
    (measure, late) => {
      const { world, connect, settle, seen } = measured({ measure });
      const one = connect("c", "t", 1, { credit: 0 });
      world.advance(milliseconds(10));
      world.publish("t", "x", { qos: 1 });
      world.advance(milliseconds(200));
      one.client.credit(1);
      world.advance(milliseconds(300));
      settle(one);
      expect(seen()).toEqual([["c", "t", late, late, 1]]);
    },
  );

  it("below the threshold nothing is noted, and what is slow again is one row with its longest and its last delay", () => {
    const { world, connect, settle, seen } = measured();
    const one = connect("c", "t", 1);
    for (const delay of [99, 400, 200, 50]) {
      world.publish("t", "x", { qos: 1 });
      world.advance(milliseconds(delay));
      settle(one);
    }
    expect(seen()).toEqual([["c", "t", 200, 400, 2]]);
  });

  it("holds so many rows, the slowest, whatever clients come", () => {
    const { world, connect, settle, slow } = measured();
    const delays = Array.from({ length: 50 }, (_, index) => 100 + ((index * 37) % 50));
    for (const [index, delay] of delays.entries()) {
      const one = connect(`c${index}`, `t/${index}`, 1);
      world.publish(`t/${index}`, "x", { qos: 1 });
      world.advance(milliseconds(delay));
      settle(one);
    }
    expect(slow.rows.map(({ longest }) => longest)).toEqual([...delays].sort((a, b) => b - a).slice(0, 3));
  });

  it("forgets a row that was not slow for so long, and all when it is told to", () => {
    const { world, connect, settle, slow, seen } = measured();
    const one = connect("c", "t", 1);
    const late = (): void => {
      world.publish("t", "x", { qos: 1 });
      world.advance(milliseconds(200));
      settle(one);
    };
    late();
    world.advance(minutes(5));
    expect(seen()).toHaveLength(1);
    world.advance(milliseconds(1));
    expect(seen()).toEqual([]);
    late();
    slow.clear();
    expect(seen()).toEqual([]);
  });

  it("does not blame a client for what was published while it was away, nor for a retained message's age", () => {
    const { world, connect, settle, seen } = measured();
    const durable = { sessionExpiry: minutes(10) };
    connect("c", "t", 1, durable).stream.drop();
    world.publish("t", "x", { qos: 1 });
    world.advance(seconds(60));
    const back = connect("c", "other", 1, durable);
    world.publish("kept", "x", { qos: 1, retain: true });
    world.advance(seconds(60));
    back.client.subscribe("kept", { qos: 1 }, 2 as never);
    world.settle();
    expect(back.puppet.delivered).toHaveLength(2);
    settle(back);
    expect(seen()).toEqual([]);
  });

  it("follows nobody while it is off, and begins anew with another measure", () => {
    const { world, connect, settle, slow, seen } = measured({ enable: false });
    expect(world.sessions.context.follower).toBeUndefined();
    slow.take(SETTINGS);
    const one = connect("c", "t", 1);
    world.publish("t", "x", { qos: 1 });
    world.advance(milliseconds(200));
    settle(one);
    slow.take({ ...SETTINGS, threshold: milliseconds(150) });
    expect(seen()).toHaveLength(1);
    slow.take({ ...SETTINGS, measure: "response" });
    expect(seen()).toEqual([]);
    slow.take({ ...SETTINGS, enable: false });
    expect(world.sessions.context.follower).toBeUndefined();
  });
});
