/** The log on a disk that tears, loses and reorders the sectors of what was not acknowledged, and fails in between. */
import { describe, expect, it } from "vitest";
import type { Key, Table } from "#core/session/store.ts";
import type { Change, Damage } from "#core/store/engine.ts";
import { LogEngine } from "#core/store/log/engine.ts";
import { mulberry32 } from "../../support/random.ts";
import { SimulatedDisk } from "../../support/simulated-disk.ts";

/** `LOG_SEEDS=10000` for more, `LOG_SEED=<n>` for one. */
const SEEDS = Number(process.env["LOG_SEEDS"] ?? 300);
const ONLY = process.env["LOG_SEED"];
const STEPS = 60;
const KEYS = 40;
const SEGMENT = 8192;

type State = ReadonlyMap<string, string>;
const TABLES: readonly Table[] = ["session", "retained", "queue"];

class Simulation {
  readonly #random: () => number;
  #disk: SimulatedDisk;
  #engine!: LogEngine;
  /** What was acknowledged, and what attempts since then may have left instead. */
  #kept: State = new Map();
  #attempts: State[] = [];
  #count = 0;
  readonly damages: Damage[] = [];
  crashes = 0;
  refusals = 0;

  constructor(seed: number) {
    this.#random = mulberry32(seed);
    this.#disk = new SimulatedDisk(this.#random);
    if (seed % 3 === 0) this.#disk.size = 12 * SEGMENT;
  }

  async run(): Promise<void> {
    await this.#open();
    for (let step = 0; step < STEPS; step++) {
      const dice = this.#random();
      if (dice < 0.05) await this.#restart();
      else if (dice < 0.08) await this.#compact();
      else await this.#commit();
    }
    await this.#restart();
  }

  #pick(below: number): number {
    return Math.floor(this.#random() * below);
  }

  async #open(): Promise<void> {
    const options = { folder: "simulated", sync: true, sizeMax: 1e9, segmentSize: SEGMENT };
    const damaged = (damage: Damage): void => void this.damages.push(damage);
    const disk = this.#disk;
    this.#engine = await LogEngine.on(disk, { ...options, damaged });
    disk.fate = () => {
      const dice = this.#random();
      return dice < 0.03 ? "crash" : dice < 0.08 ? "fails" : "done";
    };
  }

  /** Closed or killed: the next process finds all that was acknowledged, and the rest wholly or not at all. */
  async #restart(): Promise<void> {
    this.#disk = this.#disk.survive();
    await this.#open();
    const found = this.#found();
    const allowed = [this.#kept, ...this.#attempts];
    const fits = allowed.find((state) => same(state, found));
    if (fits === undefined) expect(sorted(found)).toEqual(sorted(this.#kept));
    expect(this.damages.map(({ problem }) => problem)).toEqual([]);
    for (const table of TABLES)
      expect(this.#engine.count(table), table).toBe([...this.#engine.entries(table)].length);
    this.#kept = found;
    this.#attempts = [];
  }

  async #compact(): Promise<void> {
    await Promise.race([
      this.#engine.compact().catch(() => {}),
      this.#disk.death.then(() => "crash" as const),
    ]);
    await this.#restart();
  }

  async #commit(): Promise<void> {
    const changes: Change[] = [];
    const next = new Map(this.#kept);
    const onlyRemovals = new Map(this.#kept);
    for (let left = 1 + this.#pick(12); left > 0; left--) this.#change(changes, next, onlyRemovals);
    const outcome = await Promise.race([
      this.#engine.commit(changes).then(
        () => "kept" as const,
        (error: { code: string }) => error.code,
      ),
      this.#disk.death.then(() => "crash" as const),
    ]);
    if (outcome === "kept") {
      this.#kept = next;
      this.#attempts = [];
      return;
    }
    if (outcome === "disk-full") this.refusals++;
    this.#attempts.push(next, onlyRemovals);
    // Removals of a commit that was refused for want of room are made.
    if (outcome === "disk-full") this.#kept = new Map(this.#found());
    if (outcome === "crash") {
      this.crashes++;
      await this.#restart();
    }
  }

  /** The last change of a key is the one that counts. */
  #change(changes: Change[], next: Map<string, string>, onlyRemovals: Map<string, string>): void {
    const table = TABLES[this.#pick(TABLES.length)]!;
    const number = this.#pick(KEYS);
    const key: Key =
      table === "retained" ? `topic/${number}` : table === "queue" ? [number % 4, number] : number;
    const name = `${table} ${String(key)}`;
    if (changes.some((change) => change.table === table && String(change.key) === String(key))) return;
    if (this.#random() < 0.4) {
      changes.push({ table, key, value: undefined });
      next.delete(name);
      onlyRemovals.delete(name);
    } else {
      const value = `${++this.#count}-${"x".repeat(this.#pick(this.#random() < 0.1 ? 6000 : 400))}`;
      changes.push({ table, key, value: () => value });
      next.set(name, value);
    }
  }

  #found(): State {
    const found = new Map<string, string>();
    for (const table of TABLES) {
      for (const [key, value] of this.#engine.entries(table))
        found.set(`${table} ${String(key)}`, value as string);
    }
    return found;
  }
}

const sorted = (state: State): readonly string[] =>
  [...state].map(([key, value]) => `${key}=${value}`).sort();
const same = (a: State, b: State): boolean => {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
};

describe("a log over a disk that fails, tears and loses", () => {
  it("has each commit that it acknowledged, no other by halves, and no complaint", {
    timeout: 20_000 + SEEDS * 100,
  }, async () => {
    let [crashes, refusals] = [0, 0];
    for (let seed = 1; seed <= SEEDS; seed++) {
      if (ONLY !== undefined && seed !== Number(ONLY)) continue;
      const simulation = new Simulation(seed);
      try {
        await simulation.run();
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).stack}`);
      }
      crashes += simulation.crashes;
      refusals += simulation.refusals;
    }
    if (ONLY !== undefined) return;
    expect(crashes).toBeGreaterThan(SEEDS / 2);
    expect(refusals).toBeGreaterThan(SEEDS / 50);
  });
});
