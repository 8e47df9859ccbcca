/** Registrations from before a restart: found by location or address until their devices are heard again. */

import type { ChannelHost, ClientId, Peer } from "#core/gateway/contract.ts";
import { after, type Duration, type Instant, NEVER } from "#core/lib/time.ts";
import type { ObjectLists } from "./links.ts";
import { type KeptRegistration, recallRegistration } from "./memo.ts";

export interface Remembered extends KeptRegistration {
  readonly clientId: ClientId;
  /** The end of its lifetime, which has gone on running. */
  readonly until: Instant;
}

/** Filled once, when the gateway opens, from the sessions that were restored; from then on it only shrinks. */
export class RememberedRegistrations {
  readonly #byLocation = new Map<string, Remembered>();
  readonly #byClient = new Map<ClientId, Remembered>();
  /** Of several devices at one address the one that was renewed last. */
  readonly #byAddress = new Map<string, Remembered>();

  /** `heldFor`: how long a registration of this lifetime (in seconds) stands. */
  constructor(
    memos: Iterable<{ readonly clientId: ClientId; readonly memo: unknown }>,
    lists: ObjectLists,
    heldFor: (lt: number) => Duration,
  ) {
    const all: Remembered[] = [];
    for (const { clientId, memo } of memos) {
      const kept = recallRegistration(memo, lists);
      if (kept === undefined) continue;
      all.push({ ...kept, clientId, until: after(kept.renewedAt, heldFor(kept.registration.lt)) });
    }
    // Those that end first stand first, so that nobody looks at more than have ended.
    for (const remembered of all.sort((a, b) => a.until - b.until)) this.#enter(remembered);
  }

  #enter(remembered: Remembered): void {
    this.#byLocation.set(remembered.location, remembered);
    this.#byClient.set(remembered.clientId, remembered);
    const address = addressKey(remembered.peer.address, remembered.peer.port);
    const beside = this.#byAddress.get(address);
    if (beside === undefined || beside.renewedAt < remembered.renewedAt)
      this.#byAddress.set(address, remembered);
  }

  get size(): number {
    return this.#byLocation.size;
  }

  isFrom(address: string, port: number): boolean {
    return this.#byAddress.size > 0 && this.#byAddress.has(addressKey(address, port));
  }

  /** When the first of them ends; `NEVER` when there is none. */
  get nextEnd(): Instant {
    for (const { until } of this.#byLocation.values()) return until;
    return NEVER;
  }

  /** Those whose lifetimes have ended, at most so many, which are remembered no more. */
  takeEnded(now: Instant, max: number): Remembered[] {
    const ended: Remembered[] = [];
    for (const remembered of this.#byLocation.values()) {
      if (remembered.until > now || ended.length === max) break;
      ended.push(remembered);
      this.forget(remembered.clientId);
    }
    return ended;
  }

  /** The registration at a location, if this sender may speak for it. */
  at(location: string, from: Peer, roaming: ChannelHost["roaming"], now: Instant): Remembered | undefined {
    const found = this.#byLocation.get(location);
    return found !== undefined && now < found.until && mayReturn(found.peer, from, roaming)
      ? found
      : undefined;
  }

  /** The registration that was last renewed from exactly this address. */
  from(peer: Peer, now: Instant): Remembered | undefined {
    if (this.#byAddress.size === 0) return undefined;
    const found = this.#byAddress.get(addressKey(peer.address, peer.port));
    return found !== undefined && now < found.until && mayReturn(found.peer, peer, "never")
      ? found
      : undefined;
  }

  /** The device is here again, registered anew or given up. */
  forget(clientId: ClientId): void {
    const found = this.#byClient.get(clientId);
    if (found === undefined) return;
    this.#byClient.delete(clientId);
    this.#byLocation.delete(found.location);
    const address = addressKey(found.peer.address, found.peer.port);
    if (this.#byAddress.get(address) === found) this.#byAddress.delete(address);
  }
}

const addressKey = (address: string, port: number): string => `${address}:${port}`;

/** The rules by which a device that is registered is followed to a new address (`Peers.claimant`). */
function mayReturn(known: KeptRegistration["peer"], from: Peer, roaming: ChannelHost["roaming"]): boolean {
  // What the transport has proven outweighs what a datagram says.
  if (known.transport !== from.transport || known.identity !== from.identity) return false;
  if (roaming === "never") return known.address === from.address && known.port === from.port;
  return roaming !== "same-host" || known.address === from.address;
}
