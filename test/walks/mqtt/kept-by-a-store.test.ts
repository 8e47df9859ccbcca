/** What MQTT acknowledges, over a real store: it waits where something durable has to be kept, and nowhere else. */
import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { Clients } from "#core/operate/clients.ts";
import type { MqttConfig } from "#gateways/mqtt/config.ts";
import { KeptWorld } from "../../support/kept-world.ts";
import { type MqttDevice, mqttSite } from "../../support/mqtt-device.ts";

const DURABLE = { clean: false, properties: { sessionExpiryInterval: 60 } };

function open(config: Partial<MqttConfig> = {}) {
  const kept = new KeptWorld();
  const site = mqttSite(config, kept.options);
  kept.of(site.world);
  const said = (device: MqttDevice): string[] => device.take().map(({ cmd }) => cmd);
  /** Held back until the store has committed, and given then. */
  const waits = async (device: MqttDevice, packet: object, answer: string): Promise<void> => {
    expect(device.send(packet), `${answer} before the commit`).toEqual([]);
    await kept.commit();
    expect(said(device)).toEqual([answer]);
  };
  const comesAtOnce = (device: MqttDevice, packet: object, answer: string): void => {
    expect(device.send(packet).map(({ cmd }) => cmd)).toEqual([answer]);
  };
  const connected = async (clientId: string, durable: boolean): Promise<MqttDevice> => {
    const device = site.device(5);
    device.connect(clientId, durable ? DURABLE : {});
    await kept.commit();
    device.take();
    return device;
  };
  return { kept, site, waits, comesAtOnce, connected };
}
const publish = (topic: string, qos: 1 | 2, messageId: number, more: object = {}) => ({
  ...{ cmd: "publish", topic, payload: "x", qos, messageId, retain: false, dup: false },
  ...more,
});

it("a publish for nobody durable is answered at once, at QoS 1 and through all of QoS 2", async () => {
  const { site, comesAtOnce, connected } = open();
  site.world.listen("a");
  const device = await connected("p", false);
  comesAtOnce(device, publish("a", 1, 1), "puback");
  comesAtOnce(device, publish("a", 2, 2), "pubrec");
  comesAtOnce(device, { cmd: "pubrel", messageId: 2 }, "pubcomp");
});

it("a publish waits for a durable subscriber that is away", async () => {
  const { waits, connected } = open();
  const reader = await connected("r", true);
  await waits(reader, { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos: 1 }] }, "suback");
  reader.stream.end();
  const device = await connected("p", false);
  await waits(device, publish("a", 1, 1), "puback");
  await waits(device, publish("a", 2, 2), "pubrec");
});

it("a durable publisher's packet ids are kept, and released, before it hears of it [MQTT-4.3.3]", async () => {
  const { waits, connected } = open();
  const device = await connected("p", true);
  await waits(device, publish("a", 2, 2), "pubrec");
  await waits(device, { cmd: "pubrel", messageId: 2 }, "pubcomp");
});

it("an id that is refused behind an answer that waits is free at once: sent again after a cut it is a new message (4.3.3)", async () => {
  const { kept, site, waits, connected } = open({ validatePayloadFormat: true });
  const heard = site.world.listen("b");
  const device = await connected("p", true);
  const unfit = { payload: Buffer.from([0xff]), properties: { payloadFormatIndicator: true } };
  expect(device.send(publish("a", 2, 1), publish("b", 2, 2, unfit))).toEqual([]);
  device.stream.drop();
  await kept.commit();
  const again = await connected("p", true);
  await waits(again, publish("b", 2, 2, { dup: true }), "pubrec");
  expect(heard).toHaveLength(1);
});

it("a retained message is kept before it is acknowledged, and so is its removal", async () => {
  const { kept, waits, comesAtOnce, connected } = open();
  const device = await connected("p", false);
  await waits(device, publish("a", 1, 1, { retain: true }), "puback");
  expect(kept.engine.records).toBe(1);
  await waits(device, publish("a", 1, 2, { retain: true, payload: "" }), "puback");
  expect(kept.engine.records).toBe(0);
  comesAtOnce(device, publish("a", 1, 3, { retain: true, payload: "" }), "puback");
});

it("a delayed publish is kept before it is acknowledged", async () => {
  const { kept, waits, connected } = open();
  const device = await connected("p", false);
  await waits(device, publish("$delayed/60/a", 1, 1), "puback");
  expect(kept.engine.records).toBe(1);
});

it("UNSUBACK waits where a subscription is kept, and comes at once where none is", async () => {
  const { waits, comesAtOnce, connected } = open();
  const durable = await connected("d", true);
  await waits(durable, { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos: 1 }] }, "suback");
  await waits(durable, { cmd: "unsubscribe", messageId: 2, unsubscriptions: ["a"] }, "unsuback");
  comesAtOnce(durable, { cmd: "unsubscribe", messageId: 3, unsubscriptions: ["a"] }, "unsuback");
  const passing = await connected("p", false);
  comesAtOnce(passing, { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos: 1 }] }, "suback");
  comesAtOnce(passing, { cmd: "unsubscribe", messageId: 2, unsubscriptions: ["a"] }, "unsuback");
});

it("a durable subscriber gets a QoS 2 message once that is kept, and PUBREL once its PUBREC is [MQTT-4.3.3-5]", async () => {
  const { kept, site, waits, connected } = open();
  const reader = await connected("r", true);
  await waits(reader, { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos: 2 }] }, "suback");
  site.world.publish("a", "x", { qos: 2 });
  expect(reader.take()).toEqual([]);
  await kept.commit();
  const [{ cmd, messageId } = {}] = reader.take() as { cmd?: string; messageId?: number }[];
  expect(cmd).toBe("publish");
  await waits(reader, { cmd: "pubrec", messageId }, "pubrel");
  reader.send({ cmd: "pubcomp", messageId });
  expect(site.world.sessionCounters.settled.value).toBe(1);
});

it("a message that expires in the queue of a client that is away leaves no record behind when that is back", async () => {
  const { kept, site, waits, connected } = open();
  const reader = await connected("r", true);
  await waits(reader, { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos: 1 }] }, "suback");
  reader.stream.end();
  const device = await connected("p", false);
  await waits(device, publish("a", 1, 1, { properties: { messageExpiryInterval: 5 } }), "puback");
  const deliveries = () => [...kept.engine.entries("queue")].length;
  expect(deliveries()).toBe(1);
  site.world.advance(seconds(10));
  await connected("r", true);
  await kept.commit();
  expect(deliveries()).toBe(0);
});

it("what an operator deletes out of a queue leaves the store too, and is not there again after a crash", async () => {
  const { kept, site, connected } = open();
  const reader = await connected("r", true);
  reader.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos: 1 }] });
  await kept.commit();
  reader.stream.drop();
  const before = kept.engine.records;
  site.world.publish("a", "x", { qos: 1 });
  await kept.commit();
  expect(kept.engine.records).toBeGreaterThan(before);
  const clients = new Clients(site.world.core, site.world.gateways);
  const [message] = clients.queue("mqtt", "r") ?? [];
  expect(clients.deleteWaiting("mqtt", "r", message!.id)).toEqual({ ok: true });
  await kept.commit();
  expect(kept.engine.records).toBe(before);
});
