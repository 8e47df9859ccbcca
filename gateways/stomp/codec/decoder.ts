import { text } from "#core/lib/bytes.ts";
import { type DecodeError, decodeError, type Err } from "#core/lib/result.ts";
import { COMMAND_LENGTH_MAX, commandAt, Header, opensSession, type Version } from "../frames.ts";
import { Frame, lineFlags } from "./frame.ts";

/** What a frame may cost, checked while it is read (STOMP 1.2 Size Limits). */
export interface FrameLimits {
  /** Headers in one frame. */
  readonly headers: number;
  /** Bytes of one header line, its end of line not counted. */
  readonly headerLength: number;
  /** Bytes of a body. */
  readonly bodyLength: number;
  /** Bytes of everything up to the body of the frame that opens the session. */
  readonly connectLength: number;
}

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

/** From here on an octet is not ASCII. */
const HIGH = 0x80;

/** What the next octet belongs to. */
type Reading = "gap" | "command" | "headers" | "sized-body" | "body" | "failed";

/** A body shorter than this is searched for its NUL by hand: cheaper than a call of `indexOf`. */
const SHORT_SEARCH = 32;
const CARRY_FIRST = 256;

/**
 * Cuts a stream into frames. `push` hands in a chunk, then `next` is called until it has nothing more. A frame
 * that lies in one chunk is read where it is; one that does not is gathered, but no octet is looked at twice.
 *
 * Offsets are counted from the frame's first octet. `#base` is what makes an offset of an index in the chunk.
 */
export class Decoder {
  /** The session's version, once there is one. */
  version: Version | undefined = undefined;
  readonly #limits: FrameLimits;
  readonly #frame = new Frame();
  #reading: Reading = "gap";
  #chunk: Buffer = NO_CHUNK;
  #at = 0;
  #base = 0;
  /** First octets of a frame whose chunk is gone, and how many. */
  #carry: Buffer | undefined = undefined;
  #carried = 0;
  /** Index in the chunk of the first octet of this frame that is not in the carry. */
  #from = 0;
  #lineStart = 0;
  #colon = -1;
  #cr = -1;
  #nameEscaped = false;
  #valueEscaped = false;
  #error: Err<DecodeError> | undefined = undefined;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  /** The frame that `next` returned last, or whose headers the error followed. */
  get frame(): Frame {
    return this.#frame;
  }

  /** A frame has begun and not ended. */
  get midFrame(): boolean {
    return this.#reading !== "gap";
  }

  /** Hands in the next bytes of the stream, wherever they are cut. What is kept of them is copied. */
  push(bytes: Uint8Array): void {
    const rest = this.#chunk.subarray(this.#at);
    const chunk = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#chunk = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    this.#at = 0;
    this.#from = 0;
    this.#base = this.#carried;
  }

  /** Keeps a copy of what has not been read yet, because the chunk will be gone when reading goes on. */
  hold(): void {
    this.#chunk = this.#at === this.#chunk.length ? NO_CHUNK : Buffer.from(this.#chunk.subarray(this.#at));
    this.#at = 0;
    this.#from = 0;
    this.#base = this.#carried;
  }

  /** The next frame, an error after which nothing more is read, or undefined when the chunk is used up. */
  next(): Frame | Err<DecodeError> | undefined {
    for (;;) {
      switch (this.#reading) {
        case "gap":
          if (!this.#skipGap()) return this.#exhausted();
          break;
        case "command":
          if (!this.#readCommand()) return this.#exhausted();
          break;
        case "headers":
          if (!this.#readHeaders()) return this.#exhausted();
          break;
        case "sized-body":
          return this.#readSizedBody() ? this.#complete() : this.#exhausted();
        case "body":
          return this.#readBody() ? this.#complete() : this.#exhausted();
        case "failed":
          return this.#error;
      }
    }
  }

  /** Ends of line between frames are heart-beats; stray NULs there harm nobody (STOMP 1.2 Augmented BNF). */
  #skipGap(): boolean {
    const chunk = this.#chunk;
    for (let at = this.#at; at < chunk.length; at++) {
      const octet = chunk[at] as number;
      if (octet === LF || octet === CR || octet === NUL) continue;
      this.#at = at;
      this.#from = at;
      this.#base = -at;
      this.#cr = -1;
      this.#reading = "command";
      return true;
    }
    this.#at = chunk.length;
    return false;
  }

  #readCommand(): boolean {
    const chunk = this.#chunk;
    for (let at = this.#at; at < chunk.length; at++) {
      const octet = chunk[at] as number;
      if (octet === LF) {
        this.#at = at + 1;
        return this.#beginFrame(at);
      }
      if (octet === NUL) return this.#fail("Augmented BNF", at, "the frame ends in its command line");
      // One octet more than the longest command: its carriage return.
      if (at + this.#base > COMMAND_LENGTH_MAX) return this.#fail("Client Frames", at, "unknown command");
    }
    this.#at = chunk.length;
    return false;
  }

  #beginFrame(lineFeed: number): boolean {
    this.#gather(lineFeed + 1);
    const bytes = this.#bytes;
    const start = this.#start;
    let end = lineFeed + this.#base + start;
    if (bytes[end - 1] === CR) end--;
    const command = commandAt(bytes, start, end);
    if (command === undefined) return this.#unknownCommand(lineFeed, bytes.toString("latin1", start, end));
    this.#frame.begin(command, this.version);
    this.#reading = "headers";
    this.#beginLine(lineFeed + 1);
    return true;
  }

  #unknownCommand(at: number, name: string): false {
    const named = /^[!-~]+$/.test(name) ? ` ${name}` : "";
    return this.#fail("Client Frames", at, `unknown command${named}`);
  }

