import type { ChannelHost } from "#core/contract/channel.ts";
import { NO_BYTES } from "#core/lib/bytes.ts";
import { after, type Duration, type Instant, NEVER } from "#core/lib/time.ts";
import type { CoapMessage } from "../message/message.ts";
import { isNoCacheKey, Option } from "../message/options.ts";
import type { CoapResponse } from "../site.ts";

/** Options that say nothing about which body is meant: blocks themselves, and what RFC 7641 §2 leaves out. */
const notInKey = (number: number): boolean =>
  number === Option.Block1 ||
  number === Option.Block2 ||
  number === Option.Observe ||
  number === Option.NoResponse ||
  isNoCacheKey(number);

/**
 * Which transfer a block belongs to: method and cache-key options, Request-Tag among them, never the token
 * (RFC 7959 §2.4, RFC 9175 §3). The endpoint is the peer whose table it is looked up in. Block2 requests that
 * fetch the rest of an answer carry no body, so theirs leaves Content-Format out.
 */
export function transferKey(message: CoapMessage, direction: "in" | "out"): string {
  const { bytes } = message;
  let key = String.fromCharCode(direction === "in" ? 0x100 : 0x200, message.code);
  for (let index = 0; index < message.optionCount; index++) {
    const number = message.numberAt(index);
    if (notInKey(number) || (direction === "out" && number === Option.ContentFormat)) continue;
    const start = message.startAt(index);
    const length = message.lengthAt(index);
    key += String.fromCharCode(number, length);
    for (let at = start; at < start + length; at++) key += String.fromCharCode(bytes[at] as number);
  }
  return key;
}

export interface BodyLimits {
  readonly maxBodySize: number;
  readonly perPeer: number;
  readonly total: number;
  readonly transfers: number;
  readonly lifetime: Duration;
}

/** A body in the making, or one kept until the peer has fetched it. */
export class Body {
  readonly key: string;
  bytes: Uint8Array;
  /** Bytes of `bytes` that count. */
  length: number;
  expires: Instant;
  /** Ties the blocks of one representation together (RFC 7959 §2.4). */
  etag: Uint8Array | undefined = undefined;
  /** Of a kept answer: what its later blocks repeat of code and options. */
  response: CoapResponse | undefined = undefined;

  constructor(key: string, bytes: Uint8Array, length: number, expires: Instant) {
    this.key = key;
    this.bytes = bytes;
    this.length = length;
    this.expires = expires;
  }
}

/** What became of a block. */
export type Appended = "appended" | "too-large" | "no-memory";

/** Bytes that the bodies of all peers of a listener hold. */
export class BodyBudget {
  readonly limits: BodyLimits;
  used = 0;

  constructor(limits: BodyLimits) {
    this.limits = limits;
  }
}

/** Where the room for a peer's bodies comes from. */
export type Room = Pick<ChannelHost, "reserve" | "release">;

/** The bodies of one peer, both directions, under the limits of peer and listener, and of all memory. */
export class BodiesOfPeer {
  readonly #budget: BodyBudget;
  readonly #room: Room;
  #byKey: Map<string, Body> | undefined = undefined;
  #used = 0;

  constructor(budget: BodyBudget, room: Room) {
    this.#budget = budget;
    this.#room = room;
  }

  get limits(): BodyLimits {
    return this.#budget.limits;
  }

  get size(): number {
    return this.#byKey?.size ?? 0;
  }

  /** When the first may expire; exact enough, and no search when there is none. */
  deadline(): Instant {
    if (this.#byKey === undefined) return NEVER;
    let next = NEVER;
    for (const body of this.#byKey.values()) if (body.expires < next) next = body.expires;
    return next;
  }

  find(key: string, now: Instant): Body | undefined {
    const body = this.#byKey?.get(key);
    if (body === undefined || body.expires > now) return body;
    this.drop(key);
    return undefined;
  }

  /** Starts a body to be put together; replaces an unfinished one of the same key. */
  begin(key: string, now: Instant): Body {
    return this.#enter(new Body(key, new Uint8Array(0), 0, after(now, this.limits.lifetime)));
  }

  /** Where a limit forbids it, or memory is used up, the body is dropped. */
  append(body: Body, block: Uint8Array, now: Instant): Appended {
    const length = body.length + block.length;
    const outcome = length > this.limits.maxBodySize ? "too-large" : this.#grow(body, length);
    if (outcome !== "appended") {
      this.drop(body.key);
      return outcome;
    }
    body.bytes.set(block, body.length);
    body.length = length;
    this.touch(body, now);
    return outcome;
  }

  /** Keeps a whole body for fetching. Undefined when a limit forbids it. */
  keep(key: string, response: CoapResponse, etag: Uint8Array | undefined, now: Instant): Body | undefined {
    const bytes = response.payload ?? NO_BYTES;
    this.drop(key);
    if (!this.#fits(bytes.length) || !this.#room.reserve(bytes.length)) return undefined;
    const body = this.#enter(new Body(key, bytes, bytes.length, after(now, this.limits.lifetime)));
    body.response = response;
    body.etag = etag;
    this.#add(bytes.length);
    return body;
  }

  touch(body: Body, now: Instant): void {
    body.expires = after(now, this.limits.lifetime);
  }

  drop(key: string): void {
    const body = this.#byKey?.get(key);
    if (body === undefined) return;
    this.#byKey?.delete(key);
    this.#room.release(body.bytes.length);
    this.#add(-body.bytes.length);
    if (this.#byKey?.size === 0) this.#byKey = undefined;
  }

  sweep(now: Instant): void {
    if (this.#byKey === undefined) return;
    for (const body of this.#byKey.values()) if (body.expires <= now) this.drop(body.key);
  }

  clear(): void {
    if (this.#byKey !== undefined) for (const key of this.#byKey.keys()) this.drop(key);
  }

  #enter(body: Body): Body {
    this.drop(body.key);
    if (this.size >= this.limits.transfers) this.drop(this.#byKey?.keys().next().value as string);
    this.#byKey ??= new Map();
    this.#byKey.set(body.key, body);
    return body;
  }

  /** Grows with what has arrived and never by what was announced: a lie about Size1 costs nothing. */
  #grow(body: Body, length: number): Appended {
    if (length <= body.bytes.length) return "appended";
    const { maxBodySize } = this.limits;
    const room = Math.min(Math.max(length, 2 * body.bytes.length, 2048), Math.max(length, maxBodySize));
    const more = room - body.bytes.length;
    if (!this.#fits(more)) return "too-large";
    if (!this.#room.reserve(more)) return "no-memory";
    const grown = new Uint8Array(room);
    grown.set(body.bytes.subarray(0, body.length));
    body.bytes = grown;
    this.#add(more);
    return "appended";
  }

  #fits(more: number): boolean {
    return this.#used + more <= this.limits.perPeer && this.#budget.used + more <= this.limits.total;
  }

  #add(more: number): void {
    this.#used += more;
    this.#budget.used += more;
  }
}
