import { describe, expect, it } from "vitest";
import type { Refusal } from "#core/contract/answers.ts";
import { type AnyPacket, mqttSite } from "../../support/mqtt-device.ts";

const topics = (packets: AnyPacket[]) =>
  packets.filter(({ cmd }) => cmd === "publish").map(({ topic }) => topic);

describe("SUBSCRIBE", () => {
  it("is answered with one code for each filter, in their order [MQTT-3.8.4-6]", () => {
    const policy = { maySubscribe: (_who: unknown, filter: string) => filter !== "secret" };
    const ask = {
      cmd: "subscribe",
      messageId: 10,
      subscriptions: [
        { topic: "a", qos: 2 },
        { topic: "secret", qos: 1 },
        { topic: "b", qos: 1 },
      ],
    };
    const five = mqttSite({}, {}, policy).device(5);
    five.connect("dev");
    expect(five.send(ask)).toMatchObject([{ cmd: "suback", messageId: 10, granted: [2, 0x87, 1] }]);
    const four = mqttSite({}, {}, policy).device(4);
    four.connect("dev");
    expect(four.send(ask)).toMatchObject([{ granted: [2, 0x80, 1] }]);
    // MQTT 3.1 cannot say no.
    const three = mqttSite({}, {}, policy).device(3);
    three.connect("dev");
    expect(three.send(ask)).toMatchObject([{ granted: [2, 1, 1] }]);
  });

  it.each([
    ["subscriptions", { subscriptions: 0 }, 0x97],
    ["levels", { topicLevels: 2 }, 0x97],
  ] as const)("is refused over the limit of %s", (_what, limits, code) => {
    const device = mqttSite({}, { limits }).device(5);
    device.connect("dev");
    expect(device.subscribe("a/b/c")).toMatchObject([{ granted: [code] }]);
  });

  it("grants no more than the highest QoS (MQTT 5 §3.2.2.3.4)", () => {
    const site = mqttSite({ maximumQoS: 1 });
    const device = site.device(5);
    device.connect("dev");
    expect(device.subscribe("a", 2)).toMatchObject([{ granted: [1] }]);
    site.world.publish("a", "x", { qos: 2 });
    expect(device.take()).toMatchObject([{ qos: 1 }]);
  });

  it("says which kinds of subscription are not offered (0x9E, 0xA1, 0xA2)", () => {
    const device = mqttSite({
      wildcardSubscriptions: false,
      sharedSubscriptions: false,
      subscriptionIdentifiers: false,
    }).device(5);
    device.connect("dev");
    const ask = { cmd: "subscribe", messageId: 1 };
    const kinds = ["a/#", "$share/g/a", "$queue/a", "a"].map((topic) => ({ topic, qos: 0 }));
    expect(device.send({ ...ask, subscriptions: kinds })).toMatchObject([{ granted: [0xa2, 0x9e, 0x9e, 0] }]);
    const identified = {
      ...ask,
      subscriptions: [{ topic: "a", qos: 0 }],
      properties: { subscriptionIdentifier: 1 },
    };
    expect(device.send(identified)).toMatchObject([{ granted: [0xa1] }]);
  });

  it.each([
    ["no filter [MQTT-3.8.3-2]", "82 03 0001 00", 0x82],
    ["packet identifier 0 [MQTT-2.2.1-3]", "82 07 0000 00 0001 61 00", 0x82],
    ["wrong flags [MQTT-3.8.1-1]", "80 07 0001 00 0001 61 00", 0x81],
    ["an empty filter [MQTT-4.7.3-1]", "82 06 0001 00 0000 00", 0x8f],
    ["a # that is not alone [MQTT-4.7.1-1]", "82 08 0001 00 0002 6123 00", 0x8f],
    ["a # that is not last [MQTT-4.7.1-1]", "82 09 0001 00 0003 232f61 00", 0x8f],
    ["a + that is not alone [MQTT-4.7.1-2]", "82 08 0001 00 0002 612b 00", 0x8f],
    ["a shared subscription without a filter [MQTT-4.8.2-1]", "82 0e 0001 00 0008 2473686172652f67 00", 0x8f],
    [
      "a shared subscription with a wildcard in its name [MQTT-4.8.2-2]",
      "82 10 0001 00 000a 2473686172652f2b2f61 00",
      0x8f,
    ],
    ["no local on a shared subscription [MQTT-3.8.3-4]", "82 10 0001 00 000a 2473686172652f672f61 04", 0x82],
    ["a reserved option [MQTT-3.8.3-5]", "82 07 0001 00 0001 61 40", 0x81],
    ["QoS 3 (MQTT 5 §3.8.3.1)", "82 07 0001 00 0001 61 03", 0x81],
    ["retain handling 3 (MQTT 5 §3.8.3.1)", "82 07 0001 00 0001 61 30", 0x82],
    ["subscription identifier 0 (MQTT 5 §3.8.2.1.2)", "82 09 0001 02 0b00 0001 61 00", 0x82],
    ["two subscription identifiers (MQTT 5 §3.8.2.1.2)", "82 0b 0001 04 0b010b02 0001 61 00", 0x82],
    ["options cut off", "82 06 0001 00 0001 61", 0x81],
  ])("ends the connection for %s", (_what, hex, reasonCode) => {
    const device = mqttSite().device(5);
    device.connect("dev");
    expect(device.hex(hex)).toMatchObject([{ cmd: "disconnect", reasonCode }]);
    expect(device.closed).toBe(true);
  });

  it("holds no more filters or user properties than maximumItems", () => {
    const device = mqttSite({ maximumItems: 5 }).device(5);
    device.connect("dev", { properties: { userProperties: { a: ["1", "2", "3", "4", "5"] } } });
    const filters = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ topic: `${index}`, qos: 0 }));
    const five = { cmd: "subscribe", messageId: 1, subscriptions: filters(5) };
    expect(device.send(five)).toMatchObject([{ cmd: "suback" }]);
    const named = { properties: { userProperties: { a: "1" } } };
    expect(device.send({ ...five, ...named })).toMatchObject([{ cmd: "disconnect", reasonCode: 0x97 }]);
    const writer = mqttSite({ maximumItems: 5 }).device(5);
    writer.connect("writer");
    const six = { properties: { userProperties: { a: ["1", "2", "3", "4", "5", "6"] } } };
    expect(writer.publish("a", "x", six)).toMatchObject([{ cmd: "disconnect", reasonCode: 0x97 }]);
  });

  it("of MQTT 3.1.1 has no options but QoS [MQTT-3.8.3-4 of 3.1.1]", () => {
    const device = mqttSite().device(4);
    device.connect("dev");
    device.hex("82 06 0001 0001 61 04");
    expect(device.closed).toBe(true);
  });
});

