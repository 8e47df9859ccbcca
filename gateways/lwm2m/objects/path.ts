import { type DecodeError, decodeError, ok, type Result } from "#core/lib/result.ts";

/** Largest usable identifier; 65,535 is reserved (LwM2M 1.1 §7.2.1, MAX_ID). */
export const ID_MAX = 65_534;

export type PathKind = "root" | "object" | "instance" | "resource" | "resource-instance";
const KINDS: readonly PathKind[] = ["root", "object", "instance", "resource", "resource-instance"];

/**
 * An address in the data model of LwM2M: zero to four identifiers, each 0 to `ID_MAX`; with a prefix, in that of an
 * end device behind an LwM2M gateway (LwM2M Gateway 1.1 §8.3.1).
 */
export class Path {
  readonly ids: readonly number[];
  /** Of an end device; empty for the registered device itself. */
  readonly prefix: string;

  private constructor(ids: readonly number[], prefix: string) {
    this.ids = ids;
    this.prefix = prefix;
  }

  static readonly ROOT = new Path([], "");

  /** `undefined` when there are more than four identifiers, or one is out of range. */
  static of(...ids: readonly number[]): Path | undefined {
    if (ids.length > 4 || !ids.every(isId)) return undefined;
    return ids.length === 0 ? Path.ROOT : new Path(ids, "");
  }

  /** The same identifiers of an end device. */
  behind(prefix: string): Path {
    return prefix === this.prefix ? this : new Path(this.ids, prefix);
  }

  get kind(): PathKind {
    return KINDS[this.ids.length] as PathKind;
  }
  get object(): number | undefined {
    return this.ids[0];
  }
  get instance(): number | undefined {
    return this.ids[1];
  }
  get resource(): number | undefined {
    return this.ids[2];
  }
  get resourceInstance(): number | undefined {
    return this.ids[3];
  }

  /** One level deeper; `undefined` where there is no such level or identifier. */
  child(id: number): Path | undefined {
    return Path.of(...this.ids, id)?.behind(this.prefix);
  }

  /** The first `levels` identifiers. */
  up(levels: number): Path {
    return levels >= this.ids.length ? this : new Path(this.ids.slice(0, levels), this.prefix);
  }

  /** Whether `other` is this path or lies below it; the root covers end devices too. */
  covers(other: Path): boolean {
    if (this.ids.length === 0 && this.prefix === "") return true;
    return (
      this.prefix === other.prefix &&
      this.ids.length <= other.ids.length &&
      this.ids.every((id, level) => id === other.ids[level])
    );
  }

  equals(other: Path): boolean {
    return this.prefix === other.prefix && this.ids.length === other.ids.length && this.covers(other);
  }

  /** `/3/0/1`, of an end device `/d01/3/0/1`; `/` for the root. */
  toString(): string {
    const ids = `/${this.ids.join("/")}`;
    return this.prefix === "" ? ids : `/${this.prefix}${this.ids.length === 0 ? "" : ids}`;
  }
}

export const isId = (id: number): boolean => Number.isInteger(id) && id >= 0 && id <= ID_MAX;

/**
 * Reads `/3/0/1`. The leading slash may be missing and a trailing one is ignored, because devices and people
 * write both. Leading zeros, signs and identifiers above `ID_MAX` are refused.
 */
export function parsePath(text: string): Result<Path, DecodeError> {
  let at = text.startsWith("/") ? 1 : 0;
  const ids: number[] = [];
  const end = text.length > at + 1 && text.endsWith("/") ? text.length - 1 : text.length;
  while (at < end) {
    const slash = text.indexOf("/", at);
    const stop = slash === -1 || slash > end ? end : slash;
    const id = parseId(text.slice(at, stop));
    if (id === undefined) return decodeError(CLAUSE, at, "not an identifier of 0 to 65534");
    if (ids.length === 4) return decodeError(CLAUSE, at, "more than four identifiers");
    ids.push(id);
    at = stop + 1;
    if (stop < end && at >= end) return decodeError(CLAUSE, stop, "empty identifier");
  }
  return ok(Path.of(...ids) as Path);
}

/** Longest prefix that is taken, in characters. */
const PREFIX_MAX = 64;
/** One segment of a URI that no object identifier can be mistaken for. */
const PREFIX = /^(?![0-9]+$)[^/?#&+\p{Cc}]+$/u;

/** Reads `/3/0/1` as well as `/d01/3/0/1` of an end device. */
export function parseDevicePath(text: string): Result<Path, DecodeError> {
  const start = text.startsWith("/") ? 1 : 0;
  const slash = text.indexOf("/", start);
  const head = text.slice(start, slash === -1 ? text.length : slash);
  if (head.length > PREFIX_MAX || !PREFIX.test(head)) return parsePath(text);
  const path = parsePath(slash === -1 ? "/" : text.slice(slash));
  return path.ok ? ok(path.value.behind(head)) : path;
}

const CLAUSE = "LwM2M 1.1 §7.3";
const ID = /^(?:0|[1-9][0-9]{0,4})$/;

/** An identifier in its one canonical decimal form. */
function parseId(text: string): number | undefined {
  if (!ID.test(text)) return undefined;
  const id = Number(text);
  return id <= ID_MAX ? id : undefined;
}
