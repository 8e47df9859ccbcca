import type { Resident } from "./peers.ts";

export interface UnprovenLimits {
  /** Of all networks together. */
  readonly total: number;
  /** Of one network: /24 of IPv4, /64 of IPv6. */
  readonly network: number;
}

/**
 * Peers whose address is not proven: a forged sender costs nothing, so these have a budget of their own. Newcomers are
 * not refused for it; the peer that was silent for longest goes, of the newcomer's own network where that has its share.
 */
export class UnprovenPeers {
  /** The longest silent first. */
  readonly #silent = new Set<Resident>();
  readonly #networks = new Map<string, Set<Resident>>();

  get count(): number {
    return this.#silent.size;
  }

  add(peer: Resident): void {
    this.#silent.add(peer);
    const network = networkOf(peer.address);
    const members = this.#networks.get(network);
    if (members === undefined) this.#networks.set(network, new Set([peer]));
    else members.add(peer);
  }

  heard(peer: Resident): void {
    if (!this.#silent.delete(peer)) return;
    this.#silent.add(peer);
    const members = this.#networks.get(networkOf(peer.address));
    if (members?.delete(peer) === true) members.add(peer);
  }

  /** It is proven, or gone, or about to be elsewhere. */
  remove(peer: Resident): void {
    if (!this.#silent.delete(peer)) return;
    const network = networkOf(peer.address);
    const members = this.#networks.get(network);
    members?.delete(peer);
    if (members?.size === 0) this.#networks.delete(network);
  }

  /** Who has to go before another one comes from this address; `full`: there is no room at all. */
  displaced(address: string, limits: UnprovenLimits, full: boolean): Resident | undefined {
    const members = this.#networks.get(networkOf(address));
    if (members !== undefined && members.size >= limits.network) return first(members);
    return full || this.#silent.size >= limits.total ? first(this.#silent) : undefined;
  }
}

const first = (peers: ReadonlySet<Resident>): Resident | undefined => peers.values().next().value;

/** /24 of IPv4, /64 of IPv6: what one sender may have at its disposal. */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address.slice(0, address.lastIndexOf("."));
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  if (tail !== undefined) while (groups.length + after.length < 8) groups.push("0");
  return [...groups, ...after].slice(0, 4).join(":");
}
