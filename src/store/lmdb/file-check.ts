/**
 * Looks at an LMDB file before LMDB does, which takes any file for its own and any page for sound, and ends the
 * process when they are not. Only the structure is checked, page by page: what a value says is the decoder's concern.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { endianness } from "node:os";

// A page (mdb.c, MDB_page_header) begins with its number, a transaction and its flags; then come the bounds of its
// free space, or, on an overflow page, how many pages follow each other.
const HEADER = 24;
const FLAGS_AT = 18;
const LOWER_AT = 20;
const UPPER_AT = 22;
const PAGES_AT = 20;
const BRANCH = 0x01;
const LEAF = 0x02;
const OVERFLOW = 0x04;

// Behind the header of the first two pages, and in the middle of the first, stands where everything begins (MDB_meta).
const MARK = 0xbeefc0de;
const VERSION = 2;
const VERSION_AT = 4;
const DATABASES_AT = 24;
const DATABASE_SIZE = 48;
const DEPTH_AT = 6;
const ROOT_AT = 40;
const LAST_PAGE_AT = DATABASES_AT + 2 * DATABASE_SIZE;
const TRANSACTION_AT = LAST_PAGE_AT + 8;
const META_SIZE = TRANSACTION_AT + 8;
const METAS = 2;
const NO_ROOT = 0xffff_ffff_ffff_ffffn;

// A node (MDB_node): a size or a page number in parts, flags, the length of its key; then key and value.
const NODE = 8;
const BIG = 0x01;
const DATABASE = 0x02;

/** What is wrong; undefined when LMDB may open the file, be it that there is none yet. */
export function headDamage(path: string): string | undefined {
  return withFile(path, (file) => {
    const head = read(file, 0, HEADER + META_SIZE);
    if (head.length === 0) return undefined;
    if (!isMeta(head, HEADER)) return "no store, or damaged";
    const pageSize = head.readUInt32LE(HEADER + DATABASES_AT);
    if (pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) return "damaged: page size";
    const { size } = fstatSync(file);
    if (size < METAS * pageSize) return `cut off: ${size} bytes of at least ${METAS * pageSize}`;
    return isMeta(read(file, pageSize, HEADER + META_SIZE), HEADER) ? undefined : "damaged: page 1";
  });
}

const isMeta = (bytes: Buffer, at: number): boolean =>
  bytes.length >= at + META_SIZE &&
  bytes.readUInt32LE(at) === MARK &&
  bytes.readUInt8(at + VERSION_AT) === VERSION;

/** The same of the pages that a transaction can reach: the one with which LMDB has begun. */
export function treeDamage(path: string, pageSize: number, transaction: number): string | undefined {
  return withFile(path, (file) => {
    const half = pageSize >> 1;
    for (const at of [0, pageSize, half]) {
      const meta = read(file, at, HEADER + META_SIZE);
      if (!isMeta(meta, HEADER)) continue;
      if (Number(meta.readBigUInt64LE(HEADER + TRANSACTION_AT)) !== transaction) continue;
      return new TreeCheck(file, pageSize, Number(meta.readBigUInt64LE(HEADER + LAST_PAGE_AT))).run(meta);
    }
    return undefined;
  });
}

class TreeCheck {
  readonly #file: number;
  readonly #pageSize: number;
  readonly #lastPage: number;
  /** A bit for each page that was reached: no page hangs in two places. */
  readonly #reached: Uint8Array;
  /** One buffer for each level. */
  readonly #levels: Buffer[] = [];
  readonly #overflow = Buffer.alloc(HEADER);

  constructor(file: number, pageSize: number, lastPage: number) {
    this.#file = file;
    this.#pageSize = pageSize;
    this.#lastPage = Math.min(lastPage, Math.floor(fstatSync(file).size / pageSize) - 1);
    this.#reached = new Uint8Array((lastPage >> 3) + 1);
  }

  run(meta: Buffer): string | undefined {
    for (let database = 0; database < METAS; database++) {
      const damage = this.#database(meta, HEADER + DATABASES_AT + database * DATABASE_SIZE, 0);
      if (damage !== undefined) return damage;
    }
    return undefined;
  }