describe("the options of a subscription (MQTT 5 §3.8.3.1)", () => {
  const subscribe = (options: object) => ({
    cmd: "subscribe",
    messageId: 1,
    subscriptions: [{ topic: "a/#", qos: 0, ...options }],
  });

  it("no local keeps a client's own messages from it [MQTT-3.8.3-3]", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev");
    device.send(subscribe({ nl: true }));
    expect(device.publish("a/b", "mine")).toEqual([]);
    site.world.publish("a/b", "other's");
    expect(device.take()).toHaveLength(1);
  });

  it("retain as published keeps the RETAIN flag [MQTT-3.3.1-13]", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev");
    device.send(subscribe({ rap: true }));
    site.world.publish("a/b", "x", { retain: true });
    expect(device.take()).toMatchObject([{ retain: true }]);
    device.send(subscribe({ rap: false, rh: 2 }));
    site.world.publish("a/b", "x", { retain: true });
    expect(device.take()).toMatchObject([{ retain: false }]);
  });

  it("retain handling says when retained messages are sent [MQTT-3.3.1-9..11]", () => {
    const site = mqttSite();
    site.world.publish("a/b", "kept", { retain: true });
    const device = site.device(5);
    device.connect("dev");
    expect(topics(device.send(subscribe({ rh: 2 })))).toEqual([]);
    expect(topics(device.send(subscribe({ rh: 1 })))).toEqual([]);
    expect(device.send(subscribe({ rh: 0 }))).toMatchObject([
      { cmd: "suback" },
      { cmd: "publish", retain: true },
    ]);
    device.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: ["a/#"] });
    expect(topics(device.send(subscribe({ rh: 1 })))).toEqual(["a/b"]);
  });
});

