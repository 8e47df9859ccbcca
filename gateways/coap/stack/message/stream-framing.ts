import { type CoapMessage, type FormatError, TOKEN_LENGTH_MAX, Type } from "./message.ts";

/** How many bytes a message has, from its first bytes; `undefined` when more are needed to tell. */
export function streamMessageLength(bytes: Uint8Array, start: number, end: number): number | undefined {
  if (start >= end) return undefined;
  const first = bytes[start] as number;
  const nibble = first >> 4;
  const extended = nibble < 13 ? 0 : nibble === 13 ? 1 : nibble === 14 ? 2 : 4;
  if (start + 1 + extended > end) return undefined;
  let length = nibble;
  if (nibble >= 13) {
    length = 0;
    for (let at = 0; at < extended; at++) length = length * 256 + (bytes[start + 1 + at] as number);
    length += nibble === 13 ? 13 : nibble === 14 ? 269 : 65_805;
  }
  return 1 + extended + 1 + (first & 0x0f) + length;
}

const tokenLength: FormatError = {
  reaction: "format",
  clause: "RFC 8323 §3.2",
  at: 0,
  problem: "token length 9 to 15",
};
const lengthField: FormatError = {
  reaction: "format",
  clause: "RFC 8323 §4.3",
  at: 0,
  problem: "length field is not zero",
};
const short: FormatError = { reaction: "format", clause: "RFC 8323 §4.3", at: 0, problem: "cut short" };

/** Decodes one whole message of a stream, `start` to `end` (RFC 8323 §3.2). */
export function decodeStreamMessage(
  bytes: Uint8Array,
  start: number,
  end: number,
  message: CoapMessage,
): FormatError | undefined {
  const first = bytes[start] as number;
  const nibble = first >> 4;
  const extended = nibble < 13 ? 0 : nibble === 13 ? 1 : nibble === 14 ? 2 : 4;
  return decodeAt(bytes, start, start + 1 + extended, end, message);
}

/** Decodes a WebSocket message: the frame has the length, so the field must be zero (RFC 8323 §4.3). */
export function decodeWebSocketMessage(bytes: Uint8Array, message: CoapMessage): FormatError | undefined {
  if (bytes.length < 2) return short;
  if ((bytes[0] as number) >> 4 !== 0) return lengthField;
  return decodeAt(bytes, 0, 1, bytes.length, message);
}

function decodeAt(
  bytes: Uint8Array,
  start: number,
  codeAt: number,
  end: number,
  message: CoapMessage,
): FormatError | undefined {
  message.bytes = bytes;
  message.size = end - start;
  message.type = Type.CON;
  message.messageId = 0;
  message.code = bytes[codeAt] as number;
  message.tokenStart = codeAt + 1;
  message.tokenLength = (bytes[start] as number) & 0x0f;
  if (message.tokenLength > TOKEN_LENGTH_MAX) return tokenLength;
  const body = message.tokenStart + message.tokenLength;
  return body > end ? short : message.decodeBody(body, end);
}
