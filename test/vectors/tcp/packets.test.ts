import { describe, expect, it } from "vitest";
import { decode, encodeConnack, encodeData, packetFraming } from "#gateways/tcp/codec.ts";
import { FrameStream } from "#gateways/tcp/frame-stream.ts";
import type { AckCode, Packet } from "#gateways/tcp/packets.ts";
import vectors from "./packets.json" with { type: "json" };

const octets = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex");

/** Octets in hexadecimal and absent fields left out, as in the vectors. */
const shown = (packet: Packet): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(packet)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [
        name,
        value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value,
      ]),
  );

/** What a stream says that comes in chunks of this size. */
function read(bytes: Uint8Array, size: number): { packets: Record<string, unknown>[]; error?: string } {
  const frames = new FrameStream(packetFraming, 70_000);
  const packets: Record<string, unknown>[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    frames.push(bytes.slice(at, at + size));
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
      if (!(frame instanceof Uint8Array)) return { packets, error: frame.error.problem };
      const packet = decode(frame);
      if (!packet.ok) return { packets, error: packet.error.problem };
      packets.push(shown(packet.value));
    }
    frames.hold();
  }
  return { packets };
}

describe.each(vectors)("$name ($clause)", ({ hex, packet, error }) => {
  const bytes = octets(hex);

  it.each([1, 2, 3, 1000])("is read from chunks of %i octets", (size) => {
    const { packets, error: problem } = read(bytes, size);
    if (error === undefined) expect({ packets, problem }).toEqual({ packets: [packet], problem: undefined });
    else expect(problem).toContain(error);
  });

  it("is no packet while it is cut short", () => {
    for (let length = 0; length < bytes.length; length++) {
      const { packets } = read(bytes.subarray(0, length), 1000);
      expect(packets, `${length} octets`).toEqual([]);
    }
  });
});

describe("what the gateway writes", () => {
  it("equals the manual's examples", () => {
    expect(Buffer.from(encodeConnack(0, "Connect Successfully"))).toEqual(
      octets("20 0014 436f6e6e656374205375636365737366756c6c79"),
    );
    expect(Buffer.from(encodeConnack(1 as AckCode, ""))).toEqual(octets("21 0000"));
    expect(encodeData(Buffer.from("abcc"))).toEqual(new Uint8Array(octets("30 0004 61626363")));
  });

  it("carries 65,535 octets and no more", () => {
    expect(encodeData(new Uint8Array(65_535))?.length).toBe(65_538);
    expect(encodeData(new Uint8Array(65_536))).toBeUndefined();
  });
});
