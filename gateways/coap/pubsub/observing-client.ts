import { hasWildcard, parseSharedFilter, topicMatches } from "#core/bus/topic.ts";
import type { SubscribeAnswer } from "#core/contract/answers.ts";
import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import type { Delivery, DeliveryId } from "#core/contract/delivery.ts";
import { type Instant, ZERO } from "#core/lib/time.ts";
import type { CoapConfig } from "../config.ts";
import { isError, Response } from "../stack/message/codes.ts";
import { Option } from "../stack/message/options.ts";
import { type CoapPeer, type CoapResponse, respondWith } from "../stack/site.ts";
import type { Operation } from "./operation.ts";
import { read } from "./read.ts";
import { refusalResponse } from "./refusals.ts";
import type { Waiting } from "./waiting.ts";
import { Watch, type WatchEnd } from "./watch.ts";

const NO_VALUE_YET = respondWith(Response.Content);
const NO_DELIVERIES: readonly Delivery[] = [];
const NO_WATCHES: readonly Watch[] = [];
const NO_SUBSCRIPTIONS: readonly Subscription[] = [];

/**
 * What a client that registers again was told last: an empty value would be news to it. A value with a Max-Age may be
 * over by now.
 */
function toldBefore({ request }: Operation, subscription: Subscription): CoapResponse {
  const { observation } = request;
  const watch = observation?.observer;
  const last = observation?.last;
  if (!(watch instanceof Watch) || watch.subscription !== subscription || last === undefined)
    return NO_VALUE_YET;
  return last.options?.some(({ number }) => number === Option.MaxAge) === true ? NO_VALUE_YET : last;
}

/** One filter that a client has subscribed, with every observation that looks at it. */
export class Subscription {
  readonly filter: string;
  readonly id: number;
  /** Its notifications name their topic. */
  readonly wildcard: boolean;
  readonly shared: boolean;
  /** Mostly one. This list and that of subscriptions are not changed but replaced: they have no spare room. */
  watches: readonly Watch[] = NO_WATCHES;
  /** What came before the subscription was confirmed; undefined once it is. */
  early: Delivery[] | undefined = undefined;
  readonly #plain: string;

  constructor(filter: string, id: number) {
    this.filter = filter;
    this.id = id;
    const shared = parseSharedFilter(filter);
    this.shared = shared !== undefined;
    this.#plain = shared === undefined || shared === "malformed" ? filter : shared.filter;
    this.wildcard = hasWildcard(this.#plain);
  }

  matches(topic: string): boolean {
    return topicMatches(this.#plain, topic);
  }
}

type Accepted = Extract<ConnectAnswer, { ok: true }>;

/** What an observing client needs of the peer that it belongs to. */
export interface ObservingPeer {
  readonly config: CoapConfig;
  readonly peer: CoapPeer;
  readonly waiting: Waiting;
  /** The client's last observation has ended; `lost` when the device did not say so. */
  unwatched(client: ObservingClient, how: "closed" | "lost"): void;
}

/** An MQTT client with a session, and what it observes. */
export class ObservingClient {
  readonly client: Client;
  readonly #of: ObservingPeer;
  #subscriptions: readonly Subscription[] = NO_SUBSCRIPTIONS;
  #ids: number;
  /** The session is worth keeping: it was there before, or belongs to a device that is real. */
  #real: boolean;
  /** For filters of a resumed session that the device has not observed again yet. */
  #parked: readonly Delivery[] = NO_DELIVERIES;
  #dismissed = false;
  /** Deliveries that went to several observations, and how many of them are still open. */
  #shared: Map<number, { left: number; done: boolean }> | undefined = undefined;

  constructor({ client, sessionPresent }: Pick<Accepted, "client" | "sessionPresent">, of: ObservingPeer) {
    this.client = client;
    this.#of = of;
    this.#real = sessionPresent;
    // By chance, because a resumed session has messages under the identifiers of its lives before.
    this.#ids = Buffer.from(of.peer.host.random(4)).readUInt32BE() >>> 5;
  }

  /** A filter keeps its identifier over the lives of the session, and with it what waits there. */
  #identifierOf(filter: string): number {
    return this.client.subscriptions().get(filter)?.identifier ?? ++this.#ids;
  }

  #find(filter: string): Subscription | undefined {
    for (const subscription of this.#subscriptions) if (subscription.filter === filter) return subscription;
    return undefined;
  }

  get peer(): CoapPeer {
    return this.#of.peer;
  }

  get filters(): string[] {
    return this.#subscriptions.map(({ filter }) => filter);
  }

  /** The session waits for a device that comes back. */
  get keeps(): boolean {
    return (this.client.sessionExpiry ?? 0) > 0;
  }

  /** The device is gone. A session that an unproven address began, nobody has to come back to. */
  end(how: "closed" | "lost" | "silent"): void {
    if (!this.#isReal()) this.client.setSessionExpiry(ZERO);
    this.client.end(how);
  }

  #isReal(): boolean {
    this.#real ||= this.#of.peer.host.reachability.allowance === Number.POSITIVE_INFINITY;
    return this.#real;
  }

  // ---- observing

  observe(operation: Operation, now: Instant): void {
    const { config, peer, waiting } = this.#of;
    const { topic, query } = operation;
    const known = this.#find(topic);
    const subscription = known ?? new Subscription(topic, this.#identifierOf(topic));
    const wanted = query.retainHandling ?? config.subscribe.retainHandling;
    // A plain topic's retained value goes into the response itself.
    const retained =
      wanted === 0 || (wanted === 1 && known === undefined && !this.client.subscriptions().has(topic));
    const ticket = peer.ticket();
    const answer = this.client.subscribe(
      topic,
      {
        qos: operation.qos(config.subscribe.qos),
        noLocal: query.noLocal,
        // A cleared retained message must be told from an empty one.
        retainAsPublished: operation.form === "data",
        retainHandling: subscription.wildcard ? wanted : 2,
        identifier: subscription.id,
      },
      ticket,
    );
    if (known === undefined) this.#subscriptions = this.#subscriptions.concat(subscription);
    if (answer !== "pending") {
      this.#begin(operation, subscription, answer, retained, now);
      return;
    }
    subscription.early ??= [];
    operation.detach();
    waiting.answer(ticket, (late, at) =>
      operation.turn(at, (then) =>
        this.#begin(operation, subscription, late as SubscribeAnswer, retained, then),
      ),
    );
  }

  #begin(
    operation: Operation,
    subscription: Subscription,
    answer: SubscribeAnswer,
    retained: boolean,
    now: Instant,
  ): void {
    const { request } = operation;
    if (typeof answer === "string") {
      request.respond(refusalResponse(answer, operation.anonymous));
      this.#leave(subscription, "closed");
      return;
    }
    // What is delivered meanwhile comes after the response.
    subscription.early ??= [];
    this.#first(operation, subscription, retained, now, (response, at) =>
      this.#accept(operation, subscription, response, at),
    );
  }

