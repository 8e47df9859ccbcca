import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decode } from "#gateways/mqtt-sn/codec.ts";
import { encode, encodePublish } from "#gateways/mqtt-sn/encode.ts";
import { ENCAPSULATED, type Packet } from "#gateways/mqtt-sn/packets.ts";

interface Vector {
  readonly name: string;
  readonly clause: string;
  readonly bytes: string;
  readonly value: Record<string, unknown>;
}
const load = (file: string): readonly Vector[] =>
  JSON.parse(readFileSync(new URL(`../../vectors/mqtt-sn/${file}`, import.meta.url), "utf8"));

const fromHex = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const packetOf = (vector: Vector): Packet =>
  Object.fromEntries(
    Object.entries(vector.value).map(([name, value]) => {
      if (value === null) return [name, undefined];
      return typeof value === "string" ? [name, fromHex(value.slice("hex:".length))] : [name, value];
    }),
  ) as unknown as Packet;

/** Bytes compare by content, whatever memory they are views of. */
const plain = (packet: Packet): unknown =>
  Object.fromEntries(
    Object.entries(packet).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value,
    ]),
  );
const longForm = (bytes: Uint8Array): Uint8Array =>
  Uint8Array.of(1, (bytes.length + 2) >> 8, (bytes.length + 2) & 0xff, ...bytes.subarray(1));

describe.each(load("packets.json"))("MQTT-SN 1.2 §$clause: $name", (vector) => {
  const bytes = fromHex(vector.bytes);
  const value = packetOf(vector);

  it("decodes", () => {
    const decoded = decode(bytes);
    expect(decoded.ok && plain(decoded.value)).toEqual(plain(value));
  });
  it("encodes", () => expect(Buffer.from(encode(value))).toEqual(Buffer.from(bytes)));
  it("is malformed when cut anywhere (F3)", () => {
    for (let length = 0; length < bytes.length; length++) {
      const cut = decode(bytes.subarray(0, length));
      // The message inside has its own length, which its own decoder checks (F6).
      const insideCut = cut.ok && cut.value.type === ENCAPSULATED && !decode(cut.value.message).ok;
      expect(!cut.ok || insideCut, `${length} octets`).toBe(true);
    }
  });
});

// An encapsulated message has no three-octet form (MQTT-SN 1.2 §5.5).
describe.each(load("packets.json").filter(({ value }) => value["type"] !== ENCAPSULATED))(
  "F2 MQTT-SN 1.2 §5.2.1: $name",
  (vector) => {
    it("decodes alike with a three-octet length", () => {
      const decoded = decode(longForm(fromHex(vector.bytes)));
      expect(decoded.ok && plain(decoded.value)).toEqual(plain(packetOf(vector)));
    });
  },
);

describe.each(load("malformed.json"))("MQTT-SN 1.2 §$clause: $name", (vector) => {
  it("is refused with that clause", () => {
    const decoded = decode(fromHex(vector.bytes));
    expect(decoded.ok).toBe(false);
    if (!decoded.ok) expect(decoded.error.clause).toContain(`MQTT-SN 1.2 §${vector.clause}`);
  });
});

describe("MQTT-SN 1.2 §5.2.1, length", () => {
  it("F2 sends one octet up to 255 and three above", () => {
    const short = encodePublish(false, 0, false, 0, 1, 0, new Uint8Array(248));
    expect([short.length, short[0], short[1]]).toEqual([255, 255, 0x0c]);
    const long = encodePublish(false, 0, false, 0, 1, 0, new Uint8Array(249));
    expect([long.length, ...long.subarray(0, 4)]).toEqual([258, 1, 1, 2, 0x0c]);
  });
  it("F1 reads a message of 65,535 octets", () => {
    const whole = encodePublish(false, 1, false, 0, 1, 7, new Uint8Array(65_526).fill(7));
    expect(whole.length).toBe(65_535);
    const decoded = decode(whole);
    expect(decoded.ok && decoded.value.type === 0x0c && decoded.value.payload.length).toBe(65_526);
  });
  it("F6 refuses a node id over 64 octets and takes one of 64", () => {
    const inside = [2, 0x16];
    const node = (length: number) =>
      Uint8Array.of(3 + length, 0xfe, 0, ...new Uint8Array(length).fill(9), ...inside);
    expect(decode(node(64)).ok).toBe(true);
    expect(decode(node(65)).ok).toBe(false);
  });
  it("F5 ignores flags that do not count for the message", () => {
    const decoded = decode(Uint8Array.of(7, 0x04, 0xf7, 1, 0, 1, 0x61));
    expect(decoded.ok && decoded.value).toMatchObject({ will: false, cleanSession: true });
    const unsubscribe = decode(Uint8Array.of(6, 0x14, 0xf0, 0, 1, 0x61));
    expect(unsubscribe.ok && unsubscribe.value).toMatchObject({ qos: 0, duplicate: false });
  });
});
