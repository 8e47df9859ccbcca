import {
  Alert,
  CertificateType,
  GROUPS,
  type Group,
  SIGNATURE_SCHEMES,
  type SignatureScheme,
} from "../constants.ts";
import { uint16s } from "../octets.ts";
import { type Credentials, type DtlsSettings, Failure, type ServerKey } from "../settings.ts";
import { isEphemeral, type Suite, usesPsk } from "../suites.ts";
import type { ClientExtensions, ClientHello } from "./client-hello.ts";

/** How the server shows its key, and signs with it. */
export interface ServerProof {
  readonly serverKey: ServerKey;
  readonly type: number;
  readonly scheme: SignatureScheme;
}

/** What a full handshake will be. */
export interface Terms {
  readonly suite: Suite;
  readonly group: { readonly name: Group; readonly id: number } | undefined;
  readonly proof: ServerProof | undefined;
  /** The certificate type that the client is asked for; undefined: it is not asked. */
  readonly clientCertificateType: number | undefined;
}

/** RFC 8422 §4: a client that says nothing leaves the choice to the server. */
const P_256 = GROUPS[0];

/** The best suite that both sides can really do, or why there is none. */
export function negotiate(
  hello: ClientHello,
  extensions: ClientExtensions,
  settings: DtlsSettings,
  credentials: Credentials,
): Terms | Failure {
  const offered = uint16s(hello.cipherSuites) ?? [];
  const common = settings.suites.filter(({ id }) => offered.includes(id));
  if (common.length === 0) return new Failure(Alert.handshakeFailure, noCommonSuite(offered));
  const group =
    extensions.groups === undefined ? P_256 : GROUPS.find(({ id }) => extensions.groups?.includes(id));
  const problems = new Set<string>();
  for (const suite of common) {
    if (isEphemeral(suite) && group === undefined) {
      problems.add("no common elliptic curve");
      continue;
    }
    const chosen = isEphemeral(suite) ? group : undefined;
    if (usesPsk(suite)) {
      if (credentials.presharedKeys) {
        return { suite, group: chosen, proof: undefined, clientCertificateType: undefined };
      }
      problems.add("the client wants a pre-shared key and none is configured");
      continue;
    }
    const proof = proofFor(suite, extensions, credentials);
    if (typeof proof === "string") {
      problems.add(proof);
      continue;
    }
    const clientCertificateType = clientType(extensions, credentials);
    if (clientCertificateType instanceof Failure) return clientCertificateType;
    return { suite, group: chosen, proof, clientCertificateType };
  }
  return new Failure(Alert.handshakeFailure, [...problems].join("; "));
}

const hex = (id: number): string => id.toString(16).padStart(4, "0");
const SHOWN = 12;

function noCommonSuite(offered: readonly number[]): string {
  const shown = offered.slice(0, SHOWN).map(hex).join(" ");
  const more = offered.length > SHOWN ? " ..." : "";
  return `no common cipher suite: the client offers ${shown}${more}`;
}

function proofFor(
  suite: Suite,
  extensions: ClientExtensions,
  { serverKeys }: Credentials,
): ServerProof | string {
  const kind = suite.keyExchange === "ecdhe-rsa" ? "rsa" : "ec";
  const fitting = serverKeys.filter(({ key, curve }) => {
    if (kind === "rsa") return key.kind === "rsa";
    return key.kind === "ed25519" || (key.kind === "ec" && understandsCurve(curve, extensions));
  });
  if (fitting.length === 0) {
    return serverKeys.length === 0
      ? "the client wants a certificate and none is configured"
      : "the server's key is of another kind than the client's suites and curves";
  }
  const named = fitting.filter(
    (key) => extensions.serverName !== undefined && key.serves(extensions.serverName),
  );
  const wanted = serverTypes(extensions);
  for (const serverKey of named.length > 0 ? named : fitting) {
    const type = wanted.find((type) =>
      type === CertificateType.x509
        ? serverKey.chain.length > 0
        : type === CertificateType.rawPublicKey && serverKey.raw,
    );
    if (type === undefined) continue;
    const scheme = schemeFor(serverKey, extensions);
    if (scheme !== undefined) return { serverKey, type, scheme };
  }
  return "no common certificate type or signature algorithm";
}

/**
 * In the client's order, except that one which is itself known by a raw key gets to see one: libcoap names X.509 first
 * also when it has no authority to verify it with.
 */
function serverTypes({
  serverCertificateTypes,
  clientCertificateTypes,
}: ClientExtensions): readonly number[] {
  const wanted = [...(serverCertificateTypes ?? [CertificateType.x509])];
  const own = clientCertificateTypes?.[0];
  return own !== undefined && wanted.includes(own) ? [own, ...wanted] : wanted;
}

/** RFC 8422 §5.1: the curve of a key is one that the client has named, where it names any. */
const understandsCurve = (curve: string | undefined, { groups }: ClientExtensions): boolean => {
  const id = GROUPS.find(({ name }) => name === curve)?.id;
  return id !== undefined && (groups === undefined || groups.includes(id));
};

/** RFC 5246 §7.4.1.4.1 takes SHA-1 for those who name nothing; RFC 9155 forbids it: SHA-256, then. */
function schemeFor({ key }: ServerKey, { signatureSchemes }: ClientExtensions): SignatureScheme | undefined {
  const possible = SIGNATURE_SCHEMES.filter((scheme) => scheme.key === key.kind);
  if (signatureSchemes === undefined) {
    return possible.find(({ name }) => name === "ecdsa-sha256" || name === "rsa-sha256");
  }
  return possible.find(({ id }) => signatureSchemes.includes(id));
}

/** RFC 7250 §4.2: of what the client can send, in its order, the first that can be verified here. */
function clientType(
  { clientCertificateTypes }: ClientExtensions,
  { clientCertificate, clientX509, clientRawKeys }: Credentials,
): number | undefined | Failure {
  if (clientCertificate === "none") return undefined;
  const offered = clientCertificateTypes ?? Uint8Array.of(CertificateType.x509);
  const type = [...offered].find(
    (type) =>
      (type === CertificateType.x509 && clientX509) ||
      (type === CertificateType.rawPublicKey && clientRawKeys),
  );
  if (type !== undefined || clientCertificate === "request") return type;
  return new Failure(
    Alert.unsupportedCertificate,
    "the client proves itself by a kind of certificate that is not configured here",
  );
}
