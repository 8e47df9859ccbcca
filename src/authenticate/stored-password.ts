/** Password hashes as EMQ X 4 and EMQX 5 keep them in databases: what the form is says the configuration, not the hash. */
import { createHash, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { bcryptCompare, bcryptHash } from "./bcrypt.ts";
import { unusable } from "./kind.ts";

/** What a form looks like, for messages and documents. */
export const STORED_FORMS =
  "plain, md5, sha, sha256, sha384, sha512, each also as salt,sha256 (salt before) or sha256,salt (salt after); bcrypt; salt,bcrypt; pbkdf2,sha256,4096,32 (function, iterations, octets)";

/** Whether the password is the one that is stored. Nothing stored: as long as it would take, and no. */
export type CheckStored = (
  password: Uint8Array,
  stored: string | undefined,
  salt: string,
) => boolean | Promise<boolean>;

const DIGESTS: Readonly<Record<string, string>> = {
  md5: "md5",
  sha: "sha1",
  sha1: "sha1",
  sha224: "sha224",
  sha256: "sha256",
  sha384: "sha384",
  sha512: "sha512",
};
const MACS: Readonly<Record<string, string>> = { ...DIGESTS, ripemd160: "ripemd160" };

const ITERATIONS_MAX = 1_000_000;
const KEY_LENGTH_MAX = 1024;
const SALT_LENGTH = 16;
/** Of new hashes: 50 to 100 ms. */
const BCRYPT_COST = 10;
const BCRYPT = /^\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}$/;
/** A hash of nothing anybody knows, of the cost that is usual. */
const BCRYPT_DECOY = `$2b$10$${"x".repeat(53)}`;
const derive = promisify(pbkdf2);

/** Of texts of any length, in a time that tells nothing. */
function same(a: string | Uint8Array, b: string | Uint8Array): boolean {
  const digest = (value: string | Uint8Array) => createHash("sha256").update(value).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/** A form, by which passwords are checked and new ones are made. */
export interface StoredForm {
  readonly text: string;
  readonly check: CheckStored;
  make(password: Uint8Array): Promise<{ readonly hash: string; readonly salt: string }>;
  /** A check takes long enough to be done off the hot path. */
  readonly slow: boolean;
}
type Form = Omit<StoredForm, "text">;

const newSalt = (): string => randomBytes(SALT_LENGTH).toString("hex");

const PLAIN: Form = {
  check: (password, stored) => same(password, stored ?? "") && stored !== undefined,
  make: async (password) => ({ hash: Buffer.from(password).toString("utf8"), salt: "" }),
  slow: false,
};

function hashed(digest: string, place: "before" | "after" | "none"): Form {
  const hashOf = (password: Uint8Array, salt: string): string => {
    const hash = createHash(digest);
    if (place === "before") hash.update(salt);
    hash.update(password);
    if (place === "after") hash.update(salt);
    return hash.digest("hex");
  };
  return {
    check: (password, stored, salt) => same(hashOf(password, salt), (stored ?? "").toLowerCase()),
    async make(password) {
      const salt = place === "none" ? "" : newSalt();
      return { hash: hashOf(password, salt), salt };
    },
    slow: false,
  };
}

const BCRYPTED: Form = {
  async check(password, stored) {
    if (stored !== undefined && !BCRYPT.test(stored))
      throw new Error("a stored password is no bcrypt hash of cost 4 to 14");
    const right = await bcryptCompare(password, stored ?? BCRYPT_DECOY);
    return right && stored !== undefined;
  },
  make: async (password) => ({ hash: await bcryptHash(password, BCRYPT_COST), salt: "" }),
  slow: true,
};

function derived(digest: string, iterations: number, length: number): Form {
  const keyOf = async (password: Uint8Array, salt: string): Promise<string> =>
    (await derive(password, salt, iterations, length, digest)).toString("hex");
  return {
    check: async (password, stored, salt) => same(await keyOf(password, salt), (stored ?? "").toLowerCase()),
    async make(password) {
      const salt = newSalt();
      return { hash: await keyOf(password, salt), salt };
    },
    slow: true,
  };
}

export const checkStored = (form: string, authenticator: string): CheckStored =>
  storedForm(form, authenticator).check;

/** Throws `ConfigError` for what is no form. */
export const storedForm = (text: string, authenticator: string): StoredForm => ({
  text,
  ...formOf(text, authenticator),
});

/** Parts are divided by commas (EMQ X 4) or blanks (EMQ 2). */
function formOf(form: string, authenticator: string): Form {
  const parts = form
    .trim()
    .toLowerCase()
    .split(/[\s,]+/);
  const [first = "", second, ...more] = parts;
  if (first === "pbkdf2") return pbkdf2Form(parts, authenticator);
  if (more.length === 0) {
    if (first === "plain" && second === undefined) return PLAIN;
    if (first === "bcrypt" || (first === "salt" && second === "bcrypt")) return BCRYPTED;
    const digest = DIGESTS[first === "salt" ? (second ?? "") : first];
    if (digest !== undefined && first === "salt") return hashed(digest, "before");
    if (digest !== undefined && second === "salt") return hashed(digest, "after");
    if (digest !== undefined && second === undefined) return hashed(digest, "none");
  }
  throw unusable(authenticator, `passwordHash is "${form}"; allowed: ${STORED_FORMS}`);
}

function pbkdf2Form([, mac = "", rounds, length]: readonly string[], authenticator: string): Form {
  const digest = MACS[mac];
  if (digest === undefined) {
    const why = mac === "md4" ? ": this Node has no MD4" : "";
    throw unusable(
      authenticator,
      `passwordHash names the function "${mac}"${why}; allowed: ${Object.keys(MACS).join(", ")}`,
    );
  }
  const [iterations, octets] = [Number(rounds), Number(length)];
  const fits = (value: number, maximum: number) => Number.isInteger(value) && value >= 1 && value <= maximum;
  if (!fits(iterations, ITERATIONS_MAX) || !fits(octets, KEY_LENGTH_MAX)) {
    throw unusable(
      authenticator,
      `passwordHash needs iterations up to ${ITERATIONS_MAX} and octets up to ${KEY_LENGTH_MAX}`,
    );
  }
  return derived(digest, iterations, octets);
}