  #accept(operation: Operation, subscription: Subscription, response: CoapResponse, now: Instant): void {
    const { request } = operation;
    const { early } = subscription;
    subscription.early = undefined;
    const watch = new Watch(this, subscription, operation, this.#of.config, response);
    const observation = isError(response.code) ? undefined : request.accept(response, watch);
    if (observation === undefined) {
      request.respond(response);
      this.#leave(subscription, "closed");
      if (subscription.watches.length > 0) for (const delivery of early ?? []) this.deliver(delivery, now);
      return;
    }
    watch.observation = observation;
    subscription.watches = subscription.watches.concat(watch);
    watch.began();
    for (const delivery of early ?? []) this.deliver(delivery, now);
    this.#unpark(subscription, now);
    this.#credit();
  }

  /** The representation that the registration is answered with. */
  #first(
    operation: Operation,
    subscription: Subscription,
    retained: boolean,
    now: Instant,
    then: (response: CoapResponse, now: Instant) => void,
  ): void {
    // A shared subscription gets no retained messages (MQTT 5 §4.8.2).
    const none = subscription.wildcard || subscription.shared || operation.form === "form";
    const known = none ? NO_VALUE_YET : toldBefore(operation, subscription);
    // Who may subscribe but finds another format than it accepts is told so; nothing else is an error here.
    if (none || !retained) then(known, now);
    else read(this.#of, operation, this.client, now, then, known);
  }

  /** Ends the observation of a client that asked for it. */
  forget(watch: Watch): void {
    watch.observation?.end();
    this.ended(watch, "deregistered");
  }

  /** Ends every observation of a filter. */
  unobserve(filter: string): void {
    for (const watch of this.#find(filter)?.watches ?? []) this.forget(watch);
  }

  /** An observation is over, for whatever reason. */
  ended(watch: Watch, why: WatchEnd): void {
    const { subscription } = watch;
    if (!subscription.watches.includes(watch)) return;
    subscription.watches = subscription.watches.filter((other) => other !== watch);
    watch.over();
    this.#leave(subscription, why === "timeout" || why === "gone" ? "lost" : "closed");
  }

  /**
   * Nobody watches this any more? A device that vanished keeps its subscription in its session, so that it
   * misses nothing until it is back; one that said it does not want it loses it.
   */
  #leave(subscription: Subscription, how: "closed" | "lost"): void {
    if (subscription.watches.length > 0 || subscription.early !== undefined) return;
    this.#subscriptions = this.#subscriptions.filter((other) => other !== subscription);
    if (how === "closed" || !this.keeps) this.client.unsubscribe(subscription.filter, this.#of.peer.ticket());
    if (this.#subscriptions.length > 0) {
      this.#credit();
      return;
    }
    this.client.credit(0);
    this.#of.unwatched(this, how);
  }

  // ---- delivering

  deliver(delivery: Delivery, now: Instant): void {
    if (delivery.stage === "release") {
      this.client.settle(delivery.id, "done");
      return;
    }
    this.#isReal();
    let told = 0;
    for (const subscription of this.#subscriptions) {
      if (!this.#meant(subscription, delivery)) continue;
      if (subscription.early !== undefined && subscription.watches.length === 0) {
        this.#putOff(subscription.early, delivery);
        return;
      }
      for (const watch of subscription.watches) {
        watch.notify(delivery, now);
        told++;
      }
    }
    if (delivery.qos === 0) return;
    if (told === 0) this.#park(delivery);
    else if (told > 1) {
      this.#shared ??= new Map();
      this.#shared.set(delivery.id, { left: told, done: false });
    }
  }

  /**
   * Nobody observes it now. A device that came back observes its filters one after the other, so what its session
   * has for the later ones waits, and does not hold up the rest.
   */
  #park(delivery: Delivery): void {
    const limit = this.#of.config.stack.observe.queue;
    if (this.#parked.length >= limit || !this.#subscribed(delivery.topic)) {
      this.client.settle(delivery.id, "dead");
      return;
    }
    this.#parked = this.#parked.concat(delivery);
    this.#credit();
  }

  /** A filter of the session that waits for its observation matches. */
  #subscribed(topic: string): boolean {
    for (const filter of this.client.subscriptions().keys()) {
      if (this.#find(filter) === undefined && new Subscription(filter, 0).matches(topic)) return true;
    }
    return false;
  }

  #unpark(subscription: Subscription, now: Instant): void {
    if (this.#parked.length === 0) return;
    const waiting = this.#parked.filter(({ topic }) => subscription.matches(topic));
    this.#parked = this.#parked.filter((delivery) => !waiting.includes(delivery));
    for (const delivery of waiting) this.deliver(delivery, now);
  }

  #credit(): void {
    this.client.credit(this.#of.config.subscribe.window + this.#parked.length);
  }

  /** Kept until the subscription is confirmed; QoS 0 no longer than there is room. */
  #putOff(early: Delivery[], delivery: Delivery): void {
    if (delivery.qos > 0 || early.length < this.#of.config.stack.observe.queue) early.push(delivery);
  }

  /**
   * By the subscription's identifier, as far as the topic does not speak against it (a rewritten topic fits no filter
   * as the device names it); where it has none of those that are observed, by topic.
   */
  #meant(subscription: Subscription, { subscriptionIds, topic }: Delivery): boolean {
    const fits = subscription.matches(topic);
    if (subscriptionIds.includes(subscription.id))
      return fits || !this.#subscriptions.some((other) => other.matches(topic));
    return (
      fits && !this.#subscriptions.some((other) => subscriptionIds.includes(other.id) && other.matches(topic))
    );
  }

  settled(reference: number, outcome: "done" | "dropped" | "failed"): void {
    if (this.#dismissed) return;
    const shared = this.#shared?.get(reference);
    let reached = outcome !== "failed";
    if (shared !== undefined) {
      shared.done ||= reached;
      if (--shared.left > 0) return;
      this.#shared?.delete(reference);
      reached = shared.done;
    }
    const id = reference as DeliveryId;
    if (reached) this.client.settle(id, "done");
    else if (this.keeps) {
      // The device has vanished: the message waits in the session, and is not handed out again at once.
      this.client.credit(0);
      this.client.settle(id, "again");
    } else this.client.settle(id, "dead");
  }

  /** The client was taken over or kicked, or its connection ended: its observers are told. */
  dismiss(response: CoapResponse): void {
    // What is not acknowledged stays unsettled: the session has it for the next life.
    this.#dismissed = true;
    for (const subscription of this.#subscriptions) {
      for (const watch of subscription.watches) {
        watch.dismiss(response);
        watch.over();
      }
      subscription.watches = NO_WATCHES;
    }
    this.#subscriptions = NO_SUBSCRIPTIONS;
    this.#shared = undefined;
  }
}
