import { describe, expect, it } from "vitest";
import { Message } from "#core/bus/message.ts";
import { type Instant, seconds } from "#core/lib/time.ts";
import { encodeConnect } from "#core/mqtt/codec/encode-connect.ts";
import { encodeSharedPublish, publishHeader } from "#core/mqtt/codec/encode-publish.ts";
import { encodeUnsubscribe } from "#core/mqtt/codec/encode-subscribe.ts";
import { frame, readFixedHeader } from "#core/mqtt/codec/fixed-header.ts";
import { Reader } from "#core/mqtt/codec/reader.ts";
import { decodeText, writeText } from "#core/mqtt/codec/text.ts";
import { TopicCache } from "#core/mqtt/codec/topic-cache.ts";
import { UnfinishedPacket } from "#core/mqtt/codec/unfinished-packet.ts";
import { Writer } from "#core/mqtt/codec/writer.ts";
import { PROPERTY_RULES } from "#core/mqtt/properties.ts";
import { decodeServerPacket } from "../../support/mqtt-client-codec.ts";

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const shared = (...form: Parameters<typeof encodeSharedPublish>) =>
  encodeSharedPublish(...form) ?? new Uint8Array(0);
const NOW = 1_000_000 as Instant;

describe("a UTF-8 string", () => {
  it.each([
    ["an ASCII string", "61 62", "ab"],
    ["text beyond ASCII", "c3a9 f09d849e", "é𝄞"],
    ["a byte order mark, which is kept [MQTT-1.5.4-3]", "efbbbf 61", "\ufeffa"],
    ["the highest code point", "f48fbfbf", "\u{10ffff}"],
    ["a control character, which is allowed", "01 7f", "\u0001\u007f"],
    ["an overlong form", "c080", undefined],
    ["a surrogate [MQTT-1.5.4-1]", "edbfbf", undefined],
    ["a code point that there is not", "f4908080", undefined],
    ["a cut-off character", "61 c3", undefined],
    ["NUL [MQTT-1.5.4-2]", "61 00 62", undefined],
    ["NUL behind text beyond ASCII [MQTT-1.5.4-2]", "c3a9 00", undefined],
  ])("is read strictly: %s", (_what, hex, expected) => {
    const bytes = bytesOf(`ff ${hex} ff`);
    expect(decodeText(bytes, 1, bytes.length - 1)).toBe(expected);
  });

  it.each(["", "plain", "Gerät", "x".repeat(100), "𝄞".repeat(50), "a\ufeff"])(
    "is written as UTF-8: %s",
    (text) => {
      const bytes = new Uint8Array(500);
      const end = writeText(bytes, 3, text);
      const encoded = Buffer.from(text);
      expect(hexOf(bytes.subarray(3, end))).toBe(
        `00${encoded.length.toString(16).padStart(2, "0")}${hexOf(encoded)}`,
      );
    },
  );
});

describe("a variable byte integer (MQTT 5 §1.5.5, Table 1-1)", () => {
  it.each([
    ["00", 0],
    ["7f", 127],
    ["8001", 128],
    ["ff7f", 16_383],
    ["808001", 16_384],
    ["ffff7f", 2_097_151],
    ["80808001", 2_097_152],
    ["ffffff7f", 268_435_455],
  ])("%s is %i, both ways", (hex, value) => {
    const bytes = bytesOf(hex);
    expect(new Reader(bytes, 0, 0, bytes.length, 1).variable()).toBe(value);
    const writer = new Writer();
    writer.begin();
    writer.variable(value);
    expect(hexOf(writer.finish(0xc0)).slice(4)).toBe(hex);
  });

  it.each(["8000", "80808000", "8080808001", "80", "ffffff"])("%s is none", (hex) => {
    const bytes = bytesOf(hex);
    const reader = new Reader(bytes, 0, 0, bytes.length, 1);
    reader.variable();
    expect(reader.error).toMatchObject({ code: 0x81 });
    expect(reader.done).toBe(true);
  });
});

describe("a fixed header", () => {
  it("is refused by what it announces, before the rest is there", () => {
    expect(readFixedHeader(bytesOf("30 ff7f"), 0, 16_385)).toMatchObject({ code: 0x95 });
    expect(readFixedHeader(bytesOf("30 ff7f"), 0, 16_386)).toBe("incomplete");
  });

  it("has a remaining length of four octets at most", () => {
    expect(readFixedHeader(bytesOf("30 ffffff"), 0, 1e9)).toBe("incomplete");
    expect(readFixedHeader(bytesOf("30 ffffff ff"), 0, 1e9)).toMatchObject({ code: 0x81 });
  });

  it("says where its packet lies", () => {
    expect(readFixedHeader(bytesOf("00 30 02 aabb cc"), 1, 100)).toBe("whole");
    expect(frame).toEqual({ body: 3, end: 5 });
  });
});

