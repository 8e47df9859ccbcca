import { parseDelayedTopic } from "../bus/delayed.ts";
import type { Message, QoS } from "../bus/message.ts";
import type {
  Answer,
  Pending,
  PublishAnswer,
  Refusal,
  RetainedAnswer,
  ServerWords,
  SubscribeAnswer,
  Ticket,
  UnsubscribeAnswer,
  WillAnswer,
} from "../contract/answers.ts";
import type { StopReason } from "../contract/channel.ts";
import type { Client, ConnectAnswer, Exchange, Receipt, SubscribeOptions, Will } from "../contract/client.ts";
import type { Delivery, DeliveryId, Outcome } from "../contract/delivery.ts";
import { isStream } from "../contract/peer.ts";
import type { AskedFor } from "../contract/refused.ts";
import { after, type Duration, type Instant, milliseconds, NEVER } from "../lib/time.ts";
import type { Identity, Verdict } from "../policy/policy.ts";
import type { Aggregate } from "../session/aggregate.ts";
import type { Stopped } from "../session/context.ts";
import type { EngineClient, EngineSession, OpenAnswer, Opening } from "../session/engine.ts";
import type { Departure } from "../session/sessions.ts";
import type { ChannelDriver } from "./channel-driver.ts";
import type { Arrival } from "./core.ts";
import type { Listed } from "./directory.ts";
import type { Door } from "./door.ts";
import { Hooked, NOBODYS, type Steps } from "./hooked.ts";
import { Permissions } from "./permissions.ts";
import { Rates } from "./rates.ts";
import { whyNot } from "./why-not.ts";

/** How a client stands on the bus. */
export interface Standing {
  /** The client id of its session, where that is not its own: a further session has its own name. */
  readonly sessionId?: string;
  readonly mountpoint: string;
  readonly aggregate: Aggregate | undefined;
  readonly single?: boolean;
}

type Published = Pick<Message, "topic" | "qos" | "retain">;

/** One client behind the door: every check that policy and limits ask for, then the bus and the session. */
export class BusClient implements Client, EngineClient {
  readonly identity: Identity;
  readonly loop: ChannelDriver;
  readonly door: Door;
  /** For single requests: there is no session behind it. */
  readonly single: boolean;
  readonly sessionId: string;
  readonly mountpoint: string;
  readonly aggregate: Aggregate | undefined;
  readonly session: EngineSession;
  readonly #permissions: Permissions;
  #hooked: Hooked | undefined = undefined;
  /** It sleeps. */
  #rests = false;
  /** As it was announced when it came in; single requests and further sessions are not announced. */
  protocol: string | undefined = undefined;
  /** Its place in the directory. */
  listed: Listed | undefined = undefined;
  promised: Instant | undefined = undefined;
  said: Client["said"] = undefined;
  /** Why the core has ended it, whatever its channel makes of that. */
  stopped: Stopped | undefined = undefined;
  ended = false;
  /** Deliveries on their way through the loop, which the channel has not seen yet. */
  waiting = 0;
  #rates: Rates | undefined = undefined;
  /** Of the rules from which the rates are. */
  #ratesGeneration = -1;
  /** What happens when the engine has answered the `open` that is pending. */
  #whenOpened: ((answer: OpenAnswer) => ConnectAnswer) | undefined = undefined;

  constructor(
    loop: ChannelDriver,
    door: Door,
    identity: Identity,
    { sessionId = identity.clientId, mountpoint, aggregate, single = false }: Standing,
  ) {
    this.loop = loop;
    this.door = door;
    this.identity = identity;
    this.sessionId = sessionId;
    this.mountpoint = mountpoint;
    this.aggregate = aggregate;
    this.single = single;
    this.#permissions = new Permissions(door, identity);
    this.session = loop.core.engine.enter(this, single);
    this.#takeRates();
  }

