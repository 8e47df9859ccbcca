/**
 * What a segment is made of. A commit is one frame or several, and counts only when all of them are sound; a frame
 * holds records, about a page of them, and a checksum.
 *
 *     crc32 | length | segment | tail | commit (6) | behind | place | flags | mark     32 bytes
 *     records: key length (varint), value length + 1 (0: removed; 4 bytes), key, value
 */
import { crc32 } from "node:zlib";
import { readVarint, varintEnd } from "../codec/value.ts";

export const FRAME_HEADER = 32;
/** Frames begin at multiples of this, so that they can be found behind damage. */
export const ALIGNMENT = 16;
/** A frame is closed when it holds as much: a bad sector costs no more than the records that lie in its frame. */
export const FRAME_FULL = 4096;

const LENGTH_AT = 4;
const SEGMENT_AT = 8;
const TAIL_AT = 12;
const COMMIT_AT = 16;
const COMMIT_BYTES = 6;
const BEHIND_AT = 22;
const PLACE_AT = 26;
const FLAGS_AT = 30;
const MARK_AT = 31;
const MARK = 0xa5;
const LAST = 1;

/** Of a fixed size: it is known when the value stands behind it. */
export const VALUE_LENGTH = 4;

export interface FrameHead {
  /** Number of the segment: what a file held before it was used again does not count. */
  readonly segment: number;
  /** The oldest segment that counts. */
  readonly tail: number;
  /** Each attempt has a number of its own. */
  readonly commit: number;
  /** The commit that was on disk before. */
  readonly former: number;
  /** Place among the frames of its commit. */
  readonly place: number;
  readonly last: boolean;
}

export interface Frame extends FrameHead {
  readonly start: number;
  /** End of its records. */
  readonly end: number;
}

export const aligned = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

/** Writes the head of a frame whose records stand in place, and its checksum. */
export function sealFrame(bytes: Buffer, start: number, end: number, head: FrameHead): void {
  bytes.writeUInt32LE(end - start - FRAME_HEADER, start + LENGTH_AT);
  bytes.writeUInt32LE(head.segment, start + SEGMENT_AT);
  bytes.writeUInt32LE(head.tail, start + TAIL_AT);
  bytes.writeUIntLE(head.commit, start + COMMIT_AT, COMMIT_BYTES);
  bytes.writeUInt32LE(head.commit - head.former, start + BEHIND_AT);
  bytes.writeUInt32LE(head.place, start + PLACE_AT);
  bytes[start + FLAGS_AT] = head.last ? LAST : 0;
  bytes[start + MARK_AT] = MARK;
  bytes.writeUInt32LE(crc32(bytes.subarray(start + LENGTH_AT, end)), start);
}

/** The frame that begins here, if a sound one does. */
export function frameAt(bytes: Buffer, start: number): Frame | undefined {
  if (start + FRAME_HEADER > bytes.length || bytes[start + MARK_AT] !== MARK) return undefined;
  const end = start + FRAME_HEADER + bytes.readUInt32LE(start + LENGTH_AT);
  if (end > bytes.length) return undefined;
  if (crc32(bytes.subarray(start + LENGTH_AT, end)) !== bytes.readUInt32LE(start)) return undefined;
  const commit = bytes.readUIntLE(start + COMMIT_AT, COMMIT_BYTES);
  return {
    start,
    end,
    segment: bytes.readUInt32LE(start + SEGMENT_AT),
    tail: bytes.readUInt32LE(start + TAIL_AT),
    commit,
    former: commit - bytes.readUInt32LE(start + BEHIND_AT),
    place: bytes.readUInt32LE(start + PLACE_AT),
    last: (bytes[start + FLAGS_AT]! & LAST) !== 0,
  };
}

export const firstRecord = (frame: Frame): number => frame.start + FRAME_HEADER;

/** Where a record lies in bytes, and what it is. */
export interface RecordPlace {
  start: number;
  keyAt: number;
  valueAt: number;
  end: number;
  removed: boolean;
}

/** Reads a record's place; false behind the last one of a frame. The place is overwritten. */
export function readPlace(bytes: Buffer, from: number, frameEnd: number, place: RecordPlace): boolean {
  if (from >= frameEnd) return false;
  const keyLength = readVarint(bytes, from);
  const valueLength = bytes.readUInt32LE(varintEnd);
  place.start = from;
  place.keyAt = varintEnd + VALUE_LENGTH;
  place.valueAt = place.keyAt + keyLength;
  place.removed = valueLength === 0;
  place.end = place.valueAt + Math.max(0, valueLength - 1);
  if (place.end > frameEnd) throw new Error("a record is longer than its frame");
  return true;
}

export const newPlace = (): RecordPlace => ({ start: 0, keyAt: 0, valueAt: 0, end: 0, removed: false });
