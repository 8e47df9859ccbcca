import { concat } from "../lib/bytes.ts";
import { ContentType, DTLS_1_2 } from "./constants.ts";
import type { Aead, Crypto } from "./crypto.ts";
import { putNumber } from "./octets.ts";
import { type DirectionKeys, directionKeys, type KeyMaterial } from "./prf.ts";
import { type DtlsRecord, putRecordHeader, RECORD_HEADER_LENGTH } from "./record.ts";

/** What a record carries, opened. */
export interface Content {
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** Where a record goes: its numbers, and the peer's connection id, empty for none. */
export interface Outgoing {
  readonly epoch: number;
  readonly sequence: number;
  readonly cid: Uint8Array;
}

/** Protects records in one direction. */
export interface Protection {
  /** A whole record. `padding`: zeros behind the content, for records with a connection id. */
  seal(type: number, content: Uint8Array, to: Outgoing, padding: number): Uint8Array;
  /** Undefined when it was not made with these keys, for these numbers. Nothing tells why (RFC 5246 §6.2.3.2). */
  open(record: DtlsRecord): Content | undefined;
}

export interface ProtectionTerms {
  /** RFC 7366. */
  readonly encryptThenMac: boolean;
  /** Connection ids as drafts of RFC 9146 had them. */
  readonly draftCid: boolean;
}

export function protectionOf(
  crypto: Crypto,
  material: KeyMaterial,
  writer: "client" | "server",
  terms: ProtectionTerms,
): Protection {
  const keys = directionKeys(material, writer);
  const { cipher } = material;
  if (cipher.kind === "cbc") return new CbcProtection(crypto, keys, terms);
  return new AeadProtection(crypto.aead(cipher.name, keys.key), keys.iv, cipher.tagLength, terms.draftCid);
}

const EXPLICIT_NONCE_LENGTH = 8;
/** Epoch and sequence number, as they stand in a record. */
const numbersOf = (record: Uint8Array): Uint8Array => record.subarray(3, 11);

/** RFC 9146 §5.3 and RFC 6347 §4.1.2.1: what is authenticated and not encrypted. */
function additionalData(
  type: number,
  numbers: Uint8Array,
  cid: Uint8Array,
  length: number,
  draft: boolean,
): Uint8Array {
  if (type !== ContentType.tls12Cid) {
    const data = new Uint8Array(13);
    data.set(numbers);
    data[8] = type;
    putNumber(data, 9, DTLS_1_2, 2);
    putNumber(data, 11, length, 2);
    return data;
  }
  if (draft) {
    // draft-ietf-tls-dtls-connection-id-05 §5.
    const data = new Uint8Array(14 + cid.length);
    data.set(numbers);
    data[8] = type;
    putNumber(data, 9, DTLS_1_2, 2);
    data.set(cid, 11);
    data[11 + cid.length] = cid.length;
    putNumber(data, 12 + cid.length, length, 2);
    return data;
  }
  const data = new Uint8Array(23 + cid.length);
  data.fill(0xff, 0, 8);
  data[8] = type;
  data[9] = cid.length;
  data[10] = type;
  putNumber(data, 11, DTLS_1_2, 2);
  data.set(numbers, 13);
  data.set(cid, 21);
  putNumber(data, 21 + cid.length, length, 2);
  return data;
}

/** RFC 9146 §4: the content, its real type, and zeros. */
function innerPlaintext(type: number, content: Uint8Array, padding: number): Uint8Array {
  const inner = new Uint8Array(content.length + 1 + padding);
  inner.set(content);
  inner[content.length] = type;
  return inner;
}

/** The content of a record with connection id; undefined when there is no type, only zeros. */
function unwrap(inner: Uint8Array): Content | undefined {
  let end = inner.length - 1;
  while (end >= 0 && inner[end] === 0) end--;
  if (end < 0) return undefined;
  return { type: inner[end] as number, bytes: inner.subarray(0, end) };
}

const contentOf = (type: number, plaintext: Uint8Array): Content | undefined =>
  type === ContentType.tls12Cid ? unwrap(plaintext) : { type, bytes: plaintext };

class AeadProtection implements Protection {
  readonly #aead: Aead;
  readonly #tagLength: number;
  readonly #draftCid: boolean;
  readonly #nonce = new Uint8Array(12);

  constructor(aead: Aead, iv: Uint8Array, tagLength: number, draftCid: boolean) {
    this.#aead = aead;
    this.#tagLength = tagLength;
    this.#draftCid = draftCid;
    this.#nonce.set(iv);
  }

