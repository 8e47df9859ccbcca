import type { Instant } from "../lib/time.ts";
import { ContentType, SEQUENCE_MAX } from "./constants.ts";
import type { Crypto } from "./crypto.ts";
import type { KeyMaterial } from "./prf.ts";
import { type Content, type Protection, type ProtectionTerms, protectionOf } from "./protection.ts";
import type { DtlsRecord } from "./record.ts";
import { ReplayWindow } from "./replay-window.ts";
import type { Suite } from "./suites.ts";

/** There is no renegotiation: what is protected is in the first epoch. */
export const EPOCH = 1;

/** All that a handshake leaves behind. */
export interface AssociationTerms extends ProtectionTerms {
  readonly suite: Suite;
  readonly material: KeyMaterial;
  /** By which the peer finds us, and we it; empty for none. */
  readonly ownCid: Uint8Array;
  readonly peerCid: Uint8Array;
  /** Longest plaintext that the peer takes in a record, and that we do. */
  readonly peerRecordSize: number;
  readonly ownRecordSize: number;
  /** Content of records with a connection id is padded to a multiple of this. */
  readonly padTo: number;
}

/** Why a record was not taken; for counting only. */
export type Rejection = "replayed" | "unprotected" | "forged";

/** Two who share keys. The server's half: it reads what the client writes. */
export class Association {
  readonly id: number;
  readonly terms: AssociationTerms;
  /** Where the peer is: the sender of the newest record that was verified. */
  address: string;
  port: number;
  /** What the peer has proven; undefined for one that was not asked. */
  identity: string | undefined;
  openedAt: Instant;
  lastSeen: Instant;
  /** Octets that may still be sent to an address that has not answered (RFC 9146 §6). */
  budget = Number.POSITIVE_INFINITY;
  /** Something was to be sent there since it moved: what comes now from there is an answer, or asks again for one. */
  triedSinceMove = false;
  /** The sequence number of the next record that we write. */
  nextSequence = 0;
  /** Sequence numbers below these may be written, read: beyond, the store is told first. */
  writeLimit = Number.POSITIVE_INFINITY;
  readLimit = Number.POSITIVE_INFINITY;
  closed = false;
  readonly #window: ReplayWindow;
  readonly #crypto: Crypto;
  #reading: Protection | undefined = undefined;
  #writing: Protection | undefined = undefined;

  constructor(
    crypto: Crypto,
    id: number,
    terms: AssociationTerms,
    at: { readonly address: string; readonly port: number },
    now: Instant,
    resumeAt?: { readonly read: number; readonly write: number },
  ) {
    this.#crypto = crypto;
    this.id = id;
    this.terms = terms;
    this.address = at.address;
    this.port = at.port;
    this.openedAt = now;
    this.lastSeen = now;
    this.#window = new ReplayWindow(resumeAt?.read ?? 0);
    this.nextSequence = resumeAt?.write ?? 0;
  }

  /** The newest sequence number that was read; -1 before the first. */
  get newestRead(): number {
    return this.#window.newest;
  }

  get warm(): boolean {
    return this.#reading !== undefined || this.#writing !== undefined;
  }

  /** The longest content that fits a record; behind a connection id, its type and the padding count, too. */
  get maxContent(): number {
    return this.terms.peerRecordSize - (this.terms.peerCid.length > 0 ? 1 : 0);
  }

  get maxOwnContent(): number {
    return this.terms.ownRecordSize;
  }

  /** Lets go of what only a busy association needs: contexts of the ciphers. */
  cool(): void {
    this.#reading = undefined;
    this.#writing = undefined;
  }

  /** Opens a record and remembers it. `newest`: it may have moved the peer. */
  open(record: DtlsRecord): (Content & { readonly newest: boolean }) | Rejection {
    // RFC 9146 §4: whoever has agreed on a connection id uses it.
    const withCid = record.type === ContentType.tls12Cid;
    if (record.epoch !== EPOCH || withCid !== this.terms.ownCid.length > 0) return "unprotected";
    if (!this.#window.isFresh(record.sequence)) return "replayed";
    this.#reading ??= protectionOf(this.#crypto, this.terms.material, "client", this.terms);
    const content = this.#reading.open(record);
    if (content === undefined) return "forged";
    return { type: content.type, bytes: content.bytes, newest: this.#window.accept(record.sequence) };
  }

  /** A record for the peer; undefined when the last sequence number is spent, and the association with it. */
  seal(type: number, content: Uint8Array): Uint8Array | undefined {
    if (this.nextSequence > SEQUENCE_MAX) return undefined;
    this.#writing ??= protectionOf(this.#crypto, this.terms.material, "server", this.terms);
    const { peerCid, padTo } = this.terms;
    const to = { epoch: EPOCH, sequence: this.nextSequence++, cid: peerCid };
    const wanted = peerCid.length === 0 || padTo <= 1 ? 0 : (padTo - ((content.length + 1) % padTo)) % padTo;
    const padding = Math.min(wanted, Math.max(this.maxContent - content.length, 0));
    return this.#writing.seal(type, content, to, padding);
  }

  /** Overwrites the keys. */
  wipe(): void {
    this.closed = true;
    this.cool();
    this.terms.material.block.fill(0);
  }
}
