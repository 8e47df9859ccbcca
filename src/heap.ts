/**
 * What V8 is told. Nearly all that is allocated while modules are loaded stays, so V8 doubles its young
 * generation again and again, up to 2 × 16 MB on Node 20, and a process at rest never gives that back.
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Above this a collection would keep those waiting who connect first; V8 then collects in its own time. */
const COLLECTED_BELOW = 96 * 1024 * 1024;

/**
 * The way of a message through codec, session and tree is longer than V8's default budget for one inlined function: with
 * this one QoS 0 and 1 cost 5 to 20 % less (`npm run bench -- mqtt`).
 */
export const inlineMore = (): void => setFlagsFromString("--max-inlined-bytecode-size-cumulative=3000");

/** While modules are loaded. Each collection is of little then, and finds little to free: this costs no time. */
export const holdYoungGeneration = (): void => setFlagsFromString("--semi-space-growth-factor=1");

/** V8's own factor: for what a store gives back, and for work. */
export const letYoungGenerationGrow = (): void => setFlagsFromString("--semi-space-growth-factor=2");

/** What the start has left is collected once, and its gaps closed, before anybody is served. */
export function collectAfterStart(): void {
  if (getHeapStatistics().used_heap_size > COLLECTED_BELOW) return;
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  setFlagsFromString("--no-expose-gc");
  setFlagsFromString("--compact-on-every-full-gc");
  collect();
  setFlagsFromString("--no-compact-on-every-full-gc");
}
