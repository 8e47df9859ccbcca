import { concat, NO_BYTES, text, utf8 } from "../lib/bytes.ts";
import type { Instant } from "../lib/time.ts";
import { Association, type AssociationTerms } from "./association.ts";
import type { Crypto } from "./crypto.ts";
import { putNumber, Reader, uint8, uint16 } from "./octets.ts";
import type { Keeper } from "./ports.ts";
import { keyBlockLength } from "./prf.ts";
import { suiteById } from "./suites.ts";

/** Where sealed associations lie. */
export interface AssociationTable {
  put(key: string, value: () => Uint8Array): void;
  remove(key: string): void;
  /** Runs when all that was put before is safe, or could not be made so. */
  whenCommitted(run: (failure: unknown) => void): void;
}

/** Sequence numbers that are leased at a time, for reading and for writing. */
const READ_BLOCK = 64;
const WRITE_BLOCK = 1024;
/** Records and contents of one association that wait for a lease. */
const WAITING_MAX = 64;

interface Waiting {
  /** What is needed, at least. */
  readTo: number;
  writeTo: number;
  runs: (() => void)[];
  /** A lease was asked for that is not in the commit on its way. */
  again: boolean;
}

/** What the table says of an association: a key of its own, and limits that the disk knows. */
interface Kept {
  readonly key: string;
  /** In the table as it is, or is about to be. */
  readTo: number;
  writeTo: number;
  waiting: Waiting | undefined;
}

const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;
const VERSION = 1;
const KEY_NAME_LENGTH = 12;

/**
 * Keeps associations over the end of the process, whatever ends it. Before a sequence number is used, in either
 * direction, the table says that all numbers up to some further one may be: after a crash we write from there on, and
 * read nothing that is older. What was leased and not read is given back when an association has gone quiet, so that
 * the next record of a sleeper is accepted, and nothing that came before it.
 */
export class AssociationKeeper implements Keeper {
  readonly #crypto: Crypto;
  readonly #table: AssociationTable;
  /** Seals what lies in the table (AES-256). */
  readonly #secret: Uint8Array;
  /** Of the listener, before each key. */
  readonly #prefix: string;
  readonly #kept = new Map<Association, Kept>();
  /** Records and contents that were given up because the table could not be written. */
  lost = 0;

  constructor(crypto: Crypto, table: AssociationTable, secret: Uint8Array, prefix: string) {
    this.#crypto = crypto;
    this.#table = table;
    this.#secret = secret;
    this.#prefix = prefix;
  }

  keep(association: Association): void {
    const name = this.#crypto.random(KEY_NAME_LENGTH);
    const key = this.#prefix + Array.from(name, (octet) => octet.toString(16).padStart(2, "0")).join("");
    this.#hold(
      association,
      key,
      association.newestRead + 1 + READ_BLOCK,
      association.nextSequence + WRITE_BLOCK,
    );
    // Until this is committed nothing of it is on disk, and no number can come twice.
    this.#put(association);
  }

  whenReadable(association: Association, sequence: number, run: () => void): void {
    this.#lease(association, sequence + 1, 0, run);
  }

  whenWritable(association: Association, run: () => void): void {
    this.#lease(association, 0, association.nextSequence + 1, run);
  }

  renew(association: Association): void {
    if (this.#kept.get(association)?.waiting !== undefined) return;
    const { newestRead, nextSequence } = association;
    this.#lease(association, newestRead + 1, nextSequence + 1, () => {});
  }

  moved(association: Association): void {
    if (this.#kept.has(association)) this.#put(association);
  }

  quiet(association: Association): void {
    const kept = this.#kept.get(association);
    if (kept === undefined || kept.waiting !== undefined) return;
    const next = association.newestRead + 1;
    if (kept.readTo === next) return;
    kept.readTo = next;
    association.readLimit = next;
    this.#put(association);
  }

  forget(association: Association): void {
    const kept = this.#kept.get(association);
    if (kept === undefined) return;
    this.#kept.delete(association);
    this.#table.remove(kept.key);
  }

  /** An association as the table has it; undefined when it cannot be used any more. */
  restore(key: string, sealed: Uint8Array, id: number, cidLength: number): Association | undefined {
    const plaintext = this.#unseal(key, sealed);
    const record = plaintext === undefined ? undefined : decode(plaintext);
    if (record === undefined) return undefined;
    const { terms, address, port, identity, openedAt, lastSeen, readTo, writeTo } = record;
    // Connection ids of another length than is configured now are not found in records.
    if (terms.ownCid.length > 0 && terms.ownCid.length !== cidLength) return undefined;
    const at = { read: readTo, write: writeTo };
    const association = new Association(this.#crypto, id, terms, { address, port }, openedAt, at);
    association.identity = identity;
    association.lastSeen = lastSeen;
    this.#hold(association, key, readTo, writeTo);
    return association;
  }

  #hold(association: Association, key: string, readTo: number, writeTo: number): void {
    this.#kept.set(association, { key, readTo, writeTo, waiting: undefined });
    association.readLimit = readTo;
    association.writeLimit = writeTo;
  }

  /** Runs when numbers below these may be used. */
  #lease(association: Association, readTo: number, writeTo: number, run: () => void): void {
    const kept = this.#kept.get(association);
    if (kept === undefined) return;
    const { waiting } = kept;
    if (waiting === undefined) {
      kept.waiting = { readTo, writeTo, runs: [run], again: false };
      this.#commit(association, kept, kept.waiting);
    } else if (waiting.runs.length >= WAITING_MAX) {
      this.lost++;
    } else {
      waiting.runs.push(run);
      waiting.again ||= readTo > kept.readTo || writeTo > kept.writeTo;
      waiting.readTo = Math.max(waiting.readTo, readTo);
      waiting.writeTo = Math.max(waiting.writeTo, writeTo);
    }
  }

  #commit(association: Association, kept: Kept, waiting: Waiting): void {
    kept.readTo = Math.max(kept.readTo, waiting.readTo + READ_BLOCK);
    kept.writeTo = Math.max(kept.writeTo, waiting.writeTo + WRITE_BLOCK);
    const { readTo, writeTo } = kept;
    this.#put(association);
    this.#table.whenCommitted((failure) => {
      // It may have ended meanwhile.
      if (this.#kept.get(association) !== kept) return;
      if (failure !== undefined) {
        kept.waiting = undefined;
        kept.readTo = association.readLimit;
        kept.writeTo = association.writeLimit;
        this.lost += waiting.runs.length;
        return;
      }
      association.readLimit = readTo;
      association.writeLimit = writeTo;
      if (waiting.again) {
        waiting.again = false;
        this.#commit(association, kept, waiting);
        return;
      }
      kept.waiting = undefined;
      for (const run of waiting.runs) run();
    });
  }

  #put(association: Association): void {
    const kept = this.#kept.get(association);
    if (kept === undefined) return;
    this.#table.put(kept.key, () => this.#seal(kept.key, encode(association, kept)));
  }

  #seal(key: string, plaintext: Uint8Array): Uint8Array {
    const nonce = this.#crypto.random(NONCE_LENGTH);
    const sealed = new Uint8Array(NONCE_LENGTH + plaintext.length + TAG_LENGTH);
    sealed.set(nonce);
    this.#crypto.aead("aes-256-gcm", this.#secret).seal(nonce, utf8(key), plaintext, sealed, NONCE_LENGTH);
    return sealed;
  }

  #unseal(key: string, sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length < NONCE_LENGTH + TAG_LENGTH) return undefined;
    const [nonce, rest] = [sealed.subarray(0, NONCE_LENGTH), sealed.subarray(NONCE_LENGTH)];
    return this.#crypto.aead("aes-256-gcm", this.#secret).open(nonce, utf8(key), rest);
  }
}

