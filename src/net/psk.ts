import { ListenError } from "./transport.ts";

/** Pre-shared keys by identity. */
export type PskKeys = ReadonlyMap<string, Buffer>;

/** RFC 4279 §5.3 asks for identities up to 128 octets and keys up to 64. */
const IDENTITY_LENGTH_MAX = 128;
const KEY_LENGTH_MAX = 64;

/** Lines of `identity:key-in-hex`; empty lines and those that begin with `#` are skipped. */
export function parsePskFile(path: string, text: string): PskKeys {
  const keys = new Map<string, Buffer>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    // An identity may contain colons, a key cannot.
    const colon = line.lastIndexOf(":");
    const identity = line.slice(0, colon);
    const hex = line.slice(colon + 1).trim();
    const long = Buffer.byteLength(identity) > IDENTITY_LENGTH_MAX || hex.length > 2 * KEY_LENGTH_MAX;
    if (colon < 1 || long || !/^([\da-fA-F]{2})+$/.test(hex)) {
      // The line itself holds a secret and is not shown.
      const form = "expected `identity:key`, the key in hexadecimal and at most 64 octets";
      throw new ListenError("psk-file-invalid", `PSK file ${path}, line ${index + 1}: ${form}`);
    }
    keys.set(identity, Buffer.from(hex, "hex"));
  }
  return keys;
}
