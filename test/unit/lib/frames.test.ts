import { describe, expect, it } from "vitest";
import { FrameWatch, type Framing } from "#core/lib/frames.ts";

/** A length of two octets with its own, and a message of 100 at most. */
const FRAMING: Framing = {
  head: 2,
  lengthOf(head) {
    const length = head.readUInt16BE(0);
    return length >= 2 && length <= 100 ? length : undefined;
  },
};
const message = (length: number): Buffer => {
  const octets = Buffer.alloc(length, 0xff);
  octets.writeUInt16BE(length, 0);
  return octets;
};

describe("messages of a stream", () => {
  const stream = Buffer.concat([message(2), message(100), message(3), message(2)]);

  it("pass, wherever the stream is cut", () => {
    for (let first = 0; first <= stream.length; first++)
      for (let second = first; second <= stream.length; second += 7) {
        const watch = new FrameWatch(FRAMING);
        const parts = [
          stream.subarray(0, first),
          stream.subarray(first, second),
          Buffer.from(stream.subarray(second)),
        ];
        expect(parts.every((part) => watch.passes(part))).toBe(true);
      }
  });

  it("do not pass when one of them is too short or too long, also when its head comes by the octet", () => {
    for (const bad of [0, 1, 101]) {
      const watch = new FrameWatch(FRAMING);
      expect(watch.passes(stream)).toBe(true);
      const head = message(Math.max(2, bad));
      head.writeUInt16BE(bad, 0);
      expect(watch.passes(head.subarray(0, 1))).toBe(true);
      expect(watch.passes(head.subarray(1, 2))).toBe(false);
    }
  });
});
