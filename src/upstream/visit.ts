import type { Message, QoS } from "../bus/message.ts";
import type {
  Pending,
  PublishAnswer,
  RetainedAnswer,
  SubscribeAnswer,
  Ticket,
  UnsubscribeAnswer,
  WillAnswer,
} from "../contract/answers.ts";
import type { Exchange, Receipt, SubscribeOptions, Will } from "../contract/client.ts";
import type { DeliveryId, Outcome } from "../contract/delivery.ts";
import type { Duration, Instant } from "../lib/time.ts";
import { NO_PROPERTIES, type Properties } from "../mqtt/properties.ts";
import { sessionKey } from "../session/context.ts";
import type { EngineClient, EngineSession, GivenUp, OpenAnswer, Opening } from "../session/engine.ts";
import type { Departure } from "../session/sessions.ts";
import type { SubscriptionAsker } from "./asks.ts";
import type { UpstreamEngine } from "./engine.ts";
import { Entry } from "./entry.ts";
import type { UpstreamSession } from "./session.ts";

const NOTHING_FOUND_OUT: OpenAnswer = {
  ok: false,
  refusal: "unavailable",
  reason: "what is remembered of this client cannot be read now",
};
const NO_SUBSCRIPTIONS: ReadonlyMap<string, SubscribeOptions> = new Map();

/** One client's way to its session; without one it publishes and reads over the connections of the gateway itself. */
export class Visit implements EngineSession {
  readonly #engine: UpstreamEngine;
  readonly #client: EngineClient;
  readonly #single: boolean;
  /** Its way in, which is long over mostly. */
  #entry: Entry | undefined = undefined;
  #session: UpstreamSession | undefined = undefined;
  readonly publisher: string;
  /** The packet id under which the next QoS 2 message came. */
  #inbound: number | undefined = undefined;
  #left = false;

  constructor(engine: UpstreamEngine, client: EngineClient, single: boolean) {
    this.#engine = engine;
    this.#client = client;
    this.#single = single;
    this.publisher = client.aggregate?.key ?? sessionKey(client.gateway, client.sessionId);
  }

  // ---- coming and going

