import { concat } from "../../lib/bytes.ts";
import { DTLS_1_0, DTLS_1_2, type SignatureScheme } from "../constants.ts";
import { uint8, uint16, uint24 } from "../octets.ts";

const vector8 = (bytes: Uint8Array): Uint8Array => concat(uint8(bytes.length), bytes);
const vector16 = (bytes: Uint8Array): Uint8Array => concat(uint16(bytes.length), bytes);
const vector24 = (bytes: Uint8Array): Uint8Array => concat(uint24(bytes.length), bytes);

/** RFC 6347 §4.2.1: version 1.0 whatever will be agreed. */
export const helloVerifyRequest = (cookie: Uint8Array): Uint8Array =>
  concat(uint16(DTLS_1_0), vector8(cookie));

export interface Extension {
  readonly type: number;
  readonly data: Uint8Array;
}

export function serverHello(
  random: Uint8Array,
  sessionId: Uint8Array,
  suite: number,
  extensions: readonly Extension[],
): Uint8Array {
  const head = [uint16(DTLS_1_2), random, vector8(sessionId), uint16(suite), uint8(0)];
  // Not even an empty block for those who sent none.
  if (extensions.length === 0) return concat(...head);
  const block = extensions.map(({ type, data }) => concat(uint16(type), vector16(data)));
  return concat(...head, vector16(concat(...block)));
}

/** RFC 5246 §7.4.2. */
export const certificate = (chain: readonly Uint8Array[]): Uint8Array =>
  vector24(concat(...chain.map(vector24)));

/** RFC 7250 §3: the key alone, without a list around it. */
export const rawPublicKey = (publicKey: Uint8Array): Uint8Array => vector24(publicKey);

/** RFC 8422 §5.4: what the server's share of the key is, and what is signed of it. */
export const ecdhParams = (group: number, publicKey: Uint8Array): Uint8Array =>
  concat(uint8(3), uint16(group), vector8(publicKey));

export const signature = (scheme: SignatureScheme, signed: Uint8Array): Uint8Array =>
  concat(uint16(scheme.id), vector16(signed));

/** RFC 4279 §2. */
export const identityHint = (hint: Uint8Array): Uint8Array => vector16(hint);

/** RFC 5246 §7.4.4. No names of authorities: a device has one certificate, and sends that. */
export const certificateRequest = (schemes: readonly number[]): Uint8Array =>
  concat(
    vector8(Uint8Array.of(CLIENT_CERTIFICATE_ECDSA_SIGN, CLIENT_CERTIFICATE_RSA_SIGN)),
    vector16(concat(...schemes.map(uint16))),
    uint16(0),
  );
const CLIENT_CERTIFICATE_RSA_SIGN = 1;
const CLIENT_CERTIFICATE_ECDSA_SIGN = 64;

/** RFC 5077 §3.3. */
export const newSessionTicket = (lifetimeSeconds: number, ticket: Uint8Array): Uint8Array =>
  concat(uint16(lifetimeSeconds >>> 16), uint16(lifetimeSeconds & 0xffff), vector16(ticket));

/** RFC 7301 §3.1. */
export const protocolNameList = (name: Uint8Array): Uint8Array => vector16(vector8(name));
export const cidExtension = (cid: Uint8Array): Uint8Array => vector8(cid);
