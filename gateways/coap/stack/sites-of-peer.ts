import type {
  ChannelStatus,
  Client,
  ConnectAnswer,
  ConnectRequest,
  Delivery,
  Pending,
  PublishAnswer,
  StopReason,
  SubscribeAnswer,
  Ticket,
} from "#core/gateway/contract.ts";
import { type Instant, NEVER } from "#core/lib/time.ts";
import type { Asks } from "./asks.ts";
import type { Carrier } from "./carrier.ts";
import type { Ask, Asker, CoapPeer, OutgoingRequest, PeerSite, Site } from "./site.ts";

/** Tickets say whose they are: site index in the low bits. */
const SITES_MAX = 16;

/** What one site may do for one peer. */
class PeerOfSite implements CoapPeer {
  readonly #carrier: Carrier;
  readonly #asks: Asks;
  readonly #index: number;
  readonly #of: SitesOfPeer;
  #tickets = 0;

  constructor(carrier: Carrier, asks: Asks, of: SitesOfPeer, index: number) {
    this.#carrier = carrier;
    this.#asks = asks;
    this.#of = of;
    this.#index = index;
  }

  get host() {
    return this.#carrier.host;
  }

  get reliable(): boolean {
    return this.#carrier.reliable;
  }

  get asking(): number {
    return this.#asks.asking;
  }

  ask(request: OutgoingRequest, asker: Asker, now: Instant): Ask {
    return this.#asks.start(request, asker, now);
  }

  ticket(): Ticket {
    return ++this.#tickets * SITES_MAX + this.#index;
  }

  connect(request: ConnectRequest, ticket: Ticket): ConnectAnswer | Pending {
    const answer = this.#carrier.host.connect(request, ticket);
    if (answer !== "pending" && answer.ok) this.#of.own(answer.client, this.#index);
    return answer;
  }
}

/** The sites that one peer has met, each made at its first request, and who of them hears which input. */
export class SitesOfPeer {
  readonly #carrier: Carrier;
  readonly #asks: Asks;
  readonly #open: (PeerSite | undefined)[] = [];

  constructor(carrier: Carrier, asks: Asks) {
    this.#carrier = carrier;
    this.#asks = asks;
  }

  /** The site's state for this peer. */
  at(index: number, now: Instant): PeerSite {
    const known = this.#open[index];
    if (known !== undefined) return known;
    const site = this.#carrier.listener.sites[index] as Site;
    const opened = site.open(new PeerOfSite(this.#carrier, this.#asks, this, index), now);
    this.#open[index] = opened;
    return opened;
  }

  own(client: Client, index: number): void {
    const site = this.#open[index];
    if (site !== undefined) this.#carrier.listener.owners.set(client, site);
  }

  heard(now: Instant): void {
    for (const site of this.#open) site?.heard?.(now);
  }

  /** A response that belongs to nothing: for sites that know its sender from before. */
  stray(now: Instant): void {
    const { address, port } = this.#carrier.host.peer;
    for (const [index, site] of this.#carrier.listener.sites.entries()) {
      if (site.expects?.(address, port) === true) this.at(index, now).stray?.(now);
    }
  }

  deliver(client: Client, delivery: Delivery, now: Instant): void {
    const site = this.#carrier.listener.owners.get(client);
    if (site !== undefined) site.deliver(client, delivery, now);
    else if (delivery.qos > 0) client.settle(delivery.id, "dead");
  }

  answered(ticket: Ticket, answer: PublishAnswer | SubscribeAnswer, now: Instant): void {
    this.#open[ticket % SITES_MAX]?.answered(ticket, answer, now);
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    if (answer.ok) this.own(answer.client, ticket % SITES_MAX);
    this.#open[ticket % SITES_MAX]?.connected(ticket, answer, now);
  }

  stop(reason: StopReason, now: Instant, client: Client | undefined): void {
    if (client !== undefined) this.#carrier.listener.owners.get(client)?.stop(reason, now, client);
    else for (const site of this.#open) site?.stop(reason, now);
  }

  closed(now: Instant): void {
    for (const site of this.#open) site?.closed(now);
  }

  wake(now: Instant): void {
    for (const site of this.#open) if (site !== undefined && site.deadline() <= now) site.wake(now);
  }

  deadline(): Instant {
    let next = NEVER;
    for (const site of this.#open) {
      const due = site === undefined ? NEVER : site.deadline();
      if (due < next) next = due;
    }
    return next;
  }

  busy(): boolean {
    return this.#open.some((site) => site?.busy() === true);
  }

  status(): ChannelStatus {
    const parts: {
      state: string;
      clientIds: readonly string[];
      detail?: Readonly<Record<string, unknown>>;
    }[] = [];
    for (const site of this.#open) if (site !== undefined) parts.push(site.status());
    const detail: Record<string, unknown> = {};
    for (const part of parts) Object.assign(detail, part.detail);
    return {
      state:
        parts
          .map((part) => part.state)
          .filter(Boolean)
          .join(", ") || "idle",
      clientIds: parts.flatMap((part) => part.clientIds),
      detail,
    };
  }
}