  open(opening: Opening, ticket: Ticket): OpenAnswer | Pending {
    const { devices } = this.#engine;
    if (devices === undefined || !opening.recalls || opening.cleanStart) return this.#open(opening, ticket);
    const { gateway, sessionId, username } = this.#client;
    const id = this.#engine.idOf({ gateway, clientId: sessionId, username });
    const looks = devices.lookFor(id, gateway, (looked) => {
      if (this.#left) return;
      const answer = looked ? this.#open(opening, ticket) : NOTHING_FOUND_OUT;
      if (answer !== "pending") this.#client.opened(ticket, answer);
    });
    return looks ? "pending" : this.#open(opening, ticket);
  }

  #open(opening: Opening, ticket: Ticket): OpenAnswer | Pending {
    const opened = this.#engine.open(this.#client, opening, ticket, (session) => {
      this.#session = session;
      this.#entry = undefined;
    });
    if (!(opened instanceof Entry)) return opened;
    this.#entry = opened;
    return "pending";
  }

  leave(how: Departure): void {
    this.#left = true;
    this.#entry?.leave();
    const session = this.#session;
    if (session?.client !== this.#client) return;
    session.leave(how, how === "closed" || how === "parted" ? beside(this.#client.said) : undefined);
    this.#changed();
  }

  /** What the gateway remembers of it, if anything, has changed. */
  #changed(alias?: string): void {
    const session = this.#session;
    if (session !== undefined && session.memo !== undefined) this.#engine.devices?.changed(session, alias);
  }

  // ---- asks

  publish(message: Message, ticket: Ticket): PublishAnswer | Pending {
    const inbound = this.#inbound;
    this.#inbound = undefined;
    message.publisher = this.publisher;
    const session = this.#session;
    if (session === undefined) {
      if (!this.#single) return "unavailable";
      return this.#engine.pool.publish(this.#client.sessionId, message, this.#client, ticket);
    }
    return session.publish(message, this.#client, ticket, message.qos === 2 ? inbound : undefined);
  }

  publishLater(message: Message, due: Instant, ticket: Ticket): PublishAnswer | Pending {
    this.#inbound = undefined;
    message.publisher = this.publisher;
    return this.#engine.publishLater(message, due, this.#client, ticket);
  }

  subscribe(filter: string, options: SubscribeOptions, ticket: Ticket): SubscribeAnswer | Pending {
    const said = beside(this.#client.said);
    return this.#session?.subscribe(filter, options, this.#onceKept(), ticket, said) ?? "forbidden";
  }

  /** Who hears an answer when what is remembered of the client is kept, too. */
  #onceKept(): SubscriptionAsker {
    const session = this.#session;
    const { devices } = this.#engine;
    if (session?.memo === undefined || devices === undefined) return this.#client;
    return {
      answered: (ticket, answer, words) => {
        const tell = (kept: boolean): void => {
          if (this.#left) return;
          if (kept) this.#client.answered(ticket, answer, words);
          else this.#client.answered(ticket, "unavailable");
        };
        if (!devices.whenKept(session, tell)) tell(true);
      },
    };
  }

  unsubscribe(filter: string, ticket: Ticket): UnsubscribeAnswer | Pending {
    const said = beside(this.#client.said);
    return this.#session?.unsubscribe(filter, this.#client, ticket, said) ?? "no-subscription";
  }

  retained(filter: string, limit: number, ticket: Ticket): RetainedAnswer | Pending {
    const { mountpoint, sessionId } = this.#client;
    return this.#engine.pool.lookUp(sessionId, mountpoint + filter, limit, (found) => {
      this.#client.found(ticket, typeof found === "string" ? found : unmounted(found, mountpoint));
    });
  }

  setWill(will: Will | undefined): WillAnswer {
    const session = this.#session;
    if (session === undefined) return "unavailable";
    session.setWill(will);
    return "accepted";
  }

  get told(): number {
    return this.#session?.server.exchanges.told ?? 0;
  }

  committed(ticket: Ticket, since: number): "accepted" | Pending {
    const session = this.#session;
    const waits =
      session !== undefined &&
      this.#engine.devices?.whenKept(session, (kept) => {
        if (this.#left) return;
        const answer = kept ? this.#committed(ticket, since) : "unavailable";
        if (answer !== "pending") this.#client.answered(ticket, answer);
      }) === true;
    return waits ? "pending" : this.#committed(ticket, since);
  }

  #committed(ticket: Ticket, since: number): "accepted" | Pending {
    return this.#session?.server.exchanges.committed(this.#client, ticket, since) ?? "accepted";
  }

  authenticateAgain(exchange: Exchange, done: (ok: boolean) => void): void {
    this.#session?.server.authenticateAgain(exchange, (ok) => {
      if (!this.#left) done(ok);
    });
  }

  // ---- what is known here

  get attendance(): UpstreamSession | undefined {
    return this.#session;
  }

  get expiry(): Duration | undefined {
    return this.#session?.expiry;
  }

  setExpiry(expiry: Duration): void {
    const session = this.#session;
    if (session !== undefined) session.expiry = Math.min(expiry, this.#engine.limits.expiryMax) as Duration;
    this.#changed();
  }

  get expectedUntil(): Instant | undefined {
    return this.#session?.expectedUntil;
  }

  expectUntil(until: Instant | undefined): void {
    if (this.#session !== undefined) this.#session.expectedUntil = until;
    this.#changed();
  }

  get subscriptions(): ReadonlyMap<string, SubscribeOptions> {
    return this.#session?.subscriptions ?? NO_SUBSCRIPTIONS;
  }

  get memo(): unknown {
    return this.#session?.memo;
  }

  remember(memo: unknown, weight = 0, alias?: string): void {
    const session = this.#session;
    if (session === undefined) return;
    session.memo = memo;
    session.subscriptions.memo = weight;
    this.#engine.devices?.changed(session, alias);
  }

  acceptInbound(packetId: number): Receipt {
    const session = this.#session;
    if (session === undefined) return "full";
    const receipt = session.takeInbound(packetId, this.#engine.limits.inboundMax);
    this.#inbound = receipt === "new" ? packetId : undefined;
    return receipt;
  }

  get inboundLeft(): number {
    const session = this.#session;
    if (session === undefined) return 0;
    const server = session.server.link?.limits.receiveMaximum ?? Number.POSITIVE_INFINITY;
    return Math.min(server, Math.max(0, this.#engine.limits.inboundMax - session.inboundCount));
  }

  releaseInbound(packetId: number): boolean {
    const session = this.#session;
    if (session === undefined) return false;
    const known = session.dropInbound(packetId);
    session.release(packetId, known);
    return known;
  }

  // ---- deliveries

  credit(window: number): void {
    this.#session?.server.arrivals.credit(window);
  }

  settle(id: DeliveryId, outcome: Outcome): boolean {
    const { server } = this.#session ?? {};
    if (server?.arrivals.settle(id, outcome) !== true) return false;
    server.settled(this.#engine.context.clock.now());
    return true;
  }

  received(id: DeliveryId): "accepted" | Pending {
    return this.#session?.server.arrivals.received(id) ?? "accepted";
  }

  failed(at: DeliveryId | undefined): GivenUp | undefined {
    return this.#session?.server.arrivals.failed(at);
  }

  flush(): void {
    this.#session?.server.arrivals.flush();
  }

  get queued(): number {
    return this.#session?.server.arrivals.queued ?? 0;
  }

  get unsettled(): number {
    return this.#session?.server.arrivals.unsettled ?? 0;
  }

  unsettledQos(id: DeliveryId): QoS | undefined {
    return this.#session?.server.arrivals.unsettledQos(id);
  }

  get uncounted(): number {
    return this.#engine.context.options.flushMax;
  }

  handedOut(ticket: Ticket): "accepted" | Pending {
    const now = this.#engine.context.clock.now();
    return this.#session?.server.handOut.ask(this.#client, ticket, now) ?? "accepted";
  }

  rest(until: Instant | undefined): void {
    this.#session?.rest(until);
  }
}

/** What of it a server is told that is behind the gateway: all that is not about the connection itself. */
function beside(said: Readonly<Properties> | undefined): Properties | undefined {
  const { userProperties, reasonString } = said ?? NO_PROPERTIES;
  if (userProperties === undefined && reasonString === undefined) return undefined;
  return {
    ...(userProperties === undefined ? {} : { userProperties }),
    ...(reasonString === undefined ? {} : { reasonString }),
  };
}

function unmounted(found: readonly Message[], mountpoint: string): readonly Message[] {
  if (mountpoint === "") return found;
  return found.map((message) => message.withTopic(message.topic.slice(mountpoint.length)));
}
