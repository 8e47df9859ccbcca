/** What every store engine does, under the group commit that the gateway uses. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Key, StoreRecord, type Table } from "#core/session/store.ts";
import type { Change, Engine } from "#core/store/engine.ts";
import { GroupCommit } from "#core/store/group-commit.ts";

export interface EngineUnderTest {
  /** Opens what was there before, if anything was. */
  open(): Promise<Engine>;
  dispose(): void;
}

/** A record that keeps its own place. */
class Fragile extends StoreRecord {
  readonly table: Table;
  readonly key: Key;
  readonly content: unknown;
  override needs: StoreRecord | undefined;

  constructor(table: Table, key: Key, content: unknown = 1, needs?: StoreRecord) {
    super();
    this.table = table;
    this.key = key;
    this.content = content;
    this.needs = needs;
  }

  value(): unknown {
    return this.content;
  }
}

/** Fails each commit while `failing`. */
class Faulty implements Engine {
  failing = false;
  readonly committed: Change[][] = [];
  last: Promise<void> = Promise.resolve();
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  commit(changes: readonly Change[]): Promise<void> {
    if (this.failing) return Promise.reject(new Error("no space"));
    this.committed.push([...changes]);
    const commit = this.#engine.commit(changes);
    this.last = commit;
    return commit;
  }

  entries(table: Table): Iterable<readonly [Key, unknown]> {
    return this.#engine.entries(table);
  }

  size(): number {
    return this.#engine.size();
  }

  close(): Promise<void> {
    return this.#engine.close();
  }
}

