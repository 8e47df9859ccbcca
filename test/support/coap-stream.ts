/** CoAP over streams as RFC 8323 draws it, written by hand for tests: frames to send, and a reader of frames. */

export interface StreamMessage {
  readonly code: string;
  readonly token: string;
  readonly options: readonly (readonly [number, Buffer])[];
  readonly payload: string;
}

const codeByte = (code: string): number => {
  const [group = "0", detail = "0"] = code.split(".");
  return (Number(group) << 5) | Number(detail);
};

function extended(value: number): { nibble: number; bytes: number[] } {
  if (value < 13) return { nibble: value, bytes: [] };
  if (value < 269) return { nibble: 13, bytes: [value - 13] };
  return { nibble: 14, bytes: [(value - 269) >> 8, (value - 269) & 0xff] };
}

function body(options: readonly (readonly [number, string | Buffer])[], payload: string | Buffer): Buffer {
  const parts: Buffer[] = [];
  let previous = 0;
  for (const [number, value] of options) {
    const bytes = Buffer.from(value as string);
    const delta = extended(number - previous);
    const length = extended(bytes.length);
    parts.push(Buffer.from([(delta.nibble << 4) | length.nibble, ...delta.bytes, ...length.bytes]), bytes);
    previous = number;
  }
  if (payload.length > 0) parts.push(Buffer.from([0xff]), Buffer.from(payload as string));
  return Buffer.concat(parts);
}

export interface StreamSent {
  readonly code: string;
  readonly token?: string;
  readonly options?: readonly (readonly [number, string | Buffer])[];
  readonly payload?: string | Buffer;
}

/** One frame of TCP, or with `websocket` one WebSocket message. */
export function frame(
  { code, token = "", options = [], payload = "" }: StreamSent,
  websocket = false,
): Buffer {
  const rest = body(options, payload);
  const head = Buffer.concat([Buffer.from([codeByte(code)]), Buffer.from(token, "latin1"), rest]);
  if (websocket) return Buffer.concat([Buffer.from([token.length]), head]);
  const length = rest.length;
  if (length < 13) return Buffer.concat([Buffer.from([(length << 4) | token.length]), head]);
  if (length < 269) return Buffer.concat([Buffer.from([0xd0 | token.length, length - 13]), head]);
  if (length < 65_805) {
    const field = Buffer.alloc(2);
    field.writeUInt16BE(length - 269);
    return Buffer.concat([Buffer.from([0xe0 | token.length]), field, head]);
  }
  const field = Buffer.alloc(4);
  field.writeUInt32BE(length - 65_805);
  return Buffer.concat([Buffer.from([0xf0 | token.length]), field, head]);
}

function readBody(bytes: Buffer): Pick<StreamMessage, "options" | "payload"> {
  const options: [number, Buffer][] = [];
  let at = 0;
  let number = 0;
  const more = (nibble: number): number => {
    if (nibble < 13) return nibble;
    at += nibble - 12;
    return nibble === 13 ? 13 + (bytes[at - 1] as number) : 269 + bytes.readUInt16BE(at - 2);
  };
  while (at < bytes.length) {
    const head = bytes[at++] as number;
    if (head === 0xff) return { options, payload: bytes.subarray(at).toString() };
    number += more(head >> 4);
    const length = more(head & 15);
    options.push([number, bytes.subarray(at, at + length)]);
    at += length;
  }
  return { options, payload: "" };
}

const message = (bytes: Buffer, codeAt: number, tokenLength: number, end: number): StreamMessage => {
  const code = bytes[codeAt] as number;
  return {
    code: `${code >> 5}.${String(code & 31).padStart(2, "0")}`,
    token: bytes.subarray(codeAt + 1, codeAt + 1 + tokenLength).toString("latin1"),
    ...readBody(bytes.subarray(codeAt + 1 + tokenLength, end)),
  };
};

/** The messages in what a gateway has written to a stream. */
export function frames(source: Uint8Array): StreamMessage[] {
  const bytes = Buffer.from(source);
  const found: StreamMessage[] = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] as number;
    const nibble = first >> 4;
    const extra = nibble < 13 ? 0 : nibble === 13 ? 1 : nibble === 14 ? 2 : 4;
    const length =
      nibble < 13
        ? nibble
        : nibble === 13
          ? 13 + (bytes[at + 1] as number)
          : nibble === 14
            ? 269 + bytes.readUInt16BE(at + 1)
            : 65_805 + bytes.readUInt32BE(at + 1);
    const codeAt = at + 1 + extra;
    const end = codeAt + 1 + (first & 15) + length;
    found.push(message(bytes, codeAt, first & 15, end));
    at = end;
  }
  return found;
}

export const websocketMessage = (source: Uint8Array): StreamMessage =>
  message(Buffer.from(source), 1, (source[0] as number) & 15, source.length);
