import { text } from "#core/lib/bytes.ts";
import { type DecodeError, decodeError, type Err } from "#core/lib/result.ts";
import { COMMAND_LENGTH_MAX, commandAt, Header, opensSession, type Version } from "../frames.ts";
import { Frame, lineFlags } from "./frame.ts";
import { Intake } from "./intake.ts";

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

/**
 * Cuts a stream into frames. `push` hands in a chunk, then `next` is called until it has nothing more. A frame
 * that lies in one chunk is read where it is; one that does not is gathered, but no octet is looked at twice.
 */
export class Decoder {
  /** The session's version, once there is one. */
  version: Version | undefined = undefined;
  readonly #limits: FrameLimits;
  readonly #frame = new Frame();
  #reading: Reading = "gap";
  readonly #intake = new Intake();
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

  get buffered(): number {
    return this.#intake.room;
  }

  /** Hands in the next bytes of the stream, wherever they are cut. What is kept of them is copied. */
  push(bytes: Uint8Array): void {
    this.#intake.push(bytes);
  }

  /** Keeps a copy of what has not been read yet, because the chunk will be gone when reading goes on. */
  hold(): void {
    this.#intake.hold();
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
    const chunk = this.#intake.chunk;
    for (let at = this.#intake.at; at < chunk.length; at++) {
      const octet = chunk[at] as number;
      if (octet === LF || octet === CR || octet === NUL) continue;
      this.#intake.begin(at);
      this.#cr = -1;
      this.#reading = "command";
      return true;
    }
    this.#intake.at = chunk.length;
    return false;
  }

  #readCommand(): boolean {
    const chunk = this.#intake.chunk;
    for (let at = this.#intake.at; at < chunk.length; at++) {
      const octet = chunk[at] as number;
      if (octet === LF) {
        this.#intake.at = at + 1;
        return this.#beginFrame(at);
      }
      if (octet === NUL) return this.#fail("Augmented BNF", at, "the frame ends in its command line");
      // One octet more than the longest command: its carriage return.
      if (at + this.#intake.base > COMMAND_LENGTH_MAX)
        return this.#fail("Client Frames", at, "unknown command");
    }
    this.#intake.at = chunk.length;
    return false;
  }

