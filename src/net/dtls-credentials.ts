import { createHash, createPrivateKey, createPublicKey, type X509Certificate } from "node:crypto";
import { Alert, GROUPS } from "../dtls/constants.ts";
import { type Credentials, Failure, type ServerKey, type Verified } from "../dtls/settings.ts";
import { certificatesOf, parseCertificate, verifyChain } from "./certificate-chain.ts";
import { nameIn } from "./certificate-name.ts";
import { signingKey } from "./dtls-crypto.ts";
import type { SecureDatagrams, ServerFiles } from "./dtls-options.ts";
import { type PskKeys, parsePskFile } from "./psk.ts";
import { type KnownKeys, keyName, namedInformation, parseClientKeys } from "./raw-public-keys.ts";
import { readTlsFile, type TlsFiles, type TlsIdentity } from "./tls-files.ts";
import { ListenError } from "./transport.ts";

/** Asks somebody else for what no file says. */
export interface KeyAuthority {
  presharedKey(identity: string): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** The name of whoever has this raw public key. */
  rawKeyHolder(publicKey: Uint8Array): string | undefined | Promise<string | undefined>;
}

const OPENSSL_CURVES: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384" };

/** Keys and certificates of a listener, as its files say. */
export class FileCredentials implements Credentials {
  readonly presharedKeys: boolean;
  readonly identityHint: Uint8Array | undefined;
  readonly serverKeys: readonly ServerKey[];
  readonly clientCertificate: Credentials["clientCertificate"];
  readonly clientX509: boolean;
  readonly clientRawKeys: boolean;
  readonly stamp: string;
  readonly #psk: PskKeys | undefined;
  readonly #known: KnownKeys | undefined;
  readonly #authorities: readonly X509Certificate[];
  readonly #naming: TlsIdentity;
  readonly #others: KeyAuthority | undefined;

  /** Throws `ListenError` when a file is missing or wrong. */
  constructor({ tls, dtls }: SecureDatagrams, others: KeyAuthority | undefined) {
    const shown = [tls, ...dtls.certificates].map(readPair);
    const ca = readTlsFile(tls.ca, "CA certificate");
    const pskText = readTlsFile(tls.pskFile, "PSK file");
    const clientKeys = readTlsFile(dtls.clientKeys, "client keys");
    this.#psk = pskText === undefined ? undefined : parsePskFile(tls.pskFile ?? "", pskText.toString());
    this.#known =
      clientKeys === undefined ? undefined : parseClientKeys(dtls.clientKeys ?? "", clientKeys.toString());
    this.#others = others;
    this.#naming = tls.identity;
    this.#authorities = ca === undefined ? [] : certificates(ca, tls.ca, "CA certificate");
    this.presharedKeys = this.#psk !== undefined || others !== undefined;
    this.identityHint = dtls.identityHint === undefined ? undefined : Buffer.from(dtls.identityHint);
    this.serverKeys = shown.flatMap((pair) => serverKeys(pair, dtls.rawPublicKey));
    this.clientRawKeys =
      this.#known !== undefined || (others !== undefined && tls.clientCertificate !== "none");
    this.clientX509 = ca !== undefined && tls.clientCertificate !== "none";
    // Whoever lists the keys of clients wants to see them.
    this.clientCertificate =
      this.#known !== undefined && tls.clientCertificate === "none" ? "request" : tls.clientCertificate;
    if (!this.presharedKeys && this.serverKeys.length === 0) {
      throw new ListenError(
        "certificate-missing",
        "DTLS needs keys: set `cert` and `key`, `key` alone for raw public keys, or `pskFile`",
      );
    }
    const stamp = createHash("sha256");
    for (const part of [...shown.flatMap(({ cert, key }) => [cert, key]), ca, pskText, clientKeys])
      stamp.update(part ?? "").update("\0");
    this.stamp = stamp.digest("base64").slice(0, 12);
  }

