import type { DatagramPath } from "../../contract/endpoint.ts";
import { addressKey } from "../../lib/address-key.ts";
import { isLinkLocal, textOf, type Words, wordsOf } from "../system/addresses.ts";

/** Peers whose text is remembered, in places found by a hash: a newcomer takes the place of who was there. */
const PLACES = 4096;
/** Addresses remembered for what is sent to an address without a path; the longest known is forgotten first. */
const ADDRESSES_MAX = 10_000;

const NO_WORDS: Words = [0, 0, 0, 0];

/** Between a peer's address and port, and the address of ours to which its datagrams come. */
export class Path implements DatagramPath {
  readonly address: string;
  readonly port: number;
  readonly key: string;
  readonly toGroup: boolean;
  readonly peer: Words;
  /** The interface of a link-local peer; 0 for all others. */
  readonly zone: number;
  /** Our address; undefined where the system shall choose. */
  readonly local: Words | undefined;

  constructor(peer: Words, port: number, zone: number, local: Words | undefined, toGroup: boolean) {
    this.address = textOf(peer);
    this.port = port;
    this.key = addressKey(this.address, port);
    this.peer = peer;
    this.zone = zone;
    this.local = local;
    this.toGroup = toGroup;
  }
}

/** Where a datagram came from and to, as numbers: filled anew for each. */
export class Arrived {
  readonly peer: [number, number, number, number] = [0, 0, 0, 0];
  port = 0;
  zone = 0;
  readonly local: [number, number, number, number] = [0, 0, 0, 0];
  localKnown = false;
  toGroup = false;
}

const same = (a: Words, b: Words): boolean =>
  a[3] === b[3] && a[2] === b[2] && a[1] === b[1] && a[0] === b[0];

/** Paths of one socket. Numbers are compared; text is made once a peer. */
export class Paths {
  readonly #places: (Path | undefined)[] = new Array(PLACES).fill(undefined);
  readonly #byAddress = new Map<string, Path>();

  /** The path by which a datagram came. */
  of(arrived: Arrived): Path {
    const { peer, port, toGroup } = arrived;
    const zone = isLinkLocal(peer) ? arrived.zone : 0;
    const place = hash(peer, port);
    const known = this.#places[place];
    if (known !== undefined && known.port === port && known.zone === zone && known.toGroup === toGroup) {
      const local = arrived.localKnown ? arrived.local : NO_WORDS;
      if (same(known.peer, peer) && same(known.local ?? NO_WORDS, local)) return known;
    }
    const local: Words | undefined = arrived.localKnown ? [...arrived.local] : undefined;
    const path = new Path([...peer], port, zone, local, toGroup);
    this.#places[place] = path;
    this.#learn(path);
    return path;
  }

  /** The path to an address from which something came, or may come; undefined when it is none. */
  to(address: string): Path | undefined {
    const known = this.#byAddress.get(address);
    if (known !== undefined) return known;
    const words = wordsOf(address);
    if (words === undefined) return undefined;
    const path = new Path(words, 0, 0, undefined, false);
    this.#learn(path, address);
    return path;
  }

  #learn(path: Path, address = path.address): void {
    if (this.#byAddress.size >= ADDRESSES_MAX && !this.#byAddress.has(address)) {
      this.#byAddress.delete(this.#byAddress.keys().next().value as string);
    }
    this.#byAddress.set(address, path);
  }
}

function hash(peer: Words, port: number): number {
  const mixed = Math.imul(
    peer[3] ^ Math.imul(peer[0] ^ peer[1] ^ peer[2], 0x85ebca6b) ^ (port << 16) ^ port,
    0x9e3779b1,
  );
  return (mixed >>> 16) % PLACES;
}
