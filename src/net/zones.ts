import { mappedAddress, plainAddress } from "./address.ts";

/** Link-local senders remembered at most; the longest known is forgotten first. */
const ZONES_MAX = 10_000;

/**
 * The rest of the program knows addresses without their zone, but a link-local address (RFC 4291 §2.5.6) can only be
 * answered with it: `fe80::1%eth0`. This remembers by which interface each such sender came in.
 */
export class Zones {
  readonly #zoneOf = new Map<string, string>();

  /** The address without zone; its zone is kept. */
  learn(address: string): string {
    const at = address.indexOf("%");
    if (at < 0) return plainAddress(address);
    const plain = address.slice(0, at);
    const zone = address.slice(at);
    if (this.#zoneOf.get(plain) === zone) return plain;
    this.#zoneOf.delete(plain);
    if (this.#zoneOf.size >= ZONES_MAX) this.#zoneOf.delete(this.#zoneOf.keys().next().value as string);
    this.#zoneOf.set(plain, zone);
    return plain;
  }

  /** The form in which an IPv6 socket reaches the address. */
  reach(address: string): string {
    if (!address.startsWith("fe80:")) return mappedAddress(address);
    return address + (this.#zoneOf.get(address) ?? "");
  }
}
