/** Records that cannot be read are moved to a table of their own: nothing is lost that somebody may still make out. */
import type { Key, StoredValue } from "../session/store.ts";
import type { Change, Damage } from "./engine.ts";

/** More than these are left where they are. */
const ASIDE_MAX = 1000;

export interface AsideRecord {
  readonly table: string | undefined;
  readonly problem: string;
  /** What cannot be decoded, its key included. */
  readonly raw?: Uint8Array;
  /** What can, and makes no sense. */
  readonly key?: Key;
  readonly value?: StoredValue;
  /** When it was found. */
  readonly at: number;
}

export function asideChanges(damages: readonly Damage[]): Change[] {
  return damages.slice(0, ASIDE_MAX).map(({ table, problem, raw }) => {
    const value: AsideRecord = { table, problem, raw: Uint8Array.from(raw), at: Date.now() };
    const key = `${table ?? "?"} ${Buffer.from(raw).toString("base64url").slice(0, 100)}`;
    return { table: "aside", key, value: () => value };
  });
}
