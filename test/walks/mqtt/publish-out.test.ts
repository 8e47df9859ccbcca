import { describe, expect, it } from "vitest";
import { milliseconds, seconds } from "#core/lib/time.ts";
import { type AnyPacket, type MqttDevice, mqttSite } from "../../support/mqtt-device.ts";

const topics = (packets: AnyPacket[]) => packets.map(({ topic }) => topic);
const properties = (packet: AnyPacket | undefined) => packet?.["properties"] as Record<string, unknown>;

/** Acknowledges all that came and returns it. */
function acknowledge(device: MqttDevice): AnyPacket[] {
  const arrived = device.take();
  for (const { messageId } of arrived) device.stream.send(device.encode({ cmd: "puback", messageId }));
  return arrived;
}

describe("the client's Receive Maximum [MQTT-3.3.4-9]", () => {
  it("bounds what is unacknowledged, and QoS 0 goes by the queue's order", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev", { properties: { receiveMaximum: 2 } });
    device.subscribe("#", 1);
    for (let index = 0; index < 5; index++) site.world.publish(`t/${index}`, "x", { qos: 1 });
    expect(topics(acknowledge(device))).toEqual(["t/0", "t/1"]);
    expect(topics(acknowledge(device))).toEqual(["t/2", "t/3"]);
    expect(topics(acknowledge(device))).toEqual(["t/4"]);
  });

  it("is at most what the configuration allows, which is all that MQTT 3.1.1 has", () => {
    const site = mqttSite({ inflightMaximum: 3 });
    const device = site.device(4);
    device.connect("dev");
    device.subscribe("#", 1);
    for (let index = 0; index < 5; index++) site.world.publish(`t/${index}`, "x", { qos: 1 });
    expect(acknowledge(device)).toHaveLength(3);
    expect(acknowledge(device)).toHaveLength(2);
  });

  it("counts a QoS 2 delivery until its PUBCOMP (MQTT 5 §4.9)", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev", { properties: { receiveMaximum: 1 } });
    device.subscribe("#", 2);
    site.world.publish("a", "x", { qos: 2 });
    site.world.publish("b", "x", { qos: 2 });
    const [first, ...none] = device.take();
    expect(none).toEqual([]);
    const messageId = first?.["messageId"];
    expect(device.send({ cmd: "pubrec", messageId })).toMatchObject([{ cmd: "pubrel" }]);
    expect(topics(device.send({ cmd: "pubcomp", messageId }))).toEqual(["b"]);
  });
});

describe("a PUBACK", () => {
  it("settles its delivery once; of one that is not on its way it is counted", () => {
    const site = mqttSite();
    const missed = site.world.counter("packets_missed:puback");
    const device = site.device(5);
    device.connect("dev", { properties: { receiveMaximum: 1 } });
    device.subscribe("#", 1);
    site.world.publish("a", "x", { qos: 1 });
    site.world.publish("b", "x", { qos: 1 });
    const [first, ...held] = device.take();
    expect(held).toEqual([]);
    const messageId = first?.["messageId"];
    expect(topics(device.send({ cmd: "puback", messageId }))).toEqual(["b"]);
    expect(missed.value).toBe(0);
    device.send({ cmd: "puback", messageId: 4711 });
    expect(missed.value).toBe(1);
    expect(device.stream.closed).toBe(false);
  });
});

describe("the client's Maximum Packet Size [MQTT-3.1.2-24]", () => {
  it("keeps larger messages from it, and they count as settled [MQTT-3.1.2-25]", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev", { properties: { maximumPacketSize: 64, receiveMaximum: 1 } });
    device.subscribe("#", 1);
    site.world.publish("a", "x".repeat(100), { qos: 1 });
    site.world.publish("b", "x".repeat(100));
    site.world.publish("c", new Uint8Array(100_000), { qos: 1 });
    site.world.publish("d", "fits", { qos: 1 });
    expect(topics(device.take())).toEqual(["d"]);
    expect(site.world.sessionCounters.dead.value).toBe(2);
    expect(site.world.counter("deliveries_too_large").value).toBe(3);
  });

  it("is exact to the octet", () => {
    const site = mqttSite();
    const device = site.device(5);
    // Header 2, topic 3, properties 1.
    device.connect("dev", { properties: { maximumPacketSize: 16 } });
    device.subscribe("#");
    site.world.publish("a", "x".repeat(11));
    site.world.publish("b", "x".repeat(10));
    expect(topics(device.take())).toEqual(["b"]);
  });
});

