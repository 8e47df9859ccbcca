import type { Duration } from "../lib/time.ts";
import type { TlsOptions } from "./transport.ts";

/** A certificate and its key. */
export interface ServerFiles {
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly keyPassphrase?: string | undefined;
}

/** What the configuration says of secure datagram listeners. */
export interface DtlsOptions {
  /** Names of cipher suites, best first; empty for the default ones. */
  readonly suites: readonly string[];
  readonly extendedMasterSecret: "prefer" | "require";
  /** File of `identity:public key` lines. */
  readonly clientKeys?: string | undefined;
  /** Further ones; which is shown goes by server name and kind. */
  readonly certificates: readonly ServerFiles[];
  /** Show the server's key as raw public key to clients that want it. */
  readonly rawPublicKey: boolean;
  readonly identityHint?: string | undefined;
  readonly connectionId: {
    readonly length: number;
    readonly draft: boolean;
    readonly padTo: number;
    /** Their first octet, where it says to which of several processes they belong. */
    readonly first?: number | undefined;
  };
  readonly retransmission: {
    readonly first: Duration;
    readonly longest: Duration;
    readonly repetitions: number;
  };
  readonly handshakeTimeout: Duration;
  readonly datagramSize: number;
  readonly recordSize: number;
  readonly resumption: { readonly ids: boolean; readonly tickets: boolean; readonly lifetime: Duration };
  readonly limits: {
    readonly associations: number;
    readonly handshakes: number;
    readonly handshakesPerAddress: number;
    readonly handshakeMessage: number;
    readonly idle: Duration;
    readonly sessions: number;
    readonly memory: number;
  };
  /** File to which master secrets are written, for people who look at traffic. */
  readonly keyLog?: string | undefined;
}

/** A listener's own files, and protocol names that clients may ask for (RFC 7301). */
export interface SecureDatagrams {
  /** Of gateway and listener: associations that are kept are kept under it. */
  readonly name: string;
  readonly tls: TlsOptions;
  readonly dtls: DtlsOptions;
  readonly protocols: readonly string[];
}
