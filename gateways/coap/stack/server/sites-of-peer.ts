import type { Answer, Pending, RetainedAnswer, Ticket } from "#core/contract/answers.ts";
import type { StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer, ConnectRequest } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { type Instant, NEVER } from "#core/lib/time.ts";
import type { Carrier } from "../carrier.ts";
import type { Ask, Asker, CoapPeer, OutgoingRequest, PeerSite, Site } from "../site.ts";

/** Tickets say whose they are: site index in the low bits. */
const SITES_MAX = 16;

/** What one site may do for one peer. */
class PeerOfSite implements CoapPeer {
  readonly index: number;
  readonly #carrier: Carrier;
  readonly #of: SitesOfPeer;
  readonly site: PeerSite;
  #tickets = 0;

  constructor(carrier: Carrier, of: SitesOfPeer, index: number, now: Instant) {
    this.#carrier = carrier;
    this.#of = of;
    this.index = index;
    this.site = (carrier.listener.sites[index] as Site).open(this, now);
  }

  get host() {
    return this.#carrier.host;
  }

  get reliable(): boolean {
    return this.#carrier.reliable;
  }

  get asking(): number {
    return this.#carrier.asks.asking;
  }

  ask(request: OutgoingRequest, asker: Asker, now: Instant): Ask {
    return this.#carrier.asks.start(request, asker, now);
  }

  ticket(): Ticket {
    return ++this.#tickets * SITES_MAX + this.index;
  }

  turn(run: (now: Instant) => void): void {
    this.#carrier.turn(run);
  }

  connect(request: ConnectRequest, ticket: Ticket): ConnectAnswer | Pending {
    const answer = this.#carrier.host.connect(request, ticket);
    if (answer !== "pending" && answer.ok) this.#of.own(answer.client, this);
    return answer;
  }
}

const NONE: readonly PeerOfSite[] = [];

/** The sites that one peer has met, each made at its first request, and who of them hears which input. */
export class SitesOfPeer {
  readonly #carrier: Carrier;
  /** In the order in which they were met; nearly always one. Made by `concat`: it has no spare room. */
  #open: readonly PeerOfSite[] = NONE;

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
  }

  /** The site's state for this peer. */
  at(index: number, now: Instant): PeerSite {
    const known = this.#find(index);
    if (known !== undefined) return known.site;
    const opened = new PeerOfSite(this.#carrier, this, index, now);
    this.#open = this.#open.concat(opened);
    return opened.site;
  }

  /** Who sends this site a request may have to log in, and has to be there for that. */
  missesProof(index: number): boolean {
    const { gateway } = this.#carrier.listener.sites[index] as Site;
    return gateway !== undefined && this.#carrier.host.reachability.missedAtLogin(gateway);
  }

  #find(index: number): PeerOfSite | undefined {
    for (const each of this.#open) if (each.index === index) return each;
    return undefined;
  }

  /** Clients are those of the site that was met first, unless they are noted here. */
  own(client: Client, peer: PeerOfSite): void {
    if (peer !== this.#open[0]) this.#carrier.listener.owners.set(client, peer.site);
  }

  #ownerOf(client: Client): PeerSite | undefined {
    return this.#carrier.listener.owners.get(client) ?? this.#open[0]?.site;
  }

  heard(now: Instant): void {
    for (const { site } of this.#open) site.heard?.(now);
  }

  /** A response that belongs to nothing: for sites that know its sender from before. */
  stray(now: Instant): void {
    const { address, port } = this.#carrier.host.peer;
    for (const [index, site] of this.#carrier.listener.sites.entries()) {
      if (site.expects?.(address, port) === true) this.at(index, now).stray?.(now);
    }
  }

  deliver(client: Client, delivery: Delivery, now: Instant): void {
    this.#ownerOf(client)?.deliver(client, delivery, now);
  }

  answered(ticket: Ticket, answer: Answer, now: Instant): void {
    this.#find(ticket % SITES_MAX)?.site.answered(ticket, answer, now);
  }

  found(ticket: Ticket, answer: RetainedAnswer, now: Instant): void {
    this.#find(ticket % SITES_MAX)?.site.found?.(ticket, answer, now);
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    const peer = this.#find(ticket % SITES_MAX);
    if (peer === undefined) return;
    if (answer.ok) this.own(answer.client, peer);
    peer.site.connected(ticket, answer, now);
  }

  stop(reason: StopReason, now: Instant, client: Client | undefined): void {
    if (client !== undefined) this.#ownerOf(client)?.stop(reason, now, client);
    else for (const { site } of this.#open) site.stop(reason, now);
  }

  closed(now: Instant): void {
    for (const { site } of this.#open) site.closed(now);
  }

  wake(now: Instant): void {
    for (const { site } of this.#open) if (site.deadline() <= now) site.wake(now);
  }

  deadline(): Instant {
    let next = NEVER;
    for (const { site } of this.#open) {
      const due = site.deadline();
      if (due < next) next = due;
    }
    return next;
  }

  busy(): boolean {
    return this.#open.some(({ site }) => site.busy());
  }

  status(client: Client, now: Instant): string {
    return this.#ownerOf(client)?.status(client, now) ?? "";
  }

  describe(client: Client, now: Instant): object {
    return this.#ownerOf(client)?.describe(client, now) ?? {};
  }
}
