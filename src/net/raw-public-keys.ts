import { createHash, createPublicKey } from "node:crypto";
import { ListenError } from "./transport.ts";

const HEX = /^(?:[\da-f]{2})+$/i;

/** By their SubjectPublicKeyInfo in hexadecimal: what their holders are called. */
export type KnownKeys = ReadonlyMap<string, string>;

/** Lines of `identity:SubjectPublicKeyInfo`, the key in base64 or hexadecimal; `#` begins a comment. */
export function parseClientKeys(path: string, text: string): KnownKeys {
  const keys = new Map<string, string>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const colon = line.lastIndexOf(":");
    const encoded = line.slice(colon + 1).trim();
    const der = Buffer.from(encoded, HEX.test(encoded) ? "hex" : "base64");
    if (colon < 1 || !isPublicKey(der)) {
      const form =
        "expected `identity:key`, the public key (SubjectPublicKeyInfo, DER) in base64 or hexadecimal";
      throw new ListenError("client-keys-invalid", `client keys ${path}, line ${index + 1}: ${form}`);
    }
    keys.set(der.toString("hex"), line.slice(0, colon));
  }
  return keys;
}

function isPublicKey(der: Buffer): boolean {
  try {
    createPublicKey({ key: der, format: "der", type: "spki" });
    return true;
  } catch {
    return false;
  }
}

export const keyName = (publicKey: Uint8Array): string => Buffer.from(publicKey).toString("hex");

/** How a log names a key that nobody has given a name (RFC 7252 §9.1.3.2.1, RFC 6920 §3). */
export const namedInformation = (publicKey: Uint8Array): string =>
  `ni:///sha-256;${createHash("sha256").update(publicKey).digest("base64url")}`;
