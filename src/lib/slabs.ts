/** Sizes of output slabs in bytes: small for a peer that gets a packet now and then, large for a busy one. */
export const SLAB_SIZES = [2048, 16_384, 65_536] as const;
/** Free slabs kept of each size; more are left to the garbage collector. */
const KEPT = [1024, 256, 64] as const;

const free: Uint8Array[][] = SLAB_SIZES.map(() => []);

/**
 * Output buffers, lent to a connection from its first unsent byte until the kernel has taken them. Idle
 * connections hold none.
 */
export function lendSlab(sizeClass: number): Uint8Array {
  return free[sizeClass]!.pop() ?? Buffer.allocUnsafeSlow(SLAB_SIZES[sizeClass]!);
}

export function returnSlab(slab: Uint8Array): void {
  const sizeClass = SLAB_SIZES.indexOf(slab.length as (typeof SLAB_SIZES)[number]);
  const shelf = free[sizeClass]!;
  if (shelf.length < KEPT[sizeClass]!) shelf.push(slab);
}
