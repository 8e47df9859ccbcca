import { describe, expect, it } from "vitest";
import { fc } from "../../support/property.ts";
import { brief, StompClient, stompListener } from "../../support/stomp-client.ts";
import { header } from "../../support/stomp-frames.ts";
import { World } from "../../support/world.ts";

/** The topic that a SEND publishes to. */
const topicOf = (destinations: object, destination: string) => {
  const world = new World();
  const heard = world.listen("#");
  const client = StompClient.connected(stompListener(world, { destinations }));
  client.say("SEND", { destination });
  return heard[0]?.topic ?? brief(client.next(), "message");
};
/** What a subscriber sees of a message: its destination and its reply-to. */
const seenOf = (destinations: object, destination: string, topic: string) => {
  const world = new World();
  const client = StompClient.connected(stompListener(world, { destinations }));
  client.say("SUBSCRIBE", { id: "0", destination });
  world.publish(topic, "x", { properties: { responseTopic: "back/to" } });
  const frame = client.next();
  if (frame === undefined) return "nothing";
  return frame.command === "ERROR" ? brief(frame, "message") : header(frame, "destination");
};
const RABBITMQ = { separator: ".", wildcards: "amqp" };
const ACTIVEMQ = { separator: ".", wildcards: "activemq" };

describe("a dotted destination", () => {
  const settings = fc.record({
    wildcards: fc.constantFrom("amqp", "activemq"),
    leadingSlash: fc.constantFrom("keep", "strip"),
    queueTopicPrefix: fc.constantFrom("", "queue/"),
  });
  const name = fc.stringMatching(/^[a-c./]{1,12}$/).filter((text) => !text.startsWith("/"));

  it("comes back as it was sent, whatever it holds", () => {
    fc.assert(
      fc.property(settings, fc.constantFrom("", "/", "/topic/", "/queue/"), name, (given, prefix, rest) => {
        const world = new World();
        const client = StompClient.connected(
          stompListener(world, { destinations: { ...given, separator: "." } }),
        );
        const destination = `${prefix}${rest}`;
        client.say("SUBSCRIBE", { id: "0", destination });
        client.say("SEND", { destination, "reply-to": destination });
        const message = client.next();
        expect([header(message, "destination"), header(message, "reply-to")]).toEqual([
          destination,
          destination,
        ]);
      }),
    );
  });

  it("may hold a slash, which is no separator there", () => {
    expect(topicOf(RABBITMQ, "/topic/plant.7/b.temp")).toBe("plant/7.b/temp");
    expect(seenOf(RABBITMQ, "/topic/plant.#", "plant/v1.2/x")).toBe("/topic/plant.v1/2.x");
  });
});

describe("a queue and a topic of one name", () => {
  const both = (destinations: object) => {
    const world = new World();
    const client = StompClient.connected(stompListener(world, { destinations }));
    client.say("SUBSCRIBE", { id: "q", destination: "/queue/x" });
    client.say("SUBSCRIBE", { id: "t", destination: "/topic/x" });
    client.say("SEND", { destination: "/queue/x" }, "to the queue");
    client.say("SEND", { destination: "/topic/x" }, "to the topic");
    return client
      .heard()
      .map((one) => [header(one, "subscription"), header(one, "destination"), `${one.body}`]);
  };

  it("are one topic by default", () => {
    expect(
      both({})
        .map(([id]) => id)
        .sort(),
    ).toEqual(["q", "q", "t", "t"]);
  });

  it("are kept apart by a prefix of queues' topics", () => {
    expect(both({ queueTopicPrefix: "queue/" })).toEqual([
      ["q", "/queue/x", "to the queue"],
      ["t", "/topic/x", "to the topic"],
    ]);
    expect(topicOf({ queueTopicPrefix: "queue/" }, "/queue/x")).toBe("queue/x");
  });

  it("have subscribers of one connection that share a queue as those of two do (MQTT 5 §4.8.2)", () => {
    for (const destination of ["/queue/x", "$share/g/x", "$queue/x"]) {
      const world = new World();
      const client = StompClient.connected(stompListener(world));
      for (const id of ["0", "1"]) client.say("SUBSCRIBE", { id, destination });
      for (let n = 1; n <= 6; n++) world.publish("x", `${n}`, { qos: 1 });
      const frames = client.heard();
      expect(frames.map(({ body }) => `${body}`).sort()).toEqual(["1", "2", "3", "4", "5", "6"]);
      expect(frames.filter((one) => header(one, "subscription") === "0")).toHaveLength(3);
      client.say("UNSUBSCRIBE", { id: "0" });
      world.publish("x", "7", { qos: 1 });
      expect(client.heard().map((one) => header(one, "subscription"))).toEqual(["1"]);
    }
  });
});

