import type { Alarms } from "../lib/alarm.ts";
import type { Instant } from "../lib/time.ts";
import type { Association } from "./association.ts";
import type { Crypto } from "./crypto.ts";
import type { DtlsMemory } from "./memory.ts";

export interface DtlsNote {
  readonly level: "debug" | "info" | "warn";
  readonly event: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Why a record went no further. */
export type DroppedRecord =
  | "malformed" // no record of DTLS 1.2, or cut short
  | "unknown" // of no association or handshake that is known here
  | "forged" // not made with the keys of its association
  | "replayed" // seen before, or too old to tell
  | "unprotected" // in the wrong epoch, or without the connection id that was agreed
  | "too-large" // more than was agreed on
  | "unproven"; // to an address that has not answered yet

/** What a listener of DTLS needs of the world. */
export interface DtlsPorts {
  readonly crypto: Crypto;
  readonly alarms: Alarms;
  now(): Instant;
  send(datagram: Uint8Array, address: string, port: number): void;
  /** What an association carries. The bytes are the receiver's. */
  deliver(association: Association, content: Uint8Array): void;
  /** The association cannot be written to any more. */
  closed(association: Association, why: string): void;
  note(note: DtlsNote): void;
  /** For metrics; by suite, `none` before there is one. */
  handshakeEnded(suite: string, outcome: string): void;
  recordDropped(why: DroppedRecord): void;
  /** Of all listeners together. */
  readonly memory: DtlsMemory;
  /** Keeps associations over restarts; undefined when nothing does. */
  readonly keeper: Keeper | undefined;
}

/** What outlives the process. Sequence numbers are leased in blocks before they are used. */
export interface Keeper {
  /** A new association: from now on it is kept, and has limits. */
  keep(association: Association): void;
  /** Runs when records up to this number may be read, or be written; never if that cannot be kept. */
  whenReadable(association: Association, sequence: number, run: () => void): void;
  whenWritable(association: Association, run: () => void): void;
  /** It comes near one of its limits: they are raised before anything has to wait. */
  renew(association: Association): void;
  /** Its address has changed. */
  moved(association: Association): void;
  /** It has gone quiet: what it has not used of its lease is given back. */
  quiet(association: Association): void;
  forget(association: Association): void;
}
