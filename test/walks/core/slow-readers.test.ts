import { describe, expect, it } from "vitest";
import { Message } from "#core/bus/message.ts";
import { SLAB_SIZES } from "#core/lib/slabs.ts";
import { mqttSite } from "../../support/mqtt-device.ts";
import type { World } from "../../support/world.ts";

const CAPACITY = 10_000;
/** What is written at once, however little the reader takes. */
const LARGEST_WRITE = SLAB_SIZES.at(-1)!;

const retain = (world: World, count: number): void => {
  for (let index = 0; index < count; index++) {
    world.bus.retainedMessages.restore(
      new Message(`t/${index}`, new Uint8Array(100), 0, true, world.now, undefined, undefined),
    );
  }
};
const subscribe = { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "#", qos: 0 }] };

describe("a reader that does not read", () => {
  it.each([1, 10])(
    "is sent no more retained messages than its connection takes, of %i SUBSCRIBEs",
    (times) => {
      const site = mqttSite();
      retain(site.world, 3_000);
      const reader = site.device(4);
      reader.connect("reader");
      reader.stream.capacity = CAPACITY;
      const asks = Array.from({ length: times }, () => reader.encode(subscribe));
      reader.stream.send(Buffer.concat(asks));
      const sent = reader.stream.written.reduce((sum, { length }) => sum + length, 0);
      expect(sent).toBeGreaterThan(CAPACITY);
      expect(sent).toBeLessThan(CAPACITY + 2 * LARGEST_WRITE);
      // It reads again: all of them, in order, each once behind the last SUBACK.
      const got: unknown[] = [];
      for (let packets = reader.take(); packets.length > 0; packets = reader.take()) {
        for (const { cmd, topic } of packets) if (cmd === "publish") got.push(topic);
      }
      expect(got.slice(-3_000)).toEqual(Array.from({ length: 3_000 }, (_, index) => `t/${index}`));
    },
  );

  it("is sent no more of what has waited for it than its connection takes", () => {
    const site = mqttSite(
      {},
      { session: { queueQos0: true, queue: { messages: 3_000, bytes: 1e9, drop: "oldest" } } },
    );
    const connect = { cmd: "connect", protocolId: "MQTT", protocolVersion: 4, clientId: "r", clean: false };
    const before = site.device(4);
    before.send(connect, subscribe);
    before.stream.drop();
    for (let index = 0; index < 3_000; index++) site.world.publish(`t/${index}`, new Uint8Array(100));
    const reader = site.device(4);
    reader.stream.capacity = CAPACITY;
    reader.stream.send(reader.encode(connect));
    const sent = reader.stream.written.reduce((sum, { length }) => sum + length, 0);
    expect(sent).toBeGreaterThan(CAPACITY);
    expect(sent).toBeLessThan(CAPACITY + 2 * LARGEST_WRITE);
    const got: unknown[] = [];
    for (let packets = reader.take(); packets.length > 0; packets = reader.take()) {
      for (const { cmd, topic } of packets) if (cmd === "publish") got.push(topic);
    }
    expect(got).toEqual(Array.from({ length: 3_000 }, (_, index) => `t/${index}`));
  });

  it("holds nothing up that it has sent itself, once its connection has broken, and is sent nothing more", () => {
    const site = mqttSite();
    const heard = site.world.listen("said");
    const reader = site.device(4);
    reader.connect("reader");
    reader.send(subscribe);
    reader.stream.capacity = CAPACITY;
    const before = site.device(4);
    before.connect("writer");
    while (!reader.stream.readingPaused) before.publish("much", "x".repeat(1_000));
    for (const text of ["1", "2"]) {
      reader.stream.send(reader.encode({ cmd: "publish", topic: "said", payload: text, qos: 0 }));
    }
    expect(heard).toEqual([]);
    const sent = reader.stream.written.length;
    reader.stream.reset();
    expect(heard.map(({ payload }) => String(Buffer.from(payload)))).toEqual(["1", "2"]);
    expect([reader.stream.written.length - sent, site.listener.loops().length]).toEqual([0, 1]);
  });
});
