/** Passwords as LDAP directories keep them (RFC 2307 §5.3, and the salted forms that OpenLDAP made usual). */
import { createHash, timingSafeEqual } from "node:crypto";

/** Scheme, digest, and the octets that come before the salt. */
const SCHEMES: Readonly<Record<string, readonly [digest: string, length: number]>> = {
  MD5: ["md5", 16],
  SMD5: ["md5", 16],
  SHA: ["sha1", 20],
  SSHA: ["sha1", 20],
  SHA256: ["sha256", 32],
  SSHA256: ["sha256", 32],
  SHA384: ["sha384", 48],
  SSHA384: ["sha384", 48],
  SHA512: ["sha512", 64],
  SSHA512: ["sha512", 64],
};
const FORM = /^\{([A-Za-z0-9-]+)\}([A-Za-z0-9+/]+=*)$/;

const digestOf = (name: string, ...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash(name);
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const same = (a: Uint8Array, b: Uint8Array): boolean =>
  timingSafeEqual(digestOf("sha256", a), digestOf("sha256", b));

/** Throws for a scheme that is not known here: nobody can say whether the password is right. */
export function ldapPasswordRight(password: Uint8Array, stored: string | undefined): boolean {
  if (stored === undefined) return same(password, Buffer.alloc(0)) && false;
  const [, scheme = "", encoded = ""] = FORM.exec(stored) ?? [];
  if (!stored.startsWith("{")) return same(password, Buffer.from(stored));
  const known = SCHEMES[scheme.toUpperCase()];
  if (known === undefined)
    throw new Error(
      `a stored password has the scheme ${stored.slice(0, stored.indexOf("}") + 1)}, which is not known here`,
    );
  const [digest, length] = known;
  const bytes = Buffer.from(encoded, "base64");
  return same(digestOf(digest, password, bytes.subarray(length)), bytes.subarray(0, length));
}
