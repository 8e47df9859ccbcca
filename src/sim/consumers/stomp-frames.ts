/** The client's half of STOMP 1.2: frames to be sent, and those of a server cut from a stream. */

import { escapeText, unescapeText } from "#gateways/stomp/codec/escapes.ts";
import { concat } from "../../lib/bytes.ts";

export interface ServerFrame {
  readonly command: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

const VERSION = "1.2";
const NUL = 0;
const LF = 0x0a;
const FRAME_MAX = 1024 * 1024;

/** CONNECT's headers are not escaped (STOMP 1.2 Value Encoding). */
export function writeFrame(
  command: string,
  headers: Readonly<Record<string, string>>,
  body = "",
): Uint8Array {
  const text = (value: string) => (command === "CONNECT" ? value : escapeText(value, VERSION));
  const lines = Object.entries(headers).map(([name, value]) => `${text(name)}:${text(value)}\n`);
  const length = body === "" ? "" : `content-length:${Buffer.byteLength(body)}\n`;
  return Buffer.from(`${command}\n${lines.join("")}${length}\n${body}\0`);
}

export class ServerFrames {
  #rest: Uint8Array = new Uint8Array(0);

  /** Throws when a frame is larger than it may be. */
  *push(bytes: Uint8Array): Generator<ServerFrame> {
    this.#rest = concat(this.#rest, bytes);
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) yield frame;
    if (this.#rest.length > FRAME_MAX) throw new Error("a frame that is too large");
  }

  #next(): ServerFrame | undefined {
    let start = 0;
    // Ends of line between frames are heart-beats (STOMP 1.2 Heart-beating).
    while (this.#rest[start] === LF || this.#rest[start] === 0x0d) start++;
    this.#rest = this.#rest.subarray(start);
    const text = Buffer.from(this.#rest.buffer, this.#rest.byteOffset, this.#rest.length);
    const head = text.indexOf("\n\n");
    if (head < 0) return undefined;
    const [command = "", ...lines] = text.toString("utf8", 0, head).split("\n");
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(":");
      const name = unescapeText(line.slice(0, colon), VERSION);
      // The first of a name counts (STOMP 1.2 Repeated Header Entries).
      if (!headers.has(name)) headers.set(name, unescapeText(line.slice(colon + 1), VERSION));
    }
    const body = head + 2;
    const length = headers.get("content-length");
    const end = length === undefined ? this.#rest.indexOf(NUL, body) : body + Number(length);
    if (end < 0 || end >= this.#rest.length) return undefined;
    const frame = { command, headers, body: this.#rest.slice(body, end) };
    this.#rest = this.#rest.subarray(end + 1);
    return frame;
  }
}