describe("answers above the client's Maximum Packet Size [MQTT-3.1.2-24]", () => {
  it("are not sent: the connection ends where nothing shorter would do", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev", { properties: { maximumPacketSize: 30 } });
    const subscriptions = Array.from({ length: 40 }, (_, index) => ({ topic: `t/${index}`, qos: 0 }));
    const said = device.send({ cmd: "subscribe", messageId: 1, subscriptions });
    expect(said).toMatchObject([{ cmd: "disconnect", reasonCode: 0x83 }]);
    // Its reason string would have been too long as well [MQTT-3.14.2-3].
    expect(said[0]?.["properties"]).toBeUndefined();
    expect(device.closed).toBe(true);
  });

  it("are not sent when that is CONNACK, or go without their words", () => {
    const silent = mqttSite().device(5);
    expect(silent.connect("dev", { properties: { maximumPacketSize: 10 } })).toEqual([]);
    expect(silent.closed).toBe(true);
    const refused = mqttSite(
      {},
      {},
      {
        authenticate: () => ({ ok: false, refusal: "forbidden", reason: "x".repeat(50) }),
      },
    ).device(5);
    const [connack] = refused.connect("dev", { properties: { maximumPacketSize: 20 } });
    expect(connack).toMatchObject({ reasonCode: 0x87 });
    expect(connack?.["properties"]).toBeUndefined();
  });
});

describe("a message that MQTT cannot express", () => {
  it.each([
    ["a topic", "é".repeat(40_000), {}],
    ["a content type", "a", { contentType: "x".repeat(70_000) }],
    ["a user property", "a", { userProperties: [["name", "é".repeat(40_000)]] as [string, string][] }],
    ["correlation data", "a", { correlationData: new Uint8Array(70_000) }],
  ])(
    "because of %s from another gateway is settled, and costs nobody a connection",
    (_what, topic, properties) => {
      const site = mqttSite();
      const devices = [site.device(5), site.device(5)];
      devices.forEach((device, index) => {
        device.connect(`dev-${index}`, { properties: { receiveMaximum: 1, topicAliasMaximum: index } });
        device.subscribe("#", 1);
      });
      site.world.publish(topic, "x", { qos: 1, properties });
      site.world.publish("next", "x", { qos: 1 });
      for (const device of devices) {
        expect(device.closed).toBe(false);
        expect(topics(device.take())).toEqual(["next"]);
      }
      expect(site.world.sessionCounters.dead.value).toBe(2);
    },
  );
});

describe("a client that refuses a message", () => {
  it("has had it all the same (MQTT 5 §4.3.2, §4.3.3)", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev");
    device.subscribe("#", 2);
    site.world.publish("a", "x", { qos: 1 });
    site.world.publish("b", "x", { qos: 2 });
    const [one, two] = device.take();
    expect(device.send({ cmd: "puback", messageId: one?.["messageId"], reasonCode: 0x97 })).toEqual([]);
    expect(device.send({ cmd: "pubrec", messageId: two?.["messageId"], reasonCode: 0x83 })).toEqual([]);
    expect(site.world.sessionCounters.dead.value).toBe(2);
  });

  it("breaks the protocol when it answers QoS 2 with PUBACK", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev");
    device.subscribe("#", 2);
    site.world.publish("b", "x", { qos: 2 });
    const messageId = device.take()[0]?.["messageId"];
    expect(device.send({ cmd: "puback", messageId })).toMatchObject([
      { cmd: "disconnect", reasonCode: 0x82 },
    ]);
  });
});

