import type { Resident } from "./peers.ts";

export interface UnprovenLimits {
  /** Of all networks together. */
  readonly total: number;
  /** Of one network: /24 of IPv4, /64 of IPv6. */
  readonly network: number;
}

/**
 * Peers whose address is not proven: a forged sender costs nothing, so these have a budget of their own. Newcomers are
 * not refused for it: one that was not heard lately goes, of the newcomer's own network where that has its share. Being
 * heard costs a mark; whoever has one when it would be its turn goes to the end of the line instead.
 */
export class UnprovenPeers {
  readonly #line = new Set<Resident>();
  readonly #networks = new Map<string, Set<Resident>>();

  get count(): number {
    return this.#line.size;
  }

  add(peer: Resident): void {
    this.#line.add(peer);
    const network = networkOf(peer.address);
    const members = this.#networks.get(network);
    if (members === undefined) this.#networks.set(network, new Set([peer]));
    else members.add(peer);
  }

  /** It is proven, or gone, or about to be elsewhere. */
  remove(peer: Resident): void {
    if (!this.#line.delete(peer)) return;
    const network = networkOf(peer.address);
    const members = this.#networks.get(network);
    members?.delete(peer);
    if (members?.size === 0) this.#networks.delete(network);
  }

  /** Who has to go before another one comes from this address; `full`: there is no room at all. */
  displaced(address: string, limits: UnprovenLimits, full: boolean): Resident | undefined {
    const members = this.#networks.get(networkOf(address));
    if (members !== undefined && members.size >= limits.network) return silent(members);
    return full || this.#line.size >= limits.total ? silent(this.#line) : undefined;
  }
}

/** The first in line that was not heard since it stood there last. */
function silent(line: Set<Resident>): Resident | undefined {
  for (const peer of line) {
    if (!peer.heardLately) return peer;
    peer.heardLately = false;
    line.delete(peer);
    line.add(peer);
  }
  return undefined;
}

/** /24 of IPv4, /64 of IPv6: what one sender may have at its disposal. */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address.slice(0, address.lastIndexOf("."));
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  if (tail !== undefined) while (groups.length + after.length < 8) groups.push("0");
  return [...groups, ...after].slice(0, 4).join(":");
}
