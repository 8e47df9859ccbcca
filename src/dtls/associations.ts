import { after, type Duration, type Instant } from "../lib/time.ts";
import type { Association } from "./association.ts";

/** By `join`, because a template that is kept as a key goes on holding what it was put together from. */
export const placeOf = (address: string, port: number): string => [address, port].join(" ");

const keyOf = (cid: Uint8Array): string => String.fromCharCode(...cid);

/** Between two notes of when an association was last seen; the order of the table is no finer. */
const SEEN_GRAIN = 1000;

/** All associations of a listener, by number, connection id and place. */
export class Associations {
  /** In the order in which they were last seen, as finely as `SEEN_GRAIN`. */
  readonly #all = new Map<number, Association>();
  readonly #byCid = new Map<string, Association>();
  /** The last that was made, or that moved, to a place. */
  readonly #byPlace = new Map<string, Association>();
  /** Those that have ciphers at hand. */
  readonly #warm = new Set<Association>();
  #lastId = 0;

  get size(): number {
    return this.#all.size;
  }

  all(): Iterable<Association> {
    return [...this.#all.values()];
  }

  newId(): number {
    return ++this.#lastId;
  }

  at(place: string): Association | undefined {
    return this.#byPlace.get(place);
  }

  byCid(cid: Uint8Array): Association | undefined {
    return this.#byCid.get(keyOf(cid));
  }

  /** `warm`: it is in use. */
  add(association: Association, warm: boolean): void {
    const { id, terms, address, port } = association;
    this.#all.set(id, association);
    if (terms.ownCid.length > 0) this.#byCid.set(keyOf(terms.ownCid), association);
    this.#byPlace.set(placeOf(address, port), association);
    if (warm) this.#warm.add(association);
  }

  delete(association: Association): void {
    const { id, terms } = association;
    this.#all.delete(id);
    if (terms.ownCid.length > 0) this.#byCid.delete(keyOf(terms.ownCid));
    this.#leave(association);
    this.#warm.delete(association);
  }

  move(association: Association, address: string, port: number): void {
    this.#leave(association);
    association.address = address;
    association.port = port;
    this.#byPlace.set(placeOf(address, port), association);
  }

  touch(association: Association, now: Instant): void {
    if (now - association.lastSeen < SEEN_GRAIN && this.#warm.has(association)) return;
    association.lastSeen = now;
    this.#all.delete(association.id);
    this.#all.set(association.id, association);
    this.#warm.delete(association);
    this.#warm.add(association);
  }

  /** The one that was quiet for longest. */
  oldest(): Association | undefined {
    for (const association of this.#all.values()) return association;
    return undefined;
  }

  /** Calls for each that was busy and is not any more. */
  quiet(now: Instant, time: Duration, call: (association: Association) => void): void {
    for (const association of this.#warm) {
      if (after(association.lastSeen, time) > now) break;
      this.#warm.delete(association);
      call(association);
    }
  }

  #leave(association: Association): void {
    const place = placeOf(association.address, association.port);
    if (this.#byPlace.get(place) === association) this.#byPlace.delete(place);
  }
}
