import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { TlsOptions } from "./transport.ts";

/** What a verified client certificate says of its holder, as the configuration wants it. */
export function certificateName(socket: TLSSocket, kind: TlsOptions["identity"]): string | undefined {
  if (kind === "none" || !socket.authorized) return undefined;
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? undefined : nameIn(certificate, kind);
}

/** Undefined where the certificate has no such name. */
export function nameIn(certificate: X509Certificate, kind: TlsOptions["identity"]): string | undefined {
  switch (kind) {
    case "none":
      return undefined;
    case "cn":
    case "dn":
      return subjectName(certificate.subject ?? "", kind);
    case "fingerprint":
      return certificate.fingerprint256.replaceAll(":", "").toLowerCase();
    default:
      return alternativeName(certificate.subjectAltName ?? "", kind);
  }
}

/**
 * From the subject as OpenSSL lists it, one attribute a line, the most general first. `dn` is the string of
 * RFC 4514 §2.1, the most specific first; its special characters arrive escaped already.
 */
export function subjectName(subject: string, kind: "cn" | "dn"): string | undefined {
  const attributes = subject.split("\n").reverse();
  if (kind === "dn") return attributes.join(",") || undefined;
  const commonName = attributes.find((attribute) => attribute.startsWith("CN="));
  return commonName?.slice("CN=".length).replace(/\\(.)/g, "$1") || undefined;
}

const LABELS = { "san-dns": "DNS", "san-email": "email", "san-uri": "URI", "san-ip": "IP Address" } as const;
/** Node writes what could be mistaken for more than one name as JSON. */
const NAME = /(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?=,|$)/g;

/** The first of its kind (RFC 5280 §4.2.1.6); one with a control character in it is none. */
export function alternativeName(names: string, kind: keyof typeof LABELS): string | undefined {
  for (const [, label, value = ""] of names.matchAll(NAME)) {
    if (label !== LABELS[kind]) continue;
    const name = value.startsWith('"') ? String(JSON.parse(value)) : value;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are looked for
    return name === "" || /[\u0000-\u001f\u007f]/.test(name) ? undefined : name;
  }
  return undefined;
}
