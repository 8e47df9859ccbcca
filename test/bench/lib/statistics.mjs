/** @param {number[]} values */
export function median(values) {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? Number.NaN) + high) / 2;
}

/**
 * @param {Float64Array} sorted   ascending
 * @param {number} share   0 to 1
 */
export function percentile(sorted, share) {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/**
 * Runs `measure` once a pass for each peer in turn, beginning with another peer each pass, so that the machine's
 * moods fall on all of them alike.
 * @template {{name: string}} Peer
 * @param {Peer[]} peers
 * @param {number} passes
 * @param {(peer: Peer, pass: number) => Promise<Record<string, number> | undefined>} measure   undefined: not able to
 * @returns {Promise<Map<string, Record<string, number>[]>>} figures of each pass, by the peer's name
 */
export async function interleaved(peers, passes, measure) {
  /** @type {Map<string, Record<string, number>[]>} */
  const taken = new Map();
  for (let pass = 0; pass < passes; pass++) {
    for (let i = 0; i < peers.length; i++) {
      const peer = peers[(i + pass) % peers.length];
      if (!peer) continue;
      const figures = await measure(peer, pass);
      if (figures) taken.set(peer.name, [...(taken.get(peer.name) ?? []), figures]);
    }
  }
  return taken;
}

/**
 * As `interleaved`, and gives the median of each figure.
 * @template {{name: string}} Peer
 * @param {Peer[]} peers
 * @param {number} passes
 * @param {(peer: Peer, pass: number) => Promise<Record<string, number> | undefined>} measure
 * @returns {Promise<Map<string, Record<string, number>>>}
 */
export async function interleave(peers, passes, measure) {
  const taken = await interleaved(peers, passes, measure);
  return new Map([...taken].map(([name, list]) => [name, medians(list)]));
}

/**
 * @param {Record<string, number>[]} list
 * @returns {Record<string, number>}
 */
function medians(list) {
  const names = new Set(list.flatMap((figures) => Object.keys(figures)));
  return Object.fromEntries([...names].map((name) => [name, median(list.map((f) => f[name] ?? Number.NaN))]));
}
