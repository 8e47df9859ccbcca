import { SIGNATURE_SCHEMES, type SignatureScheme } from "../constants.ts";
import { Reader } from "../octets.ts";
import type { KeyExchange } from "../suites.ts";

/** RFC 5246 §7.4.7, RFC 4279 §2, RFC 5489 §2. */
export interface ClientKeyExchange {
  /** Of a pre-shared key. */
  readonly identity: Uint8Array | undefined;
  /** Of an ephemeral exchange. */
  readonly publicKey: Uint8Array | undefined;
}

export function parseClientKeyExchange(
  body: Uint8Array,
  keyExchange: KeyExchange,
): ClientKeyExchange | undefined {
  const reader = new Reader(body);
  const withKey = keyExchange === "psk" || keyExchange === "ecdhe-psk";
  const identity = withKey ? reader.vector(2) : undefined;
  const publicKey = keyExchange === "psk" ? undefined : reader.vector(1);
  return reader.complete ? { identity, publicKey } : undefined;
}

/** RFC 5246 §7.4.6: an empty list is a client that has none. */
export function parseCertificate(body: Uint8Array): readonly Uint8Array[] | undefined {
  const reader = new Reader(body);
  const list = new Reader(reader.vector(3));
  if (!reader.complete) return undefined;
  const chain: Uint8Array[] = [];
  while (list.ok && list.left > 0) {
    const certificate = list.vector(3);
    if (certificate.length === 0) return undefined;
    chain.push(certificate);
  }
  return list.ok ? chain : undefined;
}

/** RFC 7250 §3. Empty: the client has none. */
export function parseRawPublicKey(body: Uint8Array): Uint8Array | undefined {
  const reader = new Reader(body);
  const key = reader.vector(3);
  return reader.complete ? key : undefined;
}

export interface CertificateVerify {
  readonly scheme: SignatureScheme | undefined;
  readonly signature: Uint8Array;
}

/** RFC 5246 §7.4.8. */
export function parseCertificateVerify(body: Uint8Array): CertificateVerify | undefined {
  const reader = new Reader(body);
  const id = reader.uint16();
  const signature = reader.vector(2);
  if (!reader.complete) return undefined;
  return { scheme: SIGNATURE_SCHEMES.find((scheme) => scheme.id === id), signature };
}