export function storeContract(name: string, create: () => EngineUnderTest): void {
  let under: EngineUnderTest;
  let engine: Faulty;
  let store: GroupCommit;
  let due: (() => void)[];
  let failures: (string | undefined)[];

  const open = async (): Promise<void> => {
    engine = new Faulty(await under.open());
    due = [];
    failures = [];
    store = new GroupCommit(engine, {
      window: 2,
      patience: 5,
      retry: 1000,
      now: () => 0,
      later: (run) => due.push(run),
      onFailure: (failure) => failures.push(failure?.message),
    });
  };
  const reopen = async (): Promise<void> => {
    await store.close();
    await open();
  };
  /** Ends windows until all is committed, or could not be. */
  const commit = (): Promise<Error | undefined> =>
    new Promise((resolve) => {
      store.whenCommitted(resolve);
      for (const run of due.splice(0)) run();
    });
  /** Lets all windows end that run, and what they commit be committed. */
  const elapse = async (): Promise<void> => {
    for (const run of due.splice(0)) run();
    await engine.last;
    await Promise.resolve();
  };
  const records = (table: Table) => [...store.entries(table)];

  beforeEach(async () => {
    under = create();
    await open();
  });
  afterEach(async () => {
    engine.failing = false;
    await store.close();
    under.dispose();
  });

  describe(`a store on the ${name} engine`, () => {
    it("gives back what it was given, and keeps it from one process to the next", async () => {
      const value = {
        ...{ text: "grüße", number: -1.5, endless: Number.POSITIVE_INFINITY, nothing: undefined, no: null },
        ...{ bytes: new Uint8Array([0, 255]), list: [1, [2, "3"]], flag: false },
      };
      store.put("session", 7, () => value);
      expect(await commit()).toBeUndefined();
      const stored = () => {
        const [[key, read]] = records("session") as [[number, typeof value]];
        return [key, { ...read, bytes: new Uint8Array(read.bytes) }];
      };
      expect(stored()).toEqual([7, value]);
      await reopen();
      expect(stored()).toEqual([7, value]);
    });

    it("hands out bytes of its own: later reads and writes do not change them", async () => {
      for (let key = 0; key < 50; key++) store.put("message", key, () => [new Uint8Array(100).fill(key)]);
      await commit();
      const read = records("message").map(([, value]) => (value as [Uint8Array])[0]);
      for (let key = 0; key < 50; key++) store.put("message", key, () => [new Uint8Array(100).fill(200)]);
      await commit();
      records("message");
      expect(read.every((bytes, key) => bytes.every((byte) => byte === key))).toBe(true);
    });

    it("lists records by their keys: numbers by size, numbers within numbers, text", async () => {
      for (const key of [10, 9, 100, 2 ** 40]) store.put("message", key, () => key);
      const places: [number, number][] = [
        [2, 1],
        [1, 70_000],
        [1, 300],
        [10, 5],
        [1, 2],
      ];
      for (const key of places) store.put("queue", key, () => 0);
      await commit();
      expect(records("message").map(([key]) => key)).toEqual([9, 10, 100, 2 ** 40]);
      expect(records("queue").map(([key]) => key)).toEqual([
        [1, 2],
        [1, 300],
        [1, 70_000],
        [2, 1],
        [10, 5],
      ]);
    });

    it("takes keys of any length and tells them apart", async () => {
      const long = "ü/".repeat(1000);
      store.put("retained", `${long}a`, () => 1);
      store.put("retained", `${long}b`, () => 2);
      store.put("subscription", [3, `${long}c`], () => 3);
      await commit();
      expect(new Map(records("retained") as [string, number][])).toEqual(
        new Map([
          [`${long}a`, 1],
          [`${long}b`, 2],
        ]),
      );
      store.remove("retained", `${long}a`);
      await commit();
      await reopen();
      expect(records("retained")).toEqual([[`${long}b`, 2]]);
      expect(records("subscription")).toEqual([[[3, `${long}c`], 3]]);
    });

    it("takes keys of any characters and tells them apart, as topics may hold them", async () => {
      const parts = ["\u0001", "\u0002", "\u0003", "\u0004", "\u001b", "\u0000", "a", "\uffff", "ü"];
      const topics = parts.flatMap((first) =>
        parts.flatMap((last) => [0, 62, 63, 64, 70, 600].map((count) => first + "a".repeat(count) + last)),
      );
      const all = new Map([...new Set(topics)].map((topic, index) => [topic, index]));
      for (const [topic, index] of all) {
        store.put("retained", topic, () => index);
        store.put("subscription", [7, topic], () => index);
      }
      await commit();
      await reopen();
      expect(new Map(records("retained") as [string, number][])).toEqual(all);
      const filters = records("subscription") as [[number, string], number][];
      expect(new Map(filters.map(([[, filter], index]) => [filter, index]))).toEqual(all);
      for (const topic of all.keys()) store.remove("retained", topic);
      await commit();
      expect(records("retained")).toEqual([]);
    });

    it("moves aside what makes no sense, and keeps it there", async () => {
      store.put("retained", "t", () => "no message");
      await commit();
      store.setAside("retained", "t", "no message", "it is no message");
      await commit();
      await reopen();
      expect(records("retained")).toEqual([]);
      const [[, aside]] = records("aside") as [[Key, unknown]];
      expect(aside).toMatchObject({ table: "retained", key: "t", value: "no message" });
    });

    it("removes, and does not mind when there is nothing to remove", async () => {
      store.put("ban", "a", () => 1);
      await commit();
      store.remove("ban", "a");
      store.remove("ban", "b");
      expect(await commit()).toBeUndefined();
      expect(records("ban")).toEqual([]);
    });

    it("commits the last value of a key, made when it is committed", async () => {
      let value = 1;
      store.put("session", 1, () => "first");
      store.put("session", 1, () => value);
      value = 2;
      await commit();
      expect(records("session")).toEqual([[1, 2]]);
      expect(engine.committed).toHaveLength(1);
    });

    it("never writes what is dropped before its commit, and then nobody waits", async () => {
      let answered = 0;
      const record = new Fragile("queue", [1, 1]);
      store.write(record, false);
      store.whenCommitted(() => answered++);
      expect(answered).toBe(0);
      store.drop(record);
      expect(answered).toBe(1);
      await commit();
      expect(engine.committed).toEqual([]);
    });

    it("commits a patient record when it was not dropped in its time, and not before", async () => {
      const [dropped, kept] = [new Fragile("queue", [1, 1]), new Fragile("queue", [1, 2])];
      const answered: string[] = [];
      store.write(dropped, true);
      store.whenCommitted(() => answered.push("dropped"), store.writes - 1);
      store.write(kept, true);
      store.whenCommitted(() => answered.push("kept"), store.writes - 1);
      await elapse();
      expect(answered).toEqual([]);
      store.drop(dropped);
      expect(answered).toEqual(["dropped"]);
      await elapse();
      await elapse();
      expect(answered).toEqual(["dropped", "kept"]);
      expect(records("queue")).toEqual([[[1, 2], 1]]);
    });

    it("commits what is not patient without the rest", async () => {
      store.write(new Fragile("queue", [1, 1]), true);
      store.put("session", 1, () => 1);
      await elapse();
      expect(engine.committed.map((changes) => changes.map(({ table }) => table))).toEqual([["session"]]);
    });

    it("never commits a record without the one that it needs", async () => {
      const needed = new Fragile("message", 1);
      store.write(needed, true);
      store.write(new Fragile("queue", [1, 1], 1, needed), false);
      await elapse();
      expect(engine.committed.map((changes) => changes.map(({ table }) => table))).toEqual([
        ["message", "queue"],
      ]);
    });

    it("keeps a record that others need as long as one of them is there, and no longer", async () => {
      const needed = new Fragile("message", 1);
      needed.needers = 2;
      const [patient, due] = [1, 2].map((place) => new Fragile("queue", [1, place], 1, needed));
      const there = () => [records("message").length, records("queue").length];
      store.write(needed, true);
      store.write(patient!, true);
      store.write(due!, false);
      await elapse();
      expect(there()).toEqual([1, 2]);
      store.drop(due!);
      await commit();
      expect(there()).toEqual([1, 1]);
      store.drop(patient!);
      await commit();
      expect(there()).toEqual([0, 0]);
      expect(engine.committed.at(-1)?.map(({ table }) => table)).toEqual(["queue", "message"]);
    });

    it("removes what was dropped when its commit had begun, and who waited for it waits no more", async () => {
      const record = new Fragile("queue", [1, 1]);
      let answered = 0;
      store.write(record, false);
      store.whenCommitted(() => answered++, store.writes - 1);
      const first = commit();
      store.drop(record);
      expect(answered).toBe(1);
      await first;
      await commit();
      expect(records("queue")).toEqual([]);
      expect(answered).toBe(1);
    });

    it("lets who changes a record while its former value is committed wait for the next commit", async () => {
      const order: string[] = [];
      store.put("retained", "t", () => 1);
      const first = commit().then(() => order.push("first"));
      const since = store.writes;
      store.put("retained", "t", () => 2);
      store.whenCommitted(() => order.push(`second ${String(records("retained")[0]?.[1])}`), since);
      await first;
      await commit();
      expect(order).toEqual(["first", "second 2"]);
    });

    it("answers at once when nothing is to be written, and after the commit else", async () => {
      const order: string[] = [];
      store.whenCommitted(() => order.push("idle"));
      store.put("meta", "a", () => 1);
      store.whenCommitted(() =>
        order.push(records("meta").some(([key]) => key === "a") ? "kept" : "not kept"),
      );
      order.push("written");
      await commit();
      expect(order).toEqual(["idle", "written", "kept"]);
    });

    it("answers whoever waits for records that were dropped, although others wait on", async () => {
      const answered: string[] = [];
      const [first, second, third] = [1, 2, 3].map((place) => new Fragile("queue", [1, place]));
      let since = store.writes;
      store.write(first!, false);
      store.whenCommitted(() => answered.push("first"), since);
      since = store.writes;
      store.write(second!, false);
      store.write(third!, false);
      store.whenCommitted(() => answered.push("second"), since);
      store.drop(second!);
      expect(answered).toEqual([]);
      store.drop(third!);
      expect(answered).toEqual(["second"]);
      await commit();
      expect(answered).toEqual(["second", "first"]);
    });

    it("answers once, with the failure, whoever waits for several records of a commit that fails", async () => {
      const answered: (string | undefined)[] = [];
      engine.failing = true;
      store.write(new Fragile("queue", [1, 1]), false);
      store.put("message", 1, () => 1);
      store.whenCommitted((failure) => answered.push(failure?.message), 0);
      await commit();
      expect(answered).toEqual(["no space"]);
    });

    it("commits all that waits when it is closed", async () => {
      store.put("session", 1, () => 1);
      await reopen();
      expect(records("session")).toEqual([[1, 1]]);
    });

    it("says that a commit failed, keeps its writes, and makes them when it can", async () => {
      store.put("session", 1, () => "old");
      await commit();
      engine.failing = true;
      store.put("session", 1, () => "new");
      const record = new Fragile("queue", [1, 1]);
      store.write(record, false);
      expect((await commit())?.message).toBe("no space");
      expect(store.failure?.message).toBe("no space");
      expect(records("session")).toEqual([[1, "old"]]);
      store.drop(record);
      engine.failing = false;
      expect(await commit()).toBeUndefined();
      expect(store.failure).toBeUndefined();
      expect(failures).toEqual(["no space", undefined]);
      expect(records("session")).toEqual([[1, "new"]]);
      expect(records("queue")).toEqual([]);
    });

    it("finds out that it works again although nothing is left to be written", async () => {
      engine.failing = true;
      const record = new Fragile("queue", [1, 1]);
      store.write(record, false);
      const failed = commit();
      store.drop(record);
      expect(await failed).toBeDefined();
      expect((await commit())?.message).toBe("no space");
      engine.failing = false;
      expect(await commit()).toBeUndefined();
      await commit();
      expect(store.failure).toBeUndefined();
    });

    it("keeps thousands of records of one commit together", async () => {
      for (let key = 0; key < 5000; key++) store.put("message", key, () => [key, "x".repeat(50)]);
      await commit();
      await reopen();
      expect(records("message")).toHaveLength(5000);
    });
  });
}
