/** A record as it lies on disk under its key: checksum, the key where a digest stands in for it, value. */
import { crc32 } from "node:zlib";
import type { Key, StoredValue, Table } from "../../session/store.ts";
import { decodeKey } from "./key.ts";
import { ByteSink, decodeValue, encodeValue, readVarint, varintEnd } from "./value.ts";

const CHECKSUM = 4;
const sink = new ByteSink();

/** `wholeKey`: where what it is stored under is only a digest of the key. Bytes of its own. */
export function encodeRecord(
  storedKey: Uint8Array,
  wholeKey: Uint8Array | undefined,
  value: StoredValue,
): Buffer {
  sink.length = CHECKSUM;
  sink.varint(wholeKey?.length ?? 0);
  if (wholeKey !== undefined) sink.raw(wholeKey);
  encodeValue(sink, value);
  const record = Buffer.from(sink.bytes.subarray(0, sink.length));
  record.writeUInt32LE(checksum(storedKey, record), 0);
  return record;
}

const checksum = (key: Uint8Array, record: Uint8Array): number =>
  crc32(record.subarray(CHECKSUM), crc32(key));

/** Throws where the bytes are not those of a record under this key. */
export function decodeRecord(
  storedKey: Uint8Array,
  record: Buffer,
): readonly [table: Table, key: Key, value: StoredValue] {
  if (record.length <= CHECKSUM || record.readUInt32LE(0) !== checksum(storedKey, record)) {
    throw new Error("its checksum is wrong");
  }
  const length = readVarint(record, CHECKSUM);
  const start = varintEnd;
  const key = length === 0 ? storedKey : record.subarray(start, start + length);
  return [...decodeKey(key), decodeValue(record, start + length)];
}
