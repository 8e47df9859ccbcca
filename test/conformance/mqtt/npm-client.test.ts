import { afterAll, describe as anyDescribe, beforeAll, expect, it } from "vitest";
import { MqttBench, TRANSPORTS } from "../../support/mqtt-clients.ts";
import { lacks } from "../../support/programs.ts";

const describe = anyDescribe.skipIf(lacks("openssl"));

let bench: MqttBench;
let names = 0;
const name = () => `npm-${names++}`;
beforeAll(async () => {
  bench = await MqttBench.open();
});
afterAll(async () => {
  await bench.close();
  // Nothing here may have been a failure of the gateway.
  expect(bench.gateway.log).toEqual([]);
});

describe.each(TRANSPORTS)("npm mqtt over %s", (transport) => {
  describe.each([4, 5] as const)("protocol level %i", (protocolVersion) => {
    const open = (options = {}) => bench.client(transport, { protocolVersion, clientId: name(), ...options });

    it("passes messages at every QoS, in order", async () => {
      const topic = name();
      const reader = await open();
      await reader.client.subscribeAsync(`${topic}/#`, { qos: 2 });
      const writer = await open();
      for (const qos of [0, 1, 2] as const) {
        for (let index = 0; index < 5; index++) {
          await writer.client.publishAsync(`${topic}/${qos}/${index}`, `${index}`, { qos });
        }
      }
      const heard = await reader.until(15);
      expect(heard.map((message) => [message.topic, message.qos, String(message.payload)])).toEqual(
        [0, 1, 2].flatMap((qos) =>
          [0, 1, 2, 3, 4].map((index) => [`${topic}/${qos}/${index}`, qos, `${index}`]),
        ),
      );
    });

    it("carries a payload of 1 MB at every QoS", async () => {
      const topic = name();
      const payload = Buffer.alloc(1_048_576, Math.floor(names % 251));
      payload.write("begin");
      payload.write("end", payload.length - 3);
      const reader = await open();
      await reader.client.subscribeAsync(topic, { qos: 2 });
      const writer = await open();
      for (const qos of [0, 1, 2] as const) await writer.client.publishAsync(topic, payload, { qos });
      for (const heard of await reader.until(3)) expect(heard.payload.equals(payload)).toBe(true);
    });

    it("keeps retained messages and gives them to those who come later", async () => {
      const topic = name();
      const writer = await open();
      await writer.client.publishAsync(topic, "kept", { retain: true, qos: 1 });
      const reader = await open();
      await reader.client.subscribeAsync(topic, { qos: 1 });
      expect(await reader.until(1)).toMatchObject([{ topic, retain: true, qos: 1 }]);
    });

    it("publishes the will of a client that is lost", async () => {
      const topic = name();
      const reader = await open();
      await reader.client.subscribeAsync(topic, { qos: 1 });
      const lost = await open({ will: { topic, payload: Buffer.from("gone"), qos: 1, retain: false } });
      await lost.cut();
      expect((await reader.until(1)).map(({ payload }) => String(payload))).toEqual(["gone"]);
    });

    it("keeps a session and what comes for it while the client is away", async () => {
      const clientId = name();
      const topic = name();
      const stay = {
        clientId,
        clean: false,
        ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}),
      };
      const first = await open(stay);
      expect(first.sessionPresent).toBe(false);
      await first.client.subscribeAsync(topic, { qos: 2 });
      await first.client.endAsync();
      const writer = await open();
      for (const qos of [1, 2] as const) await writer.client.publishAsync(topic, `at ${qos}`, { qos });
      const second = await open(stay);
      expect(second.sessionPresent).toBe(true);
      expect((await second.until(2)).map(({ payload }) => String(payload))).toEqual(["at 1", "at 2"]);
    });

    it("shares a subscription among its members", async () => {
      const topic = name();
      const members = await Promise.all([open(), open(), open()]);
      for (const member of members)
        await member.client.subscribeAsync(`$share/${topic}/${topic}/+`, { qos: 1 });
      const writer = await open();
      const jobs = Array.from({ length: 30 }, (_, index) => `${topic}/${index}`);
      await Promise.all(jobs.map((job) => writer.client.publishAsync(job, "do", { qos: 1 })));
      await expect.poll(() => members.flatMap(({ heard }) => heard).length).toBe(30);
      expect(members.flatMap(({ heard }) => heard.map((message) => message.topic)).sort()).toEqual(
        jobs.sort(),
      );
    });
  });
});

