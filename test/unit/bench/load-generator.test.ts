import { generate, type IPublishPacket, type Packet, parser } from "mqtt-packet";
import { describe, expect, test } from "vitest";
import {
  encodeConnect,
  encodePublish,
  encodeSubscribe,
  Frames,
  PublishRing,
} from "../../bench/mqtt/wire.mjs";

function parsed(bytes: Uint8Array, protocolVersion: 4 | 5): Packet {
  const packets: Packet[] = [];
  const reader = parser({ protocolVersion });
  reader.on("packet", (packet: Packet) => packets.push(packet));
  reader.parse(Buffer.from(bytes));
  expect(packets).toHaveLength(1);
  return packets[0] as Packet;
}

describe("what the generator sends is MQTT", () => {
  test.each([4, 5] as const)("CONNECT at protocol level %i", (version) => {
    expect(parsed(encodeConnect("p.1-2", version), version)).toMatchObject({
      cmd: "connect",
      protocolVersion: version,
      clean: true,
      clientId: "p.1-2",
    });
  });

  test.each([4, 5] as const)("SUBSCRIBE at protocol level %i", (version) => {
    expect(parsed(encodeSubscribe("a/+/b", 1, version), version)).toMatchObject({
      cmd: "subscribe",
      messageId: 1,
      subscriptions: [{ topic: "a/+/b", qos: 1 }],
    });
  });

  test.each([0, 1, 2] as const)("PUBLISH at QoS %i, short and long", (qos) => {
    for (const length of [0, 64, 1024, 20_000]) {
      for (const version of [4, 5] as const) {
        const payload = Buffer.alloc(length, "x");
        const packet = parsed(encodePublish("a/b", qos, 777, payload, version), version) as IPublishPacket;
        expect(packet).toMatchObject({ cmd: "publish", topic: "a/b", qos, payload });
        if (qos > 0) expect(packet.messageId).toBe(777);
      }
    }
  });
});

test("a ring sends its frames in order, over its end, and never an incomplete one", () => {
  const ring = new PublishRing("a", 1, Buffer.from("x"), 4, 5);
  const written: Buffer[] = [];
  const socket = { write: (bytes: Buffer) => written.push(Buffer.from(bytes)) } as never;
  for (const count of [3, 4, 1]) ring.send(socket, count);
  const ids: number[] = [];
  const reader = parser();
  reader.on("packet", (packet: Packet) => ids.push(packet.messageId ?? 0));
  reader.parse(Buffer.concat(written));
  expect(ids).toEqual([1, 2, 3, 4, 5, 1, 2, 3]);
});

test("frames are found wherever the stream is cut", () => {
  const packets: Packet[] = [
    { cmd: "puback", messageId: 7 },
    {
      cmd: "publish",
      topic: "t",
      payload: Buffer.alloc(300, "y"),
      qos: 1,
      messageId: 9,
      dup: false,
      retain: false,
    },
    { cmd: "pingresp" },
    { cmd: "pubrel", messageId: 3 },
  ];
  const bytes = Buffer.concat(packets.map((packet) => generate(packet)));
  const whole = packets.map((packet) => generate(packet).toString("hex"));
  for (let first = 0; first <= bytes.length; first++) {
    for (const second of [first, first + 1, first + 2, first + 3, bytes.length]) {
      const found: string[] = [];
      const frames = new Frames((from: Buffer, at: number, length: number) =>
        found.push(from.toString("hex", at, at + length)),
      );
      const cuts = [0, first, Math.min(second, bytes.length), bytes.length];
      for (let i = 0; i < 3; i++) {
        const chunk = Buffer.from(bytes.subarray(cuts[i], cuts[i + 1]));
        frames.feed(chunk, chunk.length);
      }
      expect(found).toEqual(whole);
    }
  }
});
