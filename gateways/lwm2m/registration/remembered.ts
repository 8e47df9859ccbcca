/**
 * Registrations whose devices are out of reach, after a restart or because their connection was lost: found by location,
 * or by address, until the devices are heard again or their lifetimes end.
 */

import type { ClientId } from "#core/contract/answers.ts";
import type { ChannelHost } from "#core/contract/channel.ts";
import type { Recalled } from "#core/contract/gateway.ts";
import type { Peer } from "#core/contract/peer.ts";
import { addressKey } from "#core/lib/address-key.ts";
import { Alarm, type Alarms, CallbackAlarm } from "#core/lib/alarm.ts";
import { after, type Duration, type Instant, milliseconds } from "#core/lib/time.ts";
import { type KeptRegistration, recallRegistration } from "./memo.ts";
import type { ObjectLists } from "./object-list.ts";

export interface Remembered extends KeptRegistration {
  readonly clientId: ClientId;
  /** The end of its lifetime, which has gone on running. */
  readonly until: Instant;
}

type Ended = (registration: Remembered) => void;

export class RememberedRegistrations {
  readonly #byLocation = new Map<string, Absence>();
  readonly #byClient = new Map<ClientId, Absence>();
  /** Of several devices at one address the one that was renewed last. */
  readonly #byAddress = new Map<string, Absence>();
  readonly #alarms: Alarms;
  readonly #ended: Ended;
  readonly #read: (one: Recalled) => Remembered | undefined;
  #begin: Alarm | undefined = undefined;

  /**
   * From the sessions that were restored. `heldFor`: how long a registration of this lifetime (in seconds) stands.
   * `ended` is told of those whose devices did not come back.
   */
  constructor(
    memos: Iterable<Recalled>,
    lists: ObjectLists,
    heldFor: (lt: number) => Duration,
    alarms: Alarms,
    ended: Ended,
  ) {
    this.#alarms = alarms;
    this.#ended = ended;
    this.#read = ({ clientId, memo }) => {
      const kept = recallRegistration(memo, lists);
      return kept && { ...kept, clientId, until: after(kept.renewedAt, heldFor(kept.registration.lt)) };
    };
    for (const one of memos) {
      const kept = this.#read(one);
      if (kept === undefined) continue;
      const absence = this.#enter(kept);
      const address = addressKey(kept.peer.address, kept.peer.port);
      const beside = this.#byAddress.get(address)?.registration;
      if (beside === undefined || beside.renewedAt < kept.renewedAt) this.#byAddress.set(address, absence);
    }
  }

  /** Another gateway's, whose device has come to this one. */
  learn(one: Recalled): void {
    const kept = this.#read(one);
    if (kept !== undefined) this.add(kept);
  }

  #enter(registration: Remembered): Absence {
    const absence = new Absence(registration, this);
    this.#byLocation.set(registration.location, absence);
    this.#byClient.set(registration.clientId, absence);
    return absence;
  }

  /** Begins a grace time after the start: for devices that could not update meanwhile, and for applications to return. */
  watchAfter(grace: () => Duration): void {
    this.#begin = new CallbackAlarm((now) => this.watch(after(now, grace())));
    this.#alarms.arm(this.#begin, 0 as Instant);
  }

  /** Ends are told from then on, and one by one those of which there are many already. */
  watch(start: Instant): void {
    let ended = 0;
    for (const absence of this.#byClient.values()) {
      const { until } = absence.registration;
      this.#alarms.arm(absence, until > start ? until : after(start, milliseconds(ended++)));
    }
  }

  /**
   * A device whose connection was lost while it was registered: found by its location. Not by its address, which may
   * be another's by now.
   */
  add(registration: Remembered): void {
    this.forget(registration.clientId);
    this.#alarms.arm(this.#enter(registration), registration.until);
  }

  /** All that are out of reach, for operators. */
  *all(): Generator<Remembered> {
    for (const { registration } of this.#byClient.values()) yield registration;
  }

  /** By endpoint name, which mostly is the client id. */
  named(endpoint: string): Remembered | undefined {
    const likely = this.#byClient.get(endpoint)?.registration;
    if (likely?.registration.ep === endpoint) return likely;
    for (const remembered of this.all()) if (remembered.registration.ep === endpoint) return remembered;
    return undefined;
  }

  /** The gateway ends, and they do not. */
  close(): void {
    if (this.#begin !== undefined) this.#alarms.disarm(this.#begin);
    for (const absence of this.#byClient.values()) this.#alarms.disarm(absence);
    this.#byClient.clear();
    this.#byLocation.clear();
    this.#byAddress.clear();
  }

  get size(): number {
    return this.#byLocation.size;
  }

  isFrom(address: string, port: number): boolean {
    return this.#byAddress.size > 0 && this.#byAddress.has(addressKey(address, port));
  }

  /** The registration at a location, if this sender may speak for it. */
  at(location: string, from: Peer, roaming: ChannelHost["roaming"], now: Instant): Remembered | undefined {
    const found = this.#byLocation.get(location)?.registration;
    return found !== undefined && now < found.until && mayReturn(found.peer, from, roaming)
      ? found
      : undefined;
  }

  /** The registration that was last renewed from exactly this address. */
  from(peer: Peer, now: Instant): Remembered | undefined {
    if (this.#byAddress.size === 0) return undefined;
    const found = this.#byAddress.get(addressKey(peer.address, peer.port))?.registration;
    return found !== undefined && now < found.until && mayReturn(found.peer, peer, "never")
      ? found
      : undefined;
  }

  /** The device is here again, registered anew or given up. */
  forget(clientId: ClientId): void {
    const found = this.#byClient.get(clientId);
    if (found === undefined) return;
    this.#alarms.disarm(found);
    this.#byClient.delete(clientId);
    const { location, peer } = found.registration;
    this.#byLocation.delete(location);
    const address = addressKey(peer.address, peer.port);
    if (this.#byAddress.get(address) === found) this.#byAddress.delete(address);
  }

  /** Its lifetime is over. */
  end(registration: Remembered): void {
    this.forget(registration.clientId);
    this.#ended(registration);
  }
}

/** Rings at the end of the lifetime. */
class Absence extends Alarm {
  readonly registration: Remembered;
  readonly #among: RememberedRegistrations;

  constructor(registration: Remembered, among: RememberedRegistrations) {
    super();
    this.registration = registration;
    this.#among = among;
  }

  override fire(): void {
    this.#among.end(this.registration);
  }
}

/** The rules by which a device that is registered is followed to a new address (`Peers.claimant`). */
function mayReturn(known: KeptRegistration["peer"], from: Peer, roaming: ChannelHost["roaming"]): boolean {
  // What the transport has proven outweighs what a datagram says.
  if (known.transport !== from.transport || known.identity !== from.identity) return false;
  if (roaming === "never") return known.address === from.address && known.port === from.port;
  return roaming !== "same-host" || known.address === from.address;
}
