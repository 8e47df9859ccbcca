import { describe, expect, it } from "vitest";
import { commitWhenTold } from "../../support/commit-when-told.ts";
import { type AnyPacket, mqttSite } from "../../support/mqtt-device.ts";
import { fc } from "../../support/property.ts";

const forbidden = { mayPublish: (_who: unknown, topic: string) => topic !== "secret" };

describe("a publish that the ACL refuses", () => {
  it("is answered with 0x87 in MQTT 5, at QoS 1 and 2 (MQTT 5 §3.4.2.1, §3.5.2.1)", () => {
    const site = mqttSite({}, {}, forbidden);
    const heard = site.world.listen("#");
    const device = site.device(5);
    device.connect("dev");
    expect(device.publish("secret", "x", { qos: 1, messageId: 1 })).toMatchObject([
      { cmd: "puback", messageId: 1, reasonCode: 0x87, properties: { reasonString: "forbidden" } },
    ]);
    expect(device.publish("secret", "x", { qos: 2, messageId: 2 })).toMatchObject([
      { cmd: "pubrec", messageId: 2, reasonCode: 0x87 },
    ]);
    // The packet id is free again [MQTT-4.3.3-4].
    expect(device.publish("open", "x", { qos: 2, messageId: 2 })).toMatchObject([{ reasonCode: 0 }]);
    expect(heard.map(({ topic }) => topic)).toEqual(["open"]);
  });

  it("is explained without words to a client that wants none [MQTT-3.1.2-29]", () => {
    const device = mqttSite({}, {}, forbidden).device(5);
    device.connect("dev", { properties: { requestProblemInformation: false } });
    const [puback] = device.publish("secret", "x", { qos: 1, messageId: 1 });
    expect(puback).toMatchObject({ reasonCode: 0x87 });
    expect(puback?.["properties"]).toBeUndefined();
  });

  it("is explained without words where those make the packet too large [MQTT-3.4.2-2]", () => {
    const device = mqttSite({}, {}, forbidden).device(5);
    device.connect("dev", { properties: { maximumPacketSize: 17 } });
    const [puback] = device.publish("secret", "x", { qos: 1, messageId: 1 });
    expect(puback).toMatchObject({ reasonCode: 0x87 });
    expect(puback?.["properties"]).toBeUndefined();
  });

  it("is acknowledged and dropped before MQTT 5 (MQTT 3.1.1 §3.3.5)", () => {
    const site = mqttSite({}, {}, forbidden);
    const heard = site.world.listen("#");
    const device = site.device(4);
    device.connect("dev");
    expect(device.publish("secret", "x", { qos: 1, messageId: 1 })).toMatchObject([{ cmd: "puback" }]);
    expect(device.publish("secret", "x", { qos: 2, messageId: 2 })).toMatchObject([{ cmd: "pubrec" }]);
    expect(device.send({ cmd: "pubrel", messageId: 2 })).toMatchObject([{ cmd: "pubcomp" }]);
    expect(device.publish("secret", "x")).toEqual([]);
    expect(device.closed).toBe(false);
    expect(heard).toEqual([]);
    expect(site.world.counter("publishes_refused").value).toBe(3);
  });

  it("ends the connection where the configuration says so", () => {
    const site = mqttSite({ refusedPublish: "disconnect" }, {}, forbidden);
    const old = site.device(4);
    old.connect("old");
    expect(old.publish("secret", "x", { qos: 1, messageId: 1 })).toEqual([]);
    expect(old.closed).toBe(true);
    const device = site.device(5);
    device.connect("dev");
    expect(device.publish("secret", "x")).toMatchObject([{ cmd: "disconnect", reasonCode: 0x87 }]);
    expect(device.closed).toBe(true);
  });
});

