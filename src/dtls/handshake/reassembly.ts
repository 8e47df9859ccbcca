import type { Fragment, HandshakeMessage } from "./message.ts";

export interface ReassemblyLimits {
  /** Octets of one message. */
  readonly messageMax: number;
  /** Octets of all messages that are not complete, or come too early. */
  readonly totalMax: number;
  /** How far ahead of the next message others are kept. */
  readonly aheadMax: number;
}

interface Part {
  readonly type: number;
  readonly body: Uint8Array;
  /** Octet ranges that have come, in order and apart from each other: start, end, start, end... */
  ranges: number[];
}

/** Puts handshake messages together, in order, from fragments that come cut, doubled and in any order. */
export class Reassembly {
  readonly #limits: ReassemblyLimits;
  readonly #parts = new Map<number, Part>();
  #next: number;
  #total = 0;

  constructor(limits: ReassemblyLimits, next: number) {
    this.#limits = limits;
    this.#next = next;
  }

  /** The sequence number of the message that is due. */
  get next(): number {
    return this.#next;
  }

  /**
   * `old`: of a message that was taken already, so its sender has not heard the answer. `refused`: too long, too far
   * ahead, or in contradiction to what came before.
   */
  add(fragment: Fragment): "taken" | "old" | "refused" {
    const { sequence, length, type } = fragment;
    if (sequence < this.#next) return "old";
    if (sequence - this.#next > this.#limits.aheadMax) return "refused";
    let part = this.#parts.get(sequence);
    if (part === undefined) {
      if (length > this.#limits.messageMax || this.#total + length > this.#limits.totalMax) return "refused";
      part = { type, body: new Uint8Array(length), ranges: [] };
      this.#parts.set(sequence, part);
      this.#total += length;
    }
    if (part.type !== type || part.body.length !== length) return "refused";
    part.body.set(fragment.bytes, fragment.offset);
    part.ranges = withRange(part.ranges, fragment.offset, fragment.offset + fragment.bytes.length);
    return "taken";
  }

  /** The next message, once it is complete. */
  take(): HandshakeMessage | undefined {
    const part = this.#parts.get(this.#next);
    if (part === undefined) return undefined;
    const { type, body, ranges } = part;
    if (body.length > 0 && !(ranges[0] === 0 && ranges[1] === body.length)) return undefined;
    this.#parts.delete(this.#next);
    this.#total -= body.length;
    return { type, body, sequence: this.#next++ };
  }
}

/** Adds a range to others and joins those that touch. */
function withRange(ranges: readonly number[], start: number, end: number): number[] {
  const joined: number[] = [];
  let [from, to] = [start, end];
  let placed = false;
  for (let index = 0; index < ranges.length; index += 2) {
    const [s, e] = [ranges[index] as number, ranges[index + 1] as number];
    if (e < from) joined.push(s, e);
    else if (s > to) {
      if (!placed) joined.push(from, to);
      placed = true;
      joined.push(s, e);
    } else {
      from = Math.min(from, s);
      to = Math.max(to, e);
    }
  }
  if (!placed) joined.push(from, to);
  return joined;
}
