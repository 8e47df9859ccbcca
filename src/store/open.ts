import type { Duration } from "../lib/time.ts";
import type { Damage } from "./engine.ts";
import { GroupCommit } from "./group-commit.ts";
import { type KindAsked, openEngine } from "./kinds.ts";

export interface StoreOptions {
  readonly engine: KindAsked;
  readonly folder: string;
  readonly commitWindow: Duration;
  readonly sync: boolean;
  readonly sizeMax: number;
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
  note(sentence: string): void;
}

/** Opens the embedded store. Throws `StoreError`. */
export async function openStore(options: StoreOptions, events: StoreEvents): Promise<OpenedStore> {
  const { damaged, note } = events;
  const engine = await openEngine(options.engine, { ...options, damaged, note });
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
