import type { ServerWords, SubscribeAnswer, Ticket, UnsubscribeAnswer } from "../contract/answers.ts";
import type { SubscribeOptions } from "../contract/client.ts";
import { earliest, type Instant, latest, NEVER } from "../lib/time.ts";
import type { Link } from "../mqtt/client/link.ts";
import { subscriptionProblem } from "../mqtt/client/server-limits.ts";
import type { CodesPacket } from "../mqtt/packets.ts";
import { NO_PROPERTIES, type Properties } from "../mqtt/properties.ts";
import { isFailure, ReasonCode } from "../mqtt/reason-codes.ts";
import type { UpstreamContext } from "./context.ts";
import type { PacketIds } from "./packet-ids.ts";
import { refusalOf, subscribeAnswerOf, unsubscribeAnswerOf } from "./reasons.ts";
import { RefusedFilters } from "./refused-filters.ts";

/** Who asked, and hears the answer. */
export interface SubscriptionAsker {
  answered(ticket: Ticket, answer: SubscribeAnswer | UnsubscribeAnswer, words?: ServerWords): void;
}

/** A SUBSCRIBE or UNSUBSCRIBE of one filter. Without an asker nobody waits for its answer. */
interface Ask {
  readonly filter: string;
  /** Undefined: it is not wanted any more. */
  readonly options: SubscribeOptions | undefined;
  asker: SubscriptionAsker | undefined;
  readonly ticket: Ticket;
  readonly since: Instant;
  /** What its client says beside, to an MQTT 5 server; see `beside`. */
  readonly said?: Readonly<Properties> | undefined;
  /** Its asker was told that it came to nothing. */
  late?: true;
}

export interface AsksHost {
  readonly clientId: string;
  /** A mirror of what the server has. */
  readonly subscriptions: {
    has(filter: string): boolean;
    get(filter: string): SubscribeOptions | undefined;
    set(filter: string, options: SubscribeOptions): unknown;
    delete(filter: string): boolean;
  } & Iterable<[string, SubscribeOptions]>;
  /** As it is at the server. */
  mounted(filter: string): string;
}

/** What a session has asked its server to subscribe it to, or not any more. Outlives connections to it. */
export class Asks {
  readonly #context: UpstreamContext;
  readonly #host: AsksHost;
  readonly #link: () => Link | undefined;
  readonly #ids: PacketIds;
  #sent: Map<number, Ask> | undefined = undefined;
  #waiting: Ask[] | undefined = undefined;
  /** Made by the first refusal that nobody hears. */
  #refused: RefusedFilters | undefined = undefined;
  /** When the server has last answered one: who answers slowly, one after the other, is not away. */
  #answeredAt = 0 as Instant;

  constructor(context: UpstreamContext, host: AsksHost, link: () => Link | undefined, ids: PacketIds) {
    this.#context = context;
    this.#host = host;
    this.#link = link;
    this.#ids = ids;
  }

