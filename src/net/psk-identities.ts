/** Which pre-shared keys a TLS client names, read from the records of its handshake as they pass. */

const RECORD_HEADER = 5;
/** RFC 5246 §6.2.1, and what a cipher may add. What is longer is TLS's to refuse. */
const RECORD_MAX = 2 ** 14 + 2_048;
const HANDSHAKE_RECORD = 22;

const MESSAGE_HEADER = 4;
const CLIENT_HELLO = 1;
const CLIENT_KEY_EXCHANGE = 16;
/** No honest message that names a key is longer than that. */
const MESSAGE_MAX = 2 ** 14;

/** RFC 8446 §4.2. */
const PRE_SHARED_KEY = 41;
/** RFC 4279 §5.3. */
const IDENTITY_LENGTH_MAX = 128;

/** A record as it came, and the identities in messages that end with it. */
export interface ClientRecord {
  readonly bytes: Buffer;
  readonly identities: readonly string[];
}

/**
 * What a client sends until its handshake is encrypted. TLS 1.2 names a key in ClientKeyExchange (RFC 4279 §2), TLS 1.3 in
 * ClientHello (RFC 8446 §4.2.11). What is malformed names nothing and goes on to TLS, which refuses it.
 */
export class ClientFlight {
  #bytes: Buffer = Buffer.alloc(0);
  #message: Buffer = Buffer.alloc(0);
  /** Octets left of a message that names no key. */
  #skipped = 0;
  #over = false;

  take(bytes: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
  }

  /** All has been given out, and nothing that comes can name a key. */
  get over(): boolean {
    return this.#over && this.#bytes.length === 0;
  }

  /** Undefined: it is not complete yet. */
  next(): ClientRecord | undefined {
    const all = this.#bytes;
    if (all.length === 0) return undefined;
    if (this.#over) return this.#give(all.length, []);
    if (all[0] !== HANDSHAKE_RECORD) {
      this.#over = true;
      return this.#give(all.length, []);
    }
    if (all.length < RECORD_HEADER) return undefined;
    const length = RECORD_HEADER + all.readUInt16BE(3);
    if (length > RECORD_MAX) {
      this.#over = true;
      return this.#give(all.length, []);
    }
    if (all.length < length) return undefined;
    return this.#give(length, this.#identitiesOf(all.subarray(RECORD_HEADER, length)));
  }

  #give(length: number, identities: readonly string[]): ClientRecord {
    const bytes = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return { bytes, identities };
  }

  /** Messages may be parts of a record, or longer than one. */
  #identitiesOf(fragment: Buffer): readonly string[] {
    const skipped = Math.min(this.#skipped, fragment.length);
    this.#skipped -= skipped;
    let rest = Buffer.concat([this.#message, fragment.subarray(skipped)]);
    const identities: string[] = [];
    while (rest.length >= MESSAGE_HEADER) {
      const type = rest[0];
      const length = MESSAGE_HEADER + rest.readUIntBE(1, 3);
      const names = (type === CLIENT_HELLO || type === CLIENT_KEY_EXCHANGE) && length <= MESSAGE_MAX;
      if (names) {
        if (rest.length < length) break;
        identities.push(...named(type, rest.subarray(MESSAGE_HEADER, length)));
      } else this.#skipped = Math.max(0, length - rest.length);
      rest = rest.subarray(length);
    }
    this.#message = rest;
    return identities;
  }
}

function named(type: number, body: Buffer): readonly string[] {
  try {
    const found = type === CLIENT_HELLO ? ofClientHello(body) : [sized(body, 0, 2)];
    return found.map(identityIn).filter((identity) => identity !== undefined);
  } catch {
    return [];
  }
}

/**
 * An identity as RFC 4279 §5.1 has it. Nothing else that can stand there is one: the points, numbers and secrets of other key
 * exchanges (their length does not fit), and the tickets of sessions (which are no text).
 */
function identityIn(octets: Buffer): string | undefined {
  const identity = octets.toString("utf8");
  const honest = octets.length <= IDENTITY_LENGTH_MAX && Buffer.from(identity).equals(octets);
  return honest && isIdentity(identity) ? identity : undefined;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: OpenSSL ends a name at NUL, and no name has the others
const NO_NAME = /[\u0000-\u001f\u007f\ufffd]/;
/** Whether this text can be the name of a key. A ticket that Node shows as text is none. */
export const isIdentity = (text: string): boolean => text !== "" && !NO_NAME.test(text);

/** The octets of a vector whose length stands before it. Throws `RangeError` where there are fewer. */
function sized(body: Buffer, at: number, width: 1 | 2): Buffer {
  const start = at + width;
  const end = start + body.readUIntBE(at, width);
  if (end > body.length) throw new RangeError("a vector is cut off");
  return body.subarray(start, end);
}

function ofClientHello(body: Buffer): readonly Buffer[] {
  // Version and random.
  let at = 2 + 32;
  // Session id, cipher suites, compression methods.
  for (const width of [1, 2, 1] as const) at += width + sized(body, at, width).length;
  if (at === body.length) return [];
  const extensions = sized(body, at, 2);
  for (let from = 0; from < extensions.length; ) {
    const data = sized(extensions, from + 2, 2);
    if (extensions.readUInt16BE(from) === PRE_SHARED_KEY) return offered(sized(data, 0, 2));
    from += 4 + data.length;
  }
  return [];
}

function offered(list: Buffer): readonly Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < list.length; ) {
    const identity = sized(list, at, 2);
    found.push(identity);
    // Its ticket's age follows.
    at += 2 + identity.length + 4;
  }
  return found;
}
