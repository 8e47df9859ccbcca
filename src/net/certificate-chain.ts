import { X509Certificate } from "node:crypto";
import { Alert } from "../dtls/constants.ts";
import { Failure } from "../dtls/settings.ts";

/** Certificates between a device's own and an authority; more serve nobody. */
const CHAIN_MAX = 8;
/** Extended key usage (RFC 5280 §4.2.1.12): any, and of a client. */
const CLIENT_USAGES = ["2.5.29.37.0", "1.3.6.1.5.5.7.3.2"];
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** All certificates of a PEM file, in its order. Throws where one is none. */
export const certificatesOf = (pem: Buffer): X509Certificate[] =>
  (pem.toString("latin1").match(PEM_CERTIFICATE) ?? []).map((one) => new X509Certificate(one));

export function parseCertificate(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}

const isIssuerOf = (issuer: X509Certificate, certificate: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);

const same = (a: X509Certificate, b: X509Certificate): boolean => a.raw.equals(b.raw);

/**
 * Whether a client's certificate leads to one of the authorities (RFC 5280 §6.1, without policies and name
 * constraints): each is signed by the next, which is an authority, and all are of this time.
 */
export function verifyChain(
  chain: readonly Uint8Array[],
  authorities: readonly X509Certificate[],
  date: number,
): X509Certificate | Failure {
  try {
    return verified(chain.slice(0, CHAIN_MAX).map(parseCertificate), authorities, date);
  } catch {
    // OpenSSL reads keys and extensions only when they are asked for.
    return new Failure(Alert.badCertificate, "a certificate of the client's chain is malformed");
  }
}

function verified(
  sent: readonly (X509Certificate | undefined)[],
  authorities: readonly X509Certificate[],
  date: number,
): X509Certificate | Failure {
  const [own] = sent;
  if (own === undefined || sent.includes(undefined)) {
    return new Failure(Alert.badCertificate, "the client's certificate cannot be read");
  }
  const usages = own.keyUsage as readonly string[] | undefined;
  if (usages !== undefined && !usages.some((usage) => CLIENT_USAGES.includes(usage))) {
    return new Failure(Alert.unsupportedCertificate, "the client's certificate is not for clients");
  }
  let current = own;
  for (let depth = 0; depth < CHAIN_MAX; depth++) {
    const late = problemOfDate(current, date);
    if (late !== undefined) return late;
    const anchor = authorities.find(
      (authority) => same(authority, current) || isIssuerOf(authority, current),
    );
    if (anchor !== undefined) return problemOfDate(anchor, date) ?? own;
    const next = sent.find(
      (one) => one !== undefined && !same(one, current) && one.ca && isIssuerOf(one, current),
    );
    if (next === undefined) break;
    current = next;
  }
  return new Failure(Alert.unknownCa, "no configured authority has signed the client's certificate");
}

function problemOfDate(certificate: X509Certificate, date: number): Failure | undefined {
  if (date < Date.parse(certificate.validFrom)) {
    return new Failure(Alert.badCertificate, `a certificate is valid only from ${certificate.validFrom} on`);
  }
  if (date > Date.parse(certificate.validTo)) {
    return new Failure(Alert.certificateExpired, `a certificate has ended on ${certificate.validTo}`);
  }
  return undefined;
}
