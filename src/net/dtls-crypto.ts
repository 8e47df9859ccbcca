import {
  type CipherCCMTypes,
  type CipherGCMTypes,
  constants,
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  type ECDH,
  generateKeyPairSync,
  type KeyObject,
  randomFillSync,
  sign,
  timingSafeEqual,
  verify,
} from "node:crypto";
import type { Group, SignatureScheme } from "../dtls/constants.ts";
import type { Aead, AeadName, Crypto, KeyShare, SigningKey } from "../dtls/crypto.ts";
import { CcmAead } from "./aes-ccm.ts";

/** The primitives of DTLS, from OpenSSL by way of Node. */
export const nodeCrypto: Crypto = {
  random: (length) => randomFillSync(new Uint8Array(length)),
  hash(name, parts) {
    const hash = createHash(name);
    for (const part of parts) hash.update(part);
    return hash.digest();
  },
  hmac(name, key, parts) {
    const hmac = createHmac(name, key);
    for (const part of parts) hmac.update(part);
    return hmac.digest();
  },
  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
  aead: (name, key) => (isCcm(name) ? new CcmAead(key, ccmTag(name)) : new GcmAead(name, key)),
  cbc(key, iv, blocks, direction) {
    const cipher =
      direction === "encrypt"
        ? createCipheriv("aes-128-cbc", key, iv)
        : createDecipheriv("aes-128-cbc", key, iv);
    return cipher.setAutoPadding(false).update(blocks);
  },
  keyShare: (group) => (group === "x25519" ? new MontgomeryShare() : new WeierstrassShare(group)),
  verify(publicKey, scheme, bytes, signature) {
    try {
      const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
      return kindOf(key) === scheme.key && verify(hashOf(scheme), bytes, signing(key, scheme), signature);
    } catch {
      return false;
    }
  },
};

const isCcm = (name: AeadName): name is AeadName & CipherCCMTypes => name.includes("ccm");
const ccmTag = (name: AeadName): 8 | 16 => (name.endsWith("-8") ? 8 : 16);

const GCM_TAG = 16;

class GcmAead implements Aead {
  readonly #name: CipherGCMTypes;
  readonly #key: Uint8Array;

  constructor(name: AeadName, key: Uint8Array) {
    this.#name = name as CipherGCMTypes;
    this.#key = key;
  }

  seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, target: Uint8Array, at: number): void {
    const cipher = createCipheriv(this.#name, this.#key, nonce).setAAD(aad);
    target.set(cipher.update(plaintext), at);
    cipher.final();
    target.set(cipher.getAuthTag(), at + plaintext.length);
  }

  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const length = sealed.length - GCM_TAG;
    if (length < 0) return undefined;
    const decipher = createDecipheriv(this.#name, this.#key, nonce, { authTagLength: GCM_TAG });
    decipher.setAAD(aad).setAuthTag(sealed.subarray(length));
    const plaintext = decipher.update(sealed.subarray(0, length));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return plaintext;
  }
}

/** A point that is not compressed (RFC 8422 §5.4.1). */
const UNCOMPRESSED = 4;

class WeierstrassShare implements KeyShare {
  readonly publicKey: Uint8Array;
  readonly #ecdh: ECDH;

  constructor(group: Group) {
    this.#ecdh = createECDH(group === "P-256" ? "prime256v1" : "secp384r1");
    this.publicKey = this.#ecdh.generateKeys();
  }

  agree(publicKey: Uint8Array): Uint8Array | undefined {
    if (publicKey[0] !== UNCOMPRESSED || publicKey.length !== this.publicKey.length) return undefined;
    try {
      return this.#ecdh.computeSecret(publicKey);
    } catch {
      return undefined;
    }
  }
}

/** What stands before the 32 octets of a key in its SubjectPublicKeyInfo (RFC 8410 §4). */
const X25519_PREFIX = Buffer.from("302a300506032b656e032100", "hex");

class MontgomeryShare implements KeyShare {
  readonly publicKey: Uint8Array;
  readonly #privateKey: KeyObject;

  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync("x25519");
    this.#privateKey = privateKey;
    this.publicKey = publicKey.export({ type: "spki", format: "der" }).subarray(X25519_PREFIX.length);
  }

  agree(publicKey: Uint8Array): Uint8Array | undefined {
    try {
      const key = Buffer.concat([X25519_PREFIX, publicKey]);
      return diffieHellman({
        privateKey: this.#privateKey,
        // All zeros (RFC 7748 §6.1) are an error here, too.
        publicKey: createPublicKey({ key, format: "der", type: "spki" }),
      });
    } catch {
      return undefined;
    }
  }
}

const KINDS: Readonly<Record<string, SigningKey["kind"]>> = { ec: "ec", rsa: "rsa", ed25519: "ed25519" };
export const kindOf = (key: KeyObject): SigningKey["kind"] | undefined => KINDS[key.asymmetricKeyType ?? ""];

const HASHES = ["sha256", "sha384", "sha512"];
/** Ed25519 hashes by itself. */
const hashOf = ({ name }: SignatureScheme): string | null =>
  HASHES.find((hash) => name.endsWith(hash)) ?? null;

const signing = (key: KeyObject, { name }: SignatureScheme) =>
  name.startsWith("rsa-pss")
    ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : { key };

/** Undefined for a key that no suite can use. */
export function signingKey(key: KeyObject): SigningKey | undefined {
  const kind = kindOf(key);
  if (kind === undefined) return undefined;
  return { kind, sign: (scheme, bytes) => sign(hashOf(scheme), bytes, signing(key, scheme)) };
}