  seal(type: number, content: Uint8Array, { epoch, sequence, cid }: Outgoing, padding: number): Uint8Array {
    const withCid = cid.length > 0;
    const plaintext = withCid ? innerPlaintext(type, content, padding) : content;
    const outer = withCid ? ContentType.tls12Cid : type;
    const length = EXPLICIT_NONCE_LENGTH + plaintext.length + this.#tagLength;
    const record = new Uint8Array(RECORD_HEADER_LENGTH + cid.length + length);
    const start = putRecordHeader(record, outer, epoch, sequence, cid, length);
    // RFC 5288 §3 and RFC 6655 §3: the number of the record makes the nonce, so that none comes twice.
    const numbers = numbersOf(record);
    record.set(numbers, start);
    this.#nonce.set(numbers, 4);
    const aad = additionalData(outer, numbers, cid, plaintext.length, this.#draftCid);
    this.#aead.seal(this.#nonce, aad, plaintext, record, start + EXPLICIT_NONCE_LENGTH);
    return record;
  }

  open({ type, epoch, sequence, cid, fragment }: DtlsRecord): Content | undefined {
    const length = fragment.length - EXPLICIT_NONCE_LENGTH - this.#tagLength;
    if (length < 0) return undefined;
    this.#nonce.set(fragment.subarray(0, EXPLICIT_NONCE_LENGTH), 4);
    const numbers = numbersFrom(epoch, sequence);
    const aad = additionalData(type, numbers, cid, length, this.#draftCid);
    const plaintext = this.#aead.open(this.#nonce, aad, fragment.subarray(EXPLICIT_NONCE_LENGTH));
    return plaintext === undefined ? undefined : contentOf(type, plaintext);
  }
}

function numbersFrom(epoch: number, sequence: number): Uint8Array {
  const numbers = new Uint8Array(8);
  putNumber(numbers, 0, epoch, 2);
  putNumber(numbers, 2, sequence, 6);
  return numbers;
}

const BLOCK = 16;
const MAC = 32;

/** RFC 5246 §6.2.3.2 with a MAC of SHA-256, and RFC 7366, where it was agreed. */
class CbcProtection implements Protection {
  readonly #crypto: Crypto;
  readonly #keys: DirectionKeys;
  readonly #terms: ProtectionTerms;

  constructor(crypto: Crypto, keys: DirectionKeys, terms: ProtectionTerms) {
    this.#crypto = crypto;
    this.#keys = keys;
    this.#terms = terms;
  }

  seal(type: number, content: Uint8Array, { epoch, sequence, cid }: Outgoing, padding: number): Uint8Array {
    const withCid = cid.length > 0;
    const outer = withCid ? ContentType.tls12Cid : type;
    const plaintext = withCid ? innerPlaintext(type, content, padding) : content;
    const numbers = numbersFrom(epoch, sequence);
    const { encryptThenMac } = this.#terms;
    const body = encryptThenMac
      ? this.#encrypt(plaintext)
      : this.#encrypt(concat(plaintext, this.#mac(outer, numbers, cid, plaintext)));
    const fragment = encryptThenMac ? concat(body, this.#mac(outer, numbers, cid, body)) : body;
    const record = new Uint8Array(RECORD_HEADER_LENGTH + cid.length + fragment.length);
    record.set(fragment, putRecordHeader(record, outer, epoch, sequence, cid, fragment.length));
    return record;
  }

  open({ type, epoch, sequence, cid, fragment }: DtlsRecord): Content | undefined {
    const numbers = numbersFrom(epoch, sequence);
    const plaintext = this.#terms.encryptThenMac
      ? this.#openMacFirst(type, numbers, cid, fragment)
      : this.#openMacLast(type, numbers, cid, fragment);
    return plaintext === undefined ? undefined : contentOf(type, plaintext);
  }

  #openMacFirst(
    type: number,
    numbers: Uint8Array,
    cid: Uint8Array,
    fragment: Uint8Array,
  ): Uint8Array | undefined {
    const bodyLength = fragment.length - MAC;
    if (bodyLength < 2 * BLOCK || bodyLength % BLOCK !== 0) return undefined;
    const body = fragment.subarray(0, bodyLength);
    if (!this.#crypto.equal(this.#mac(type, numbers, cid, body), fragment.subarray(bodyLength)))
      return undefined;
    const padded = this.#decrypt(body);
    const padding = paddingOf(padded, 0);
    return padding === undefined ? undefined : padded.subarray(0, padded.length - padding);
  }

  /** Wrong padding counts as none, so that a MAC is made in any case and nothing tells the one from the other. */
  #openMacLast(
    type: number,
    numbers: Uint8Array,
    cid: Uint8Array,
    fragment: Uint8Array,
  ): Uint8Array | undefined {
    if (fragment.length < 2 * BLOCK + MAC || fragment.length % BLOCK !== 0) return undefined;
    const padded = this.#decrypt(fragment);
    const padding = paddingOf(padded, MAC);
    const length = padded.length - MAC - (padding ?? 0);
    const plaintext = padded.subarray(0, length);
    const sound = this.#crypto.equal(
      this.#mac(type, numbers, cid, plaintext),
      padded.subarray(length, length + MAC),
    );
    // As many blocks are hashed whatever the padding says (Lucky Thirteen), as near as a runtime like this one can.
    this.#crypto.hmac("sha256", this.#keys.mac, [padded.subarray(length)]);
    return sound && padding !== undefined ? plaintext : undefined;
  }

  #mac(type: number, numbers: Uint8Array, cid: Uint8Array, bytes: Uint8Array): Uint8Array {
    const data = additionalData(type, numbers, cid, bytes.length, this.#terms.draftCid);
    return this.#crypto.hmac("sha256", this.#keys.mac, [data, bytes]);
  }

  #encrypt(bytes: Uint8Array): Uint8Array {
    const padding = BLOCK - (bytes.length % BLOCK);
    const padded = new Uint8Array(bytes.length + padding).fill(padding - 1, bytes.length);
    padded.set(bytes);
    const iv = this.#crypto.random(BLOCK);
    return concat(iv, this.#crypto.cbc(this.#keys.key, iv, padded, "encrypt"));
  }

  #decrypt(body: Uint8Array): Uint8Array {
    const [iv, blocks] = [body.subarray(0, BLOCK), body.subarray(BLOCK)];
    return this.#crypto.cbc(this.#keys.key, iv, blocks, "decrypt");
  }
}

/** How many octets at the end are padding; undefined when they are not what they say. All are looked at. */
function paddingOf(padded: Uint8Array, beside: number): number | undefined {
  const length = (padded[padded.length - 1] as number) + 1;
  if (length + beside > padded.length) return undefined;
  let wrong = 0;
  for (let index = padded.length - length; index < padded.length; index++) {
    wrong |= (padded[index] as number) ^ (length - 1);
  }
  return wrong === 0 ? length : undefined;
}