describe("npm mqtt", () => {
  it("subscribes to a thousand topics, and gets what is published to each", async () => {
    const prefix = name();
    const reader = await bench.client("tcp", { protocolVersion: 5, clientId: name() });
    const topics = Array.from({ length: 1000 }, (_, index) => `${prefix}/${index}`);
    for (let from = 0; from < 1000; from += 100) {
      await reader.client.subscribeAsync(topics.slice(from, from + 100), { qos: 1 });
    }
    const writer = await bench.client("tcp", { protocolVersion: 4, clientId: name() });
    await Promise.all(topics.map((topic) => writer.client.publishAsync(topic, topic, { qos: 1 })));
    const heard = await reader.until(1000);
    expect(heard.map(({ topic }) => topic)).toEqual(topics);
    expect(heard.every(({ topic, payload }) => String(payload) === topic)).toBe(true);
  });

  it("speaks MQTT 3.1 too", async () => {
    const client = await bench.client("tcp", { protocolId: "MQIsdp", protocolVersion: 3, clientId: name() });
    await client.client.subscribeAsync("three-one", { qos: 2 });
    await client.client.publishAsync("three-one", "old", { qos: 2 });
    expect(await client.until(1)).toMatchObject([{ topic: "three-one", qos: 2 }]);
  });

  it("carries the properties of MQTT 5 from end to end", async () => {
    const topic = name();
    const reader = await bench.client("tcp", { protocolVersion: 5, clientId: name() });
    await reader.client.subscribeAsync(topic, { qos: 1, properties: { subscriptionIdentifier: 42 } });
    const writer = await bench.client("wss", { protocolVersion: 5, clientId: name() });
    const properties = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 3600,
      contentType: "text/plain",
      responseTopic: "answers/1",
      correlationData: Buffer.from("id"),
      userProperties: { a: ["1", "2"], b: "3" },
    };
    await writer.client.publishAsync(topic, "hello", { qos: 1, properties });
    const [message] = await reader.until(1);
    expect(message?.properties).toMatchObject({ ...properties, subscriptionIdentifier: 42 });
  });

  it("uses topic aliases in both directions", async () => {
    const topic = name();
    const reader = await bench.client("tcp", {
      protocolVersion: 5,
      clientId: name(),
      properties: { topicAliasMaximum: 10 },
    });
    await reader.client.subscribeAsync(`${topic}/#`, { qos: 0 });
    const writer = await bench.client("tcp", {
      protocolVersion: 5,
      clientId: name(),
      autoAssignTopicAlias: true,
    } as never);
    for (let round = 0; round < 3; round++) {
      for (const part of ["a", "b"])
        await writer.client.publishAsync(`${topic}/${part}`, `${round}`, { qos: 0 });
    }
    const heard = await reader.until(6);
    expect(heard.map((message) => `${message.topic}=${message.payload}`)).toEqual(
      [0, 1, 2].flatMap((round) => [`${topic}/a=${round}`, `${topic}/b=${round}`]),
    );
  });

  it("is told that another client took its id over", async () => {
    const clientId = name();
    const first = await bench.client("tcp", { protocolVersion: 5, clientId });
    const told = new Promise((resolve) => first.client.on("disconnect", resolve));
    await bench.client("ws", { protocolVersion: 5, clientId });
    expect(await told).toMatchObject({ cmd: "disconnect", reasonCode: 0x8e });
  });

  it("asks and answers by response topic (MQTT 5 §4.10)", async () => {
    const asker = await bench.client("tcp", { protocolVersion: 5, clientId: name() });
    const answerer = await bench.client("tcp", { protocolVersion: 5, clientId: name() });
    const topic = name();
    await answerer.client.subscribeAsync(topic);
    answerer.client.on("message", (_topic, payload, { properties }) => {
      answerer.client.publish(properties?.responseTopic ?? "", `re: ${payload}`, {
        properties: { correlationData: properties?.correlationData as Buffer },
      });
    });
    await asker.client.subscribeAsync(`${topic}/answer`);
    asker.client.publish(topic, "question", {
      properties: { responseTopic: `${topic}/answer`, correlationData: Buffer.from("7") },
    });
    const [answer] = await asker.until(1);
    expect(String(answer?.payload)).toBe("re: question");
    expect(String(answer?.properties["correlationData"])).toBe("7");
  });
});
