import type { SubscribeAnswer, Ticket, UnsubscribeAnswer } from "../contract/answers.ts";
import type { SubscribeOptions } from "../contract/client.ts";
import type { Instant } from "../lib/time.ts";
import type { Link } from "../mqtt/client/link.ts";
import { subscriptionProblem } from "../mqtt/client/server-limits.ts";
import type { CodesPacket } from "../mqtt/packets.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import type { UpstreamContext } from "./context.ts";
import type { PacketIds } from "./packet-ids.ts";
import { refusalOf, subscribeAnswerOf, unsubscribeAnswerOf } from "./reasons.ts";

/** Who asked, and hears the answer. */
export interface SubscriptionAsker {
  answered(ticket: Ticket, answer: SubscribeAnswer | UnsubscribeAnswer): void;
}

/** A SUBSCRIBE or UNSUBSCRIBE of one filter. Without an asker nobody waits for its answer. */
interface Ask {
  readonly filter: string;
  /** Undefined: it is not wanted any more. */
  readonly options: SubscribeOptions | undefined;
  readonly asker: SubscriptionAsker | undefined;
  readonly ticket: Ticket;
}

export interface AsksHost {
  readonly clientId: string;
  /** A mirror of what the server has. */
  readonly subscriptions: {
    has(filter: string): boolean;
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

  subscribe(
    filter: string,
    options: SubscribeOptions,
    asker: SubscriptionAsker,
    ticket: Ticket,
    now: Instant,
  ): SubscribeAnswer | "pending" {
    const link = this.#link();
    const problem = link && subscriptionProblem(link.limits, this.#host.mounted(filter), options);
    if (problem !== undefined) return refusalOf(problem);
    return this.#ask({ filter, options, asker, ticket }, now);
  }

  unsubscribe(
    filter: string,
    asker: SubscriptionAsker,
    ticket: Ticket,
    now: Instant,
  ): "pending" | "unavailable" {
    const asked = this.#ask({ filter, options: undefined, asker, ticket }, now);
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
    this.#ask({ filter, options, asker: undefined, ticket: 0 }, now);
  }

  unwant(filter: string, now: Instant): void {
    if (!this.#host.subscriptions.delete(filter)) return;
    this.#ask({ filter, options: undefined, asker: undefined, ticket: 0 }, now);
  }

  /** False when the filter is too long for MQTT. */
  #send(ask: Ask, link: Link, now: Instant): boolean {
    const packetId = this.#ids.take();
    if (packetId === undefined) return false;
    const filter = this.#host.mounted(ask.filter);
    const sent =
      ask.options === undefined
        ? link.unsubscribe(packetId, filter, now)
        : link.subscribe(packetId, filter, levelled(ask.options, link), now);
    if (!sent) {
      this.#ids.free(packetId);
      return false;
    }
    this.#sent ??= new Map();
    this.#sent.set(packetId, ask);
    return true;
  }

  // ---- answers

  subscribed({ packetId, codes }: CodesPacket): void {
    const ask = this.#take(packetId);
    if (ask?.options === undefined) return;
    const { filter, options, asker, ticket } = ask;
    const { subscriptions, clientId } = this.#host;
    const answer = subscribeAnswerOf(codes[0] ?? ReasonCode.unspecifiedError);
    if (typeof answer === "number") {
      subscriptions.set(filter, { ...options, qos: answer });
    } else if (asker === undefined) {
      subscriptions.delete(filter);
      const detail = { filter, refusal: answer };
      this.#context.note({ level: "warn", event: "upstream-subscription-refused", detail }, clientId);
    }
    asker?.answered(ticket, answer);
  }

  unsubscribed({ packetId, codes }: CodesPacket): void {
    const ask = this.#take(packetId);
    if (ask === undefined || ask.options !== undefined) return;
    const known = this.#host.subscriptions.delete(ask.filter);
    // Before MQTT 5 a server does not say whether there was one.
    const silent = codes.length === 0 && !known;
    ask.asker?.answered(ask.ticket, silent ? "no-subscription" : unsubscribeAnswerOf(codes[0]));
  }

  #take(packetId: number): Ask | undefined {
    const ask = this.#sent?.get(packetId);
    if (ask === undefined) return undefined;
    this.#sent?.delete(packetId);
    this.#ids.free(packetId);
    return ask;
  }

  // ---- connections come and go

  /** A new connection. `remade`: the server has no session, and all that is in the mirror was lost with it. */
  resume(link: Link, remade: boolean, now: Instant): void {
    const asks = this.#takeAll();
    if (remade) {
      for (const [filter, options] of this.#host.subscriptions) {
        this.#send({ filter, options, asker: undefined, ticket: 0 }, link, now);
      }
    }
    for (const ask of asks) {
      // What we asked for ourselves has just been made again.
      if (remade && ask.asker === undefined && ask.options !== undefined) continue;
      if (!this.#send(ask, link, now)) ask.asker?.answered(ask.ticket, "unavailable");
    }
  }

  /** Nobody waits any longer. Returns who is to be told. */
  drop(): (() => void)[] {
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

/** No more than the server can do. */
function levelled(options: SubscribeOptions, { limits }: Link): SubscribeOptions {
  if (options.qos <= limits.maximumQoS) return options;
  return { ...options, qos: limits.maximumQoS };
}
