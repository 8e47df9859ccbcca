import { randomBytes } from "node:crypto";

/** Tables of their own, so that growing is never the work of one long moment. */
const SHARDS = 64;
const FIRST_CAPACITY = 16;
/** Words of an entry: three of the hash, then segment, offset and length. */
const WORDS = 6;
const SEGMENT = 3;
const OFFSET = 4;
const LENGTH = 5;

/** A table with open addressing and linear probing. */
interface Shard {
  entries: Uint32Array;
  mask: number;
  count: number;
}

/**
 * Where the newest record of each key lies. A key is known by 96 bits of HalfSipHash (1-3) under a secret of this
 * process: nobody can choose keys that collide, and by chance none do in the life of a gateway. 24 bytes an entry, and
 * nothing that a garbage collector has to look at.
 */
export class KeyIndex {
  readonly #shards: Shard[] = Array.from({ length: SHARDS }, () => newShard(FIRST_CAPACITY));
  readonly #secret0: number;
  readonly #secret1: number;
  #hash0 = 0;
  #hash1 = 0;
  #hash2 = 0;
  /** The entry that was found, replaced or deleted last. */
  segment = 0;
  offset = 0;
  length = 0;

  constructor(secret: Buffer = randomBytes(8)) {
    this.#secret0 = secret.readInt32LE(0);
    this.#secret1 = secret.readInt32LE(4);
  }

  get size(): number {
    let size = 0;
    for (const { count } of this.#shards) size += count;
    return size;
  }

  find(key: Uint8Array, from: number, to: number): boolean {
    const shard = this.#locate(key, from, to);
    const at = this.#probe(shard);
    return this.#takeNote(shard, at);
  }

  /** True when there was an entry already. */
  set(key: Uint8Array, from: number, to: number, segment: number, offset: number, length: number): boolean {
    const shard = this.#locate(key, from, to);
    let at = this.#probe(shard);
    const known = this.#takeNote(shard, at);
    if (!known && ++shard.count * 4 > (shard.mask + 1) * 3) {
      grow(shard);
      at = this.#probe(shard);
    }
    const { entries } = shard;
    entries[at] = this.#hash0;
    entries[at + 1] = this.#hash1;
    entries[at + 2] = this.#hash2;
    entries[at + SEGMENT] = segment;
    entries[at + OFFSET] = offset;
    entries[at + LENGTH] = length;
    return known;
  }

  /** False when there was none. */
  delete(key: Uint8Array, from: number, to: number): boolean {
    const shard = this.#locate(key, from, to);
    const at = this.#probe(shard);
    if (!this.#takeNote(shard, at)) return false;
    shard.count--;
    closeGap(shard, at);
    return true;
  }

  #takeNote({ entries }: Shard, at: number): boolean {
    this.segment = entries[at + SEGMENT]!;
    this.offset = entries[at + OFFSET]!;
    this.length = entries[at + LENGTH]!;
    return this.segment !== 0;
  }

  /** Where the entry of the hash is, or would be. */
  #probe({ entries, mask }: Shard): number {
    const [first, second, third] = [this.#hash0, this.#hash1, this.#hash2];
    for (let slot = first & mask; ; slot = (slot + 1) & mask) {
      const at = slot * WORDS;
      if (entries[at + SEGMENT] === 0) return at;
      if (entries[at] === first && entries[at + 1] === second && entries[at + 2] === third) return at;
    }
  }

  /** Hashes the key, and says in which table it belongs. */
  #locate(key: Uint8Array, from: number, to: number): Shard {
    let v0 = this.#secret0;
    let v1 = this.#secret1 ^ 0xee;
    let v2 = this.#secret0 ^ 0x6c796765;
    let v3 = this.#secret1 ^ 0x74656462;
    let at = from;
    let word = 0;
    // One round a word, three at the end, and three more for each further word of the result.
    for (let left = 3 + 2 * 3 + Math.floor((to - from) / 4) + 1, finish = 0; left > 0; left--) {
      if (finish === 0 && at + 4 <= to) {
        word = key[at]! | (key[at + 1]! << 8) | (key[at + 2]! << 16) | (key[at + 3]! << 24);
        at += 4;
      } else if (finish === 0) {
        word = (to - from) << 24;
        for (let shift = 0; at < to; at++, shift += 8) word |= key[at]! << shift;
        finish = 1;
      } else {
        word = 0;
        if (finish === 1) v2 ^= 0xee;
        else if (finish === 4) {
          this.#hash0 = (v1 ^ v3) >>> 0;
          v1 ^= 0xdd;
        } else if (finish === 7) {
          this.#hash1 = (v1 ^ v3) >>> 0;
          v1 ^= 0xcc;
        }
        finish++;
      }
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
    }
    this.#hash2 = (v1 ^ v3) >>> 0;
    return this.#shards[this.#hash2 % SHARDS]!;
  }
}

const newShard = (capacity: number): Shard => ({
  entries: new Uint32Array(capacity * WORDS),
  mask: capacity - 1,
  count: 0,
});

function grow(shard: Shard): void {
  const { entries: old } = shard;
  const larger = newShard((shard.mask + 1) * 2);
  for (let from = 0; from < old.length; from += WORDS) {
    if (old[from + SEGMENT] === 0) continue;
    let slot = old[from]! & larger.mask;
    while (larger.entries[slot * WORDS + SEGMENT] !== 0) slot = (slot + 1) & larger.mask;
    larger.entries.set(old.subarray(from, from + WORDS), slot * WORDS);
  }
  shard.entries = larger.entries;
  shard.mask = larger.mask;
}

/** Moves back what stands behind a deleted entry only because that had its place. */
function closeGap({ entries, mask }: Shard, deleted: number): void {
  let gap = deleted / WORDS;
  for (let slot = (gap + 1) & mask; entries[slot * WORDS + SEGMENT] !== 0; slot = (slot + 1) & mask) {
    const home = entries[slot * WORDS]! & mask;
    if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
    entries.copyWithin(gap * WORDS, slot * WORDS, (slot + 1) * WORDS);
    gap = slot;
  }
  entries.fill(0, gap * WORDS, (gap + 1) * WORDS);
}
