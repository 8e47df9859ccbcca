/** The engines that keep records on disk, by name. Each is loaded when it is used. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { DiskEngine, EngineOptions } from "./engine.ts";
import { StoreError } from "./store-error.ts";

interface Kind {
  /** Whether a folder with these names in it holds such a store. */
  readonly holds: (name: string) => boolean;
  readonly load: () => Promise<{ open(options: EngineOptions): Promise<DiskEngine> }>;
}

const KINDS = {
  lmdb: {
    holds: (name: string) => name === "isthmus.mdb",
    load: async () => (await import("./lmdb/engine.ts")).LmdbEngine,
  },
  log: {
    holds: (name: string) => /^\d{10}\.log$/.test(name),
    load: async () => (await import("./log/engine.ts")).LogEngine,
  },
} as const satisfies Record<string, Kind>;

export type KindName = keyof typeof KINDS;
export const KIND_NAMES = Object.keys(KINDS) as readonly KindName[];
/** Of a new data folder. */
const DEFAULT_KIND: KindName = "lmdb";
/** `embedded`: whatever the folder holds. */
export type KindAsked = KindName | "embedded";

/** Where a conversion keeps what it makes, and then what it has taken the place of. */
export const CONVERTING = "converting";
export const FORMER = "former";

/** The names of what a store of this kind consists of. */
export const filesOf = (kind: KindName, folder: string): readonly string[] =>
  namesIn(folder).filter((name) => KINDS[kind].holds(name));

/** What the store in a folder takes on disk. */
export function bytesIn(folder: string): number {
  const kind = kindIn(folder);
  const names = kind === undefined ? [] : filesOf(kind, folder);
  return names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

const namesIn = (folder: string): readonly string[] => (existsSync(folder) ? readdirSync(folder) : []);

/** The kind of store in a folder; undefined where there is none. */
export function kindIn(folder: string): KindName | undefined {
  const names = namesIn(folder);
  if (names.includes(FORMER)) {
    throw new StoreError(
      "store-kind",
      `the conversion of ${folder} was interrupted; isthmus store convert goes on with it`,
    );
  }
  const found = KIND_NAMES.filter((kind) => names.some(KINDS[kind].holds));
  if (found.length > 1) {
    throw new StoreError(
      "store-kind",
      `${folder} holds stores of two kinds (${found.join(", ")}); move one away`,
    );
  }
  return found[0];
}

/** Opens a store. One of another kind is never passed over: what it keeps would seem lost. */
export async function openEngine(asked: KindAsked, options: EngineOptions): Promise<DiskEngine> {
  const found = kindIn(options.folder);
  if (asked !== "embedded" && found !== undefined && found !== asked) {
    throw new StoreError(
      "store-kind",
      `${options.folder} holds a store of the kind ${found}, not ${asked}; isthmus store convert ${asked} makes one of the other`,
    );
  }
  return openKind(asked === "embedded" ? (found ?? DEFAULT_KIND) : asked, options);
}

export const openKind = async (kind: KindName, options: EngineOptions): Promise<DiskEngine> =>
  (await KINDS[kind].load()).open(options);