describe("a destination is a topic", () => {
  it.each([
    [{}, "plant/1/temperature", "plant/1/temperature"],
    [{}, "/plant/1", "/plant/1"],
    [{ leadingSlash: "strip" }, "/plant/1", "plant/1"],
    [{}, "/topic/plant/1", "plant/1"],
    [{}, "/queue/plant/1", "plant/1"],
    [{ topicPrefixes: [], queuePrefixes: [] }, "/topic/plant/1", "/topic/plant/1"],
    [{ topicPrefixes: ["/exchange/amq.topic/"] }, "/exchange/amq.topic/plant", "plant"],
    [RABBITMQ, "/topic/plant.1.temperature", "plant/1/temperature"],
    [{}, "plant.1", "plant.1"],
    [{}, "weird:topic\\with\r\neverything ä", "weird:topic\\with\r\neverything ä"],
  ])("with %j, SEND to %j publishes to %j", (destinations, destination, topic) => {
    expect(topicOf(destinations, destination)).toBe(topic);
  });

  it.each([
    [{}, "plant/+/temperature", "plant/1/temperature", "plant/1/temperature"],
    [{}, "plant/#", "plant/1/x", "plant/1/x"],
    [{}, "/topic/plant/+", "plant/1", "/topic/plant/1"],
    [{}, "/queue/plant/+", "plant/1", "/queue/plant/1"],
    [{}, "/plant/#", "/plant/1", "/plant/1"],
    [{ leadingSlash: "strip" }, "/plant/#", "plant/1", "/plant/1"],
    [{}, "$share/g/plant/#", "plant/1", "plant/1"],
    [{}, "/topic/$share/g/plant/#", "plant/1", "/topic/plant/1"],
    [RABBITMQ, "/topic/plant.*.temperature", "plant/1/temperature", "/topic/plant.1.temperature"],
    [RABBITMQ, "/topic/plant.#", "plant", "/topic/plant"],
    [RABBITMQ, "/topic/#", "plant/1", "/topic/plant.1"],
    [RABBITMQ, "$share/g.1/plant.*", "plant/1", "plant.1"],
    [RABBITMQ, "/topic/plant.#.temperature", "plant", "ERROR message=malformed destination"],
    [RABBITMQ, "/topic/plant.+", "plant/1", "ERROR message=malformed destination"],
    [ACTIVEMQ, "/topic/plant.*.temperature", "plant/1/temperature", "/topic/plant.1.temperature"],
    [ACTIVEMQ, "/topic/plant.>", "plant/1/x", "/topic/plant.1.x"],
    [ACTIVEMQ, "/topic/plant.#", "plant/1", "ERROR message=malformed destination"],
    [ACTIVEMQ, "/topic/plant.>.x", "plant/1", "ERROR message=malformed destination"],
    [ACTIVEMQ, "/topic/plant.*x", "plant/*x", "/topic/plant.*x"],
  ])("with %j, SUBSCRIBE to %j hears %j as %j", (destinations, destination, topic, seen) => {
    expect(seenOf(destinations, destination, topic)).toBe(seen);
  });

  it("reply-to is a destination too, in the style of the subscription", () => {
    const world = new World();
    const client = StompClient.connected(stompListener(world, { destinations: RABBITMQ }));
    client.say("SUBSCRIBE", { id: "0", destination: "/topic/a" });
    world.publish("a", "x", { properties: { responseTopic: "back/to" } });
    expect(header(client.next(), "reply-to")).toBe("/topic/back.to");
    const heard = world.listen("#");
    client.say("SEND", { destination: "/topic/a", "reply-to": "/topic/back.to" });
    expect(heard[0]?.properties?.responseTopic).toBe("back/to");
  });
});

describe("queues are shared subscriptions", () => {
  it("each message goes to one of a queue's subscribers, and to every subscriber of the topic", () => {
    const world = new World();
    const listener = stompListener(world);
    const [one, two, all] = [1, 2, 3].map(() => StompClient.connected(listener)) as [
      StompClient,
      StompClient,
      StompClient,
    ];
    one.say("SUBSCRIBE", { id: "0", destination: "/queue/work" });
    two.say("SUBSCRIBE", { id: "0", destination: "/queue/work", ack: "client" });
    all.say("SUBSCRIBE", { id: "0", destination: "work" });
    for (let n = 1; n <= 6; n++) one.say("SEND", { destination: "/queue/work" }, `${n}`);
    const [first, second] = [one.bodies(), two.bodies()];
    expect([first.length, second.length]).toEqual([3, 3]);
    expect([...first, ...second].sort()).toEqual(["1", "2", "3", "4", "5", "6"]);
    expect(all.bodies()).toHaveLength(6);
  });

  it("STOMP and MQTT clients share a $share group", () => {
    const world = new World();
    const listener = stompListener(world);
    const mqtt = world.listen("$share/team/jobs/#");
    const client = StompClient.connected(listener);
    client.say("SUBSCRIBE", { id: "0", destination: "$share/team/jobs/#", ack: "client" });
    for (let n = 0; n < 4; n++) world.publish("jobs/x", `${n}`, { qos: 1 });
    expect([mqtt.length, client.bodies().length]).toEqual([2, 2]);
  });
});

describe("a mountpoint", () => {
  it("is added and removed behind the translation, queues and durable subscriptions included", () => {
    const world = new World();
    const listener = stompListener(world, {}, { mountpoint: () => "site/" });
    const client = StompClient.connected(listener, { "client-id": "c" });
    client.say("SUBSCRIBE", { id: "0", destination: "/topic/a" });
    client.say("SUBSCRIBE", { id: "1", destination: "/queue/a", ack: "client" });
    client.say("SUBSCRIBE", { id: "2", destination: "a", "durable-subscription-name": "d" });
    const heard = world.listen("#");
    client.say("SEND", { destination: "/topic/a" }, "x");
    expect(heard[0]?.topic).toBe("site/a");
    expect(
      client
        .heard()
        .map((one) => header(one, "destination"))
        .sort(),
    ).toEqual(["/queue/a", "/topic/a", "a"]);
  });
});
