/** What stands in the place of each octet of a secret: `*`. */
const MASK = 0x2a;

/** The first `max` octets of a frame, its secrets overwritten. The frame is the trace's own. */
export function masked(
  frame: Uint8Array,
  secrets: readonly (readonly [from: number, to: number])[],
  max: number,
): Uint8Array {
  const kept = frame.subarray(0, max);
  if (secrets.length === 0) return kept;
  const copy = new Uint8Array(kept);
  for (const [from, to] of secrets) copy.fill(MASK, from, to);
  return copy;
}
