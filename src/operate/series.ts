/** Numbers over time, for plots: so that one who looks now sees what has been before. */

/** A number that is looked at once a second. */
export interface Source {
  readonly name: string;
  /** `rate`: of a sum that grows, how much it grew in each second. `level`: as it is. */
  readonly kind: "rate" | "level";
  readonly unit: "messages" | "bytes" | "clients" | "refusals" | "alarms" | "milliseconds";
  read(): number;
}

/** Seconds a point, and how many are kept: 15 min, 6 h, 7 d. */
export const STEPS = [1, 10, 60] as const;
export type Step = (typeof STEPS)[number];
const POINTS: Readonly<Record<Step, number>> = { 1: 900, 10: 2_160, 60: 10_080 };

/** Points that there is room for to begin with: a process that has just started has nothing to keep. */
const ROOM = 60;
const EMPTY = new Float32Array(0);

/** Points of one step: the mean and the highest of the seconds in each; NaN where there was none. */
class Ring {
  readonly #step: Step;
  #mean = EMPTY;
  #max = EMPTY;
  #sum = 0;
  #count = 0;
  #highest = Number.NEGATIVE_INFINITY;
  /** In steps since the epoch. */
  #current = 0;
  #first = 0;

  constructor(step: Step) {
    this.#step = step;
  }

  get bytes(): number {
    return this.#mean.byteLength + (this.#max === this.#mean ? 0 : this.#max.byteLength);
  }

