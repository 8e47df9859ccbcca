/** Keys and certificates for walks: made once, by openssl, and verified by the product's own code. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Credentials } from "#core/dtls/settings.ts";
import { seconds } from "#core/lib/time.ts";
import { FileCredentials, type KeyAuthority } from "#core/net/dtls-credentials.ts";
import type { DtlsOptions } from "#core/net/dtls-options.ts";
import type { TlsOptions } from "#core/net/transport.ts";
import { Certificates } from "../unit/net/certificates.ts";
import type { DeviceProof } from "./dtls-device.ts";
import { SETTINGS } from "./dtls-world.ts";

export class DtlsCertificates extends Certificates {
  /** A certificate of the authority, as a device shows it. */
  proof(name: string): DeviceProof {
    const { key } = this.rawProof(name);
    return { key, chain: [new X509Certificate(readFileSync(this.path(`${name}.pem`))).raw] };
  }

  rawProof(name: string): DeviceProof {
    return { key: createPrivateKey(readFileSync(this.path(`${name}.key`))) };
  }

  /** What the configuration would make of these files. */
  credentials(tls: Partial<TlsOptions>, dtls: Partial<DtlsOptions> = {}, others?: KeyAuthority): Credentials {
    const { limits, ...settings } = SETTINGS;
    const options: DtlsOptions = {
      ...settings,
      suites: [],
      rawPublicKey: true,
      certificates: [],
      limits: { ...limits, handshakeMessage: 16_384, memory: 1e9 },
      ...dtls,
    };
    const files: TlsOptions = {
      clientCertificate: "none",
      identity: "cn",
      minVersion: "TLSv1.2",
      reloadInterval: seconds(5),
      ...tls,
    };
    return new FileCredentials({ name: "test", tls: files, dtls: options, protocols: [] }, others);
  }
}
