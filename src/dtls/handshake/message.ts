import { putNumber } from "../octets.ts";

/** RFC 6347 §4.2.2: type, length, message_seq, fragment_offset, fragment_length. */
export const HANDSHAKE_HEADER_LENGTH = 12;

/** A part of a handshake message, or the whole of it. */
export interface Fragment {
  readonly type: number;
  /** Of the whole message, without header. */
  readonly length: number;
  readonly sequence: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A whole message. */
export interface HandshakeMessage {
  readonly type: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}

const uintAt = (bytes: Uint8Array, at: number, octets: number): number => {
  let value = 0;
  for (let index = at; index < at + octets; index++) value = value * 256 + (bytes[index] as number);
  return value;
};

/** All fragments of a record. Undefined when any of them is malformed. */
export function parseFragments(content: Uint8Array): readonly Fragment[] | undefined {
  const fragments: Fragment[] = [];
  for (let at = 0; at < content.length; ) {
    if (content.length - at < HANDSHAKE_HEADER_LENGTH) return undefined;
    const length = uintAt(content, at + 1, 3);
    const offset = uintAt(content, at + 6, 3);
    const fragmentLength = uintAt(content, at + 9, 3);
    const start = at + HANDSHAKE_HEADER_LENGTH;
    if (offset + fragmentLength > length || start + fragmentLength > content.length) return undefined;
    fragments.push({
      type: content[at] as number,
      length,
      sequence: uintAt(content, at + 4, 2),
      offset,
      bytes: content.subarray(start, start + fragmentLength),
    });
    at = start + fragmentLength;
  }
  // RFC 5246 §6.2.1: no empty fragments of handshake messages.
  return fragments.length === 0 ? undefined : fragments;
}

/** A part of a message with its header. */
export function fragmentOf(message: HandshakeMessage, offset: number, length: number): Uint8Array {
  const fragment = new Uint8Array(HANDSHAKE_HEADER_LENGTH + length);
  fragment[0] = message.type;
  putNumber(fragment, 1, message.body.length, 3);
  putNumber(fragment, 4, message.sequence, 2);
  putNumber(fragment, 6, offset, 3);
  putNumber(fragment, 9, length, 3);
  fragment.set(message.body.subarray(offset, offset + length), HANDSHAKE_HEADER_LENGTH);
  return fragment;
}

/** As it is hashed: in one piece, however it came (RFC 6347 §4.2.6). */
export const wholeMessage = (message: HandshakeMessage): Uint8Array =>
  fragmentOf(message, 0, message.body.length);
