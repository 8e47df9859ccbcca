/** The certificates that this process shows to others. */
import { X509Certificate } from "node:crypto";
import { effectiveTls } from "./config/listeners.ts";
import type { Config } from "./config/schema.ts";
import { readTlsFile } from "./net/tls-files.ts";

/** Of all that listeners and the HTTP port show the one that ends first; undefined where there are none. */
export function firstCertificateToEnd(
  config: Config,
): { readonly path: string; readonly at: number } | undefined {
  const paths = new Set<string>();
  if (config.api.tls.cert !== undefined) paths.add(config.api.tls.cert);
  for (const { enable, listeners } of Object.values(config.gateways)) {
    for (const listener of Object.values(listeners)) {
      const { cert } = effectiveTls(config, listener);
      if (enable && listener.enable !== false && cert !== undefined) paths.add(cert);
    }
  }
  const ends = [...paths].map((path) => {
    const pem = readTlsFile(path, "certificate");
    return { path, at: pem === undefined ? 0 : Date.parse(new X509Certificate(pem).validTo) };
  });
  return ends.sort((a, b) => a.at - b.at)[0];
}
