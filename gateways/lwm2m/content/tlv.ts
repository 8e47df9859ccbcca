/**
 * OMA TLV, content format 11542 (LwM2M 1.0 §6.4.3, 1.1 §7.4.4). TLV carries no types: they come from the
 * definition of the object, or, where there is none, from the look of the bytes (see `guess.ts`).
 */
import { concat } from "#core/lib/bytes.ts";
import { type DecodeError, decodeError, err, ok, type Result } from "#core/lib/result.ts";
import type { Path } from "../objects/path.ts";
import { guessBinary } from "./guess.ts";
import { binaryOf, valueUnder } from "./tlv-value.ts";
import type { Entry, Types } from "./value.ts";

const CLAUSE = "LwM2M 1.1 §7.4.4";

/** Bits 7 and 6 of the type byte. */
const Kind = { ObjectInstance: 0, ResourceInstance: 1, MultipleResource: 2, Resource: 3 } as const;
type Kind = (typeof Kind)[keyof typeof Kind];

/** What items lie in; each may hold only what is below it (LwM2M 1.1 §7.4.4, figure 7.4.4.-1). */
const Holder = { Message: 0, ObjectInstance: 1, MultipleResource: 2 } as const;
type Holder = (typeof Holder)[keyof typeof Holder];
/** Kinds that hold items, by kind. */
const HOLDERS: readonly (Holder | undefined)[] = [
  Holder.ObjectInstance,
  undefined,
  Holder.MultipleResource,
  undefined,
];

interface Item {
  readonly kind: Kind;
  readonly id: number;
  /** Where the value lies in the whole. */
  readonly start: number;
  readonly end: number;
}

/**
 * Decodes what a device answered to a read of `base`. An answer may repeat the levels of `base` (an instance
 * wrapped in its own instance TLV) or leave out the only instance of an object; both are seen in the field.
 */
export function decodeTlv(bytes: Uint8Array, base: Path, types: Types): Result<Entry[], DecodeError> {
  const entries: Entry[] = [];
  const failure = new Walk(bytes, base, types, entries).items(0, bytes.length, base, Holder.Message);
  return failure === undefined ? ok(entries) : err(failure);
}

class Walk {
  readonly #bytes: Uint8Array;
  readonly #base: Path;
  readonly #types: Types;
  readonly #entries: Entry[];

  constructor(bytes: Uint8Array, base: Path, types: Types, entries: Entry[]) {
    this.#bytes = bytes;
    this.#base = base;
    this.#types = types;
    this.#entries = entries;
  }

  items(start: number, end: number, parent: Path, holder: Holder): DecodeError | undefined {
    let at = start;
    while (at < end) {
      const item = readItem(this.#bytes, at, end);
      if (!item.ok) return item.error;
      const failure = this.#item(item.value, parent, at, holder);
      if (failure !== undefined) return failure;
      at = item.value.end;
    }
    return undefined;
  }

  #item(item: Item, parent: Path, at: number, holder: Holder): DecodeError | undefined {
    const holds = HOLDERS[item.kind];
    const path = holds !== undefined && holds <= holder ? undefined : placeOf(item, parent);
    if (path === undefined) return problem(at, "an item at a level where it cannot be");
    if (!path.covers(this.#base) && !this.#base.covers(path)) {
      return problem(at, `${path} does not belong to ${this.#base}`);
    }
    if (holds !== undefined) return this.items(item.start, item.end, path, holds);
    const type = this.#types.typeOf(path);
    const raw = this.#bytes.subarray(item.start, item.end);
    const value = type === undefined ? guessBinary(raw) : valueUnder(raw, type);
    if (value === undefined) return problem(item.start, `${path} is not a valid ${type}`);
    this.#entries.push({ path, value, type });
    return undefined;
  }
}

function readItem(bytes: Uint8Array, at: number, end: number): Result<Item, DecodeError> {
  const type = bytes[at] as number;
  const idLength = (type & 0x20) === 0 ? 1 : 2;
  const lengthLength = (type >> 3) & 3;
  const start = at + 1 + idLength + lengthLength;
  if (start > end) return decodeError(CLAUSE, at, "the header is cut off");
  const id = readNumber(bytes, at + 1, idLength);
  const length = lengthLength === 0 ? type & 7 : readNumber(bytes, at + 1 + idLength, lengthLength);
  if (start + length > end) return decodeError(CLAUSE, at, "the value is cut off");
  return ok({ kind: (type >> 6) as Kind, id, start, end: start + length });
}

function readNumber(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let index = at; index < at + length; index++) value = value * 256 + (bytes[index] as number);
  return value;
}

/** The path of an item, whichever of the levels above it the answer repeated or left out. */
function placeOf(item: Item, parent: Path): Path | undefined {
  const depth = parent.ids.length;
  switch (item.kind) {
    case Kind.ObjectInstance:
      return depth === 0 ? undefined : parent.up(1).child(item.id);
    case Kind.MultipleResource:
    case Kind.Resource:
      if (depth === 0) return undefined;
      return (depth === 1 ? parent.child(0) : parent.up(2))?.child(item.id);
    case Kind.ResourceInstance:
      return depth < 3 ? undefined : parent.up(3).child(item.id);
  }
}

/**
 * Encodes entries for a write or create at `base`: at an object, wrapped in instances; at an instance or
 * below, as resources. All entries lie at or below `base` and have values.
 */
export function encodeTlv(base: Path, entries: readonly Entry[]): Uint8Array {
  if (base.kind === "resource-instance") return concat(...entries.map((entry) => leaf(1, 3, entry)));
  if (base.kind !== "object") return encodeResources(entries);
  return concat(
    ...groups(entries, 1).map(([id, group]) => item(Kind.ObjectInstance, id, encodeResources(group))),
  );
}

const encodeResources = (entries: readonly Entry[]): Uint8Array =>
  concat(
    ...groups(entries, 2).map(([id, group]) => {
      const last = group[group.length - 1] as Entry;
      if (last.path.kind === "resource") return leaf(Kind.Resource, 2, last);
      const instances = group.filter((entry) => entry.path.kind === "resource-instance");
      return item(Kind.MultipleResource, id, concat(...instances.map((entry) => leaf(1, 3, entry))));
    }),
  );

const leaf = (kind: Kind, level: number, entry: Entry): Uint8Array =>
  item(
    kind,
    entry.path.ids[level] as number,
    entry.value === undefined ? EMPTY : binaryOf(entry.value, entry.type),
  );

const EMPTY = new Uint8Array(0);

/** Entries by their identifier at a level, in order of first appearance. */
function groups(entries: readonly Entry[], level: number): [number, Entry[]][] {
  const byId = new Map<number, Entry[]>();
  for (const entry of entries) {
    const id = entry.path.ids[level];
    if (id === undefined) continue;
    const group = byId.get(id);
    if (group === undefined) byId.set(id, [entry]);
    else group.push(entry);
  }
  return [...byId];
}

function item(kind: Kind, id: number, value: Uint8Array): Uint8Array {
  const wideId = id > 0xff;
  const length = value.length;
  const lengthLength = length < 8 ? 0 : length < 0x100 ? 1 : length < 0x10000 ? 2 : 3;
  const header = [(kind << 6) | (wideId ? 0x20 : 0) | (lengthLength === 0 ? length : lengthLength << 3)];
  if (wideId) header.push(id >> 8);
  header.push(id & 0xff);
  for (let shift = lengthLength - 1; shift >= 0; shift--) header.push((length >> (8 * shift)) & 0xff);
  return concat(Uint8Array.from(header), value);
}

const problem = (at: number, what: string): DecodeError => ({ clause: CLAUSE, at, problem: what });
