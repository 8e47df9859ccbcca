/** The server's side of SCRAM (RFC 5802, RFC 7677), without channel binding: MQTT gives it none to bind to. */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

export type ScramHash = "sha256" | "sha512";
export const SCRAM_METHODS: Readonly<Record<string, ScramHash>> = {
  "SCRAM-SHA-256": "sha256",
  "SCRAM-SHA-512": "sha512",
};

/** What a server keeps instead of a password (RFC 5802 §3). */
export interface Verifier {
  readonly hash: ScramHash;
  readonly iterations: number;
  readonly salt: Uint8Array;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

const ITERATIONS_MIN = 4096;
const ITERATIONS_MAX = 1_000_000;
const SALT_LENGTH = 16;
const NONCE_LENGTH = 18;
/** Longer messages serve nobody. */
const MESSAGE_MAX = 4096;
const derive = promisify(pbkdf2);

const hmac = (hash: ScramHash, key: Uint8Array, text: string | Uint8Array): Buffer =>
  createHmac(hash, key).update(text).digest();
const digest = (hash: ScramHash, bytes: Uint8Array): Buffer => createHash(hash).update(bytes).digest();

/** As PostgreSQL writes it: `SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>`, all in base64. */
const FORM = /^SCRAM-(SHA-256|SHA-512)\$(\d{1,7}):([A-Za-z0-9+/]+=*)\$([A-Za-z0-9+/]+=*):([A-Za-z0-9+/]+=*)$/;
export const SCRAM_FORM =
  "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey (from `isthmus hash-password --kind scram-sha-256`)";

export function parseVerifier(text: string): Verifier | undefined {
  const [, name = "", rounds, salt = "", stored = "", server = ""] = FORM.exec(text) ?? [];
  const hash = SCRAM_METHODS[`SCRAM-${name}`];
  const iterations = Number(rounds);
  const [storedKey, serverKey] = [Buffer.from(stored, "base64"), Buffer.from(server, "base64")];
  const length = hash === "sha512" ? 64 : 32;
  if (hash === undefined || iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX) return undefined;
  if (storedKey.length !== length || serverKey.length !== length) return undefined;
  return { hash, iterations, salt: Buffer.from(salt, "base64"), storedKey, serverKey };
}

/** RFC 4013 §2.2 and §2.3 as far as they change what people type; who needs more types it normalised. */
const prepared = (password: string): string => password.normalize("NFKC");

export async function makeVerifier(
  password: string,
  hash: ScramHash,
  salt: Uint8Array = randomBytes(SALT_LENGTH),
  iterations = ITERATIONS_MIN,
): Promise<string> {
  const length = hash === "sha512" ? 64 : 32;
  const salted = await derive(prepared(password), salt, iterations, length, hash);
  const storedKey = digest(hash, hmac(hash, salted, "Client Key"));
  const serverKey = hmac(hash, salted, "Server Key");
  const [salt64, stored, server] = [salt, storedKey, serverKey].map((bytes) =>
    Buffer.from(bytes).toString("base64"),
  );
  return `SCRAM-${hash === "sha512" ? "SHA-512" : "SHA-256"}$${iterations}:${salt64}$${stored}:${server}`;
}

/** What a client-first-message says. */
interface First {
  readonly username: string;
  /** `n,,` or `y,,`, which comes again in the second message. */
  readonly header: string;
  readonly bare: string;
  readonly nonce: string;
}

const strict = new TextDecoder("utf-8", { fatal: true });
function textOf(data: Uint8Array): string | undefined {
  if (data.length > MESSAGE_MAX) return undefined;
  try {
    return strict.decode(data);
  } catch {
    return undefined;
  }
}

/** RFC 5802 §5.1: `=2C` and `=3D` are all that an equals sign may begin. */
function nameOf(encoded: string): string | undefined {
  if (/=(?!2C|3D)/.test(encoded) || encoded === "") return undefined;
  return encoded.replaceAll("=2C", ",").replaceAll("=3D", "=");
}

function parseFirst(data: Uint8Array): First | undefined {
  const [, header, authorized, bare] =
    /^([ny],(?:a=([^,]*))?,)(n=[^,]*,r=[\x21-\x2b\x2d-\x7e]+(?:,.*)?)$/s.exec(textOf(data) ?? "") ?? [];
  if (header === undefined || bare === undefined) return undefined;
  const [name, nonce] = bare.split(",");
  const username = nameOf(name!.slice(2));
  if (username === undefined) return undefined;
  // To act as somebody else is not for anybody here.
  if (authorized !== undefined && nameOf(authorized) !== username) return undefined;
  return { username, header, bare, nonce: nonce!.slice(2) };
}

/** Makes salts for names that nobody has: the same for a name each time, so that names cannot be probed (§9). */
export type Decoy = (username: string, hash: ScramHash) => Verifier;

export function decoys(secret: Uint8Array): Decoy {
  return (username, hash) => {
    const of = (what: string): Buffer => hmac(hash, secret, `${what} ${username}`);
    const salt = of("salt").subarray(0, SALT_LENGTH);
    return {
      hash,
      iterations: ITERATIONS_MIN,
      salt,
      storedKey: of("stored key"),
      serverKey: of("server key"),
    };
  };
}

export interface ScramChallenge {
  readonly username: string;
  readonly message: Uint8Array;
  /** The last message, or undefined where the client does not have the password. */
  conclude(clientFinal: Uint8Array): Uint8Array | undefined;
}

/** Answers a client-first-message; undefined for what is none. `verifierOf`: undefined for a name that nobody has. */
export function challengeOf(
  clientFirst: Uint8Array,
  hash: ScramHash,
  verifierOf: (username: string) => Verifier | undefined,
  decoy: Decoy,
  ownNonce: string = randomBytes(NONCE_LENGTH).toString("base64"),
): ScramChallenge | undefined {
  const first = parseFirst(clientFirst);
  if (first === undefined) return undefined;
  const { username, header, bare } = first;
  const found = verifierOf(username);
  const verifier = found ?? decoy(username, hash);
  const nonce = first.nonce + ownNonce;
  const message = `r=${nonce},s=${Buffer.from(verifier.salt).toString("base64")},i=${verifier.iterations}`;
  const binding = Buffer.from(header).toString("base64");
  return {
    username,
    message: Buffer.from(message),
    conclude(clientFinal) {
      const text = textOf(clientFinal) ?? "";
      const proofAt = text.lastIndexOf(",p=");
      const without = text.slice(0, Math.max(proofAt, 0));
      // Extensions behind the nonce are allowed (§5.1), and not known here.
      const begins = `c=${binding},r=${nonce}`;
      if (without !== begins && !without.startsWith(`${begins},`)) return undefined;
      const proof = Buffer.from(text.slice(proofAt + 3), "base64");
      const signed = `${bare},${message},${without}`;
      const signature = hmac(hash, verifier.storedKey, signed);
      if (proof.length !== signature.length) return undefined;
      const key = proof.map((octet, index) => octet ^ signature[index]!);
      const right = timingSafeEqual(digest(hash, key), verifier.storedKey);
      if (!right || found === undefined) return undefined;
      return Buffer.from(`v=${hmac(hash, verifier.serverKey, signed).toString("base64")}`);
    },
  };
}
