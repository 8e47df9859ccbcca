import { type DecodeError, decodeError, ok, type Result } from "#core/lib/result.ts";

/** Largest usable identifier; 65,535 is reserved (LwM2M 1.1 §7.2.1, MAX_ID). */
export const ID_MAX = 65_534;

export type PathKind = "root" | "object" | "instance" | "resource" | "resource-instance";
const KINDS: readonly PathKind[] = ["root", "object", "instance", "resource", "resource-instance"];

/** An address in the data model of LwM2M: zero to four identifiers, each 0 to `ID_MAX`. */
export class Path {
  readonly ids: readonly number[];

  private constructor(ids: readonly number[]) {
    this.ids = ids;
  }

  static readonly ROOT = new Path([]);

  /** `undefined` when there are more than four identifiers, or one is out of range. */
  static of(...ids: readonly number[]): Path | undefined {
    if (ids.length > 4 || !ids.every(isId)) return undefined;
    return ids.length === 0 ? Path.ROOT : new Path(ids);
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
    return Path.of(...this.ids, id);
  }

  /** The first `levels` identifiers. */
  up(levels: number): Path {
    return levels >= this.ids.length ? this : levels === 0 ? Path.ROOT : new Path(this.ids.slice(0, levels));
  }

  /** Whether `other` is this path or lies below it. */
  covers(other: Path): boolean {
    return this.ids.length <= other.ids.length && this.ids.every((id, level) => id === other.ids[level]);
  }

  equals(other: Path): boolean {
    return this.ids.length === other.ids.length && this.covers(other);
  }

  /** `/3/0/1`; `/` for the root. */
  toString(): string {
    return `/${this.ids.join("/")}`;
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

const CLAUSE = "LwM2M 1.1 §7.3";
const ID = /^(?:0|[1-9][0-9]{0,4})$/;

/** An identifier in its one canonical decimal form. */
export function parseId(text: string): number | undefined {
  if (!ID.test(text)) return undefined;
  const id = Number(text);
  return id <= ID_MAX ? id : undefined;
}
