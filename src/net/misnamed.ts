import { checkServerIdentity } from "node:tls";
import type { ServerCertificate } from "./transport.ts";

/** RFC 6125: undefined when the certificate bears one of these names or addresses. */
export function misnamed(hosts: readonly string[], certificate: ServerCertificate): Error | undefined {
  let problem: Error | undefined;
  for (const host of hosts) {
    problem = checkServerIdentity(host, certificate);
    if (problem === undefined) return undefined;
  }
  return problem;
}