describe("what goes with a message from publisher to subscriber", () => {
  const sent = {
    payloadFormatIndicator: true,
    contentType: "application/json",
    responseTopic: "answers/here",
    correlationData: Buffer.from([1, 2, 3]),
    userProperties: { z: "1", a: ["2", "3"] },
  };

  it("are its properties, unchanged and in order [MQTT-3.3.2-17, MQTT-3.3.2-18]", () => {
    const site = mqttSite();
    const reader = site.device(5);
    reader.connect("reader");
    reader.subscribe("a");
    const old = site.device(4);
    old.connect("old");
    old.subscribe("a");
    const writer = site.device(5);
    writer.connect("writer");
    writer.publish("a", "{}", { properties: sent });
    expect(reader.take()).toMatchObject([{ topic: "a", properties: sent }]);
    const [plain] = old.take();
    expect(String(plain?.["payload"])).toBe("{}");
  });

  it("is what is left of its life [MQTT-3.3.2-6]", () => {
    const site = mqttSite();
    const reader = site.device(5);
    const stay = { clean: false, properties: { sessionExpiryInterval: 1000 } };
    reader.connect("reader", stay);
    reader.subscribe("a", 1);
    reader.stream.drop();
    const writer = site.device(5);
    writer.connect("writer");
    writer.publish("a", "x", { qos: 1, messageId: 1, properties: { messageExpiryInterval: 100 } });
    site.world.advance(seconds(30));
    const again = site.device(5);
    const [, publish] = again.connect("reader", stay);
    expect(properties(publish)).toMatchObject({ messageExpiryInterval: 70 });
  });

  it("is rewritten for each subscriber, however they share the encoding", () => {
    const site = mqttSite();
    const writer = site.device(5);
    writer.connect("writer");
    writer.publish("a", "x", { retain: true, properties: { messageExpiryInterval: 100 } });
    for (const left of [100, 90, 80]) {
      const reader = site.device(5);
      reader.connect(`reader-${left}`);
      const [, publish] = reader.subscribe("a");
      expect(properties(publish)).toMatchObject({ messageExpiryInterval: left });
      site.world.advance(seconds(10));
    }
  });

  it("are the identifiers of the subscriptions that matched [MQTT-3.3.4-3]", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev");
    for (const [filter, subscriptionIdentifier] of [
      ["a/+", 1],
      ["a/b", 268_435_455],
      ["#", undefined],
    ] as const) {
      device.send({
        cmd: "subscribe",
        messageId: 1,
        subscriptions: [{ topic: filter, qos: 0 }],
        properties: subscriptionIdentifier === undefined ? {} : { subscriptionIdentifier },
      });
    }
    site.world.publish("a/b", "both");
    site.world.publish("a/c", "one");
    site.world.publish("c", "none");
    const [both, one, none] = device.take();
    expect([properties(both)["subscriptionIdentifier"]].flat().sort()).toEqual([1, 268_435_455]);
    expect([properties(one)["subscriptionIdentifier"]].flat()).toEqual([1]);
    expect(none?.["properties"]).toBeUndefined();
  });
});

describe("topic aliases that we set (MQTT 5 §3.3.2.3.4)", () => {
  const connect = (aliases: number, outgoingTopicAliases = 16) => {
    const site = mqttSite({ outgoingTopicAliases });
    const device = site.device(5);
    device.connect("dev", { properties: { topicAliasMaximum: aliases } });
    device.subscribe("#");
    return { site, device };
  };

  it("come with the topic first and without it then, for as many as the client takes [MQTT-3.1.2-26]", () => {
    const { site, device } = connect(2);
    for (const topic of ["a", "b", "c", "a", "b", "c"]) site.world.publish(topic, "x");
    expect(device.take().map((packet) => [packet["topic"], properties(packet)?.["topicAlias"]])).toEqual([
      ["a", 1],
      ["b", 2],
      ["c", undefined],
      ["", 1],
      ["", 2],
      ["c", undefined],
    ]);
  });

  it("are not used for a client that wants none [MQTT-3.1.2-27], nor when configured off", () => {
    for (const { site, device } of [connect(0), connect(10, 0)]) {
      site.world.publish("a", "x");
      site.world.publish("a", "x");
      const arrived = device.take();
      expect(topics(arrived)).toEqual(["a", "a"]);
      expect(arrived.map(properties)).toEqual([undefined, undefined]);
    }
  });

  it("are learnt only from what was sent", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev", { properties: { topicAliasMaximum: 5, maximumPacketSize: 40 } });
    device.subscribe("#");
    site.world.publish("a", "x".repeat(100));
    site.world.publish("a", "x");
    expect(device.take()).toMatchObject([{ topic: "a", properties: { topicAlias: 1 } }]);
  });
});

describe("a broadcast", () => {
  it("reaches every version, QoS and kind of subscription with its own packet", () => {
    const site = mqttSite();
    const readers = ([3, 4, 5] as const).flatMap((version) =>
      ([0, 1, 2] as const).map((qos) => {
        const device = site.device(version);
        device.connect(`reader-${version}-${qos}`);
        device.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos, rap: qos === 2 }] });
        return { device, version, qos };
      }),
    );
    const writer = site.device(4);
    writer.connect("writer");
    for (const payload of ["one", "x".repeat(20_000), ""]) {
      writer.publish("a", payload, { qos: 2, messageId: 1, retain: true });
      writer.send({ cmd: "pubrel", messageId: 1 });
      for (const { device, version, qos } of readers) {
        const [packet, ...more] = device.take();
        expect(more).toEqual([]);
        expect(packet).toMatchObject({ topic: "a", qos, retain: version === 5 && qos === 2, dup: false });
        expect(String(packet?.["payload"])).toBe(payload);
      }
    }
  });

  it("takes a client's own mountpoint off the topic", () => {
    const site = mqttSite({}, {}, { mountpoint: (identity) => `${identity.username}/` });
    const [one, two] = [site.device(5), site.device(4)];
    one.connect("one", { username: "house" });
    two.connect("two", { username: "house" });
    one.subscribe("a/#");
    two.subscribe("a/#");
    const stranger = site.device(4);
    stranger.connect("three", { username: "other" });
    stranger.subscribe("#");
    expect(topics(two.publish("a/b", "x"))).toEqual(["a/b"]);
    expect(topics(one.take())).toEqual(["a/b"]);
    expect(stranger.take()).toEqual([]);
    site.world.publish("house/a/c", "x");
    expect(topics(one.take())).toEqual(["a/c"]);
  });
});