describe("retained messages", () => {
  it("come behind SUBACK with RETAIN set [MQTT-3.3.1-8], and are removed by an empty one", () => {
    const site = mqttSite();
    const writer = site.device(4);
    writer.connect("writer");
    writer.publish("a/1", "one", { retain: true });
    writer.publish("a/2", "two", { retain: true, qos: 1, messageId: 1 });
    const reader = site.device(4);
    reader.connect("reader");
    const [suback, ...kept] = reader.subscribe("a/+", 1);
    expect(suback).toMatchObject({ cmd: "suback" });
    expect(kept.map(({ topic, qos, retain }) => [topic, qos, retain]).sort()).toEqual([
      ["a/1", 0, true],
      ["a/2", 1, true],
    ]);
    writer.publish("a/1", "", { retain: true });
    writer.publish("a/2", "", { retain: true });
    expect(reader.take()).toMatchObject([{ retain: false }, { retain: false }]);
    expect(topics(reader.subscribe("a/+"))).toEqual([]);
  });
});

describe("shared subscriptions (MQTT 5 §4.8.2)", () => {
  it.each([4, 5] as const)("give each message to one member, level %i", (version) => {
    const site = mqttSite();
    const members = ["one", "two", "three"].map((id) => {
      const device = site.device(version);
      device.connect(id);
      expect(device.subscribe("$share/workers/jobs/#", 1)).toMatchObject([{ granted: [1] }]);
      return device;
    });
    for (let job = 0; job < 9; job++) site.world.publish(`jobs/${job}`, "do", { qos: 1 });
    const done = members.map((device) => topics(device.take()));
    expect(done.flat().sort()).toEqual(Array.from({ length: 9 }, (_, job) => `jobs/${job}`));
    expect(done.map((jobs) => jobs.length)).toEqual([3, 3, 3]);
  });

  it("are left with UNSUBSCRIBE", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev");
    device.subscribe("$queue/jobs");
    expect(device.send({ cmd: "unsubscribe", messageId: 5, unsubscriptions: ["$queue/jobs"] })).toMatchObject(
      [{ cmd: "unsuback", granted: [0] }],
    );
    site.world.publish("jobs", "do");
    expect(device.take()).toEqual([]);
  });
});

describe("UNSUBSCRIBE", () => {
  it("says for each filter whether there was such a subscription (MQTT 5 §3.11.3)", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev");
    device.subscribe("a");
    const unsubscribe = { cmd: "unsubscribe", messageId: 7, unsubscriptions: ["a", "b"] };
    expect(device.send(unsubscribe)).toMatchObject([{ cmd: "unsuback", messageId: 7, granted: [0, 0x11] }]);
    site.world.publish("a", "x");
    expect(device.take()).toEqual([]);
  });

  it("is answered with its identifier alone before MQTT 5 [MQTT-3.10.4-4]", () => {
    const device = mqttSite().device(4);
    device.connect("dev");
    device.stream.send(device.encode({ cmd: "unsubscribe", messageId: 7, unsubscriptions: ["a", "b"] }));
    expect(Buffer.from(device.stream.takeBytes()).toString("hex")).toBe("b0020007");
  });

  it("needs a filter [MQTT-3.10.3-2]", () => {
    const device = mqttSite().device(5);
    device.connect("dev");
    expect(device.hex("a2 03 0001 00")).toMatchObject([{ cmd: "disconnect", reasonCode: 0x82 }]);
  });
});

