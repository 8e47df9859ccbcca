/**
 * Back-pressure over all gateways: what is published at QoS 1 or 2, in one go or as each acknowledgement comes, arrives
 * whole at a connected subscriber that reads, however short its queue is.
 */
import mqttPacket from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { seconds, ZERO } from "#core/lib/time.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";
import { frame as coapFrame, frames as coapFrames } from "../../support/coap-stream.ts";
import { mqttSite } from "../../support/mqtt-device.ts";
import { snWorld } from "../../support/mqtt-sn-device.ts";
import { Puppets } from "../../support/puppet.ts";
import { stompListener } from "../../support/stomp-client.ts";
import { frame as stompFrame } from "../../support/stomp-frames.ts";
import { World } from "../../support/world.ts";

const COUNT = 600;
const OPTIONS = {
  session: { queue: { messages: 50, bytes: 1 << 20, drop: "oldest", wait: seconds(2) } },
} as const;
const numbers = Array.from({ length: COUNT }, (_, index) => String(index));

/** A reader that acknowledges what it has a little later. */
function reader(world: World) {
  const puppets = new Puppets();
  const listener = world.streams("puppet", puppets);
  listener.connect();
  const puppet = puppets.last;
  const client = puppet.connect("reader", { credit: 10 });
  client.subscribe("heard", { qos: 2 }, 1);
  world.settle();
  let settled = 0;
  const read = (most = Number.POSITIVE_INFINITY): number => {
    let count = 0;
    while (count < most && settled < puppet.delivered.length) {
      const { client, delivery } = puppet.delivered[settled++]!;
      client.settle(delivery.id, "done");
      world.settle();
      count++;
    }
    world.advance(1 as never);
    return count;
  };
  const readAll = (): string[] => {
    for (let idle = 0; idle < 3; ) idle = read() === 0 ? idle + 1 : 0;
    return puppet.delivered.map(({ delivery }) => Buffer.from(delivery.message.payload).toString());
  };
  return { read, readAll };
}

const mqtt = (version: 4 | 5, qos: 1 | 2) =>
  Buffer.concat(
    [
      { cmd: "connect", protocolId: "MQTT", protocolVersion: version, clientId: "p", clean: true },
      ...numbers.map((payload, index) => ({
        cmd: "publish",
        topic: "heard",
        payload: Buffer.from(payload),
        qos,
        messageId: index + 1,
      })),
      { cmd: "disconnect" },
    ].map((packet) => mqttPacket.generate(packet as never, { protocolVersion: version } as never)),
  );

const IN_ONE_GO = {
  "MQTT 3.1.1 at QoS 1": () => ({ ...mqttSite({}, OPTIONS), bytes: mqtt(4, 1) }),
  "MQTT 3.1.1 at QoS 2": () => ({
    ...mqttSite({}, { ...OPTIONS, session: { ...OPTIONS.session, inboundMax: 65_535 } }),
    bytes: mqtt(4, 2),
  }),
  "MQTT 5 at QoS 1": () => ({ ...mqttSite({}, OPTIONS), bytes: mqtt(5, 1) }),
  STOMP: () => {
    const world = new World(OPTIONS);
    const bytes = Buffer.concat([
      stompFrame("CONNECT", { "accept-version": "1.2", host: "x" }),
      ...numbers.map((body) => stompFrame("SEND", { destination: "heard", qos: "1", receipt: body }, body)),
      stompFrame("DISCONNECT", {}),
    ]);
    return { world, listener: stompListener(world), bytes };
  },
};

describe.each(Object.entries(IN_ONE_GO))("%s", (_name, open) => {
  it("arrives whole and in order at a reader with a short queue, though all of it was sent in one go", () => {
    const { world, listener, bytes } = open();
    const { readAll } = reader(world);
    const stream = listener.connect();
    stream.send(bytes);
    expect(readAll()).toEqual(numbers);
    expect(world.sessionCounters.droppedFull.value).toBe(0);
    expect(world.sessionCounters.publishersWaited.value).toBeGreaterThan(0);
  });
});