describe("an unfinished packet", () => {
  it("takes memory for what has arrived, not for what was announced", () => {
    const announced = bytesOf("30 ffff7f 0001 61");
    const unfinished = new UnfinishedPacket(1e9, NOW, seconds(1));
    expect(unfinished.append(announced, 0)).toMatchObject({ state: "incomplete" });
    expect(unfinished.bytes.buffer.byteLength).toBeLessThanOrEqual(256);
    for (let sent = announced.length; sent < 100_000; sent += 10_000) {
      unfinished.append(new Uint8Array(10_000), 0);
      expect(unfinished.bytes.buffer.byteLength).toBeLessThanOrEqual(2 * (sent + 10_000) + 256);
    }
  });
});

describe("the topic cache", () => {
  const read = (cache: TopicCache, topic: string, around = "..") => {
    const bytes = Buffer.from(`${around}${topic}${around}`);
    return cache.read(bytes, around.length, bytes.length - around.length);
  };

  it("returns what stands there, whatever stood there before", () => {
    const cache = new TopicCache();
    for (const topic of ["a/b", "a/b", "a/c", "a/bc", "a", "é/1", "é/1", "é/2", "x".repeat(300), "a/b"]) {
      expect(read(cache, topic)).toBe(topic);
    }
  });

  it("refuses wildcards and NUL, also right behind a good topic of that length", () => {
    const cache = new TopicCache();
    expect(read(cache, "a/b")).toBe("a/b");
    for (const bad of ["a/+", "a/#", "a/\0", "#"]) expect(read(cache, bad)).toBeUndefined();
    expect(read(cache, "a/b")).toBe("a/b");
  });
});

describe("the packet writer", () => {
  it("grows, and its views are of the packet written last", () => {
    const writer = new Writer();
    for (const size of [10, 100_000, 10, 300_000, 10]) {
      const payload = new Uint8Array(size).fill(size & 0xff);
      writer.begin();
      writer.string("a/b");
      writer.raw(payload);
      const packet = writer.finish(0x30);
      expect(packet.length).toBe(1 + (size + 5 < 128 ? 1 : 3) + 5 + size);
      expect(hexOf(packet.subarray(-size))).toBe(hexOf(payload));
    }
  });

  it("puts a length in front of what is written already, of any size", () => {
    for (const size of [0, 127, 128, 16_383, 16_384]) {
      const writer = new Writer();
      writer.begin();
      writer.uint16(0x1234);
      const mark = writer.length;
      writer.raw(new Uint8Array(size).fill(0xaa));
      writer.prefixLength(mark);
      const packet = writer.finish(0);
      const reader = new Reader(packet, 0, packet.length - writer.length, packet.length, 1);
      expect(reader.uint16()).toBe(0x1234);
      expect(reader.variable()).toBe(size);
      expect(packet.length - reader.at).toBe(size);
    }
  });
});

describe("a PUBLISH for many", () => {
  const message = (topic: string, payload: string, expiry?: number) =>
    new Message(
      ...([topic, Buffer.from(payload), 1, false, NOW, undefined] as const),
      expiry === undefined ? undefined : seconds(expiry),
    );

  it("differs by flags, identifier and what is left of its life only", () => {
    const one = message("a", "x", 100);
    const first = hexOf(shared(5, one, "a", publishHeader(1, false, false), 1, NOW));
    const later = (NOW + 30_500) as Instant;
    const second = hexOf(shared(5, one, "a", publishHeader(2, true, true), 0xabcd, later));
    expect(first).toBe("320c0001610001050200000064".concat("78"));
    expect(second).toBe("3d0c000161abcd050200000046".concat("78"));
  });

  it("is written anew for another message, topic or version, in any order", () => {
    const one = message("a", "1");
    const two = message("a", "22");
    const header = publishHeader(0, false, false);
    const hex = (version: 4 | 5, which: Message, topic: string) =>
      hexOf(shared(version, which, topic, header, 0, NOW));
    for (let round = 0; round < 2; round++) {
      expect(hex(4, one, "a")).toBe("300400016131");
      expect(hex(4, two, "a")).toBe("30050001613232");
      expect(hex(5, two, "a")).toBe("3006000161003232");
      expect(hex(4, two, "bc")).toBe("3006000262633232");
      expect(hex(4, one, "bc")).toBe("30050002626331");
    }
  });

  it("is right again after one that could not be written", () => {
    const good = message("good", "1");
    const header = publishHeader(0, false, false);
    const encode = (which: Message) => hexOf(shared(4, which, which.topic, header, 0, NOW));
    const before = encode(good);
    expect(encode(message("x".repeat(65_536), "2"))).toBe("");
    expect(encode(message("é".repeat(32_768), "2"))).toBe("");
    expect(encode(message("x".repeat(65_535), "2"))).not.toBe("");
    expect(encode(good)).toBe(before);
    expect(encode(message("good", "1"))).toBe(before);
  });

  it("tells a life that is over as 0 seconds, never as a large number", () => {
    const over = shared(5, message("a", "", 1), "a", 0x32, 1, (NOW + 5000) as Instant);
    expect(hexOf(over)).toBe("320b0001610001050200000000");
  });
});

