/** `/queue/x` and `$queue/x` keep what is sent while nobody takes it (`bus.queues`), and hand each message to one. */
import { describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import { type Duration, days, FOREVER, seconds } from "#core/lib/time.ts";
import { mqtt } from "#gateways/mqtt/index.ts";
import { Lives } from "../../support/lives.ts";
import { MqttDevice, mqttDefaults } from "../../support/mqtt-device.ts";
import { StompClient, stompListener } from "../../support/stomp-client.ts";
import { header, type ServerFrame } from "../../support/stomp-frames.ts";
import { World } from "../../support/world.ts";

const RULE = { filter: "queue/#", messages: 100, bytes: 1 << 20, drop: "oldest" as const, expiry: FOREVER };
const CONFIG = { destinations: { queueTopicPrefix: "queue/" } };

const site = (world: World) => {
  const stomp = stompListener(world, CONFIG);
  const gateway = world.open(mqtt, mqttDefaults());
  const tcp = world.streams("mqtt", gateway.endpoint({ name: "tcp", transport: "tcp" }));
  return {
    world,
    client: () => StompClient.connected(stomp),
    device: (clientId: string, clean = true) => {
      const device = new MqttDevice(tcp.connect(), 5);
      const properties = { sessionExpiryInterval: clean ? 0 : 3600 };
      const connect = { cmd: "connect", protocolId: "MQTT", protocolVersion: 5, keepalive: 0 };
      device.send({ ...connect, clean, clientId, properties });
      return device;
    },
  };
};
const open = (rule: Partial<typeof RULE> = {}) => site(new World({ queues: [{ ...RULE, ...rule }] }));

const send = (client: StompClient, body: string, headers: Record<string, string> = {}): void =>
  client.say("SEND", { destination: "/queue/jobs", ...headers }, body);
const subscribe = (client: StompClient, headers: Record<string, string> = {}): void =>
  client.say("SUBSCRIBE", { id: "0", destination: "/queue/jobs", ack: "client-individual", ...headers });
const seen = (frames: readonly ServerFrame[]): string[] =>
  frames
    .filter(({ command }) => command === "MESSAGE")
    .map((one) => `${one.body}${header(one, "redelivered") === "true" ? "*" : ""}`);
const acknowledge = (client: StompClient, frames: readonly ServerFrame[]): void => {
  for (const one of frames)
    if (one.command === "MESSAGE") client.say("ACK", { id: header(one, "ack") ?? "" });
};

describe("a queue without subscribers", () => {
  it("keeps what is sent, in its order, and hands each message to one", () => {
    const { client, world } = open();
    const producer = client();
    for (const body of ["1", "2", "3", "4"]) send(producer, body);
    const [one, two] = [client(), client()];
    subscribe(one, { "prefetch-count": "1" });
    subscribe(two);
    expect(seen(one.heard())).toEqual(["1"]);
    expect(seen(two.heard())).toEqual(["2", "3", "4"]);
    send(producer, "5");
    world.settle();
    expect([seen(one.heard()), seen(two.heard())]).toEqual([[], ["5"]]);
  });

  it("is one queue for STOMP and MQTT", () => {
    const { client, device } = open();
    send(client(), "from stomp");
    const consumer = device("m");
    const heard = consumer.send({
      ...{ cmd: "subscribe", messageId: 1 },
      subscriptions: [{ topic: "$queue/queue/jobs", qos: 1 }],
    });
    const publisher = device("p");
    publisher.send({ cmd: "publish", topic: "queue/jobs", payload: "from mqtt", qos: 1, messageId: 1 });
    const publishes = [...heard, ...consumer.take()].filter(({ cmd }) => cmd === "publish");
    expect(publishes.map(({ payload }) => String(payload))).toEqual(["from stomp", "from mqtt"]);
  });

  it("keeps one topic's messages apart from another's, and ordinary subscribers get theirs all the same", () => {
    const { client, world } = open();
    const heard = world.listen("queue/#");
    const producer = client();
    send(producer, "jobs");
    send(producer, "mail", { destination: "/queue/mail" });
    expect(heard.map(({ topic }) => topic)).toEqual(["queue/jobs", "queue/mail"]);
    const consumer = client();
    subscribe(consumer, { destination: "/queue/mail" });
    expect(seen(consumer.heard())).toEqual(["mail"]);
    const all = client();
    subscribe(all, { destination: "/queue/#" });
    expect(seen(all.heard())).toEqual(["jobs"]);
  });

  it("holds no more than it may: the oldest goes, or the newest by setting; and each only for its time", () => {
    for (const [drop, left] of [
      ["oldest", ["2", "3"]],
      ["newest", ["1", "2"]],
    ] as const) {
      const { client, world } = open({ messages: 2, drop: drop as "oldest" });
      const producer = client();
      for (const body of ["1", "2", "3"]) send(producer, body);
      const consumer = client();
      subscribe(consumer);
      expect(seen(consumer.heard())).toEqual(left);
      expect(world.sessionCounters.droppedFull.value).toBe(1);
    }
    const { client, world } = open({ expiry: seconds(60) });
    const producer = client();
    send(producer, "old");
    send(producer, "short", { expiration: "1000" });
    world.advance(seconds(30));
    send(producer, "new");
    world.advance(seconds(40));
    world.sessions.queues.sweep();
    expect(world.sessions.queues.messages).toBe(1);
    const consumer = client();
    subscribe(consumer);
    expect(seen(consumer.heard())).toEqual(["new"]);
  });

  it("keeps nothing where no rule says so", () => {
    const { client } = open({ filter: "other/#" });
    send(client(), "lost");
    const consumer = client();
    subscribe(consumer);
    expect(seen(consumer.heard())).toEqual([]);
  });
});

describe("a consumer of a queue that vanishes", () => {
  it.each(["dropped", "DISCONNECT", "UNSUBSCRIBE and DISCONNECT"])(
    "(%s) leaves what it has not acknowledged to the queue, in its place, and redelivered to who comes next",
    (how) => {
      const { client, world } = open();
      const producer = client();
      for (const body of ["1", "2", "3", "4"]) send(producer, body);
      const first = client();
      subscribe(first, { "prefetch-count": "3" });
      const frames = first.heard();
      expect(seen(frames)).toEqual(["1", "2", "3"]);
      first.say("ACK", { id: header(frames[1]!, "ack") ?? "" });
      expect(seen(first.heard())).toEqual(["4"]);
      if (how === "dropped") first.stream.drop();
      else {
        if (how !== "DISCONNECT") first.say("UNSUBSCRIBE", { id: "0" });
        first.say("DISCONNECT");
        first.stream.end();
      }
      world.settle();
      const second = client();
      subscribe(second);
      const left = second.heard();
      expect(seen(left)).toEqual(["1*", "3*", "4*"]);
      acknowledge(second, left);
      expect(world.sessions.queues.messages).toBe(0);
    },
  );

  it("leaves it to another one that is there, at once", () => {
    const { client, world } = open();
    const [first, second] = [client(), client()];
    subscribe(first);
    send(client(), "1");
    expect(seen(first.heard())).toEqual(["1"]);
    subscribe(second);
    first.stream.drop();
    world.settle();
    expect(seen(second.heard())).toEqual(["1*"]);
  });
});

describe("a queue in a store", () => {
  const lives = () => new Lives({ queues: [RULE] }, true);

  it("is answered for when it is kept, and is there after a crash, with what a consumer had not acknowledged", async () => {
    const all = lives();
    const before = site(all.world);
    const producer = before.client();
    for (const body of ["1", "2", "3"]) send(producer, body, { receipt: body });
    expect(producer.heard()).toEqual([]);
    await all.commit();
    const receipts = producer.heard().map((one) => header(one, "receipt-id"));
    // An engine elsewhere answers in its own order.
    expect(receipts.toSorted()).toEqual(["1", "2", "3"]);
    const consumer = before.client();
    subscribe(consumer, { "prefetch-count": "2" });
    await all.commit();
    const frames = consumer.heard();
    expect(seen(frames)).toEqual(["1", "2"]);
    acknowledge(consumer, frames.slice(0, 1));
    await all.commit();
    const after = site(all.kill(1000));
    all.restore();
    const next = after.client();
    subscribe(next);
    await all.commit();
    const left = next.heard();
    expect(seen(left)).toEqual(["2*", "3*"]);
    acknowledge(next, left);
    next.stream.end();
    await all.commit();
    site(all.kill(1000));
    all.restore();
    await all.commit();
    expect(all.engine.records).toBe(0);
  });

  it("hands it over to a durable consumer, which has it then", async () => {
    const all = lives();
    const before = site(all.world);
    send(before.client(), "1");
    await all.commit();
    const consumer = before.device("d", false);
    await all.commit();
    consumer.send({
      ...{ cmd: "subscribe", messageId: 1 },
      subscriptions: [{ topic: "$queue/queue/jobs", qos: 1 }],
    });
    await all.commit();
    expect(all.world.sessions.queues.messages).toBe(0);
    const after = site(all.kill(1000));
    all.restore();
    const other = after.client();
    subscribe(other);
    expect(seen(other.heard())).toEqual([]);
    const again = after.device("d", false);
    await all.commit();
    expect(again.take().map(({ cmd, dup }) => [cmd, dup])).toContainEqual(["publish", true]);
  });

  it("hands out what it has, also where it is not configured any more, and then is gone", async () => {
    const all = lives();
    send(site(all.world).client(), "1");
    await all.commit();
    const world = all.kill(1000);
    const queues = world.sessions.queues as unknown as { keeps(topic: string): boolean };
    queues.keeps = () => false;
    const after = site(world);
    all.restore();
    const consumer = after.client();
    subscribe(consumer);
    expect(seen(consumer.heard())).toEqual(["1"]);
  });
});

it("queues are configured by filter, with limits in units, and their filters are checked", () => {
  const [queue] = loadText([], "bus: {queues: [{filter: 'queue/#', bytes: 1MB, expiry: 2d}]}").config.bus
    .queues;
  expect(queue).toEqual({
    ...{ filter: "queue/#", messages: 10_000, bytes: 1 << 20, drop: "oldest" },
    expiry: days(2) as Duration,
  });
  expect(() => loadText([], "bus: {queues: [{filter: 'a/#/b'}]}")).toThrow(/topic filter/);
});
