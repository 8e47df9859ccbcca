import type { PacketError, ProtocolVersion } from "../packets.ts";
import { ReasonCode } from "../reason-codes.ts";

/** Where the packet lies that `readFixedHeader` has found whole. One object for all: nothing keeps it. */
export const frame = { body: 0, end: 0 };

const OVERLONG: PacketError = {
  code: ReasonCode.malformedPacket,
  clause: "MQTT 5 §1.5.5",
  at: 4,
  problem: "remaining length of more than four octets",
};

export const tooLarge = (size: number, limit: number): PacketError => ({
  code: ReasonCode.packetTooLarge,
  clause: "MQTT 5 §3.2.2.3.6",
  at: 1,
  problem: `packet of ${size} bytes, ${limit} are allowed`,
});

/**
 * Reads a fixed header at `at` (MQTT 5 §2.1). `whole`: the packet is complete and `frame` says where it lies.
 * A packet above `limit` bytes is refused by what it announces, before any of it is kept.
 */
export function readFixedHeader(
  bytes: Uint8Array,
  at: number,
  limit: number,
): "whole" | "incomplete" | PacketError {
  const length = bytes.length;
  let cursor = at + 1;
  if (cursor >= length) return "incomplete";
  let octet = bytes[cursor++] as number;
  let remaining = octet & 0x7f;
  for (let shift = 7; octet >= 0x80; shift += 7) {
    if (shift > 21) return OVERLONG;
    if (cursor >= length) return "incomplete";
    octet = bytes[cursor++] as number;
    remaining |= (octet & 0x7f) << shift;
  }
  const end = cursor + remaining;
  if (end - at > limit) return tooLarge(end - at, limit);
  frame.body = cursor;
  frame.end = end;
  return end <= length ? "whole" : "incomplete";
}

/** Flags that a fixed header must have, by packet type; PUBLISH uses all four (MQTT 5 Table 2-2). */
const FLAGS: readonly number[] = [0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0];

/**
 * Whether the first octet of a packet other than PUBLISH has the flags of its type [MQTT-2.1.3-1]. MQTT 3.1 leaves the
 * flags of most packets open, and lets others be repeated with DUP.
 */
export const hasItsFlags = (first: number, version: ProtocolVersion): boolean =>
  (first & 0x0f) === FLAGS[first >> 4] || version === 3;