  #beginFrame(lineFeed: number): boolean {
    this.#intake.gather(lineFeed + 1);
    const bytes = this.#intake.bytes;
    const start = this.#intake.start;
    let end = lineFeed + this.#intake.base + start;
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
    this.#lineStart = at + this.#intake.base;
    this.#colon = -1;
    this.#cr = -1;
    this.#nameEscaped = false;
    this.#valueEscaped = false;
  }

  #readHeaders(): boolean {
    const chunk = this.#intake.chunk;
    const length = chunk.length;
    for (let at = this.#intake.at; at < length; at++) {
      const octet = chunk[at] as number;
      // Most octets are letters, digits, and signs below the colon.
      if (octet > COLON ? octet < HIGH && octet !== BACKSLASH : octet > CR && octet < COLON) continue;
      if (octet >= HIGH) this.#frame.wide = true;
      else if (octet === COLON) {
        if (this.#colon === -1) this.#colon = at + this.#intake.base;
      } else if (octet === BACKSLASH) {
        if (this.#colon === -1) this.#nameEscaped = true;
        else this.#valueEscaped = true;
      } else if (octet === LF) {
        const line = this.#endLine(at);
        if (line === -1) return false;
        this.#intake.at = at + 1;
        if (line === 0) return this.#endHeaders(at + 1);
        this.#beginLine(at + 1);
      } else if (octet === CR) {
        if (!this.#withinLength(at)) return false;
        if (this.#cr !== -1 && !this.#rawReturns) return this.#strayReturn(at);
        this.#cr = at + this.#intake.base;
      } else if (octet === NUL) return this.#nulInHeaders(at);
    }
    this.#intake.at = length;
    this.#withinLength(length);
    return false;
  }

  /** Ends a header line at its line feed: its length, or -1 when it is wrong. */
  #endLine(at: number): number {
    if (!this.#withinLength(at)) return -1;
    const start = this.#lineStart;
    let end = at + this.#intake.base;
    if (this.#cr !== -1) {
      if (this.#cr === end - 1) end--;
      else if (!this.#rawReturns) {
        this.#strayReturn(at);
        return -1;
      }
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
    } else {
      frame.addLine(start, colon, end, lineFlags(this.#nameEscaped, this.#valueEscaped));
      return length;
    }
    return -1;
  }

  /** STOMP 1.0 and 1.1 have no escape for the carriage return, so it may stand in a header (STOMP 1.1 Augmented BNF). */
  get #rawReturns(): boolean {
    return this.version === "1.0" || this.version === "1.1";
  }

  #strayReturn(at: number): false {
    return this.#fail("Value Encoding", at, "carriage return without line feed");
  }

  /** Limits apply while reading: a line is refused as soon as it is too long, whatever its end would be. */
  #withinLength(at: number): boolean {
    const end = at + this.#intake.base;
    // One octet of grace for the carriage return.
    if (end - this.#lineStart > this.#limits.headerLength + 1) return this.#tooLong(at);
    if (this.version !== undefined || end <= this.#limits.connectLength) return true;
    return this.#fail("Size Limits", at, "frame too long before the login");
  }

  #tooLong(at: number): false {
    return this.#fail("Size Limits", at, `header line over ${this.#limits.headerLength} bytes`);
  }

  /**
   * A NUL where a header line or the blank line should start. The DISCONNECT example of the specifications has no
   * blank line, so commands without a body are let off.
   */
  #nulInHeaders(at: number): boolean {
    if (!this.#withinLength(at)) return false;
    const offset = at + this.#intake.base;
    if (offset !== this.#lineStart || this.#frame.command === "SEND") {
      return this.#fail("Augmented BNF", at, "the frame ends before its headers do");
    }
    this.#intake.at = at;
    return this.#endHeaders(at);
  }

  /** The headers are whole: recognises them and decides how the body ends. */
  #endHeaders(bodyAt: number): boolean {
    this.#intake.gather(bodyAt);
    const frame = this.#frame;
    frame.locate(this.#intake.bytes, this.#intake.start);
    frame.index();
    frame.bodyStart = bodyAt + this.#intake.base;
    if (frame.wide && !this.#isUtf8(frame.bodyStart)) {
      return this.#fail("Value Encoding", bodyAt, "headers are not UTF-8");
    }
    const bad = frame.badEscapeAt();
    if (bad !== -1)
      return this.#fail("Value Encoding", bad - this.#intake.base, "undefined escape in a header");
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
    return text(this.#intake.bytes.subarray(this.#intake.start, this.#intake.start + length)) !== undefined;
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
    const nul = this.#frame.bodyEnd - this.#intake.base;
    if (nul >= this.#intake.chunk.length) {
      this.#intake.at = this.#intake.chunk.length;
      return false;
    }
    if (this.#intake.chunk[nul] !== NUL) {
      return this.#fail("Header content-length", nul, "no NUL after content-length octets of body");
    }
    this.#intake.at = nul + 1;
    return true;
  }

  #readBody(): boolean {
    const nul = this.#findNul();
    const end = nul === -1 ? this.#intake.chunk.length : nul;
    const length = end + this.#intake.base - this.#frame.bodyStart;
    if (length > 0 && !this.#mayHaveBody()) return this.#noBody(this.#intake.at);
    if (length > this.#limits.bodyLength) return this.#bodyTooLong(end);
    this.#intake.at = end;
    if (nul === -1) return false;
    this.#frame.bodyEnd = nul + this.#intake.base;
    this.#intake.at = nul + 1;
    return true;
  }

  #findNul(): number {
    const chunk = this.#intake.chunk;
    const near = Math.min(chunk.length, this.#intake.at + SHORT_SEARCH);
    for (let at = this.#intake.at; at < near; at++) if (chunk[at] === NUL) return at;
    return near === chunk.length ? -1 : chunk.indexOf(NUL, near);
  }

  #complete(): Frame {
    this.#intake.gather(this.#intake.at);
    this.#frame.locate(this.#intake.bytes, this.#intake.start);
    this.#intake.release();
    this.#reading = "gap";
    return this.#frame;
  }

  /** The chunk is used up: what it holds of an unfinished frame moves into the carry. */
  #exhausted(): Err<DecodeError> | undefined {
    if (this.#reading === "failed") return this.#error;
    const midFrame = this.#reading !== "gap";
    if (!midFrame) this.#frame.clear();
    this.#intake.exhaust(midFrame);
    return undefined;
  }

  /** Leaves in the frame what headers it had, so that the ERROR can name the receipt asked for. */
  #fail(clause: string, at: number, problem: string): false {
    if (this.#reading === "command") this.#frame.clear();
    else {
      this.#intake.gather(at);
      this.#frame.locate(this.#intake.bytes, this.#intake.start);
      if (this.#reading === "headers") this.#frame.index();
    }
    this.#error = decodeError(`STOMP ${this.version ?? "1.2"} ${clause}`, at + this.#intake.base, problem);
    this.#reading = "failed";
    return false;
  }
}