describe("a publish that the bus cannot take now", () => {
  it("is not acknowledged to an MQTT 3.1.1 client, which will repeat it", () => {
    const site = mqttSite({}, { session: { inboundMax: 1 } });
    const heard = site.world.listen("#");
    const device = site.device(4);
    device.connect("dev", { clean: false });
    device.publish("a", "first", { qos: 2, messageId: 1 });
    expect(device.publish("a", "second", { qos: 2, messageId: 2 })).toEqual([]);
    expect(device.closed).toBe(true);
    const again = site.device(4);
    again.connect("dev", { clean: false });
    again.send({ cmd: "pubrel", messageId: 1 });
    expect(again.publish("a", "second", { qos: 2, messageId: 2 })).toMatchObject([{ cmd: "pubrec" }]);
    expect(heard).toHaveLength(2);
  });

  it("is one that CONNACK has told an MQTT 5 client not to send: 0x93 [MQTT-3.3.4-9]", () => {
    const device = mqttSite({}, { session: { inboundMax: 1 } }).device(5);
    expect(device.connect("dev")).toMatchObject([{ properties: { receiveMaximum: 1 } }]);
    device.publish("a", "first", { qos: 2, messageId: 1 });
    expect(device.publish("a", "second", { qos: 2, messageId: 2 })).toMatchObject([
      { cmd: "disconnect", reasonCode: 0x93 },
    ]);
  });

  it("does not happen to a client that keeps to its Receive Maximum, whatever the settings say", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 12 }),
        fc.array(fc.constantFrom("publish", "release", "return"), { maxLength: 60 }),
        (receiveMaximum, inboundMax, steps) => {
          const site = mqttSite({ receiveMaximum }, { session: { inboundMax } });
          const options = { clean: false, properties: { sessionExpiryInterval: 60 } };
          let device = site.device(5);
          let promised = promiseOf(device.connect("dev", options));
          let fresh = 0;
          const open: number[] = [];
          let next = 0;
          for (const step of steps) {
            if (step === "return") {
              device = site.device(5);
              promised = promiseOf(device.connect("dev", options));
              for (const messageId of open.splice(0)) device.send({ cmd: "pubrel", messageId });
              fresh = 0;
            } else if (step === "release") {
              const messageId = open.shift();
              if (messageId === undefined) continue;
              fresh--;
              expect(device.send({ cmd: "pubrel", messageId })).toMatchObject([{ cmd: "pubcomp" }]);
            } else if (fresh < promised) {
              fresh++;
              open.push(++next);
              const answer = device.publish("a", "x", { qos: 2, messageId: next });
              expect(answer).toMatchObject([{ cmd: "pubrec", reasonCode: 0x10 }]);
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  const promiseOf = (answer: AnyPacket[]): number =>
    (answer[0] as unknown as { properties: { receiveMaximum: number } }).properties.receiveMaximum;
});

describe("answers to publishes", () => {
  it("say in MQTT 5 that nobody was subscribed (0x10)", () => {
    const device = mqttSite().device(5);
    device.connect("dev");
    expect(device.publish("a", "x", { qos: 1, messageId: 1 })).toMatchObject([{ reasonCode: 0x10 }]);
    expect(device.publish("a", "x", { qos: 2, messageId: 2 })).toMatchObject([{ reasonCode: 0x10 }]);
  });

  it("come in the order of the publishes, though the store answers in another [MQTT-4.6.0-2]", () => {
    const store = commitWhenTold();
    const site = mqttSite({}, { commits: store.commits }, forbidden);
    site.world.listen("#");
    const device = site.device(5);
    device.connect("dev");
    device.publish("a", "1", { qos: 1, messageId: 1 });
    device.publish("secret", "2", { qos: 1, messageId: 2 });
    device.publish("a", "3", { qos: 2, messageId: 3 });
    expect(device.publish("a", "3", { qos: 2, messageId: 3, dup: true })).toEqual([]);
    expect(store.waiting).toHaveLength(2);
    store.waiting[1]?.();
    expect(device.take()).toEqual([]);
    store.waiting[0]?.();
    site.world.settle();
    expect(device.take().map(({ cmd, messageId, reasonCode }) => [cmd, messageId, reasonCode])).toEqual([
      ["puback", 1, 0],
      ["puback", 2, 0x87],
      ["pubrec", 3, 0],
    ]);
    device.publish("a", "4", { qos: 1, messageId: 4 });
    store.waiting[2]?.();
    site.world.settle();
    expect(device.take()).toMatchObject([{ cmd: "puback", messageId: 4 }]);
  });

  it("stop the reading from an MQTT 3.1.1 client while too many are due", () => {
    const store = commitWhenTold();
    const site = mqttSite({ receiveMaximum: 2 }, { commits: store.commits });
    const heard = site.world.listen("#");
    const device = site.device(4);
    device.connect("dev");
    device.send(
      ...[1, 2, 3, 4, 5].map((id) => ({ cmd: "publish", topic: "a", payload: "", qos: 1, messageId: id })),
    );
    expect(heard).toHaveLength(2);
    expect(device.stream.readingPaused).toBe(true);
    for (let round = 0; round < 3; round++) {
      store.commitAll();
      site.world.settle();
    }
    expect(heard).toHaveLength(5);
    expect(device.take().map(({ messageId }) => messageId)).toEqual([1, 2, 3, 4, 5]);
    expect(device.stream.readingPaused).toBe(false);
  });

  it("to a SUBSCRIBE wait for the store, and nothing is read meanwhile", () => {
    const store = commitWhenTold();
    const site = mqttSite({}, { commits: store.commits });
    const device = site.device(5);
    device.connect("dev");
    const two = [
      { topic: "a", qos: 0 },
      { topic: "b", qos: 2 },
    ];
    const said = device.send({ cmd: "subscribe", messageId: 1, subscriptions: two }, { cmd: "pingreq" });
    expect(said).toEqual([]);
    store.waiting[1]?.();
    expect(device.take()).toEqual([]);
    store.waiting[0]?.();
    site.world.settle();
    expect(device.take()).toMatchObject([{ cmd: "suback", granted: [0, 2] }, { cmd: "pingresp" }]);
    expect(device.stream.readingPaused).toBe(false);
  });
});

describe("flow control towards us", () => {
  it("ends an MQTT 5 client that sends more than Receive Maximum, with 0x93 [MQTT-3.3.4-7]", () => {
    const site = mqttSite({ receiveMaximum: 2 });
    const heard = site.world.listen("#");
    const device = site.device(5);
    device.connect("dev");
    device.publish("a", "1", { qos: 2, messageId: 1 });
    device.publish("a", "2", { qos: 2, messageId: 2 });
    expect(device.publish("a", "3", { qos: 2, messageId: 3 })).toMatchObject([
      { cmd: "disconnect", reasonCode: 0x93 },
    ]);
    expect(heard).toHaveLength(2);
  });

  it("counts a QoS 2 message until its PUBREL (MQTT 5 §4.9)", () => {
    const device = mqttSite({ receiveMaximum: 1 }).device(5);
    device.connect("dev");
    for (let id = 1; id < 10; id++) {
      device.publish("a", "x", { qos: 2, messageId: id });
      device.send({ cmd: "pubrel", messageId: id });
      device.publish("a", "x", { qos: 1, messageId: id });
    }
    expect(device.closed).toBe(false);
  });

  it("refuses a packet above Maximum Packet Size by its header (0x95) [MQTT-3.2.2-15]", () => {
    const device = mqttSite({}, { limits: { packetSize: 100 } }).device(5);
    device.connect("dev");
    expect(device.hex("30 62 0001 61 00")).toEqual([]);
    expect(device.raw(new Uint8Array(94))).toEqual([]);
    expect(device.hex("30 63")).toMatchObject([{ cmd: "disconnect", reasonCode: 0x95 }]);
    expect(device.closed).toBe(true);
  });

  it("gives up on a packet that does not end", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev");
    device.hex("30 7f 0001 61");
    for (let second = 0; second < 119; second++) {
      site.world.advance(1000 as never);
      device.hex("61");
      if (device.closed) break;
    }
    expect(device.closed).toBe(false);
    site.world.advance(1000 as never);
    expect(device.closed).toBe(true);
  });
});

describe("topic aliases of a client (MQTT 5 §3.3.2.3.4)", () => {
  it("stand for the topic that they were last given", () => {
    const site = mqttSite();
    const heard = site.world.listen("#");
    const device = site.device(5);
    device.connect("dev");
    device.publish("a", "1", { properties: { topicAlias: 1 } });
    device.publish("", "2", { properties: { topicAlias: 1 } });
    device.publish("b", "3", { properties: { topicAlias: 1 } });
    device.publish("", "4", { properties: { topicAlias: 1 } });
    expect(heard.map(({ topic }) => topic)).toEqual(["a", "a", "b", "b"]);
  });

  it.each([
    ["above the maximum", "a", 65, 0x94],
    ["that was never set", "", 3, 0x82],
  ] as const)("end the connection when one is %s", (_what, topic, topicAlias, reasonCode) => {
    const device = mqttSite({ topicAliasMaximum: 64 }).device(5);
    device.connect("dev");
    expect(device.publish(topic, "x", { properties: { topicAlias } })).toMatchObject([
      { cmd: "disconnect", reasonCode },
    ]);
  });

  it("end the connection when one is 0 [MQTT-3.3.2-8]", () => {
    const device = mqttSite().device(5);
    device.connect("dev");
    expect(device.hex("30 07 0001 61 03 23 0000")).toMatchObject([{ cmd: "disconnect", reasonCode: 0x94 }]);
  });

  it("are forgotten with the connection", () => {
    const site = mqttSite();
    const first = site.device(5);
    first.connect("dev", { properties: { sessionExpiryInterval: 60 } });
    first.publish("a", "1", { properties: { topicAlias: 1 } });
    first.stream.drop();
    const second = site.device(5);
    second.connect("dev", { clean: false });
    expect(second.publish("", "2", { properties: { topicAlias: 1 } })).toMatchObject([{ reasonCode: 0x82 }]);
  });
});

describe("a publish that breaks a rule ends the connection", () => {
  it.each([
    ["a wildcard in its topic [MQTT-3.3.2-2]", "30 06 0003 612f2b 00", 0x90],
    ["QoS 3 [MQTT-3.3.1-4]", "36 06 0001 61 0001 00", 0x81],
    ["DUP at QoS 0 [MQTT-3.3.1-2]", "38 04 0001 61 00", 0x81],
    ["packet identifier 0 [MQTT-2.2.1-3]", "32 06 0001 61 0000 00", 0x82],
    ["neither topic nor alias (MQTT 5 §3.3.2.1)", "30 03 0000 00", 0x82],
    ["a topic that is not UTF-8 [MQTT-1.5.4-1]", "30 05 0002 c328 00", 0x81],
    ["a surrogate in its topic [MQTT-1.5.4-1]", "30 06 0003 eda080 00", 0x81],
    ["a NUL in its topic [MQTT-1.5.4-2]", "30 05 0002 6100 00", 0x81],
    ["a topic longer than the packet", "30 04 0009 61 00", 0x81],
    ["properties longer than the packet", "30 04 0001 61 09", 0x81],
    ["a subscription identifier [MQTT-3.3.4-6]", "30 06 0001 61 02 0b01", 0x82],
    ["a wildcard in its response topic [MQTT-3.3.2-14]", "30 08 0001 61 04 08 0001 23", 0x82],
    ["a property of another packet", "30 07 0001 61 03 210001", 0x81],
    ["the same property twice", "30 08 0001 61 04 01000100", 0x82],
    ["a payload format that is neither 0 nor 1", "30 06 0001 61 02 0102", 0x82],
  ])("%s", (_what, hex, reasonCode) => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev");
    expect(device.hex(hex)).toMatchObject([{ cmd: "disconnect", reasonCode }]);
    expect(device.closed).toBe(true);
    const errors = site.world.notes.filter(({ note }) => note.event === "protocol-error");
    expect(errors).toMatchObject([{ note: { level: "info", detail: { client: "dev", reasonCode } } }]);
  });

  it("at a QoS above the maximum (0x9B) [MQTT-3.2.2-11]", () => {
    const device = mqttSite({ maximumQoS: 1 }).device(5);
    device.connect("dev");
    expect(device.publish("a", "x", { qos: 2, messageId: 1 })).toMatchObject([{ reasonCode: 0x9b }]);
  });

  it("retained where there are no retained messages (0x9A) [MQTT-3.2.2-14]", () => {
    const device = mqttSite({ retainAvailable: false }).device(5);
    device.connect("dev");
    expect(device.publish("a", "x", { retain: true })).toMatchObject([{ reasonCode: 0x9a }]);
  });

  it("costs nobody else anything", () => {
    const site = mqttSite();
    const good = site.device(4);
    good.connect("good");
    good.subscribe("#");
    const bad = site.device(4);
    bad.connect("bad");
    bad.hex("3e 00");
    expect(bad.closed).toBe(true);
    site.world.publish("a", "still here");
    expect(good.take()).toMatchObject([{ cmd: "publish", topic: "a" }]);
  });
});