  presharedKey(identity: string): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    return this.#psk?.get(identity) ?? this.#others?.presharedKey(identity);
  }

  publicKeyOf(certificate: Uint8Array): Uint8Array | undefined {
    try {
      return parseCertificate(certificate)?.publicKey.export({ type: "spki", format: "der" });
    } catch {
      // A certificate may be well-formed around a key that is none.
      return undefined;
    }
  }

  verifyChain(chain: readonly Uint8Array[]): Verified | Failure {
    const own = verifyChain(chain, this.#authorities, Date.now());
    if (own instanceof Failure) return own;
    return { identity: nameIn(own, this.#naming) };
  }

  verifyRawKey(publicKey: Uint8Array): Verified | Failure | Promise<Verified | Failure> {
    const identity = this.#known?.get(keyName(publicKey));
    if (identity !== undefined) return { identity };
    const name = namedInformation(publicKey);
    const stranger = new Failure(
      Alert.certificateUnknown,
      `the client's raw public key is not known: ${name}`,
    );
    const answer = this.#others?.rawKeyHolder(publicKey);
    const judge = (holder: string | undefined): Verified | Failure =>
      holder === undefined ? stranger : { identity: holder };
    return answer instanceof Promise ? answer.then(judge) : judge(answer);
  }
}

function certificates(pem: Buffer, path: string | undefined, what: string): readonly X509Certificate[] {
  try {
    const all = certificatesOf(pem);
    if (all.length > 0) return all;
  } catch {}
  throw new ListenError("certificate-invalid", `${what} ${path} is not a PEM certificate: convert it to PEM`);
}

/** A certificate and its key, and the files that they were read from. */
interface Pair extends Pick<TlsFiles, "cert" | "key"> {
  readonly files: ServerFiles;
}

const readPair = (files: ServerFiles): Pair => ({
  files,
  cert: readTlsFile(files.cert, "certificate"),
  key: readTlsFile(files.key, "key"),
});

function serverKeys({ cert, key, files }: Pair, raw: boolean): readonly ServerKey[] {
  if (key === undefined) {
    if (cert === undefined) return [];
    throw new ListenError("certificate-missing", "a certificate is of no use without its key: set `key`");
  }
  const privateKey = privateKeyOf(key, files);
  const signing = signingKey(privateKey);
  if (signing === undefined) {
    throw new ListenError(
      "certificate-invalid",
      `key ${files.key} is of a kind that DTLS has no use for: take an EC or RSA key`,
    );
  }
  const publicKey = createPublicKey(privateKey);
  const chain = cert === undefined ? [] : certificates(cert, files.cert, "certificate");
  if (chain[0] !== undefined && !chain[0].checkPrivateKey(privateKey)) {
    throw new ListenError(
      "certificate-mismatch",
      `key ${files.key} does not belong to certificate ${files.cert}: name a matching pair`,
    );
  }
  const curve = OPENSSL_CURVES[privateKey.asymmetricKeyDetails?.namedCurve ?? ""];
  if (signing.kind === "ec" && !GROUPS.some(({ name }) => name === curve)) {
    throw new ListenError("certificate-invalid", `key ${files.key} is on another curve than P-256 or P-384`);
  }
  return [
    {
      key: signing,
      publicKey: publicKey.export({ type: "spki", format: "der" }),
      curve,
      chain: chain.map(({ raw }) => raw),
      raw: raw || chain.length === 0,
      serves: (name) => chain[0]?.checkHost(name) !== undefined,
    },
  ];
}

function privateKeyOf(key: Buffer, { key: path, keyPassphrase: passphrase }: ServerFiles) {
  try {
    return createPrivateKey(passphrase === undefined ? { key } : { key, passphrase });
  } catch {
    throw new ListenError(
      "certificate-invalid",
      `key ${path} is not a PEM private key, or its passphrase is wrong or missing: check both`,
    );
  }
}
