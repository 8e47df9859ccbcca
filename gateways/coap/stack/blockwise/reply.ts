import type { Instant } from "#core/lib/time.ts";
import { isSafe, Response } from "../message/codes.ts";
import { Option, type OptionValue } from "../message/options.ts";
import type { MessageWriter } from "../message/writer.ts";
import type { CoapResponse } from "../site.ts";
import { type Block, blockSize, packBlock, SZX_BERT, szxFor } from "./block.ts";
import type { BodiesOfPeer, Body } from "./transfer.ts";

/** How much a message to this peer may carry. */
export interface Capacity {
  /** Largest payload without blocks, in bytes. */
  readonly payloadMax: number;
  /** Largest size exponent; 7 on streams that may use BERT. */
  readonly szxMax: number;
}

/** What a head may take of `payloadMax` without a word: token, and the options that the stack adds. */
const OPTION_ROOM = 64;

/** What is left for the payload beside options that are many, so that the whole message fits. */
function roomFor(options: readonly OptionValue[] | undefined, payloadMax: number): number {
  let length = 0;
  for (const { value } of options ?? []) {
    length +=
      5 +
      (typeof value === "number" ? 4 : typeof value === "string" ? Buffer.byteLength(value) : value.length);
  }
  return Math.max(blockSize(0), payloadMax - Math.max(0, length - OPTION_ROOM));
}

/** Bytes that one block carries: many blocks of 1024 in a message with BERT (RFC 8323 §6). */
export const blockBytes = (szx: number, capacity: Capacity): number =>
  szx === SZX_BERT ? Math.max(1024, capacity.payloadMax & ~1023) : blockSize(szx);

/**
 * Eight bytes that change with the content and with the format that it is in (RFC 7252 §5.10.6): two hashes of 32 bits
 * side by side, mixed at the end, so that no two values of a topic meet by chance.
 */
export function entityTag(bytes: Uint8Array, format = ""): Uint8Array {
  let one = 0xdeadbeef ^ format.length;
  let two = 0x41c6ce57 ^ bytes.length;
  for (let at = 0; at < format.length; at++) {
    one = Math.imul(one ^ format.charCodeAt(at), 0x9e3779b1);
    two = Math.imul(two ^ format.charCodeAt(at), 0x5f356495);
  }
  for (let at = 0; at < bytes.length; at++) {
    one = Math.imul(one ^ (bytes[at] as number), 0x9e3779b1);
    two = Math.imul(two ^ (bytes[at] as number), 0x5f356495);
  }
  const high = mixed(one) ^ Math.imul(two ^ (two >>> 13), 0xc2b2ae35);
  const low = mixed(two) ^ Math.imul(one ^ (one >>> 13), 0xc2b2ae35);
  return Uint8Array.of(
    high >>> 24,
    (high >>> 16) & 0xff,
    (high >>> 8) & 0xff,
    high & 0xff,
    low >>> 24,
    (low >>> 16) & 0xff,
    (low >>> 8) & 0xff,
    low & 0xff,
  );
}

const mixed = (hash: number): number => Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);

const etagOf = (options: readonly OptionValue[] | undefined): OptionValue | undefined =>
  options?.find((each) => each.number === Option.ETag);

const NO_BODY: CoapResponse = { code: Response.InternalServerError };

/** A response as it goes out: what the site gave, cut to one block, with the options that the stack adds. */
export class Reply {
  source: CoapResponse = NO_BODY;
  payload: Uint8Array | undefined = undefined;
  observe = -1;
  block1 = -1;
  block2 = -1;
  size2 = -1;
  etag: Uint8Array | undefined = undefined;

  reset(): this {
    this.source = NO_BODY;
    this.payload = undefined;
    this.observe = this.block1 = this.block2 = this.size2 = -1;
    this.etag = undefined;
    return this;
  }

  write(writer: MessageWriter): void {
    writer.begin().addAll(this.source.options);
    if (this.observe >= 0) writer.add(Option.Observe, this.observe);
    if (this.block2 >= 0) writer.add(Option.Block2, this.block2);
    if (this.block1 >= 0) writer.add(Option.Block1, this.block1);
    if (this.size2 >= 0) writer.add(Option.Size2, this.size2);
    if (this.etag !== undefined) writer.add(Option.ETag, this.etag);
  }

  /** The whole response in one message. */
  whole(response: CoapResponse): void {
    this.source = response;
    this.payload = response.payload;
  }

  /**
   * Cuts a response to the block that was asked for, or to the first when it is too large. The rest is kept under
   * `key` for later requests, which may have other tokens (RFC 7959 §2.4).
   */
  cut(
    response: CoapResponse,
    wanted: Block | undefined,
    capacity: Capacity,
    keeper: { readonly bodies: BodiesOfPeer },
    origin: { readonly key: string; readonly method: number },
    now: Instant,
  ): void {
    this.whole(response);
    const payload = response.payload;
    if (payload === undefined) return;
    const room = roomFor(response.options, capacity.payloadMax);
    if (payload.length <= room && (wanted === undefined || payload.length <= blockSize(wanted.szx))) {
      if (wanted === undefined || wanted.number === 0) {
        if (wanted !== undefined) this.block2 = packBlock(0, false, Math.min(wanted.szx, capacity.szxMax));
        return;
      }
    }
    const etag = etagOf(response.options) === undefined ? entityTag(payload) : undefined;
    const kept = keeper.bodies.keep(origin.key, response, etag, now);
    if (kept === undefined && !isSafe(origin.method)) {
      this.whole({ code: Response.ServiceUnavailable });
      return;
    }
    this.etag = etag;
    this.#block(payload, wanted, capacity, room);
  }

  /** A later block of a body kept earlier. The body is dropped with its last block. */
  continued(body: Body, wanted: Block, capacity: Capacity, bodies: BodiesOfPeer, now: Instant): void {
    this.source = body.response ?? NO_BODY;
    this.etag = body.etag;
    const room = roomFor(this.source.options, capacity.payloadMax);
    const more = this.#block(body.bytes, wanted, capacity, room);
    if (more) bodies.touch(body, now);
    else bodies.drop(body.key);
  }

  #block(payload: Uint8Array, wanted: Block | undefined, capacity: Capacity, room: number): boolean {
    const largest = room < blockSize(SZX_BERT) ? szxFor(room) : capacity.szxMax;
    const szx = Math.min(wanted?.szx ?? capacity.szxMax, capacity.szxMax, largest);
    const offset = wanted === undefined ? 0 : wanted.number * blockSize(wanted.szx);
    if (offset > 0 && offset >= payload.length) {
      this.whole({ code: Response.BadRequest, payload: OUT_OF_RANGE });
      this.etag = undefined;
      return true;
    }
    const end = Math.min(payload.length, offset + blockBytes(szx, capacity));
    const more = end < payload.length;
    this.payload = payload.subarray(offset, end);
    this.block2 = packBlock(offset / blockSize(szx), more, szx);
    if (offset === 0) this.size2 = payload.length;
    return more;
  }
}

const OUT_OF_RANGE = Buffer.from("Block2: no such block");