  /** As the rules have them now. */
  #takeRates(): void {
    const { limits, generation } = this.door.policy;
    this.#ratesGeneration = generation;
    if (!this.single) {
      this.#rates = Rates.of(limits, this.#rates);
      return;
    }
    this.loop.rates = Rates.of(limits, this.loop.rates);
    this.#rates = this.loop.rates;
  }

  /** Comes and goes with the hooks of its gateway, and with sources of rules, as far as nothing waits in it. */
  follow(): Hooked | undefined {
    const { hookedBy } = this.door;
    if (hookedBy !== undefined) this.#hooked ??= new Hooked(this, hookedBy);
    else if (this.#hooked?.busy === false) this.#hooked = undefined;
    return this.#hooked;
  }

  get #steps(): Steps {
    return this.follow() ?? this;
  }

  get id(): string {
    return this.identity.clientId;
  }

  get username(): string | undefined {
    return this.identity.username;
  }

  get proven(): string | undefined {
    return this.identity.proven;
  }

  get gateway(): string {
    return this.door.gateway;
  }

  get sessionExpiry(): Duration | undefined {
    return this.session.expiry;
  }

  // ---- coming in

  /** The first ask: what comes of it is `then`'s, at once or later. */
  open(
    opening: Opening,
    ticket: Ticket,
    then: (answer: OpenAnswer) => ConnectAnswer,
  ): ConnectAnswer | Pending {
    const answer = this.session.open(opening, ticket);
    if (answer !== "pending") return then(answer);
    this.#whenOpened = then;
    return "pending";
  }

  opened(ticket: Ticket, answer: OpenAnswer): void {
    const then = this.#whenOpened;
    this.#whenOpened = undefined;
    if (then !== undefined && !this.loop.closed) this.loop.connected(ticket, () => then(answer));
  }

  // ---- answers of the engine

  get closed(): boolean {
    return this.loop.closed;
  }

  answered(ticket: Ticket, answer: Answer, words?: ServerWords): void {
    if (ticket === NOBODYS) return;
    this.#hooked?.answered(ticket, answer);
    this.loop.answered(ticket, answer, words);
  }

  found(ticket: Ticket, answer: RetainedAnswer): void {
    this.loop.found(ticket, answer);
  }

  #due<Given>(answer: Given, ticket: Ticket): Given {
    if (answer === "pending") this.loop.asked(ticket);
    return answer;
  }

  get told(): number {
    return this.session.told;
  }

  kept(ticket: Ticket, since: number): "accepted" | Pending {
    return this.#due(this.#steps.commit(ticket, since), ticket);
  }

  /** This and other `Steps` are what a hook may stand in the way of: all checks have passed. */
  commit(ticket: Ticket, since: number): "accepted" | Pending {
    return this.session.committed(ticket, since);
  }

  authenticateAgain(exchange: Exchange, done: (ok: boolean) => void): void {
    if (this.door.passesOn(exchange)) {
      this.session.authenticateAgain?.(exchange, done);
      return;
    }
    const { clientId, username, proven } = this.identity;
    const { policy } = this.door;
    const request = { clientId, username, exchange };
    const judge = (verdict: Verdict): void => {
      this.loop.core.tick();
      done(verdict.ok && verdict.identity.proven === proven && verdict.identity.username === username);
    };
    Promise.resolve(policy.authenticate(request, this.loop.peer, this.loop.core.now, this.loop)).then(
      judge,
      () => done(false),
    );
  }

  // ---- publishing

  publish(message: Message, ticket: Ticket): PublishAnswer | Pending {
    if (this.ended) return "unavailable";
    const core = this.loop.core;
    const refusal = this.#refuse(message);
    if (refusal !== undefined) {
      core.counters.messagesRefused.value++;
      this.#refusedPublish("publish", refusal, message);
      return refusal;
    }
    core.counters.messagesReceived[message.qos].value++;
    this.door.traffic.in++;
    core.trace?.publishing(message);
    const answer = this.#steps.pass(message, ticket);
    if (answer !== "accepted" && answer !== "no-subscribers" && answer !== "pending")
      this.#refusedPublish("publish", answer, message, "a hook");
    return this.#due(answer, ticket);
  }

  mayPublish(topic: string, qos: QoS, retain: boolean, what: AskedFor = "publish"): "accepted" | Refusal {
    if (this.ended) return "unavailable";
    const refusal = this.#permissions.refuseTopic(topic, qos, retain);
    if (refusal === undefined) return "accepted";
    this.#refusedPublish(what, refusal, { topic, qos, retain });
    return refusal;
  }

  /** `forbids`: who has, where it is not the rules. */
  #refusedPublish(
    what: AskedFor,
    refusal: Refusal,
    { topic, qos, retain }: Published,
    forbids?: string,
  ): void {
    const meant = { action: "publish", identity: this.identity, topic, qos, retain } as const;
    this.#refused(what, topic, refusal, () => whyNot(this.door, refusal, meant, forbids));
  }

  #refusedFilter(what: AskedFor, refusal: Refusal, filter: string, qos: QoS, forbids?: string): void {
    const meant = { action: "subscribe", identity: this.identity, filter, qos } as const;
    this.#refused(what, filter, refusal, () => whyNot(this.door, refusal, meant, forbids));
  }

  /** Says what this client was refused. */
  #refused(what: AskedFor, asked: string, refusal: Refusal, by: () => string): void {
    // What comes of an ask that crossed the client's end is nobody's refusal.
    if (this.ended) return;
    const { gateway, listener, clientId, username, peer } = this.identity;
    const { address, port } = peer;
    this.loop.core.refused(
      { gateway, listener, address, port, clientId, username },
      { what, asked, refusal, by },
    );
  }

  mayChange(topic: string): "accepted" | Refusal {
    if (!this.ended && this.#permissions.asks({ action: "publish", topic, qos: 0, retain: true }))
      return "unavailable";
    return this.mayPublish(topic, 0, true);
  }

  #refuse(message: Message): Refusal | undefined {
    const refusal = this.#permissions.refuse(message);
    if (refusal !== undefined) return refusal;
    if (this.#ratesGeneration !== this.door.policy.generation) this.#takeRates();
    return this.#rates === undefined ? undefined : this.#checkRate(this.#rates, message.payload.length);
  }

  /** Streams go into debt and are read from later; a datagram that finds the bucket empty is refused. */
  #checkRate(rates: Rates, bytes: number): Refusal | undefined {
    const now = this.loop.core.now;
    if (!isStream(this.loop.peer.transport)) return rates.tryTake(bytes, now) ? undefined : "congested";
    const wait = rates.take(bytes, now);
    if (wait > 0) this.loop.throttle(after(now, wait));
    return undefined;
  }

  pass(message: Message, ticket: Ticket): PublishAnswer | Pending {
    let topic = message.topic;
    let due = NEVER;
    if (topic.charCodeAt(0) === 0x24) {
      const delayed = parseDelayedTopic(topic);
      if (delayed !== undefined && delayed !== "malformed") {
        topic = delayed.topic;
        due = after(this.loop.core.now, milliseconds(delayed.seconds * 1000));
      }
    }
    const rewrite = this.door.policy.rewritePublish;
    if (rewrite !== undefined) topic = rewrite(this.identity, topic);
    if (this.mountpoint !== "") topic = this.mountpoint + topic;
    const passing = topic === message.topic ? message : message.withTopic(topic);
    return due === NEVER
      ? this.session.publish(passing, ticket)
      : this.session.publishLater(passing, due, ticket);
  }

  // ---- subscribing

  subscribe(asked: string, options: SubscribeOptions, ticket: Ticket): SubscribeAnswer | Pending {
    if (this.ended) return "unavailable";
    const refusal = this.single ? "forbidden" : this.#permissions.refuseFilter(asked, options.qos);
    const answer = refusal ?? this.#steps.enrol(asked, options, ticket);
    if (typeof answer === "string" && answer !== "pending") {
      const forbids = refusal === undefined ? "a hook" : undefined;
      this.#refusedFilter("subscribe", answer, asked, options.qos, forbids);
    }
    this.loop.core.trace?.stepped(this, "subscribe", asked, answer);
    return this.#due(answer, ticket);
  }

  enrol(asked: string, options: SubscribeOptions, ticket: Ticket): SubscribeAnswer | Pending {
    const filter = this.#permissions.rewritten(asked);
    if (filter === undefined) return "malformed";
    const { subscriptions } = this.session;
    const limit = this.door.policy.limits.subscriptions;
    if (!subscriptions.has(filter) && subscriptions.size >= limit) return "quota";
    const asking = filter === asked || options.asked !== undefined ? options : { ...options, asked };
    return this.session.subscribe(filter, asking, ticket);
  }

  unsubscribe(asked: string, ticket: Ticket): UnsubscribeAnswer | Pending {
    if (this.ended) return "unavailable";
    const answer = this.#steps.withdraw(asked, ticket);
    this.loop.core.trace?.stepped(this, "unsubscribe", asked, answer);
    return this.#due(answer, ticket);
  }

  withdraw(asked: string, ticket: Ticket): UnsubscribeAnswer | Pending {
    const filter = this.#subscribed(asked);
    return filter === undefined ? "no-subscription" : this.session.unsubscribe(filter, ticket);
  }

  /** What its session has for this filter: a hook, also one that is no more, may have made another of it. */
  #subscribed(asked: string): string | undefined {
    const filter = this.#permissions.rewritten(asked);
    const { subscriptions } = this.session;
    const options = filter === undefined ? undefined : subscriptions.get(filter);
    if (options !== undefined && (options.asked ?? filter) === asked) return filter;
    for (const [other, { asked: as }] of subscriptions) if (as === asked) return other;
    return filter;
  }

  subscriptions(): ReadonlyMap<string, SubscribeOptions> {
    return this.session.subscriptions;
  }

  retained(asked: string, limit: number, ticket: Ticket): RetainedAnswer | Pending {
    const refusal = this.#mayRead(asked);
    if (refusal !== "accepted") {
      this.#refusedFilter("read", refusal, asked, 0);
      return refusal;
    }
    return this.#due(this.#steps.lookUp(asked, limit, ticket), ticket);
  }

  lookUp(asked: string, limit: number, ticket: Ticket): RetainedAnswer | Pending {
    return this.session.retained(this.#permissions.rewritten(asked) ?? asked, limit, ticket);
  }

  /** For those who read without asking the bus: they cannot wait until it is known. */
  mayRead(asked: string): "accepted" | Refusal {
    if (!this.ended && this.#permissions.asks({ action: "subscribe", topic: asked, qos: 0, retain: false }))
      return "unavailable";
    return this.#mayRead(asked);
  }

  #mayRead(asked: string): "accepted" | Refusal {
    return this.ended ? "unavailable" : (this.#permissions.refuseRead(asked) ?? "accepted");
  }

  // ---- deliveries

  deliver(delivery: Delivery): void {
    this.door.traffic.out++;
    // Before: the channel may settle it at once.
    this.#hooked?.delivered(delivery);
    this.loop.deliver(this, delivery);
  }

  get held(): boolean {
    return this.loop.held || this.#hooked?.leaving === true;
  }

  flush(): void {
    this.session.flush();
  }

  credit(window: number): void {
    if (!this.ended) this.session.credit(window);
  }

  settle(id: DeliveryId, outcome: Outcome): boolean {
    this.#hooked?.settled(id, outcome);
    return !this.ended && this.session.settle(id, outcome);
  }

  /** The channel failed: at this delivery, or at something else while it had deliveries that are not settled. */
  failed(at: DeliveryId | undefined): void {
    const given = this.ended ? undefined : this.session.failed(at);
    if (given === undefined) return;
    const { topic, failures } = given;
    this.loop.note({ level: "warn", event: "delivery-dead", detail: { topic, failures } });
  }

  received(id: DeliveryId): "accepted" | Pending {
    return this.ended ? "accepted" : this.session.received(id);
  }

  published(message: Message): boolean {
    return message.publisher === this.session.publisher;
  }

  unsettledQos(id: DeliveryId): QoS | undefined {
    return this.session.unsettledQos(id);
  }

  get queued(): number {
    return this.session.queued + this.waiting;
  }

  get unsettled(): number {
    return this.session.unsettled;
  }

  get uncounted(): number {
    return this.session.uncounted;
  }

  handedOut(ticket: Ticket): "accepted" | Pending {
    return this.ended ? "accepted" : this.#due(this.session.handedOut(ticket), ticket);
  }

  rest(until: Instant | undefined): void {
    if (this.ended) return;
    this.session.rest(until);
    if ((until !== undefined) !== this.#rests) this.loop.core.follower?.rested(this.identity, until);
    this.#rests = until !== undefined;
  }

  acceptInbound(packetId: number, message: Message, repeated = false): Receipt {
    if (this.ended) return "full";
    const receipt = this.session.acceptInbound(packetId);
    if (receipt === "full" || (receipt === "duplicate" && !repeated))
      this.loop.core.follower?.untaken(this.identity, message, receipt);
    return receipt;
  }

  get inboundLeft(): number {
    return this.session.inboundLeft;
  }

  releaseInbound(packetId: number): boolean {
    return !this.ended && this.session.releaseInbound(packetId);
  }

  // ---- the session

  setWill(will: Will | undefined, ticket: Ticket): WillAnswer | Pending {
    if (this.ended) return "unavailable";
    const allowed = will === undefined ? undefined : this.door.willOf(this, will);
    return this.#due(this.#steps.changeWill(allowed, ticket), ticket);
  }

  changeWill(will: Will | undefined, ticket: Ticket): WillAnswer | Pending {
    return this.session.setWill(will, ticket);
  }

  firstWill(will: Will | undefined): Will | undefined | Promise<Will | undefined> {
    return will;
  }

  /** The will that it comes with, as hooks have it. */
  judgedWill(will: Will | undefined): Will | undefined | Promise<Will | undefined> {
    return this.#steps.firstWill(will);
  }

  /** It has been let in, and that is said of it. */
  announced(how: Arrival): void {
    this.follow()?.announced(how);
  }

  /** It has ended, and that is said of it. */
  departed(reason: string): void {
    this.#hooked?.departed(reason);
  }

  setSessionExpiry(expiry: Duration): void {
    if (!this.ended) this.session.setExpiry(expiry);
  }

  expectUntil(until: Instant | undefined): void {
    if (!this.ended) this.session.expectUntil(until);
  }

  get expectedUntil(): Instant | undefined {
    return this.session.expectedUntil;
  }

  get memo(): unknown {
    return this.session.memo;
  }

  remember(memo: unknown, weight?: number, alias?: string): void {
    if (!this.ended) this.session.remember(memo, weight, alias);
  }

  end(how: Departure, reason: string = how === "silent" || how === "parted" ? "lost" : how): void {
    this.finish(how, reason);
  }

  finish(how: Departure, reason: string): void {
    if (this.ended) return;
    this.ended = true;
    this.door.parted(this);
    this.#steps.depart(how, reason);
  }

  depart(how: Departure, reason: string): void {
    this.session.leave(how, this.stopped);
    this.door.disconnected(this, how, reason);
  }

  /** Another connection takes the session, or the engine cannot keep it. */
  evict(reason: StopReason = "taken-over", words?: ServerWords, anew = false): void {
    if (this.#hooked?.evicted() === true) return;
    if (anew) this.stopped = "discarded";
    this.loop.stopClient(this, reason, words);
    // The loop may be closing already, and take no more inputs.
    this.finish("lost", reason);
  }
}
