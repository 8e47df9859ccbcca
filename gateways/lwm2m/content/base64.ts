const STANDARD = /^[A-Za-z0-9+/]*={0,2}$/;
const URL_SAFE = /^[A-Za-z0-9_-]*={0,2}$/;

/** Standard base64 (RFC 4648 §4), with or without padding; `undefined` when the text is not. */
export function decodeBase64(text: string): Uint8Array | undefined {
  return STANDARD.test(text) && lengthFits(text) ? bytesOf(text, "base64") : undefined;
}

/** URL-safe base64 (RFC 4648 §5) as SenML wants it; the standard alphabet is tolerated (RFC 8428 §4.3). */
export function decodeBase64Url(text: string): Uint8Array | undefined {
  return (URL_SAFE.test(text) || STANDARD.test(text)) && lengthFits(text)
    ? bytesOf(text, "base64url")
    : undefined;
}

export const encodeBase64 = (bytes: Uint8Array): string => viewOf(bytes).toString("base64");
export const encodeBase64Url = (bytes: Uint8Array): string => viewOf(bytes).toString("base64url");

/** Hexadecimal in either case; `undefined` when the text is not. */
export function decodeHex(text: string): Uint8Array | undefined {
  return text.length % 2 === 0 && /^[0-9A-Fa-f]*$/.test(text) ? bytesOf(text, "hex") : undefined;
}

/** One symbol alone carries no byte. */
const lengthFits = (text: string): boolean => text.replace(/=+$/, "").length % 4 !== 1;
const viewOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
const bytesOf = (text: string, encoding: "base64" | "base64url" | "hex"): Uint8Array =>
  new Uint8Array(Buffer.from(text, encoding));
