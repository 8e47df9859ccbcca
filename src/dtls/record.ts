import { NO_BYTES } from "../lib/bytes.ts";
import { ContentType, DTLS_1_0, DTLS_1_2, EXPANSION_MAX, PLAINTEXT_MAX } from "./constants.ts";
import { putNumber } from "./octets.ts";

/** RFC 6347 §4.1; between sequence number and length stands the connection id where there is one (RFC 9146 §4). */
export const RECORD_HEADER_LENGTH = 13;
const SEQUENCE_AT = 3;

/** A record as it came; fragments and connection ids are views. */
export interface DtlsRecord {
  readonly type: number;
  readonly version: number;
  readonly epoch: number;
  readonly sequence: number;
  /** Empty except for `tls12_cid`. */
  readonly cid: Uint8Array;
  readonly fragment: Uint8Array;
  /** Where the next record of the datagram begins. */
  readonly end: number;
}

const uint16At = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
const uint32At = (bytes: Uint8Array, at: number): number =>
  uint16At(bytes, at) * 0x10000 + uint16At(bytes, at + 2);

/**
 * The record that begins at an offset. Undefined when what is there is none, or is cut short: then nothing that
 * follows in the datagram can be found either (RFC 6347 §4.1.2.7: dropped without a word).
 */
export function parseRecord(bytes: Uint8Array, at: number, cidLength: number): DtlsRecord | undefined {
  if (bytes.length - at < RECORD_HEADER_LENGTH) return undefined;
  const type = bytes[at] as number;
  const version = uint16At(bytes, at + 1);
  if (type < ContentType.changeCipherSpec || type > ContentType.tls12Cid) return undefined;
  if (version !== DTLS_1_2 && version !== DTLS_1_0) return undefined;
  const carried = type === ContentType.tls12Cid ? cidLength : 0;
  const lengthAt = at + SEQUENCE_AT + 8 + carried;
  if (lengthAt + 2 > bytes.length) return undefined;
  const length = uint16At(bytes, lengthAt);
  const start = lengthAt + 2;
  if (length > PLAINTEXT_MAX + EXPANSION_MAX || start + length > bytes.length) return undefined;
  return {
    type,
    version,
    epoch: uint16At(bytes, at + SEQUENCE_AT),
    sequence: uint16At(bytes, at + 5) * 0x100000000 + uint32At(bytes, at + 7),
    cid: carried === 0 ? NO_BYTES : bytes.subarray(at + 11, at + 11 + carried),
    fragment: bytes.subarray(start, start + length),
    end: start + length,
  };
}

/** Writes a header; returns where the fragment begins. */
export function putRecordHeader(
  target: Uint8Array,
  type: number,
  epoch: number,
  sequence: number,
  cid: Uint8Array,
  length: number,
  version: number = DTLS_1_2,
): number {
  target[0] = type;
  putNumber(target, 1, version, 2);
  putNumber(target, SEQUENCE_AT, epoch, 2);
  putNumber(target, 5, sequence, 6);
  target.set(cid, 11);
  putNumber(target, 11 + cid.length, length, 2);
  return RECORD_HEADER_LENGTH + cid.length;
}

/** A record of epoch 0, which nothing protects. */
export function plainRecord(
  type: number,
  sequence: number,
  content: Uint8Array,
  version?: number,
): Uint8Array {
  const record = new Uint8Array(RECORD_HEADER_LENGTH + content.length);
  record.set(content, putRecordHeader(record, type, 0, sequence, NO_BYTES, content.length, version));
  return record;
}
