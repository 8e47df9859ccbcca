/** A store in virtual time: it commits when a test says so, over an engine that outlives it. */
import { DurableState } from "#core/session/durable-state.ts";
import { Restoration, type Restored } from "#core/session/restore.ts";
import type { Session } from "#core/session/session.ts";
import type { Key, Table } from "#core/session/store.ts";
import { StoreCommits } from "#core/session/store-commits.ts";
import { GroupCommit } from "#core/store/group-commit.ts";
import { MemoryEngine } from "./memory-engine.ts";
import type { World, WorldOptions } from "./world.ts";

export class VirtualStore {
  readonly engine: MemoryEngine;
  readonly store: GroupCommit;
  readonly state: DurableState;
  readonly commits: StoreCommits;
  #due: (() => void)[] = [];

  /** `world`: of which it is the store, once that is made. */
  constructor(world: () => World | undefined, engine = new MemoryEngine()) {
    const now = (): number => world()?.now ?? 0;
    this.engine = engine;
    this.store = new GroupCommit(engine, {
      ...{ window: 2, patience: 5, retry: 1000, now, onFailure: () => {} },
      later: (run) => this.#due.push(run),
    });
    this.state = new DurableState(this.store, { now: () => now() as never });
    this.commits = new StoreCommits(this.store, () => world()?.core.tick());
  }

  /** For a world; `waits`: what must be kept is answered when it is committed, and not before. */
  options(waits = true): WorldOptions {
    return { journal: this.state, ...(waits ? { commits: this.commits } : {}) };
  }

  /** Ends windows and retry times that run; what comes of it takes some turns of the loop. */
  elapse(): void {
    for (const run of this.#due.splice(0)) run();
  }

  /** At most so many commits: what one causes to be written is in the next. */
  async commit(rounds = 20): Promise<void> {
    for (let round = 0; round < rounds && this.store.waiting > 0; round++) {
      this.elapse();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Puts back what was kept. */
  restore({ sessions, bus, now }: World): Restored {
    return new Restoration(this.store, this.state, sessions, bus, { now: () => now }).run();
  }

  /** The world ends, and what it leaves in the store is looked at before and after. */
  async end(world: World): Promise<readonly string[]> {
    await this.commit();
    // A test may end where nothing can be committed, and then the store has what it had.
    if (this.store.failure !== undefined || this.store.waiting > 0) return world.end();
    world.settle();
    await this.commit();
    const { sessions } = world;
    const left = ownerless(this.engine, [...sessions.all(), ...sessions.queues.sessions()]);
    left.push(...world.end());
    await this.commit();
    world.settle();
    await this.commit();
    // Queues keep their messages, whoever goes.
    left.push(...ownerless(this.engine, [...sessions.queues.sessions()]));
    const delayed = [...this.engine.entries("delayed")].length;
    if (delayed > world.gate.delayed.waiting) left.push(`${delayed} delayed messages in the store`);
    const retained = [...this.engine.entries("retained")].length;
    if (retained > world.bus.retainedMessages.count) left.push(`${retained} retained messages in the store`);
    if (this.store.waiting === 0 && this.store.named > 0)
      left.push(`${this.store.named} names of records that are on no way any more`);
    return left;
  }
}

/** Records of sessions that belong to none of these. */
function ownerless(engine: MemoryEngine, sessions: readonly Session[]): string[] {
  const byNumber = new Map(sessions.map((session) => [session.number, session]));
  const messages = new Set<unknown>();
  const owned: Partial<Record<Table, (key: Key, value: unknown) => boolean>> = {
    session: (key) => byNumber.get(key as number) !== undefined,
    subscription: (key) => {
      const [number, filter] = key as [number, string];
      return byNumber.get(number)?.subscriptions.has(filter) === true;
    },
    inbound: (key) => {
      const [number, packetId] = key as [number, number];
      return byNumber.get(number)?.inboundIds.includes(packetId) === true;
    },
    queue: (key, value) => {
      const [number, sequence] = key as [number, number];
      messages.add((value as unknown[])[0]);
      for (const each of byNumber.get(number)?.waiting() ?? []) if (each.sequence === sequence) return true;
      return false;
    },
    message: (key) => messages.has(key),
  };
  return Object.entries(owned).flatMap(([table, isOwned]) => {
    let left = 0;
    for (const [key, value] of engine.entries(table as Table)) if (!isOwned(key, value)) left++;
    return left === 0 ? [] : [`${left} records of table ${table} that belong to nothing`];
  });
}
