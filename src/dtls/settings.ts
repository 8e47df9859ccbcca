import type { Duration } from "../lib/time.ts";
import type { SigningKey } from "./crypto.ts";
import type { Suite } from "./suites.ts";

/** What a listener asks of its handshakes and grants its associations. Replaced as a whole when files change. */
export interface DtlsSettings {
  /** Allowed suites, best first. */
  readonly suites: readonly Suite[];
  readonly extendedMasterSecret: "prefer" | "require";
  /** Protocol names of RFC 7301 that may be agreed; none ignores what a client offers. */
  readonly protocols: readonly string[];
  /** RFC 6347 §4.2.4: the first wait doubles up to the longest; so many repetitions, then the end. */
  readonly retransmission: {
    readonly first: Duration;
    readonly longest: Duration;
    readonly repetitions: number;
  };
  /** From the proven cookie to the Finished, at most. */
  readonly handshakeTimeout: Duration;
  /** Octets of a datagram of handshake records; less after two repetitions without an answer (RFC 6347 §4.1.1.1). */
  readonly datagramSize: number;
  /** Largest plaintext of a record that we announce (RFC 8449) and take. */
  readonly recordSize: number;
  /** Octets of one handshake message, and of those of a handshake that are not complete. */
  readonly handshakeMessageMax: number;
  readonly connectionId: {
    /** Length of ours; 0: none are offered. */
    readonly length: number;
    /** Also by the extension number and record layout of drafts. */
    readonly draft: boolean;
    /** The first octet of ours, where it says to which of several processes they belong; the rest is random. */
    readonly first?: number | undefined;
    /** Content of records is padded to a multiple of this; 1 for none. */
    readonly padTo: number;
  };
  readonly resumption: {
    readonly ids: boolean;
    readonly tickets: boolean;
    readonly lifetime: Duration;
  };
  readonly limits: DtlsLimits;
}

export interface DtlsLimits {
  /** Associations of one listener; beyond it, the one that was idle for longest goes. */
  readonly associations: number;
  /** Handshakes in progress; beyond it, the address that has most gives one up, or the newcomer goes. */
  readonly handshakes: number;
  /** Handshakes that one address may begin in a second. */
  readonly handshakesPerAddress: number;
  /** An association that carries nothing for this long ends. */
  readonly idle: Duration;
  /** Sessions that can be resumed by id. */
  readonly sessions: number;
}

/** Why a handshake ends: the alert that is sent, and words for an operator. */
export class Failure {
  readonly alert: number;
  readonly reason: string;

  constructor(alert: number, reason: string) {
    this.alert = alert;
    this.reason = reason;
  }
}

/** A key pair of the server, shown as certificate, as raw public key, or as either. */
export interface ServerKey {
  readonly key: SigningKey;
  /** SubjectPublicKeyInfo: what a raw public key consists of (RFC 7250 §3). */
  readonly publicKey: Uint8Array;
  /** Of an EC key: its curve, by the name that groups have here. */
  readonly curve: string | undefined;
  /** DER, the server's own first; none: raw public key only. */
  readonly chain: readonly Uint8Array[];
  /** It may be shown as raw public key. */
  readonly raw: boolean;
  /** Whether it is the one for a server name. */
  serves(name: string): boolean;
}

/** A client that has proven who it is; without a name where the configuration wants none. */
export interface Verified {
  readonly identity: string | undefined;
}

/** Where keys come from, and what they are worth. Asked once a handshake. */
export interface Credentials {
  /** There may be pre-shared keys: their suites can be chosen. */
  readonly presharedKeys: boolean;
  /** RFC 4279 §5.2. None: no ServerKeyExchange is sent for one, which some clients do not expect. */
  readonly identityHint: Uint8Array | undefined;
  /** The key of an identity. A rejected promise ends the handshake. */
  presharedKey(identity: string): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  readonly serverKeys: readonly ServerKey[];
  readonly clientCertificate: "none" | "request" | "require";
  /** Whether clients may prove themselves by certificate, by raw public key. */
  readonly clientX509: boolean;
  readonly clientRawKeys: boolean;
  /** The public key of a certificate; undefined when it is none. */
  publicKeyOf(certificate: Uint8Array): Uint8Array | undefined;
  verifyChain(chain: readonly Uint8Array[]): Verified | Failure;
  verifyRawKey(publicKey: Uint8Array): Verified | Failure | Promise<Verified | Failure>;
  /** Changes when any of it does: sessions of before are not resumed. */
  readonly stamp: string;
}
