import { SmallMap } from "#core/lib/small-map.ts";
import type { Instant } from "#core/lib/time.ts";
import type { Room } from "../blockwise/transfer.ts";
import type { Carrier } from "../carrier.ts";
import { tokenKey } from "../message/message.ts";
import type { Outgoing } from "../reliability/retransmission.ts";
import type { Exchange } from "../server/exchange.ts";
import type { StackSettings } from "../settings.ts";
import type { ObservationEnd, Observer } from "../site.ts";
import { type Notifying, PeerObservation } from "./observation.ts";

type Outcome = "done" | "dropped" | "failed";
interface Report {
  readonly observer: Observer;
  readonly reference: number;
  readonly what: Outcome | ObservationEnd;
  readonly end: boolean;
}

const RECENT = 16;

/** The last NON notifications to a peer, by message id: an RST names one of them (RFC 7641 §3.6). */
class RecentNotifications {
  readonly #ids = new Uint16Array(RECENT);
  readonly #observations = new Array<PeerObservation | undefined>(RECENT).fill(undefined);
  #next = 0;

  add(messageId: number, observation: PeerObservation): void {
    this.#ids[this.#next] = messageId;
    this.#observations[this.#next] = observation;
    this.#next = (this.#next + 1) % RECENT;
  }

  of(messageId: number): PeerObservation | undefined {
    return this.#observations[this.#ids.indexOf(messageId)];
  }
}

/** What one peer observes, by token (RFC 7641 §4.1), and what its observers are still to be told. */
export class Observations implements Notifying {
  readonly #carrier: Carrier;
  #byToken: SmallMap<string, PeerObservation> | undefined = undefined;
  #reports: Report[] | undefined = undefined;
  #notifications: RecentNotifications | undefined = undefined;

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
  }

  get size(): number {
    return this.#byToken?.size ?? 0;
  }

  get reliable(): boolean {
    return this.#carrier.reliable;
  }

  get observeSettings(): StackSettings["observe"] {
    return this.#carrier.listener.settings.observe;
  }

  get room(): Room {
    return this.#carrier.host;
  }

  get now(): Instant {
    return this.#carrier.now;
  }

  get proven(): boolean {
    return this.#carrier.proven;
  }

  get idReady(): boolean {
    return this.#carrier.idReady;
  }

  find(token: Uint8Array): PeerObservation | undefined {
    return this.#byToken?.get(tokenKey(token, 0, token.length));
  }

  /** Enters an observation; the one with the same token is continued or gives way. Undefined at a limit. */
  enter(exchange: Exchange, observer: Observer): PeerObservation | undefined {
    const { listener } = this.#carrier;
    const token = tokenKey(exchange.token, 0, exchange.token.length);
    const szx = Math.min(exchange.wanted?.szx ?? this.#carrier.szxMax, this.#carrier.szxMax);
    const { key, method } = exchange;
    const origin = { key, method, szx, blocks: exchange.wanted !== undefined };
    const known = this.#byToken?.get(token);
    if (known !== undefined && observer.continues?.(known.observer) === true) {
      known.renew(observer, origin);
      return known;
    }
    known?.fail("replaced");
    if (this.size >= listener.settings.observe.perPeer || !this.#hasRoom()) {
      listener.counters.refused.value++;
      return undefined;
    }
    const observation = new PeerObservation(this, observer, token, origin, this.now);
    if (!this.proven) listener.unproven.add(observation);
    this.#byToken ??= new SmallMap();
    this.#byToken.set(token, observation);
    listener.observations++;
    return observation;
  }

  /** Who is proven, or comes later, goes before those that have proven nothing. */
  #hasRoom(): boolean {
    const { listener, host } = this.#carrier;
    const { observations, unproven, settings, counters } = listener;
    const full = observations >= settings.observe.total;
    if (!full && (this.proven || !unproven.full)) return true;
    if (unproven.evict()) counters.evicted.value++;
    else if (full) {
      host.note({ level: "warn", event: "observations-full", detail: { limit: settings.observe.total } });
      return false;
    }
    return this.proven || settings.observe.unproven > 0;
  }

  /** The peer's address has been proven. */
  leaveUnproven(): void {
    for (const each of this.#byToken?.values() ?? []) this.#carrier.listener.unproven.delete(each);
  }

  turn(run: () => void): void {
    this.#carrier.turn(run);
  }

  remove(observation: PeerObservation): void {
    if (this.#byToken?.get(observation.token) !== observation) return;
    this.#byToken.delete(observation.token);
    this.#carrier.listener.unproven.delete(observation);
    this.#carrier.listener.observations--;
    if (this.#byToken.size === 0) this.#byToken = undefined;
  }

  notified(messageId: number, token: Uint8Array): boolean {
    const observation = this.find(token);
    return observation !== undefined && this.#notifications?.of(messageId) === observation;
  }

  /** An RST that names a NON notification ends the observation (RFC 7641 §3.6). */
  reset(messageId: number): boolean {
    const observation = this.#notifications?.of(messageId);
    observation?.fail("reset");
    return observation !== undefined;
  }

  endAll(why: ObservationEnd): void {
    if (this.#byToken !== undefined) for (const each of [...this.#byToken.values()]) each.fail(why);
  }

  silent(): void {
    this.endAll("timeout");
  }

  get heardAt(): Instant {
    return this.#carrier.heardAt;
  }

  sendNotification(observation: PeerObservation): void {
    const messageId = this.#carrier.notify(observation);
    if (this.reliable) return;
    this.#notifications ??= new RecentNotifications();
    this.#notifications.add(messageId, observation);
  }

  confirmNotification(observation: PeerObservation): void {
    this.#carrier.confirm(observation);
  }

  encodeNotification(observation: PeerObservation, messageId: number): Uint8Array {
    return this.#carrier.encodeNotification(observation, messageId);
  }

  withdraw(outgoing: Outgoing): void {
    this.#carrier.withdraw(outgoing);
  }

  report(observation: PeerObservation, reference: number, what: Outcome): void {
    if (what === "dropped") this.#carrier.listener.counters.dropped.value++;
    if (reference === 0) return;
    this.#push({ observer: observation.observer, reference, what, end: false });
  }

  reportEnd(observation: PeerObservation, what: ObservationEnd): void {
    this.#push({ observer: observation.observer, reference: 0, what, end: true });
  }

  #push(report: Report): void {
    this.#reports ??= [];
    this.#reports.push(report);
  }

  /** Tells the observers what has happened; they may cause more. */
  tell(now: Instant): void {
    while (this.#reports !== undefined) {
      const reports = this.#reports;
      this.#reports = undefined;
      for (const { observer, reference, what, end } of reports) {
        if (end) observer.ended(what as ObservationEnd, now);
        else observer.settled(reference, what as Outcome, now);
      }
    }
  }
}