describe("what only a server sends", () => {
  it.each([
    ["CONNACK", "20 03 00 00 00", 0x82],
    ["SUBACK", "90 04 0001 00 00", 0x82],
    ["UNSUBACK", "b0 04 0001 00 00", 0x82],
    ["PINGRESP", "d0 00", 0x82],
    ["a reserved type", "00 00", 0x81],
    ["a PINGREQ with a body", "c0 01 00", 0x81],
    ["a PUBREL with wrong flags [MQTT-3.6.1-1]", "60 02 0001", 0x81],
    ["an acknowledgement without an identifier", "40 01 00", 0x81],
    ["an acknowledgement of packet identifier 0", "40 02 0000", 0x82],
    ["a remaining length of five octets", "30 80 80 80 80 01", 0x81],
    ["a property length that is not in its shortest form [MQTT-1.5.5-1]", "e0 03 00 80 00", 0x81],
  ])("ends the connection of a client: %s", (_what, hex, reasonCode) => {
    const device = mqttSite().device(5);
    device.connect("dev");
    expect(device.hex(hex)).toMatchObject([{ cmd: "disconnect", reasonCode }]);
    expect(device.closed).toBe(true);
  });

  it("includes AUTH before MQTT 5", () => {
    const device = mqttSite().device(4);
    device.connect("dev");
    expect(device.hex("f0 00")).toEqual([]);
    expect(device.closed).toBe(true);
  });
});

describe("every refusal of the core", () => {
  it.each([
    ["unauthenticated", 0x87],
    ["forbidden", 0x87],
    ["banned", 0x87],
    ["malformed", 0x8f],
    ["congested", 0x97],
    ["quota", 0x97],
    ["too-large", 0x97],
    ["unavailable", 0x83],
  ] satisfies [Refusal, number][])("has a reason code that SUBACK may carry: %s", async (refusal, code) => {
    const { subackReason } = await import("#gateways/mqtt/refusals.ts");
    expect(subackReason(refusal)).toBe(code);
    // MQTT 5 Table 3-8.
    expect([0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]).toContain(code);
  });

  it.each([
    ["unauthenticated", 0x87, 0x87],
    ["forbidden", 0x87, 0x87],
    ["banned", 0x87, 0x87],
    ["malformed", 0x90, 0x90],
    ["congested", 0x97, 0x96],
    ["quota", 0x97, 0x97],
    ["too-large", 0x97, 0x95],
    ["unavailable", 0x83, 0x83],
  ] satisfies [Refusal, number, number][])(
    "has one for PUBACK and for DISCONNECT: %s",
    async (refusal, ack, bye) => {
      const { publishReason, disconnectReason } = await import("#gateways/mqtt/refusals.ts");
      expect([publishReason(refusal), disconnectReason(refusal)]).toEqual([ack, bye]);
    },
  );
});

describe.each([3, 4] as const)("a broker that bridges, with 0x80 in protocol level %i", (version) => {
  const bridged = () => {
    const site = mqttSite();
    const device = site.device(version);
    expect(device.connect("bridge", { bridgeMode: true })).toMatchObject([{ cmd: "connack", returnCode: 0 }]);
    device.subscribe("#", 1);
    return { site, device };
  };

  it("gets nothing back that it sent: it would go in circles", () => {
    const { site, device } = bridged();
    expect(topics(device.publish("from/there", "x"))).toEqual([]);
    site.world.publish("from/here", "x");
    expect(topics(device.take())).toEqual(["from/here"]);
  });

  it("gets RETAIN as it was published, to keep the message itself", () => {
    const { site, device } = bridged();
    site.world.publish("kept", "x", { retain: true });
    site.world.publish("passing", "x");
    expect(device.take()).toMatchObject([
      { topic: "kept", retain: true },
      { topic: "passing", retain: false },
    ]);
  });
});
