import type { Version } from "../frames.ts";

/** The octet that stands behind a backslash, or `undefined` where the version knows no such escape. */
export function escaped(code: number, version: Version): string | undefined {
  if (code === 0x6e) return "\n";
  if (code === 0x63) return ":";
  if (code === 0x5c) return "\\";
  // STOMP 1.1 names `\r` as its example of an undefined escape.
  return code === 0x72 && version === "1.2" ? "\r" : undefined;
}

/**
 * Offset of the first undefined or incomplete escape in `bytes` from `start` to `end`, which is a fatal protocol
 * error (STOMP 1.2 Value Encoding); -1 when there is none.
 */
export function badEscapeAt(bytes: Uint8Array, start: number, end: number, version: Version): number {
  for (let at = start; at < end; at++) {
    if (bytes[at] !== 0x5c) continue;
    const next = at + 1 < end ? (bytes[at + 1] as number) : -1;
    if (escaped(next, version) === undefined) return at;
    at++;
  }
  return -1;
}

/** Undoes the escapes of a header that `badEscapeAt` has passed. An undefined escape stays as it is. */
export function unescapeText(text: string, version: Version): string {
  let out = "";
  let from = 0;
  for (let at = text.indexOf("\\"); at !== -1; at = text.indexOf("\\", from)) {
    const meant = at + 1 < text.length ? escaped(text.charCodeAt(at + 1), version) : undefined;
    out += text.slice(from, at) + (meant ?? text.slice(at, at + 2));
    from = at + 2;
  }
  return out + text.slice(from);
}

/** Whether a text must pass `escapeText` before it can stand in a header. */
export function needsEscape(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 0x0a || code === 0x0d || code === 0x3a || code === 0x5c) return true;
  }
  return false;
}

/**
 * A header name or value as it stands on the wire. STOMP 1.0 has no escapes: a line feed becomes a space there, so
 * that no text from elsewhere can end a header. STOMP 1.1 has none for the carriage return, which stays.
 */
export function escapeText(text: string, version: Version): string {
  if (version === "1.0") return text.replaceAll("\n", " ");
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll(":", "\\c");
  return version === "1.1" ? escaped : escaped.replaceAll("\r", "\\r");
}
