import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { type PskKeys, parsePskFile } from "./psk.ts";
import { type DialTlsOptions, ListenError, type TlsOptions } from "./transport.ts";

/** Where a certificate and its key are. */
type PairOptions = Pick<TlsOptions, "cert" | "key" | "keyPassphrase">;

/** What the files of a TLS listener say, checked. */
export interface TlsFiles {
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly ca: Buffer | undefined;
  readonly psk: PskKeys | undefined;
  /** End of the server certificate. */
  readonly validTo: Date | undefined;
}

export type TlsIdentity = TlsOptions["identity"];

/** Throws `ListenError` when it cannot be read. */
export function readTlsFile(path: string | undefined, what: string): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") {
      throw new ListenError(
        "certificate-missing",
        `${what} ${path} does not exist: create it or correct the path`,
      );
    }
    throw new ListenError(
      "certificate-unreadable",
      `${what} ${path} cannot be read (${code}): let the user that runs the gateway read it`,
    );
  }
}

function checkKey(options: PairOptions, key: Buffer): void {
  try {
    const { keyPassphrase: passphrase } = options;
    createPrivateKey(passphrase === undefined ? { key } : { key, passphrase });
  } catch {
    throw new ListenError(
      "certificate-invalid",
      `key ${options.key} is not a PEM private key, or its passphrase is wrong or missing: check both`,
    );
  }
}

function checkCertificate(path: string | undefined, pem: Buffer, what: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new ListenError(
      "certificate-invalid",
      `${what} ${path} is not a PEM certificate: convert it to PEM`,
    );
  }
}

/** Reads and checks the files that the options name. Throws `ListenError`. */
export function readTlsFiles(options: TlsOptions): TlsFiles {
  const cert = readTlsFile(options.cert, "certificate");
  const key = readTlsFile(options.key, "key");
  const ca = readTlsFile(options.ca, "CA certificate");
  const pskText = readTlsFile(options.pskFile, "PSK file");
  const psk = pskText === undefined ? undefined : parsePskFile(options.pskFile ?? "", pskText.toString());
  const withKeys = psk !== undefined || options.keys !== undefined || options.keysFromAuthentication === true;
  if ((cert === undefined || key === undefined) && (!withKeys || cert !== key)) {
    throw new ListenError(
      "certificate-missing",
      "TLS needs a certificate and its key: set both `cert` and `key`",
    );
  }
  if (ca !== undefined) checkCertificate(options.ca, ca, "CA certificate");
  if (cert === undefined || key === undefined) return { cert, key, ca, psk, validTo: undefined };
  const certificate = checkPair(options, cert, key);
  return { cert, key, ca, psk, validTo: new Date(certificate.validTo) };
}

function checkPair(options: PairOptions, cert: Buffer, key: Buffer): X509Certificate {
  checkKey(options, key);
  const certificate = checkCertificate(options.cert, cert, "certificate");
  try {
    createSecureContext({ cert, key, passphrase: options.keyPassphrase });
  } catch {
    throw new ListenError(
      "certificate-mismatch",
      `key ${options.key} does not belong to certificate ${options.cert}: name a matching pair`,
    );
  }
  return certificate;
}

/** Reads and checks the files of a connection to somebody else, who may want no certificate. Throws `ListenError`. */
export function readDialFiles(options: DialTlsOptions): Pick<TlsFiles, "cert" | "key" | "ca"> {
  const cert = readTlsFile(options.cert, "certificate");
  const key = readTlsFile(options.key, "key");
  const ca = readTlsFile(options.ca, "CA certificate");
  if (ca !== undefined) checkCertificate(options.ca, ca, "CA certificate");
  if (cert === undefined && key === undefined) return { cert, key, ca };
  if (cert === undefined || key === undefined) {
    throw new ListenError(
      "certificate-missing",
      "a client certificate needs its key: set both `cert` and `key`",
    );
  }
  checkPair(options, cert, key);
  return { cert, key, ca };
}