describe("a slow reader", () => {
  it("has its deliveries held back until it reads, and costs others nothing", () => {
    const site = mqttSite();
    const slow = site.device(4);
    slow.connect("slow");
    slow.subscribe("#", 1);
    slow.stream.capacity = 10_000;
    const quick = site.device(4);
    quick.connect("quick");
    quick.subscribe("#", 0);
    for (let index = 0; index < 100; index++) site.world.publish(`t/${index}`, "x".repeat(1000), { qos: 1 });
    expect(quick.take()).toHaveLength(100);
    const held = site.world.sessions.get("mqtt", "slow");
    expect(held?.queued).toBeGreaterThan(50);
    const read: unknown[] = [];
    for (let round = 0; round < 50 && read.length < 100; round++) read.push(...topics(acknowledge(slow)));
    expect(read).toEqual(Array.from({ length: 100 }, (_, index) => `t/${index}`));
    expect(held?.queued).toBe(0);
  });
});

describe("an answer that is not the one which is due ends the connection (MQTT 5 §4.3.2, §4.3.3)", () => {
  it.each([
    ["PUBREC for a QoS 1 message", 1, [{ cmd: "pubrec" }]],
    ["PUBCOMP for a QoS 1 message", 1, [{ cmd: "pubcomp" }]],
    ["PUBACK for a QoS 2 message", 2, [{ cmd: "puback" }]],
    ["PUBCOMP before PUBREC", 2, [{ cmd: "pubcomp" }]],
    ["PUBACK after PUBREC", 2, [{ cmd: "pubrec" }, { cmd: "puback" }]],
  ] as const)("%s", (_what, qos, answers) => {
    for (const version of [4, 5] as const) {
      const site = mqttSite();
      const device = site.device(version);
      device.connect("dev");
      device.subscribe("a", qos);
      site.world.publish("a", "x", { qos });
      const messageId = device.take()[0]?.["messageId"];
      const last = answers.map((answer) => device.send({ ...answer, messageId })).at(-1);
      expect(device.closed).toBe(true);
      expect(last).toMatchObject(version === 5 ? [{ cmd: "disconnect", reasonCode: 0x82 }] : []);
    }
  });

  it.each([
    ["PUBACK 0x92", "40 04 0001 92 00"],
    ["PUBACK 0x04", "40 04 0001 04 00"],
    ["PUBREC 0x82", "50 04 0001 82 00"],
    ["PUBREL 0x10", "62 04 0001 10 00"],
    ["PUBCOMP 0x80", "70 04 0001 80 00"],
    ["DISCONNECT 0x8e, which only a server says", "e0 02 8e 00"],
    ["DISCONNECT 0x01", "e0 02 01 00"],
  ])("a reason that the packet does not have is a protocol error: %s", (_what, hex) => {
    const device = mqttSite().device(5);
    device.connect("dev");
    expect(device.hex(hex)).toMatchObject([{ cmd: "disconnect", reasonCode: 0x82 }]);
    expect(device.closed).toBe(true);
  });

  it("one that nobody waits for means nothing", () => {
    const device = mqttSite().device(5);
    device.connect("dev");
    expect(device.send({ cmd: "puback", messageId: 7 }, { cmd: "pubcomp", messageId: 7 })).toEqual([]);
    expect(device.send({ cmd: "pubrec", messageId: 7 })).toMatchObject([{ cmd: "pubrel", reasonCode: 0x92 }]);
    expect(device.closed).toBe(false);
  });
});

describe("a life that is longer than four octets can say", () => {
  it("goes out as the longest there is, never as 0", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev");
    device.subscribe("a", 1);
    site.world.publish("a", "x", { qos: 1, expiry: milliseconds(4_294_967_296_000) });
    site.world.publish("a", "x", { qos: 1, expiry: milliseconds(Number.MAX_SAFE_INTEGER) });
    const lives = device.take().map(({ properties }) => properties);
    expect(lives).toEqual(lives.map(() => ({ messageExpiryInterval: 0xffff_ffff })));
    expect(lives).toHaveLength(2);
  });
});
