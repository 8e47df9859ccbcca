import type { AeadName, HashName } from "./crypto.ts";

export type KeyExchange = "psk" | "ecdhe-psk" | "ecdhe-ecdsa" | "ecdhe-rsa";

export type SuiteCipher =
  | {
      readonly kind: "aead";
      readonly name: AeadName;
      readonly keyLength: 16 | 32;
      readonly tagLength: 8 | 16;
    }
  /** AES-128-CBC with HMAC-SHA256. */
  | { readonly kind: "cbc"; readonly keyLength: 16; readonly macLength: 32 };

export interface Suite {
  readonly id: number;
  /** The name of the registry without `TLS_`, as the configuration and metrics write it. */
  readonly name: string;
  readonly keyExchange: KeyExchange;
  readonly cipher: SuiteCipher;
  readonly prf: HashName;
}

const aead = (name: AeadName): SuiteCipher => ({
  kind: "aead",
  name,
  keyLength: name.startsWith("aes-128") ? 16 : 32,
  tagLength: name.endsWith("-8") ? 8 : 16,
});
const CCM_8 = aead("aes-128-ccm-8");
const CCM = aead("aes-128-ccm");
const GCM = aead("aes-128-gcm");
const CCM_8_256 = aead("aes-256-ccm-8");
const CCM_256 = aead("aes-256-ccm");
const GCM_256 = aead("aes-256-gcm");
const CBC: SuiteCipher = { kind: "cbc", keyLength: 16, macLength: 32 };

const suite = (
  id: number,
  name: string,
  keyExchange: KeyExchange,
  cipher: SuiteCipher,
  prf: HashName = "sha256",
): Suite => ({ id, name, keyExchange, cipher, prf });

/**
 * Best first. Those with a pre-shared key come before all others, because only a client that has a key names them;
 * among them, and in all, those with forward secrecy first (RFC 9325 §4.1). CCM stands before GCM, which costs twice as
 * much here (test/bench/dtls), and the short tag of CCM_8 behind both.
 */
export const SUITES: readonly Suite[] = [
  // RFC 8442
  suite(0xd005, "ECDHE_PSK_WITH_AES_128_CCM_SHA256", "ecdhe-psk", CCM),
  suite(0xd001, "ECDHE_PSK_WITH_AES_128_GCM_SHA256", "ecdhe-psk", GCM),
  suite(0xd003, "ECDHE_PSK_WITH_AES_128_CCM_8_SHA256", "ecdhe-psk", CCM_8),
  suite(0xd002, "ECDHE_PSK_WITH_AES_256_GCM_SHA384", "ecdhe-psk", GCM_256, "sha384"),
  // RFC 5487, RFC 6655
  suite(0xc0a4, "PSK_WITH_AES_128_CCM", "psk", CCM),
  suite(0x00a8, "PSK_WITH_AES_128_GCM_SHA256", "psk", GCM),
  suite(0xc0a8, "PSK_WITH_AES_128_CCM_8", "psk", CCM_8),
  suite(0x00a9, "PSK_WITH_AES_256_GCM_SHA384", "psk", GCM_256, "sha384"),
  suite(0xc0a5, "PSK_WITH_AES_256_CCM", "psk", CCM_256),
  suite(0xc0a9, "PSK_WITH_AES_256_CCM_8", "psk", CCM_8_256),
  // RFC 5289, RFC 7251
  suite(0xc0ac, "ECDHE_ECDSA_WITH_AES_128_CCM", "ecdhe-ecdsa", CCM),
  suite(0xc02b, "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ecdhe-ecdsa", GCM),
  suite(0xc0ae, "ECDHE_ECDSA_WITH_AES_128_CCM_8", "ecdhe-ecdsa", CCM_8),
  suite(0xc02c, "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ecdhe-ecdsa", GCM_256, "sha384"),
  suite(0xc0ad, "ECDHE_ECDSA_WITH_AES_256_CCM", "ecdhe-ecdsa", CCM_256),
  suite(0xc0af, "ECDHE_ECDSA_WITH_AES_256_CCM_8", "ecdhe-ecdsa", CCM_8_256),
  suite(0xc02f, "ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ecdhe-rsa", GCM),
  suite(0xc030, "ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ecdhe-rsa", GCM_256, "sha384"),
  // RFC 5487, RFC 5489, RFC 5289: no authenticated encryption, and off unless they are configured.
  suite(0xc037, "ECDHE_PSK_WITH_AES_128_CBC_SHA256", "ecdhe-psk", CBC),
  suite(0x00ae, "PSK_WITH_AES_128_CBC_SHA256", "psk", CBC),
  suite(0xc023, "ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ecdhe-ecdsa", CBC),
];

export const suiteByName = (name: string): Suite | undefined => SUITES.find((suite) => suite.name === name);
export const suiteById = (id: number): Suite | undefined => SUITES.find((suite) => suite.id === id);
/** What is on when the configuration says nothing. */
export const DEFAULT_SUITES: readonly Suite[] = SUITES.filter(({ cipher }) => cipher.kind === "aead");

export const usesPsk = ({ keyExchange }: Suite): boolean =>
  keyExchange === "psk" || keyExchange === "ecdhe-psk";
export const isEphemeral = ({ keyExchange }: Suite): boolean => keyExchange !== "psk";