  #beginLine(at: number): void {
    this.#lineStart = at + this.#base;
    this.#colon = -1;
    this.#cr = -1;
    this.#nameEscaped = false;
    this.#valueEscaped = false;
  }

  #readHeaders(): boolean {
    const chunk = this.#chunk;
    const length = chunk.length;
    for (let at = this.#at; at < length; at++) {
      const octet = chunk[at] as number;
      // Most octets are letters, digits, and signs below the colon.
      if (octet > COLON ? octet < HIGH && octet !== BACKSLASH : octet > CR && octet < COLON) continue;
      if (octet >= HIGH) this.#frame.wide = true;
      else if (octet === COLON) {
        if (this.#colon === -1) this.#colon = at + this.#base;
      } else if (octet === BACKSLASH) {
        if (this.#colon === -1) this.#nameEscaped = true;
        else this.#valueEscaped = true;
      } else if (octet === LF) {
        const line = this.#endLine(at);
        if (line === -1) return false;
        this.#at = at + 1;
        if (line === 0) return this.#endHeaders(at + 1);
        this.#beginLine(at + 1);
      } else if (octet === CR) {
        if (this.#cr !== -1) return this.#fail("Value Encoding", at, "carriage return without line feed");
        this.#cr = at + this.#base;
      } else if (octet === NUL) return this.#nulInHeaders(at);
    }
    this.#at = length;
    return this.#checkLength(length);
  }

  /** Ends a header line at its line feed: its length, or -1 when it is wrong. */
  #endLine(at: number): number {
    const start = this.#lineStart;
    let end = at + this.#base;
    if (this.#cr !== -1) {
      if (this.#cr !== end - 1) {
        this.#fail("Value Encoding", at, "carriage return without line feed");
        return -1;
      }
      end--;
    }
    const length = end - start;
    if (length === 0) return 0;
    const colon = this.#colon;
    const frame = this.#frame;
    if (length > this.#limits.headerLength) this.#tooLong(at);
    else if (colon === -1) this.#fail("Augmented BNF", at, "header without a colon");
    else if (colon === start) this.#fail("Augmented BNF", at, "header without a name");
    else if (frame.count >= this.#limits.headers) {
      this.#fail("Size Limits", at, `more than ${this.#limits.headers} headers`);
    } else if (this.#overConnectLength(end)) this.#fail("Size Limits", at, "frame too long before the login");
    else {
      frame.addLine(start, colon, end, lineFlags(this.#nameEscaped, this.#valueEscaped));
      return length;
    }
    return -1;
  }

  /** Limits apply while reading, so a line without an end is refused as soon as it is too long. */
  #checkLength(at: number): boolean {
    const end = at + this.#base;
    // One octet of grace for the carriage return.
    if (end - this.#lineStart > this.#limits.headerLength + 1) return this.#tooLong(at);
    if (this.#overConnectLength(end)) return this.#fail("Size Limits", at, "frame too long before the login");
    return false;
  }

  #overConnectLength(end: number): boolean {
    return this.version === undefined && end > this.#limits.connectLength;
  }

  #tooLong(at: number): false {
    return this.#fail("Size Limits", at, `header line over ${this.#limits.headerLength} bytes`);
  }

  /**
   * A NUL where a header line or the blank line should start. The DISCONNECT example of the specifications has no
   * blank line, so commands without a body are let off.
   */
  #nulInHeaders(at: number): boolean {
    const offset = at + this.#base;
    if (offset !== this.#lineStart || this.#frame.command === "SEND") {
      return this.#fail("Augmented BNF", at, "the frame ends before its headers do");
    }
    this.#at = at;
    return this.#endHeaders(at);
  }

  /** The headers are whole: recognises them and decides how the body ends. */
  #endHeaders(bodyAt: number): boolean {
    this.#gather(bodyAt);
    const frame = this.#frame;
    frame.locate(this.#bytes, this.#start);
    frame.index();
    frame.bodyStart = bodyAt + this.#base;
    if (frame.wide && !this.#isUtf8(frame.bodyStart)) {
      return this.#fail("Value Encoding", bodyAt, "headers are not UTF-8");
    }
    const bad = frame.badEscapeAt();
    if (bad !== -1) return this.#fail("Value Encoding", bad - this.#base, "undefined escape in a header");
    const length = frame.digits(Header["content-length"]);
    if (length === undefined) {
      this.#reading = "body";
      return true;
    }
    if (length < 0) return this.#fail("Header content-length", bodyAt, "content-length is not a number");
    if (length > 0 && !this.#mayHaveBody()) return this.#noBody(bodyAt);
    if (length > this.#limits.bodyLength) return this.#bodyTooLong(bodyAt);
    frame.bodyEnd = frame.bodyStart + length;
    this.#reading = "sized-body";
    return true;
  }

  #isUtf8(length: number): boolean {
    return text(this.#bytes.subarray(this.#start, this.#start + length)) !== undefined;
  }

  /** In STOMP 1.0 any frame may have a body; whether CONNECT may, only its accept-version tells. */
  #mayHaveBody(): boolean {
    const command = this.#frame.command;
    return command === "SEND" || this.version === "1.0" || opensSession(command);
  }

  #noBody(at: number): false {
    return this.#fail("Body", at, `${this.#frame.command} must not have a body`);
  }

  #bodyTooLong(at: number): false {
    return this.#fail("Size Limits", at, `body over ${this.#limits.bodyLength} bytes`);
  }

  #readSizedBody(): boolean {
    const nul = this.#frame.bodyEnd - this.#base;
    if (nul >= this.#chunk.length) {
      this.#at = this.#chunk.length;
      return false;
    }
    if (this.#chunk[nul] !== NUL) {
      return this.#fail("Header content-length", nul, "no NUL after content-length octets of body");
    }
    this.#at = nul + 1;
    return true;
  }

  #readBody(): boolean {
    const nul = this.#findNul();
    const end = nul === -1 ? this.#chunk.length : nul;
    const length = end + this.#base - this.#frame.bodyStart;
    if (length > 0 && !this.#mayHaveBody()) return this.#noBody(this.#at);
    if (length > this.#limits.bodyLength) return this.#bodyTooLong(end);
    this.#at = end;
    if (nul === -1) return false;
    this.#frame.bodyEnd = nul + this.#base;
    this.#at = nul + 1;
    return true;
  }

  #findNul(): number {
    const chunk = this.#chunk;
    const near = Math.min(chunk.length, this.#at + SHORT_SEARCH);
    for (let at = this.#at; at < near; at++) if (chunk[at] === NUL) return at;
    return near === chunk.length ? -1 : chunk.indexOf(NUL, near);
  }

  #complete(): Frame {
    this.#gather(this.#at);
    this.#frame.locate(this.#bytes, this.#start);
    // Given away: the body is a view of it, and a message may hold on to that.
    this.#carry = undefined;
    this.#carried = 0;
    this.#reading = "gap";
    return this.#frame;
  }

  /** The chunk is used up: what it holds of an unfinished frame moves into the carry. */
  #exhausted(): Err<DecodeError> | undefined {
    if (this.#reading === "failed") return this.#error;
    if (this.#reading === "gap") this.#frame.clear();
    else this.#carryOn(this.#chunk.length);
    this.#chunk = NO_CHUNK;
    this.#at = 0;
    return undefined;
  }

  /** Brings the frame's octets up to an index of the chunk into one piece. */
  #gather(upTo: number): void {
    if (this.#carried > 0 && upTo > this.#from) this.#carryOn(upTo);
  }

  #carryOn(upTo: number): void {
    const length = upTo - this.#from;
    const needed = this.#carried + length;
    let carry = this.#carry;
    if (carry === undefined || carry.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.max(CARRY_FIRST, 2 * (carry?.length ?? 0), needed));
      if (carry !== undefined) carry.copy(grown, 0, 0, this.#carried);
      carry = grown;
      this.#carry = grown;
    }
    this.#chunk.copy(carry, this.#carried, this.#from, upTo);
    this.#carried = needed;
    this.#from = upTo;
  }

  get #bytes(): Buffer {
    return this.#carried > 0 ? (this.#carry as Buffer) : this.#chunk;
  }

  get #start(): number {
    return this.#carried > 0 ? 0 : this.#from;
  }

  /** Leaves in the frame what headers it had, so that the ERROR can name the receipt asked for. */
  #fail(clause: string, at: number, problem: string): false {
    if (this.#reading === "command") this.#frame.clear();
    else {
      this.#gather(at);
      this.#frame.locate(this.#bytes, this.#start);
      if (this.#reading === "headers") this.#frame.index();
    }
    this.#error = decodeError(`STOMP ${this.version ?? "1.2"} ${clause}`, at + this.#base, problem);
    this.#reading = "failed";
    return false;
  }
}

const NO_CHUNK = Buffer.alloc(0);
