import { copyOf, NO_BYTES } from "#core/lib/bytes.ts";
import { SmallMap } from "#core/lib/small-map.ts";
import { after, type Duration, type Instant } from "#core/lib/time.ts";

/** Answers are kept side by side in slabs of this many bytes; longer ones than a quarter have memory of their own. */
const SLAB_SIZE = 16_384;

/** A message id that a peer has used, and what we answered (RFC 7252 §4.5). */
export class RememberedExchange {
  readonly peer: ExchangesOfPeer;
  readonly messageId: number;
  readonly expires: Instant;
  /** Where the answer lies; undefined while the request runs, and for ever if it was NON. */
  slab: Uint8Array | undefined = undefined;
  start = 0;
  length = 0;
  /** In the list of all; false once forgotten. */
  linked = false;
  older: RememberedExchange | undefined = undefined;
  newer: RememberedExchange | undefined = undefined;

  constructor(peer: ExchangesOfPeer, messageId: number, expires: Instant) {
    this.peer = peer;
    this.messageId = messageId;
    this.expires = expires;
  }

  /** What a duplicate is answered with. */
  get reply(): Uint8Array | undefined {
    return this.slab?.subarray(this.start, this.start + this.length);
  }
}

export interface ExchangeLimits {
  readonly perPeer: number;
  readonly total: number;
  readonly bytes: number;
}

/**
 * All remembered exchanges of a listener, oldest first, under three limits. Exchanges expire when something new
 * is remembered or the peer is swept, so no exchange needs a timer.
 */
export class ExchangeMemory {
  readonly limits: ExchangeLimits;
  #oldest: RememberedExchange | undefined = undefined;
  #newest: RememberedExchange | undefined = undefined;
  #count = 0;
  #bytes = 0;
  /** The slab that is being filled; it lives as long as one of its answers is remembered. */
  #slab: Uint8Array = NO_BYTES;
  #used = 0;

  constructor(limits: ExchangeLimits) {
    this.limits = limits;
  }

  get size(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(exchange: RememberedExchange, now: Instant): void {
    exchange.linked = true;
    exchange.older = this.#newest;
    exchange.newer = undefined;
    if (this.#newest === undefined) this.#oldest = exchange;
    else this.#newest.newer = exchange;
    this.#newest = exchange;
    this.#count++;
    while (this.#oldest !== undefined && (this.#oldest.expires <= now || this.#count > this.limits.total)) {
      this.#oldest.peer.forget(this.#oldest);
    }
  }

  unlink(exchange: RememberedExchange): void {
    if (!exchange.linked) return;
    exchange.linked = false;
    if (exchange.older === undefined) this.#oldest = exchange.newer;
    else exchange.older.newer = exchange.newer;
    if (exchange.newer === undefined) this.#newest = exchange.older;
    else exchange.newer.older = exchange.older;
    this.#count--;
    this.#bytes -= exchange.length;
    exchange.slab = undefined;
    exchange.length = 0;
    exchange.older = exchange.newer = undefined;
  }

  /** Keeps a copy of the answer, at the cost of the oldest exchanges when it is too much; returns the copy. */
  keep(exchange: RememberedExchange, answer: Uint8Array): Uint8Array {
    if (!exchange.linked) return copyOf(answer);
    this.#bytes += answer.length - exchange.length;
    this.#write(exchange, answer);
    const kept = exchange.reply as Uint8Array;
    while (this.#bytes > this.limits.bytes && this.#oldest !== undefined) {
      this.#oldest.peer.forget(this.#oldest);
    }
    return kept;
  }

  #write(exchange: RememberedExchange, answer: Uint8Array): void {
    exchange.length = answer.length;
    if (answer.length > SLAB_SIZE / 4) {
      exchange.slab = copyOf(answer);
      exchange.start = 0;
      return;
    }
    if (this.#used + answer.length > this.#slab.length) {
      this.#slab = new Uint8Array(SLAB_SIZE);
      this.#used = 0;
    }
    this.#slab.set(answer, this.#used);
    exchange.slab = this.#slab;
    exchange.start = this.#used;
    this.#used += answer.length;
  }
}

/** The exchanges of one peer. */
export class ExchangesOfPeer {
  readonly #memory: ExchangeMemory;
  /** In order of arrival, as a Map keeps it. Undefined while empty: an idle observer costs no map. */
  #byId: SmallMap<number, RememberedExchange> | undefined = undefined;

  constructor(memory: ExchangeMemory) {
    this.#memory = memory;
  }

  get size(): number {
    return this.#byId?.size ?? 0;
  }

  find(messageId: number): RememberedExchange | undefined {
    return this.#byId?.get(messageId);
  }

  /** The exchange when this message is a duplicate of one. */
  duplicate(messageId: number, now: Instant): RememberedExchange | undefined {
    const known = this.#byId?.get(messageId);
    if (known === undefined) return undefined;
    if (known.expires > now) return known;
    this.forget(known);
    return undefined;
  }

  remember(messageId: number, lifetime: Duration, now: Instant): RememberedExchange {
    const full = this.size >= this.#memory.limits.perPeer;
    if (full) this.forget(this.#byId?.values().next().value as RememberedExchange);
    const exchange = new RememberedExchange(this, messageId, after(now, lifetime));
    this.#byId ??= new SmallMap();
    this.#byId.set(messageId, exchange);
    this.#memory.append(exchange, now);
    return exchange;
  }

  forget(exchange: RememberedExchange): void {
    this.#memory.unlink(exchange);
    if (this.#byId?.get(exchange.messageId) !== exchange) return;
    this.#byId.delete(exchange.messageId);
    if (this.#byId.size === 0) this.#byId = undefined;
  }

  /** Forgets what has expired. */
  sweep(now: Instant): void {
    if (this.#byId === undefined) return;
    for (const exchange of this.#byId.values()) if (exchange.expires <= now) this.forget(exchange);
  }

  clear(): void {
    if (this.#byId === undefined) return;
    for (const exchange of this.#byId.values()) this.forget(exchange);
  }
}
