import type { Datagram, DatagramAssociation, DatagramPath } from "../contract/endpoint.ts";
import type { Peer } from "../contract/peer.ts";
import { addressKey } from "../lib/address-key.ts";
import type { AddressProof } from "./address-proof.ts";
import type { ChannelLoop } from "./channel-loop.ts";

/**
 * Whether a claim moves a device to the address from which it was made: from anywhere, from the same host only
 * (another port), or never.
 */
export type Roaming = "anywhere" | "same-host" | "never";

/** By which a channel is found: whoever shares keys with us is known by them, all others by their address. */
export const residentKey = (from: Omit<Datagram, "bytes">, node: string | undefined): string => {
  if (from.association === undefined) {
    const key = from.path?.key ?? addressKey(from.address, from.port);
    return node === undefined ? key : [key, node].join("/");
  }
  return ["#", from.association.id, ...(node === undefined ? [] : ["/", node])].join("");
};

/** Who makes a claim: a sender, and what its keys prove. */
export interface Claimer extends Peer {
  readonly association?: DatagramAssociation | undefined;
}

/** One device on a datagram listener. Its address may change; its channel stays. */
export interface Resident extends Claimer {
  readonly loop: ChannelLoop;
  association: DatagramAssociation | undefined;
  address: string;
  port: number;
  /** By which it was heard last. */
  heardBy: DatagramPath | undefined;
  node: string | undefined;
  key: string;
  claims: Set<string> | string | undefined;
  /** Something came from it since it was last asked. */
  heardLately: boolean;
  /** Undefined where the address needs no proof. */
  readonly proof?: AddressProof | undefined;
}

/** The one owner of addresses: which channel an address, and which channel a claimed name belongs to. */
export class Peers {
  readonly #byAddress = new Map<string, Resident>();
  readonly #byClaim = new Map<string, Resident>();
  readonly roaming: Roaming;
  /** Devices that were followed to a new address. */
  moved = 0;

  constructor(roaming: Roaming) {
    this.roaming = roaming;
  }

  get count(): number {
    return this.#byAddress.size;
  }

  /** Names that were claimed. */
  get claims(): number {
    return this.#byClaim.size;
  }

  at(key: string): Resident | undefined {
    return this.#byAddress.get(key);
  }

  add(resident: Resident): void {
    this.#byAddress.set(resident.key, resident);
  }

  remove(resident: Resident): void {
    if (this.#byAddress.get(resident.key) === resident) this.#byAddress.delete(resident.key);
    for (const name of claimsOf(resident)) {
      if (this.#byClaim.get(name) === resident) this.#byClaim.delete(name);
    }
    resident.claims = undefined;
  }

  claim(resident: Resident, name: string): void {
    this.#byClaim.set(name, resident);
    if (resident.claims === undefined) resident.claims = name;
    else if (typeof resident.claims === "string") resident.claims = new Set([resident.claims, name]);
    else resident.claims.add(name);
  }

  unclaim(resident: Resident, name: string): void {
    if (this.#byClaim.get(name) === resident) this.#byClaim.delete(name);
    if (resident.claims === name) resident.claims = undefined;
    else if (typeof resident.claims === "object") resident.claims.delete(name);
  }

  /** Who holds a claimed name, if a datagram from this sender may speak for it. */
  claimant(name: string, from: Claimer): Resident | undefined {
    const resident = this.#byClaim.get(name);
    if (resident === undefined) return undefined;
    // What the transport has proven outweighs what a datagram says, and where it says it.
    if (resident.identity !== from.identity) return undefined;
    if (from.identity !== undefined) return resident;
    if (this.roaming === "never") return undefined;
    if (this.roaming === "same-host" && resident.address !== from.address) return undefined;
    return resident;
  }

  /** Follows a device to a new address. The resident that was there, if any, is left to the caller to end. */
  move(resident: Resident, key: string, from: Claimer): void {
    if (this.#byAddress.get(resident.key) === resident) this.#byAddress.delete(resident.key);
    resident.key = key;
    resident.address = from.address;
    resident.port = from.port;
    resident.node = from.node;
    resident.proof?.moved();
    resident.association = from.association;
    this.#byAddress.set(key, resident);
    this.moved++;
  }

  /** Its keys are the same, and its address is another: the transport has followed it. */
  followed(resident: Resident, address: string, port: number): void {
    resident.address = address;
    resident.port = port;
    this.moved++;
  }
}

function claimsOf(resident: Resident): Iterable<string> {
  if (resident.claims === undefined) return [];
  return typeof resident.claims === "string" ? [resident.claims] : resident.claims;
}
