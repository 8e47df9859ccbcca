/**
 * What V8 is told. Nearly all that is allocated while modules are loaded stays, so V8 doubles its young
 * generation again and again, up to 2 × 16 MB on Node 20, and a process at rest never gives that back.
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { serveFirst } from "./threads.ts";

/** Above this a collection would keep those waiting who connect first; V8 then collects in its own time. */
const COLLECTED_BELOW = 96 * 1024 * 1024;

/**
 * The way of a message through codec, session and tree is longer than V8's default budget for one inlined function: with
 * this one QoS 0 and 1 cost 5 to 20 % less (`npm run bench -- mqtt`).
 */
export const inlineMore = (): void => setFlagsFromString("--max-inlined-bytecode-size-cumulative=3000");

/** While modules are loaded. Each collection is of little then, and finds little to free: this costs no time. */
export const holdYoungGeneration = (): void => setFlagsFromString("--semi-space-growth-factor=1");

/**
 * Left to itself V8 lets the heap of a busy process grow to four times what was alive in it. Twice costs one collection
 * more for each that there was, in steps of milliseconds (`npm run bench -- churn`).
 */
const boundGarbage = (): void => setFlagsFromString("--heap-growing-percent=100");

/** V8's own factor: for what a store gives back, and for work. */
export const letYoungGenerationGrow = (): void => setFlagsFromString("--semi-space-growth-factor=2");

/** All is loaded and made, and nobody is served yet. */
export function prepareForClients(): void {
  letYoungGenerationGrow();
  boundGarbage();
  serveFirst();
  collectAfterStart();
}

/** What the start has left is collected once, and its gaps closed. */
function collectAfterStart(): void {
  if (getHeapStatistics().used_heap_size > COLLECTED_BELOW) return;
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  setFlagsFromString("--no-expose-gc");
  setFlagsFromString("--compact-on-every-full-gc");
  collect();
  setFlagsFromString("--no-compact-on-every-full-gc");
}

/** How often it is looked whether there is something to collect, in milliseconds. */
const LOOK_MS = 10_000;
/** At rest the process uses less than this part of a core. */
const REST = 0.2;
/** Growth that is worth a collection: this part of what was left by the last one, and this much. */
const GROWN_PART = 0.5;
const GROWN_BYTES = 32 * 1024 * 1024;
/** What is alive lies scattered over pages: each round moves some of it together and frees whole pages. */
const ROUNDS = 3;
/** Pages that are worth another round. */
const LOOSE_PART = 0.5;
const LOOSE_BYTES = 16 * 1024 * 1024;

/**
 * V8 collects what is old only when more is allocated: what a rush has left behind would stay for as long as it is quiet
 * behind it. So it is looked after when the process has come to rest. Returns what ends that.
 */
export function collectAtRest(): () => void {
  const rest = new Rest(heapBytes(), cpuMilliseconds());
  let collecting = false;
  const timer = setInterval(() => {
    const collect = rest.look(heapBytes(), cpuMilliseconds(), LOOK_MS);
    if (collect !== collecting) saveMemory(collect);
    collecting = collect;
    if (collect) collectInSteps();
  }, LOOK_MS).unref();
  return () => clearInterval(timer);
}

/** V8's collections free what they can, rather than keep pages for what comes next. */
const saveMemory = (save: boolean): void =>
  setFlagsFromString(save ? "--optimize-for-size" : "--no-optimize-for-size");

/** In bytes: what is used, and what the system has given for it. */
export interface HeapBytes {
  readonly used: number;
  readonly taken: number;
}

/** Whether it is time to collect. */
export class Rest {
  /** As little as was taken since the last collection. */
  #least: number;
  #cpu: number;
  #rounds = 0;

  constructor({ taken }: HeapBytes, cpu: number) {
    this.#least = taken;
    this.#cpu = cpu;
  }

  /** `cpu`: time of the processor since the start, and `passed` since the last look, both in milliseconds. */
  look({ used, taken }: HeapBytes, cpu: number, passed: number): boolean {
    const atRest = cpu - this.#cpu < REST * passed;
    this.#cpu = cpu;
    // What a collection has left is what cannot be freed now, also if that is more than before.
    this.#least = this.#rounds > 0 ? taken : Math.min(this.#least, taken);
    const grown = taken > this.#least + Math.max(GROWN_BYTES, GROWN_PART * this.#least);
    const loose = taken > used + Math.max(LOOSE_BYTES, LOOSE_PART * used);
    const again = this.#rounds > 0 && this.#rounds < ROUNDS && loose;
    this.#rounds = atRest && (grown || again) ? this.#rounds + 1 : 0;
    return this.#rounds > 0;
  }
}

/** More than V8 lets memory outside of the heap grow before it begins to collect. */
const UNTOUCHED_BYTES = 80 * 1024 * 1024;

/**
 * Begins a collection in small steps. The one that V8 offers to scripts stops everything until it is done: so V8 is told
 * that memory outside of its heap has grown. Nobody touches that, so the system gives none.
 */
export function collectInSteps(): void {
  new ArrayBuffer(UNTOUCHED_BYTES);
}

/** The most that V8 lets the heap grow to, in bytes: `--max-old-space-size`, else a part of what the machine has. */
const heapLimit = (): number => getHeapStatistics().heap_size_limit;

const GIGABYTE = 2 ** 30;

/**
 * What peers may make this process hold, in bytes, where nobody has said it. What a store keeps of a message that waits is not in the
 * account and takes as much again; the rest is for all that is not theirs, and for garbage.
 */
export const roomForPeers = (): number => Math.min(GIGABYTE, Math.floor(heapLimit() / 4));

const heapBytes = (): HeapBytes => {
  const { used_heap_size, total_heap_size, external_memory } = getHeapStatistics();
  return { used: used_heap_size + external_memory, taken: total_heap_size + external_memory };
};

const cpuMilliseconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
