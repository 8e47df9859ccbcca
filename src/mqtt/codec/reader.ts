import type { PacketError } from "../packets.ts";
import { ReasonCode } from "../reason-codes.ts";
import { decodeText } from "./text.ts";

/**
 * Reads the fields of one packet. The first problem sticks: every later read answers a zero value and `at`
 * stands at the end, so that loops finish and a caller looks at `error` once.
 */
export class Reader {
  readonly bytes: Uint8Array;
  /** First octet of the packet; errors count from here. */
  readonly start: number;
  at: number;
  end: number;
  error: PacketError | undefined = undefined;
  /** Filters and user properties that may still come. */
  #itemsLeft: number;

  /** `itemsMax`: how many topic filters and user properties the packet may hold. */
  constructor(bytes: Uint8Array, start: number, at: number, end: number, itemsMax: number) {
    this.bytes = bytes;
    this.start = start;
    this.at = at;
    this.end = end;
    this.#itemsLeft = itemsMax;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  fail(code: ReasonCode, clause: string, problem: string): void {
    this.error ??= { code, clause, at: this.at - this.start, problem };
    this.at = this.end;
  }

  malformed(clause: string, problem: string): void {
    this.fail(ReasonCode.malformedPacket, clause, problem);
  }

  /** Counts a topic filter or user property, of which a small packet can hold very many. */
  item(): void {
    if (this.#itemsLeft-- <= 0)
      this.fail(ReasonCode.quotaExceeded, "maximumItems", "too many items in one packet");
  }

  octet(): number {
    return this.#has(1) ? (this.bytes[this.at++] as number) : 0;
  }

  uint16(): number {
    if (!this.#has(2)) return 0;
    const { bytes, at } = this;
    this.at = at + 2;
    return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  }

  uint32(): number {
    const high = this.uint16();
    return high * 0x1_0000 + this.uint16();
  }

  /** A variable byte integer of at most four octets, encoded as short as possible [MQTT-1.5.5-1]. */
  variable(): number {
    let value = 0;
    for (let shift = 0; shift <= 21; shift += 7) {
      const octet = this.octet();
      if (this.error !== undefined) return 0;
      value |= (octet & 0x7f) << shift;
      if (octet < 0x80) {
        if (octet === 0 && shift > 0) this.malformed("[MQTT-1.5.5-1]", "integer is not in its shortest form");
        return this.error === undefined ? value : 0;
      }
    }
    this.malformed("MQTT 5 §1.5.5", "variable byte integer of more than four octets");
    return 0;
  }

  string(): string {
    const length = this.uint16();
    if (!this.#has(length)) return "";
    const value = decodeText(this.bytes, this.at, this.at + length);
    if (value === undefined) {
      this.malformed("[MQTT-1.5.4-1]", "not well-formed UTF-8, or a NUL character");
      return "";
    }
    this.at += length;
    return value;
  }

  /** A copy: what a packet says in binary usually outlives the read buffer. */
  binary(): Uint8Array {
    const length = this.uint16();
    if (!this.#has(length)) return new Uint8Array(0);
    const value = this.bytes.slice(this.at, this.at + length);
    this.at += length;
    return value;
  }

  /** Packet Identifier, never zero [MQTT-2.2.1-3]. */
  packetId(): number {
    const id = this.uint16();
    if (id === 0) this.fail(ReasonCode.protocolError, "[MQTT-2.2.1-3]", "packet identifier 0");
    return id;
  }

  #has(count: number): boolean {
    if (this.error !== undefined) return false;
    if (this.at + count <= this.end) return true;
    this.malformed("MQTT 5 §2.1.4", "packet ends within a field");
    return false;
  }
}
