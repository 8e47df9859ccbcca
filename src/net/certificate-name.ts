import type { TLSSocket } from "node:tls";
import type { TlsOptions } from "./transport.ts";

/** What a verified client certificate says of its holder, as the configuration wants it. */
export function certificateName(socket: TLSSocket, kind: TlsOptions["identity"]): string | undefined {
  if (kind === "none" || !socket.authorized) return undefined;
  const subject = socket.getPeerX509Certificate()?.subject;
  return subject === undefined ? undefined : subjectName(subject, kind);
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
