/**
 * Numbers from a seed, so that a run can be repeated as far as the machine lets it.
 * @param {number} seed
 */
export function randomFrom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    next,
    below: (/** @type {number} */ n) => Math.floor(next() * n),
    chance: (/** @type {number} */ share) => next() < share,
    /** @template T @param {readonly T[]} of @returns {T} */
    pick: (of) => /** @type {T} */ (of[Math.floor(next() * of.length)]),
  };
}

/** @typedef {ReturnType<typeof randomFrom>} Random */

/**
 * What one life has: where the gateway is, its own luck, what it counts, and whether it must end.
 * @typedef {object} Life
 * @property {Record<string, number>} ports
 * @property {Random} random
 * @property {(name: string) => void} count
 * @property {(milliseconds: number) => Promise<void>} pause   at most so long; shorter once the churn is over
 * @property {() => boolean} over
 */
