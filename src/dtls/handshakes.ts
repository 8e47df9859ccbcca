import { addressBlock } from "../lib/address-block.ts";
import { FairRoom } from "../lib/fair-room.ts";
import { type Duration, type Instant, seconds } from "../lib/time.ts";
import { placeOf } from "./associations.ts";
import type { PendingHandshake } from "./handshake/pending.ts";
import type { DtlsLimits } from "./settings.ts";

/** So long a handshake keeps its place when all are taken and the newcomer's address has as many. */
const GRACE: Duration = seconds(10);

const cidKey = (cid: Uint8Array): string => String.fromCharCode(...cid);

/** Handshakes in progress, by the place where the client is and by the connection id that it will use. */
export class Handshakes {
  readonly #byPlace = new Map<string, PendingHandshake>();
  readonly #byCid = new Map<string, PendingHandshake>();
  readonly #room: FairRoom<PendingHandshake>;
  /** Handshakes that addresses have begun in this second. */
  #begun = new Map<string, number>();

  constructor({ handshakes }: DtlsLimits) {
    this.#room = new FairRoom(handshakes, GRACE);
  }

  get size(): number {
    return this.#byPlace.size;
  }

  all(): Iterable<PendingHandshake> {
    return this.#byPlace.values();
  }

  /** An address has one handshake at a time. */
  at(place: string): PendingHandshake | undefined {
    return this.#byPlace.get(place);
  }

  byCid(cid: Uint8Array): PendingHandshake | undefined {
    return this.#byCid.get(cidKey(cid));
  }

  /** Whether this address may begin another one in this second. */
  inRate(address: string, { handshakesPerAddress }: DtlsLimits): boolean {
    const block = addressBlock(address, 32);
    const begun = (this.#begun.get(block) ?? 0) + 1;
    this.#begun.set(block, begun);
    return begun <= handshakesPerAddress;
  }

  /** Returns who has to go for it: nobody, the oldest of the address that has most, or itself. */
  begin(pending: PendingHandshake, now: Instant): PendingHandshake | undefined {
    const loser = this.#room.enter(pending, pending.address, now);
    if (loser !== pending) this.#byPlace.set(placeOf(pending.address, pending.port), pending);
    return loser;
  }

  reserve(pending: PendingHandshake): void {
    this.#byCid.set(cidKey(pending.handshake.ownCid), pending);
  }

  delete(pending: PendingHandshake): void {
    this.#room.leave(pending);
    const place = placeOf(pending.address, pending.port);
    if (this.#byPlace.get(place) === pending) this.#byPlace.delete(place);
    const { ownCid } = pending.handshake;
    if (ownCid.length > 0) this.#byCid.delete(cidKey(ownCid));
  }

  /** A second has passed. */
  nextSecond(): void {
    if (this.#begun.size > 0) this.#begun = new Map();
  }
}