describe("a device that waits for each acknowledgement", () => {
  it("of MQTT-SN gets PUBACK when the reader has caught up", () => {
    const { world, device } = snWorld({ unprovenFactor: 0 }, OPTIONS);
    const { read, readAll } = reader(world);
    const sensor = device();
    sensor.connect("s", { keepAlive: 3600 });
    sensor.register("heard");
    let late = 0;
    numbers.forEach((payload, index) => {
      let heard = sensor.publish(1, payload, { qos: 1, id: index + 1 });
      if (heard.length === 0) late++;
      for (; heard.length === 0; heard = sensor.hear()) read(5);
      expect(heard).toEqual([`PUBACK 1 #${index + 1} code 0`]);
    });
    expect(readAll()).toEqual(numbers);
    expect(late).toBeGreaterThan(0);
    expect(world.sessionCounters.droppedFull.value).toBe(0);
  });

  it("of CoAP gets its response when the reader has caught up (RFC 7252 §5.2.2)", () => {
    const { world, network } = pubsubWorld({}, OPTIONS);
    const { read, readAll } = reader(world);
    const sensor = new CoapDevice(network);
    let late = 0;
    numbers.forEach((payload) => {
      sensor.send({ code: "PUT", path: "ps/heard", payload, token: "t" });
      let heard = sensor.take();
      if (!heard.some(({ code }) => code !== "0.00")) late++;
      for (; !heard.some(({ code }) => code !== "0.00"); heard = sensor.take()) read(5);
      const response = heard.find(({ code }) => code !== "0.00")!;
      expect(response.code).toMatch(/^2\.0/);
      if (response.type === "CON") sensor.acknowledge(response.id);
    });
    expect(readAll()).toEqual(numbers);
    expect(late).toBeGreaterThan(0);
  });
});

describe("CoAP over TCP", () => {
  it("answers each of many requests sent in one go: what arrived by 2.xx, what was too much at a time by 4.29 (RFC 8516)", () => {
    const { world, streams } = pubsubWorld({}, OPTIONS);
    const { readAll } = reader(world);
    const put = (payload: string) =>
      coapFrame({
        code: "0.03",
        token: payload,
        options: [
          [11, "ps"],
          [11, "heard"],
          [15, "qos=1"],
        ],
        payload,
      });
    const stream = streams().connect();
    stream.send(Buffer.concat([coapFrame({ code: "7.01" }), ...numbers.map(put)]));
    const arrived = readAll();
    const answers = coapFrames(stream.takeBytes()).filter(({ code }) => !code.startsWith("7."));
    expect(answers.filter(({ code }) => code === "4.29").length).toBe(COUNT - arrived.length);
    const done = answers.filter(({ code }) => code.startsWith("2."));
    expect(done.map(({ token }) => Number(token)).sort((a, b) => a - b)).toEqual(arrived.map(Number));
    expect(arrived.length).toBeGreaterThanOrEqual(64);
    expect(world.sessionCounters.droppedFull.value).toBe(0);
  });
});

describe("an MQTT 5 publisher", () => {
  it("is told 0x97 by setting when a queue is full, and nobody gets that message (MQTT 5 §3.4.2.1)", () => {
    const { world, device } = mqttSite(
      { fullQueue: "refuse" },
      { session: { queue: { ...OPTIONS.session.queue, wait: ZERO } } },
    );
    const heard = world.listen("heard");
    const puppets = new Puppets();
    world.streams("puppet", puppets).connect();
    const slow = puppets.last.connect("slow", { credit: 1 });
    slow.subscribe("heard", { qos: 1 }, 1);
    world.settle();
    const publisher = device(5);
    publisher.connect("p");
    const answers = numbers
      .slice(0, 60)
      .map((payload, index) => publisher.publish("heard", payload, { qos: 1, messageId: index + 1 }));
    const told = answers.flat().filter((packet) => packet["reasonCode"] === 0x97);
    expect(told.length).toBe(9);
    expect(heard.length).toBe(51);
    expect(world.sessionCounters.droppedFull.value).toBe(0);
    // Of MQTT 3.1.1, which has no code for it, the message is accepted and the queue drops.
    const old = device(4);
    old.connect("o");
    old.publish("heard", "x", { qos: 1, messageId: 1 });
    expect(heard.length).toBe(52);
  });
});