  /** A server owes an answer. */
  get open(): boolean {
    return (this.#sent?.size ?? 0) > 0;
  }

  /** A filter of which this is true was asked for, and has no answer. */
  asked(what: (filter: string) => boolean): boolean {
    for (const { filter, options } of this.#sent?.values() ?? [])
      if (options !== undefined && what(filter)) return true;
    return false;
  }

  subscribe(
    filter: string,
    options: SubscribeOptions,
    asker: SubscriptionAsker,
    ticket: Ticket,
    now: Instant,
    said?: Readonly<Properties>,
  ): SubscribeAnswer | "pending" {
    const link = this.#link();
    const problem = link && subscriptionProblem(link.limits, this.#host.mounted(filter), options);
    if (problem !== undefined) {
      // In the words in which the server would say it, and so not at once.
      const words = { reason: problem, properties: NO_PROPERTIES };
      this.#context.defer(() => asker.answered(ticket, refusalOf(problem), words));
      return "pending";
    }
    return this.#ask({ filter, options, asker, ticket, since: now, said }, now);
  }

  unsubscribe(
    filter: string,
    asker: SubscriptionAsker,
    ticket: Ticket,
    now: Instant,
    said?: Readonly<Properties>,
  ): "pending" | "unavailable" {
    const asked = this.#ask({ filter, options: undefined, asker, ticket, since: now, said }, now);
    return asked === "pending" ? asked : "unavailable";
  }

  #ask(ask: Ask, now: Instant): "pending" | "unavailable" | "too-large" {
    const link = this.#link();
    if (link !== undefined) return this.#send(ask, link, now) ? "pending" : "too-large";
    this.#waiting ??= [];
    if (this.#waiting.length >= this.#context.options.buffer.messages) return "unavailable";
    this.#waiting.push(ask);
    return "pending";
  }

  /** On our own account: what is wanted stands in the mirror at once. */
  want(filter: string, options: SubscribeOptions, now: Instant): void {
    this.#host.subscriptions.set(filter, options);
    this.#ask({ filter, options, asker: undefined, ticket: 0, since: now }, now);
  }

  unwant(filter: string, now: Instant): void {
    if (!this.#host.subscriptions.delete(filter)) return;
    this.#ask({ filter, options: undefined, asker: undefined, ticket: 0, since: now }, now);
  }

  /** False when the filter is too long for MQTT. */
  #send(ask: Ask, link: Link, now: Instant): boolean {
    const packetId = this.#ids.take();
    if (packetId === undefined) return false;
    const filter = atServer(this.#host.mounted(ask.filter));
    const sent =
      ask.options === undefined
        ? link.unsubscribe(packetId, filter, now, ask.said)
        : link.subscribe(packetId, filter, levelled(ask.options, link), now, ask.said);
    if (!sent) {
      this.#ids.free(packetId);
      return false;
    }
    this.#sent ??= new Map();
    this.#sent.set(packetId, ask);
    return true;
  }

  // ---- answers

  subscribed(suback: CodesPacket): void {
    const { packetId, codes } = suback;
    const ask = this.#take(packetId);
    if (ask?.options === undefined) return;
    const { filter, options, asker, ticket } = ask;
    const { subscriptions, clientId } = this.#host;
    const answer = subscribeAnswerOf(codes[0] ?? ReasonCode.unspecifiedError);
    if (ask.late === true) {
      // Its device knows nothing of it.
      if (typeof answer === "number" && !subscriptions.has(filter)) this.#undo(filter);
    } else if (typeof answer === "number") {
      this.#refused?.settled(filter);
      subscriptions.set(filter, { ...options, qos: answer });
    } else if (asker === undefined && subscriptions.has(filter)) {
      const known = this.#refused?.knows(filter) === true;
      const again = this.#askLater(filter, codes[0] ?? ReasonCode.unspecifiedError);
      if (!again) {
        subscriptions.delete(filter);
        this.#refused?.settled(filter);
      }
      const detail = { filter, refusal: answer, again };
      if (!again || !known)
        this.#context.note({ level: "warn", event: "upstream-subscription-refused", detail }, clientId);
    }
    asker?.answered(ticket, answer, this.#wordsOf(suback));
  }

  /** False when that would change nothing. */
  #askLater(filter: string, reason: ReasonCode): boolean {
    this.#refused ??= new RefusedFilters(this.#context.alarms, (each, now) => this.#askAgain(each, now));
    return this.#refused.add(filter, reason, this.#context.clock.now());
  }

  #askAgain(filter: string, now: Instant): void {
    const options = this.#host.subscriptions.get(filter);
    if (options !== undefined) this.#ask({ filter, options, asker: undefined, ticket: 0, since: now }, now);
  }

  #undo(filter: string): void {
    const now = this.#context.clock.now();
    this.#ask({ filter, options: undefined, asker: undefined, ticket: 0, since: now }, now);
  }

  unsubscribed(unsuback: CodesPacket): void {
    const { packetId, codes } = unsuback;
    const ask = this.#take(packetId);
    if (ask === undefined || ask.options !== undefined) return;
    this.#refused?.settled(ask.filter);
    const known = this.#host.subscriptions.delete(ask.filter);
    // Before MQTT 5 a server does not say whether there was one.
    const silent = codes.length === 0 && !known;
    const answer = silent ? "no-subscription" : unsubscribeAnswerOf(codes[0]);
    ask.asker?.answered(ask.ticket, answer, this.#wordsOf(unsuback));
  }

  /** Where they are more than the answer says; MQTT 3.1.1 has one word for all that goes wrong. */
  #wordsOf({ codes, properties }: CodesPacket): ServerWords | undefined {
    const reason = codes[0] ?? ReasonCode.success;
    const more = isFailure(reason) || properties !== NO_PROPERTIES;
    return more && this.#link()?.version === 5 ? { reason, properties } : undefined;
  }

  #take(packetId: number): Ask | undefined {
    const ask = this.#sent?.get(packetId);
    if (ask === undefined) return undefined;
    this.#sent?.delete(packetId);
    this.#ids.free(packetId);
    this.#answeredAt = this.#context.clock.now();
    return ask;
  }

  // ---- connections come and go

  /** A new connection. `remade`: the server has no session, and all that is in the mirror was lost with it. */
  resume(link: Link, remade: boolean, now: Instant): void {
    const asks = this.#takeAll();
    const refused = this.#refused?.takeAll() ?? [];
    if (!remade) for (const filter of refused) this.#askAgain(filter, now);
    if (remade) {
      for (const [filter, options] of this.#host.subscriptions) {
        this.#send({ filter, options, asker: undefined, ticket: 0, since: now }, link, now);
      }
    }
    for (const ask of asks) {
      // What we asked for ourselves has just been made again.
      if ((remade && ask.asker === undefined && ask.options !== undefined) || ask.late === true) continue;
      if (!this.#send(ask, link, now)) ask.asker?.answered(ask.ticket, "unavailable");
    }
  }

  /** Refuses what has had no answer since then; since when the oldest of the rest has had none, or `NEVER`. */
  overdue(until: Instant): Instant {
    const late: Ask[] = [];
    let oldest = NEVER;
    const asks = [...(this.#sent?.values() ?? []), ...(this.#waiting ?? [])];
    for (const ask of asks.filter(({ asker }) => asker !== undefined)) {
      const since = latest(ask.since, this.#answeredAt);
      if (since <= until) late.push(ask);
      else oldest = earliest(oldest, since);
    }
    this.#waiting = this.#waiting?.filter((ask) => !late.includes(ask));
    for (const ask of late) {
      const { asker, ticket } = ask;
      ask.asker = undefined;
      ask.late = true;
      asker?.answered(ticket, "unavailable");
    }
    return oldest;
  }

  /** Nobody waits any longer. Returns who is to be told. */
  drop(): (() => void)[] {
    this.#refused?.rest();
    return this.#takeAll().map(
      ({ asker, ticket }) =>
        () =>
          asker?.answered(ticket, "unavailable"),
    );
  }

  /** All that have no answer, in their order. */
  #takeAll(): Ask[] {
    const sent = [...(this.#sent?.entries() ?? [])];
    const waiting = this.#waiting ?? [];
    this.#sent = undefined;
    this.#waiting = undefined;
    for (const [packetId] of sent) this.#ids.free(packetId);
    return [...sent.map(([, ask]) => ask), ...waiting];
  }
}

/** `$queue/` is known to few servers, and a shared group of that name there. */
const atServer = (filter: string): string => (filter.startsWith("$queue/") ? `$share/${filter}` : filter);

/** No more than the server can do. */
function levelled(options: SubscribeOptions, { limits }: Link): SubscribeOptions {
  if (options.qos <= limits.maximumQoS) return options;
  return { ...options, qos: limits.maximumQoS };
}