describe("the table of properties (MQTT 5 Table 2-4)", () => {
  it("has each identifier and each name once, and all 27 of them", () => {
    expect(new Set(PROPERTY_RULES.map(({ id }) => id)).size).toBe(27);
    expect(new Set(PROPERTY_RULES.map(({ name }) => name)).size).toBe(27);
  });
});

describe("what a server may not send", () => {
  const error = (hex: string, version: 3 | 4 | 5) => {
    const decoded = decodeServerPacket(bytesOf(hex), version);
    return "error" in decoded ? `${decoded.error.clause} at ${decoded.error.at}` : decoded.packet;
  };

  it.each([
    ["a reserved flag of CONNACK", 4, "20 02 02 00", "[MQTT-3.2.2-1] at 4"],
    ["a session with a refusal (MQTT 3.1.1)", 4, "20 02 01 05", "[MQTT-3.2.2-6] at 4"],
    ["a session with a refusal (MQTT 5)", 5, "20 03 01 87 00", "[MQTT-3.2.2-6] at 5"],
    ["octets behind CONNACK", 4, "20 03 00 00 00", "MQTT 5 §2.1.4 at 4"],
    ["CONNACK without properties that accepts", 5, "20 02 00 00", "MQTT 5 §2.1.4 at 4"],
    ["a CONNACK reason that is none", 5, "20 03 00 10 00", "MQTT 5 §3.2.2.2 at 5"],
    ["a property of CONNECT in CONNACK", 5, "20 05 00 00 02 17 01", "MQTT 5 §2.2.2.2 at 6"],
    ["Receive Maximum 0", 5, "20 06 00 00 03 21 00 00", "MQTT 5 §2.2.2.2 at 8"],
    ["a session expiry in DISCONNECT [MQTT-3.14.2-2]", 5, "e0 07 00 05 11 00000001", "MQTT 5 §2.2.2.2 at 5"],
    ["a code that SUBACK has not", 5, "90 04 0001 00 03", "[MQTT-3.9.3-2] at 6"],
    ["a code of MQTT 5 in SUBACK of 3.1.1", 4, "90 03 0001 87", "[MQTT-3.9.3-2] at 5"],
    ["SUBACK without a code", 4, "90 02 0001", "MQTT 5 §3.9.3 at 4"],
    ["a code that UNSUBACK has not", 5, "b0 04 0001 00 01", "[MQTT-3.11.3-2] at 6"],
    ["octets behind UNSUBACK", 4, "b0 03 0001 00", "MQTT 3.1.1 §3.11 at 4"],
    ["packet identifier 0", 4, "b0 02 0000", "[MQTT-2.2.1-3] at 4"],
  ] as const)("is found: %s", (_what, version, hex, expected) => {
    expect(error(hex, version)).toBe(expected);
  });

  it("is not what a server says that knows no MQTT 5: two octets and a return code (MQTT 5 §3.2.2.2)", () => {
    const packet = { cmd: "connack", sessionPresent: false, reasonCode: 0x84 };
    expect(error("20 02 00 01", 5)).toEqual(packet);
    expect(error("20 02 00 85", 5)).toEqual({ ...packet, reasonCode: 0x85 });
  });

  it("is not an octet that MQTT 3.1 reserves", () => {
    expect(error("20 02 ff 00", 3)).toEqual({ cmd: "connack", sessionPresent: false, returnCode: 0 });
  });
});

describe("the client's packets", () => {
  it("are not written with a field that is longer than MQTT can say (MQTT 5 §1.5.4)", () => {
    const long = "x".repeat(65_536);
    const properties = {};
    const connect = { version: 4, bridge: false, clientId: long, cleanStart: true, keepAlive: 0 } as const;
    const nobody = { properties, will: undefined, username: undefined, password: undefined };
    expect(encodeConnect({ ...connect, ...nobody })).toBeUndefined();
    expect(encodeConnect({ ...connect, ...nobody, clientId: long.slice(1) })).toHaveLength(65_551);
    expect(encodeUnsubscribe({ packetId: 1, properties, filters: [long] }, 4)).toBeUndefined();
  });

  it("tell the broker that this is a bridge in the highest bit of the level", () => {
    const bytes = encodeConnect({
      version: 4,
      bridge: true,
      clientId: "b",
      cleanStart: false,
      keepAlive: 60,
      properties: {},
      will: undefined,
      username: undefined,
      password: undefined,
    });
    expect(hexOf(bytes!)).toBe("100d00044d51545484 00 003c 000162".replaceAll(" ", ""));
  });
});
