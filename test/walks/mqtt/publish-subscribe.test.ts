import { describe, expect, it } from "vitest";
import { type AnyPacket, mqttSite } from "../../support/mqtt-device.ts";

const brief = (packets: AnyPacket[]) =>
  packets.map(({ cmd, topic, payload, qos, retain, dup, messageId, reasonCode }) => ({
    cmd,
    ...(topic === undefined ? {} : { topic }),
    ...(payload === undefined ? {} : { payload: String(payload) }),
    ...(cmd === "publish" ? { qos, retain, dup } : {}),
    ...(messageId === undefined ? {} : { messageId }),
    ...(reasonCode === undefined ? {} : { reasonCode }),
  }));

describe.each([3, 4, 5] as const)("two clients of protocol level %i", (version) => {
  it("exchange a QoS 0 message", () => {
    const site = mqttSite();
    const reader = site.device(version);
    expect(reader.connect("reader")).toMatchObject([{ cmd: "connack", sessionPresent: false }]);
    expect(reader.subscribe("a/+")).toMatchObject([{ cmd: "suback", messageId: 1, granted: [0] }]);
    const writer = site.device(version);
    writer.connect("writer");
    expect(writer.publish("a/b", "hello")).toEqual([]);
    expect(brief(reader.take())).toEqual([
      { cmd: "publish", topic: "a/b", payload: "hello", qos: 0, retain: false, dup: false },
    ]);
  });

  it("exchange a QoS 1 message, acknowledged on both sides [MQTT-4.3.2-4]", () => {
    const site = mqttSite();
    const reader = site.device(version);
    reader.connect("reader");
    reader.subscribe("a/+", 1);
    const writer = site.device(version);
    writer.connect("writer");
    expect(brief(writer.publish("a/b", "hello", { qos: 1, messageId: 77 }))).toMatchObject([
      { cmd: "puback", messageId: 77 },
    ]);
    const [publish] = reader.take();
    expect(publish).toMatchObject({ cmd: "publish", topic: "a/b", qos: 1, dup: false });
    expect(site.world.sessionCounters.settled.value).toBe(0);
    reader.send({ cmd: "puback", messageId: publish?.["messageId"] });
    expect(site.world.sessionCounters.settled.value).toBe(1);
  });

  it("exchange a QoS 2 message exactly once through the four steps [MQTT-4.3.3-1]", () => {
    const site = mqttSite();
    const reader = site.device(version);
    reader.connect("reader");
    reader.subscribe("a/+", 2);
    const writer = site.device(version);
    writer.connect("writer");
    expect(brief(writer.publish("a/b", "once", { qos: 2, messageId: 5 }))).toMatchObject([
      { cmd: "pubrec", messageId: 5 },
    ]);
    expect(brief(writer.publish("a/b", "once", { qos: 2, messageId: 5, dup: true }))).toMatchObject([
      { cmd: "pubrec", messageId: 5 },
    ]);
    expect(writer.send({ cmd: "pubrel", messageId: 5 })).toMatchObject([{ cmd: "pubcomp", messageId: 5 }]);
    const arrived = reader.take();
    expect(arrived).toHaveLength(1);
    const messageId = arrived[0]?.["messageId"];
    expect(reader.send({ cmd: "pubrec", messageId })).toMatchObject([{ cmd: "pubrel", messageId }]);
    expect(reader.send({ cmd: "pubcomp", messageId })).toEqual([]);
    expect(site.world.sessionCounters.settled.value).toBe(1);
  });

  it("answer a ping [MQTT-3.12.4-1]", () => {
    const device = mqttSite().device(version);
    device.connect("pinger");
    expect(device.send({ cmd: "pingreq" })).toMatchObject([{ cmd: "pingresp" }]);
  });
});
