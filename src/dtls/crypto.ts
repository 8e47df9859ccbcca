import type { Group, SignatureScheme } from "./constants.ts";

export type HashName = "sha256" | "sha384";
export type AeadName =
  | "aes-128-ccm-8"
  | "aes-128-ccm"
  | "aes-128-gcm"
  | "aes-256-ccm-8"
  | "aes-256-ccm"
  | "aes-256-gcm";

/** Authenticated encryption under one key (RFC 5116). */
export interface Aead {
  /** Writes ciphertext and tag. */
  seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, target: Uint8Array, at: number): void;
  /** Undefined when the tag is wrong. */
  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
}

/** A key share of an ephemeral Diffie-Hellman exchange. */
export interface KeyShare {
  readonly publicKey: Uint8Array;
  /** The shared secret; undefined when the other's key is no point of the group. */
  agree(publicKey: Uint8Array): Uint8Array | undefined;
}

/** A private key, which only the implementation looks into. */
export interface SigningKey {
  readonly kind: "ec" | "rsa" | "ed25519";
  sign(scheme: SignatureScheme, bytes: Uint8Array): Uint8Array;
}

/** The primitives that DTLS needs. The protocol knows none of them from the inside. */
export interface Crypto {
  random(length: number): Uint8Array;
  hash(name: HashName, parts: readonly Uint8Array[]): Uint8Array;
  hmac(name: HashName, key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array;
  /** In a time that does not depend on where they differ. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
  aead(name: AeadName, key: Uint8Array): Aead;
  /** AES-CBC of whole blocks, without padding. */
  cbc(key: Uint8Array, iv: Uint8Array, blocks: Uint8Array, direction: "encrypt" | "decrypt"): Uint8Array;
  keyShare(group: Group): KeyShare;
  /** `publicKey`: a SubjectPublicKeyInfo. */
  verify(publicKey: Uint8Array, scheme: SignatureScheme, bytes: Uint8Array, signature: Uint8Array): boolean;
}