  add(second: number, value: number): void {
    const at = Math.floor(second / this.#step);
    if (this.#first === 0) {
      this.#first = at;
      this.#current = at;
      this.#grow(ROOM);
    }
    // A clock that was set back: what it had written there stands.
    if (at < this.#current) return;
    if (at > this.#current) this.#next(at);
    this.#sum += value;
    this.#count++;
    this.#highest = Math.max(this.#highest, value);
    const place = this.#place(at);
    this.#mean[place] = this.#sum / this.#count;
    this.#max[place] = this.#highest;
  }

  /** Counted from the first one, so that what was before it takes no room until the ring has gone round. */
  #place(at: number): number {
    return (at - this.#first) % this.#mean.length;
  }

  #grow(points: number): void {
    const grown = (old: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> => {
      const room = new Float32Array(points).fill(Number.NaN, old.length);
      room.set(old);
      return room;
    };
    this.#mean = grown(this.#mean);
    this.#max = this.#step === 1 ? this.#mean : grown(this.#max);
  }

  #next(at: number): void {
    const needed = at - this.#first + 1;
    const most = POINTS[this.#step];
    if (needed > this.#mean.length && this.#mean.length < most) {
      this.#grow(Math.min(most, Math.max(needed, this.#mean.length * 2)));
    }
    const { length } = this.#mean;
    // Of what is skipped nothing old may be left.
    for (let skipped = Math.max(this.#current + 1, at - length + 1); skipped <= at; skipped++) {
      this.#mean[this.#place(skipped)] = Number.NaN;
      this.#max[this.#place(skipped)] = Number.NaN;
    }
    this.#current = at;
    this.#sum = 0;
    this.#count = 0;
    this.#highest = Number.NEGATIVE_INFINITY;
  }

  /** Points from this step on, or from the oldest that is kept. */
  from(step: number): {
    readonly from: number;
    readonly mean: (number | null)[];
    readonly max: (number | null)[];
  } {
    const { length } = this.#mean;
    const from = Math.max(step, this.#first, this.#current - length + 1);
    const mean: (number | null)[] = [];
    const max: (number | null)[] = [];
    for (let at = from; at <= this.#current && this.#first !== 0; at++) {
      mean.push(plain(this.#mean[this.#place(at)]!));
      max.push(plain(this.#max[this.#place(at)]!));
    }
    return { from, mean, max };
  }
}

const plain = (value: number): number | null =>
  Number.isNaN(value) ? null : Math.round(value * 1000) / 1000;

/** Seconds: a busy process looks late, and after a longer time it is not known what was in between. */
const LATE_MAX = 3;

interface Kept {
  readonly source: Source;
  /** Of the last value. */
  second: number;
  readonly rings: Readonly<Record<Step, Ring>>;
  /** The sum at the last look. */
  last: number | undefined;
  /** What was noted at the last look. */
  value: number | undefined;
}

export interface SeriesPoints extends Pick<Source, "name" | "kind" | "unit"> {
  readonly mean: readonly (number | null)[];
  /** The same as `mean` at a step of one second. */
  readonly max: readonly (number | null)[];
}

export class Series {
  readonly #kept: readonly Kept[];
  readonly #watchers = new Set<(at: number, values: Readonly<Record<string, number>>) => void>();
  #lastLook = 0;

  constructor(sources: readonly Source[]) {
    this.#kept = sources.map((source) => ({
      source,
      second: Number.POSITIVE_INFINITY,
      rings: { 1: new Ring(1), 10: new Ring(10), 60: new Ring(60) },
      last: undefined,
      value: undefined,
    }));
  }

  get bytes(): number {
    return this.#kept.reduce(
      (sum, { rings }) => sum + STEPS.reduce((of, step) => of + rings[step].bytes, 0),
      0,
    );
  }

  get names(): readonly string[] {
    return this.#kept.map(({ source }) => source.name);
  }

  /** Looks at all numbers; called about once a second, with milliseconds since the epoch. */
  look(now: number): void {
    const second = Math.floor(now / 1000);
    const passed = (now - this.#lastLook) / 1000;
    this.#lastLook = now;
    for (const kept of this.#kept) this.#note(kept, second, passed);
    if (this.#watchers.size === 0) return;
    const values = this.latest();
    for (const watcher of this.#watchers) watcher(now, values);
  }

  #note(kept: Kept, second: number, passed: number): void {
    const { source, rings, last } = kept;
    const read = source.read();
    kept.last = read;
    // Nobody knows how much it grew before the first look, and after a clock was set.
    if (source.kind === "rate" && (last === undefined || passed <= 0)) return;
    const value = source.kind === "rate" ? Math.max(0, read - last!) / passed : read;
    kept.value = value;
    // A look that came late stands for the seconds that it has missed.
    const missed = passed > LATE_MAX ? 0 : second - kept.second - 1;
    for (let late = second - Math.max(0, missed); late <= second; late++) {
      for (const step of STEPS) rings[step].add(late, value);
    }
    kept.second = second;
  }

  /** What was noted at the last look. */
  latest(): Readonly<Record<string, number>> {
    const values: Record<string, number> = {};
    for (const { source, value } of this.#kept) {
      if (value !== undefined) values[source.name] = Math.round(value * 1000) / 1000;
    }
    return values;
  }

  /** `since`: milliseconds since the epoch. */
  points(
    names: readonly string[] | undefined,
    step: Step,
    since: number,
  ): { from: number; series: SeriesPoints[] } {
    const wanted = this.#kept.filter(({ source }) => names === undefined || names.includes(source.name));
    const first = Math.floor(since / 1000 / step);
    const found = wanted.map(({ source, rings }) => ({ source, ...rings[step].from(first) }));
    const from = Math.min(...found.filter(({ mean }) => mean.length > 0).map((one) => one.from));
    return {
      from: Number.isFinite(from) ? from * step * 1000 : since,
      // All begin where the one begins that reaches farthest back.
      series: found.map(({ source: { name, kind, unit }, from: own, mean, max }) => {
        const before = new Array<null>(mean.length === 0 ? 0 : own - from).fill(null);
        return { name, kind, unit, mean: [...before, ...mean], max: [...before, ...max] };
      }),
    };
  }

  /** Hears of every look; returns what ends it. */
  watch(watcher: (at: number, values: Readonly<Record<string, number>>) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}