  #database(bytes: Buffer, at: number, level: number): string | undefined {
    const root = bytes.readBigUInt64LE(at + ROOT_AT);
    if (root === NO_ROOT) return undefined;
    return this.#page(Number(root), bytes.readUInt16LE(at + DEPTH_AT), level);
  }

  /** `depth`: levels from here to the leaves, this one included. */
  #page(number: number, depth: number, level: number): string | undefined {
    const damaged = `damaged: page ${number}`;
    if (depth < 1 || !this.#reach(number, 1)) return damaged;
    this.#levels[level] ??= Buffer.alloc(this.#pageSize);
    const page = this.#levels[level];
    if (readSync(this.#file, page, 0, page.length, number * this.#pageSize) < page.length) return damaged;
    const kind = page.readUInt16LE(FLAGS_AT) & (BRANCH | LEAF | OVERFLOW);
    if (Number(page.readBigUInt64LE(0)) !== number || kind !== (depth > 1 ? BRANCH : LEAF)) return damaged;
    const lower = page.readUInt16LE(LOWER_AT);
    const upper = page.readUInt16LE(UPPER_AT);
    if (lower > upper || upper > page.length - HEADER || (lower & 1) !== 0) return damaged;
    if (kind === BRANCH && lower === 0) return damaged;
    for (let at = HEADER; at < HEADER + lower; at += 2) {
      const node = HEADER + page.readUInt16LE(at);
      if (node < HEADER + upper || node + NODE > page.length) return damaged;
      const found = kind === BRANCH ? this.#branch(page, node, depth, level) : this.#leaf(page, node, level);
      if (found !== undefined) return found === "node" ? damaged : found;
    }
    return undefined;
  }

  #branch(page: Buffer, node: number, depth: number, level: number): string | undefined {
    if (node + NODE + page.readUInt16LE(node + 6) > page.length) return "node";
    const child = page.readUInt32LE(node) + page.readUInt16LE(node + 4) * 2 ** 32;
    return this.#page(child, depth - 1, level + 1);
  }

  #leaf(page: Buffer, node: number, level: number): string | undefined {
    const size = page.readUInt32LE(node);
    const flags = page.readUInt16LE(node + 4);
    const value = node + NODE + page.readUInt16LE(node + 6);
    if (value + ((flags & BIG) === 0 ? size : 8) > page.length) return "node";
    if ((flags & BIG) !== 0) return this.#big(Number(page.readBigUInt64LE(value)), size);
    if ((flags & DATABASE) === 0) return undefined;
    return size === DATABASE_SIZE ? this.#database(page, value, level + 1) : "node";
  }

  /** A value on pages of its own; there may be more than it needs, from a longer one before it. */
  #big(number: number, size: number): string | undefined {
    const head = this.#overflow;
    const read =
      number <= this.#lastPage ? readSync(this.#file, head, 0, HEADER, number * this.#pageSize) : 0;
    const pages = head.readUInt32LE(PAGES_AT);
    const sound =
      read === HEADER &&
      Number(head.readBigUInt64LE(0)) === number &&
      (head.readUInt16LE(FLAGS_AT) & OVERFLOW) !== 0 &&
      HEADER + size <= pages * this.#pageSize &&
      this.#reach(number, pages);
    return sound ? undefined : `damaged: page ${number}`;
  }

  #reach(first: number, count: number): boolean {
    if (first < METAS || first + count - 1 > this.#lastPage) return false;
    for (let page = first; page < first + count; page++) {
      const bit = 1 << (page & 7);
      if ((this.#reached[page >> 3]! & bit) !== 0) return false;
      this.#reached[page >> 3]! |= bit;
    }
    return true;
  }
}

function withFile(path: string, check: (file: number) => string | undefined): string | undefined {
  // The file is written in the order of the machine; what is written above holds for most.
  if (endianness() !== "LE") return undefined;
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return check(file);
  } finally {
    closeSync(file);
  }
}

function read(file: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, readSync(file, bytes, 0, length, at));
}