function number(value: number): Uint8Array {
  const bytes = new Uint8Array(6);
  putNumber(bytes, 0, value, 6);
  return bytes;
}
const vector = (bytes: Uint8Array): Uint8Array => concat(uint16(bytes.length), bytes);
const readNumber = (reader: Reader): number => reader.uint24() * 0x1000000 + reader.uint24();

function encode(association: Association, { readTo, writeTo }: Kept): Uint8Array {
  const { terms, address, port, identity, openedAt, lastSeen } = association;
  const flags = (terms.encryptThenMac ? 1 : 0) | (terms.draftCid ? 2 : 0) | (identity === undefined ? 0 : 4);
  return concat(
    Uint8Array.of(VERSION, flags),
    uint16(terms.suite.id),
    terms.material.block,
    uint8(terms.ownCid.length),
    terms.ownCid,
    uint8(terms.peerCid.length),
    terms.peerCid,
    uint16(terms.peerRecordSize),
    uint16(terms.ownRecordSize),
    uint16(terms.padTo),
    vector(utf8(address)),
    uint16(port),
    vector(identity === undefined ? NO_BYTES : utf8(identity)),
    number(Math.floor(openedAt)),
    number(Math.floor(lastSeen)),
    number(readTo),
    number(writeTo),
  );
}

interface Decoded {
  readonly terms: AssociationTerms;
  readonly address: string;
  readonly port: number;
  readonly identity: string | undefined;
  readonly openedAt: Instant;
  readonly lastSeen: Instant;
  readonly readTo: number;
  readonly writeTo: number;
}

function decode(plaintext: Uint8Array): Decoded | undefined {
  const reader = new Reader(plaintext);
  if (reader.uint8() !== VERSION) return undefined;
  const flags = reader.uint8();
  const suite = suiteById(reader.uint16());
  if (suite === undefined) return undefined;
  const terms: AssociationTerms = {
    suite,
    material: { cipher: suite.cipher, block: new Uint8Array(reader.octets(keyBlockLength(suite.cipher))) },
    encryptThenMac: (flags & 1) !== 0,
    draftCid: (flags & 2) !== 0,
    ownCid: new Uint8Array(reader.vector(1)),
    peerCid: new Uint8Array(reader.vector(1)),
    peerRecordSize: reader.uint16(),
    ownRecordSize: reader.uint16(),
    padTo: reader.uint16(),
  };
  const address = text(reader.vector(2));
  const port = reader.uint16();
  const identity = text(reader.vector(2));
  const [openedAt, lastSeen] = [readNumber(reader) as Instant, readNumber(reader) as Instant];
  const [readTo, writeTo] = [readNumber(reader), readNumber(reader)];
  if (!reader.complete || address === undefined || identity === undefined) return undefined;
  return {
    terms,
    address,
    port,
    identity: (flags & 4) === 0 ? undefined : identity,
    openedAt,
    lastSeen,
    readTo,
    writeTo,
  };
}
