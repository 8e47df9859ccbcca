/** Password hashes as they stand in a users file; each form says itself what it is. */
import { createHash, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { bcryptCompare } from "./bcrypt.ts";
import { makeVerifier } from "./scram.ts";
import type { StoredForm } from "./stored-password.ts";

/** Cost of new scrypt hashes: 2^14 blocks of 8, one lane; 16 MiB and 50 to 100 ms. */
const SCRYPT = { ln: 14, r: 8, p: 1 } as const;
const SALT_BYTES = 16;
const KEY_BYTES = 32;
/** Larger costs are refused, so that a users file cannot stop the gateway: 2^20 blocks of 8 are 1 GiB. */
const SCRYPT_MEMORY_MAX = 128 * 1024 * 1024;
const BCRYPT_COST_MAX = 14;

/** A hash, read and ready to be checked against. */
export type PasswordHash =
  | {
      readonly kind: "scrypt";
      readonly ln: number;
      readonly r: number;
      readonly p: number;
      readonly salt: Buffer;
      readonly key: Buffer;
    }
  | { readonly kind: "sha256"; readonly salt: Buffer; readonly digest: Buffer }
  | { readonly kind: "bcrypt"; readonly text: string }
  | { readonly kind: "plain"; readonly password: Buffer }
  /** Of a form that the hash does not tell. */
  | { readonly kind: "stored"; readonly form: StoredForm; readonly hash: string; readonly salt: string };

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64").replaceAll("=", "");
const SCRYPT_FORM = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)=*\$([A-Za-z0-9+/]+)=*$/;
const SHA256_FORM = /^\$sha256\$([0-9a-fA-F]*)\$([0-9a-fA-F]{64})$/;
const BCRYPT_FORM = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
const PLAIN = "plain:";

/** What the forms look like, for messages. */
export const HASH_FORMS =
  "$scrypt$ln=14,r=8,p=1$salt$key (from `isthmus hash-password`), $2b$… (bcrypt), $sha256$salt-hex$digest-hex, or plain:password";

/** Undefined when the text is no known form, or a costlier one than is allowed. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  if (text.startsWith(PLAIN)) return { kind: "plain", password: Buffer.from(text.slice(PLAIN.length)) };
  const bcrypt = BCRYPT_FORM.exec(text);
  if (bcrypt) return Number(bcrypt[1]) <= BCRYPT_COST_MAX ? { kind: "bcrypt", text } : undefined;
  const sha256 = SHA256_FORM.exec(text);
  if (sha256) {
    return {
      kind: "sha256",
      salt: Buffer.from(sha256[1]!, "hex"),
      digest: Buffer.from(sha256[2]!, "hex"),
    };
  }
  const parts = SCRYPT_FORM.exec(text);
  if (parts === null) return undefined;
  const [ln, r, p] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  if (ln < 1 || r < 1 || p < 1 || p > 16 || 128 * r * 2 ** ln > SCRYPT_MEMORY_MAX) return undefined;
  const [salt, key] = [Buffer.from(parts[4]!, "base64"), Buffer.from(parts[5]!, "base64")];
  return { kind: "scrypt", ln, r, p, salt, key };
}

function scryptKey(
  password: Uint8Array,
  salt: Uint8Array,
  cost: { readonly ln: number; readonly r: number; readonly p: number },
  length: number,
): Promise<Buffer> {
  const options = { N: 2 ** cost.ln, r: cost.r, p: cost.p, maxmem: 2 * SCRYPT_MEMORY_MAX };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, length, options, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);
const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** Whether a check takes long enough to be done off the hot path. */
export const isSlow = (hash: PasswordHash): boolean =>
  hash.kind === "stored" ? hash.form.slow : hash.kind === "scrypt" || hash.kind === "bcrypt";

/** For the hashes that are not slow. Takes the same time however much of the password is right. */
export function verifyFast(hash: PasswordHash, password: Uint8Array): boolean {
  if (hash.kind === "sha256") return same(sha256(hash.salt, password), hash.digest);
  if (hash.kind === "stored") return hash.form.check(password, hash.hash, hash.salt) === true;
  return hash.kind === "plain" && same(sha256(password), sha256(hash.password));
}

export async function verifyPassword(hash: PasswordHash, password: Uint8Array): Promise<boolean> {
  if (hash.kind === "scrypt")
    return same(await scryptKey(password, hash.salt, hash, hash.key.length), hash.key);
  if (hash.kind === "bcrypt") return bcryptCompare(password, hash.text);
  if (hash.kind === "stored") return hash.form.check(password, hash.hash, hash.salt);
  return verifyFast(hash, password);
}

/** A new hash for a users file: scrypt, or SHA-256 where reconnects must be cheap. */
export async function hashPassword(
  password: string,
  kind: "scrypt" | "sha256" | "scram-sha-256" | "scram-sha-512" = "scrypt",
): Promise<string> {
  if (kind === "scram-sha-256" || kind === "scram-sha-512") {
    return makeVerifier(password, kind === "scram-sha-256" ? "sha256" : "sha512");
  }
  const salt = randomBytes(SALT_BYTES);
  const bytes = Buffer.from(password);
  if (kind === "sha256") return `$sha256$${salt.toString("hex")}$${sha256(salt, bytes).toString("hex")}`;
  const key = await scryptKey(bytes, salt, SCRYPT, KEY_BYTES);
  return `$scrypt$ln=${SCRYPT.ln},r=${SCRYPT.r},p=${SCRYPT.p}$${base64(salt)}$${base64(key)}`;
}
