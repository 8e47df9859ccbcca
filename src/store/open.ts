import type { Duration, Instant } from "../lib/time.ts";
import { followClock, type MoveMemo } from "./clock-moves.ts";
import type { Damage } from "./engine.ts";
import { GroupCommit } from "./group-commit.ts";
import { type KindAsked, openEngine } from "./kinds.ts";

export interface StoreOptions {
  readonly engine: KindAsked;
  readonly folder: string;
  readonly commitWindow: Duration;
  readonly sync: boolean;
  readonly sizeMax: number;
  /** Of the process that opens it; absent: the times in it stay as they are. */
  readonly clock?: { readonly now: Instant; readonly moveMemo: MoveMemo };
}

/** Time after which a commit that failed is tried again. */
const RETRY_MS = 1000;
/** Time for clients to acknowledge what would have to be committed else: local ones need less. */
const PATIENCE_MS = 5;

export interface OpenedStore {
  readonly store: GroupCommit;
  /** Bytes of the file. */
  size(): number;
  /** Bytes of the file that hold records. */
  used(): number;
}

/** Who hears what an operator should. */
export interface StoreEvents {
  /** Commits begin to fail, or work again. */
  failure(failure: Error | undefined): void;
  /** A record cannot be read, and is put aside. */
  damaged(damage: Damage): void;
  /** The clock of the machine was set: all times in the store are later by so much, or earlier. */
  moved?(by: Duration): void;
  note(sentence: string): void;
}

/** Opens the embedded store. Throws `StoreError`. */
export async function openStore(options: StoreOptions, events: StoreEvents): Promise<OpenedStore> {
  const { damaged, note } = events;
  const engine = await openEngine(options.engine, { ...options, damaged, note });
  if (options.clock !== undefined) {
    const by = await followClock(engine, options.clock.now, options.clock.moveMemo);
    if (by !== 0) events.moved?.(by);
  }
  const store = new GroupCommit(engine, {
    window: options.commitWindow,
    patience: PATIENCE_MS,
    retry: RETRY_MS,
    // A window of nothing is the end of this turn of the event loop.
    later: (run, wait) => void (wait < 1 ? setImmediate(run) : setTimeout(run, wait)),
    onFailure: events.failure,
    now: () => performance.now(),
  });
  return { store, size: () => engine.size(), used: () => engine.used() };
}