describe("a payload that is declared to be text (MQTT 5 §3.3.2.3.2)", () => {
  const unfit = { properties: { payloadFormatIndicator: true } };

  it("is checked where the configuration asks: 0x99", () => {
    const site = mqttSite({ validatePayloadFormat: true });
    const heard = site.world.listen("#");
    const device = site.device(5);
    device.connect("dev");
    const bytes = new Uint8Array([0xff, 0xfe]);
    expect(device.publish("a", bytes, { ...unfit, qos: 1, messageId: 1 })).toMatchObject([
      { reasonCode: 0x99 },
    ]);
    expect(device.publish("a", bytes, { ...unfit, qos: 2, messageId: 1 })).toMatchObject([
      { reasonCode: 0x99 },
    ]);
    expect(device.publish("a", bytes, unfit)).toEqual([]);
    expect(heard).toEqual([]);
    device.publish("a", "text", { ...unfit, qos: 2, messageId: 1 });
    expect(heard).toHaveLength(1);
  });

  it("is passed on unchecked otherwise", () => {
    const site = mqttSite();
    const heard = site.world.listen("#");
    const device = site.device(5);
    device.connect("dev");
    device.publish("a", new Uint8Array([0xff]), unfit);
    expect(heard).toMatchObject([{ properties: { payloadFormat: 1 } }]);
  });
});
