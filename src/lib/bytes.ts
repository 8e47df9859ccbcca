/** Bytes with nothing in them. */
export const NO_BYTES: Uint8Array = new Uint8Array(0);

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const utf8 = (text: string): Uint8Array => encoder.encode(text);

/** Text of well-formed UTF-8; `undefined` when the bytes are not. A byte order mark is kept. */
export function text(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/** For messages to people only: wrong bytes become replacement characters. */
export const lossyText = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Bytes of their own. Not `bytes.slice()`: what comes from a socket is a `Buffer`, whose `slice` is a view. */
export const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

/**
 * Bytes that outlive the read buffer they came in. A view of a large chunk is copied, so that a queued
 * 20-byte reading does not keep 64 KiB alive; bytes that own most of their memory are passed on.
 */
export function own(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength > 2 * bytes.length + 256 ? copyOf(bytes) : bytes;
}
