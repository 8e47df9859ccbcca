import { parseDelayedTopic } from "../bus/delayed.ts";
import type { Message, QoS } from "../bus/message.ts";
import {
  parseSharedFilter,
  sharedPrefix,
  topicFilterProblem,
  topicLevels,
  topicNameProblem,
} from "../bus/topic.ts";
import type { Pending, PublishAnswer, Refusal, SubscribeAnswer, Ticket } from "../contract/answers.ts";
import type { Client, Receipt, SubscribeOptions, Will } from "../contract/client.ts";
import type { Delivery, DeliveryId, Outcome } from "../contract/delivery.ts";
import { isStream } from "../contract/peer.ts";
import { after, type Duration, type Instant, milliseconds, NEVER } from "../lib/time.ts";
import type { Identity } from "../policy/policy.ts";
import type { Aggregate } from "../session/aggregate.ts";
import { type Occupant, sessionKey } from "../session/context.ts";
import type { Session } from "../session/session.ts";
import type { Departure } from "../session/sessions.ts";
import type { ChannelDriver } from "./channel-driver.ts";
import type { Door } from "./door.ts";
import { Rates } from "./rates.ts";

const NO_SUBSCRIPTIONS: ReadonlyMap<string, SubscribeOptions> = new Map();

/** One client behind the door: every check that policy and limits ask for, then the bus and the session. */
export class BusClient implements Client, Occupant {
  readonly identity: Identity;
  readonly loop: ChannelDriver;
  readonly door: Door;
  /** Undefined for a transient client. */
  readonly session: Session | undefined;
  readonly mountpoint: string;
  readonly aggregate: Aggregate | undefined;
  /** As it was announced when it came in; a transient client and a further session come without a word. */
  protocol: string | undefined = undefined;
  ended = false;
  /** Deliveries on their way through the loop, which the channel has not seen yet. */
  waiting = 0;
  #rates: Rates | undefined = undefined;
  /** Of the rules from which the rates are. */
  #ratesGeneration = -1;
  /** The last topic that was allowed, and under which rules: devices repeat themselves. */
  #allowedTopic = "";
  #allowedQos: QoS = 0;
  #allowedRetain = false;
  #allowedGeneration = -1;
  /** The session wrote something (an inbound QoS 2 id) that the next acknowledgement must wait for. */
  #writesBefore = -1;

  constructor(
    loop: ChannelDriver,
    door: Door,
    identity: Identity,
    session: Session | undefined,
    mountpoint: string,
    aggregate: Aggregate | undefined,
  ) {
    this.loop = loop;
    this.door = door;
    this.identity = identity;
    this.session = session;
    this.mountpoint = mountpoint;
    this.aggregate = aggregate;
    this.#takeRates();
  }

  /** As the rules have them now. */
  #takeRates(): void {
    const { limits, generation } = this.door.policy;
    this.#ratesGeneration = generation;
    if (this.session !== undefined) {
      this.#rates = Rates.of(limits, this.#rates);
      return;
    }
    this.loop.rates = Rates.of(limits, this.loop.rates);
    this.#rates = this.loop.rates;
  }

  get id(): string {
    return this.identity.clientId;
  }

  get username(): string | undefined {
    return this.identity.username;
  }

  get sessionExpiry(): Duration | undefined {
    return this.session?.expiry;
  }

  /** Under which name the bus knows what it publishes. */
  get #publisher(): string {
    return this.aggregate?.key ?? this.session?.key ?? sessionKey(this.door.gateway, this.id);
  }

  // ---- the store

  get told(): number {
    return this.loop.core.commits?.writes ?? 0;
  }

  kept(ticket: Ticket, since: number): "accepted" | Pending {
    const { commits } = this.loop.core;
    if (commits === undefined || commits.writes === since) return "accepted";
    commits.await(this.loop, ticket, "accepted", since);
    return "pending";
  }

  // ---- publishing

  publish(message: Message, ticket: Ticket): PublishAnswer | Pending {
    if (this.ended) return "unavailable";
    const core = this.loop.core;
    const refusal = this.#refuse(message);
    if (refusal !== undefined) {
      core.counters.messagesRefused.value++;
      return refusal;
    }
    const since = this.#writesBefore;
    this.#writesBefore = -1;
    core.counters.messagesReceived[message.qos].value++;
    return this.#pass(message, ticket, since);
  }

  mayPublish(topic: string, qos: QoS, retain: boolean): "accepted" | Refusal {
    if (this.ended) return "unavailable";
    return this.#checkTopic(topic, qos, retain) ?? "accepted";
  }

  #refuse(message: Message): Refusal | undefined {
    const known =
      message.topic === this.#allowedTopic &&
      message.qos === this.#allowedQos &&
      message.retain === this.#allowedRetain &&
      this.#allowedGeneration === this.door.policy.generation;
    if (!known) {
      const refusal = this.#checkTopic(message.topic, message.qos, message.retain);
      if (refusal !== undefined) return refusal;
      this.#allowedTopic = message.topic;
      this.#allowedQos = message.qos;
      this.#allowedRetain = message.retain;
      this.#allowedGeneration = this.door.policy.generation;
    }
    if (this.#ratesGeneration !== this.door.policy.generation) this.#takeRates();
    return this.#rates === undefined ? undefined : this.#checkRate(this.#rates, message.payload.length);
  }

  /** `$delayed/<seconds>/<topic>` is judged by the topic that it will have. */
  #checkTopic(asked: string, qos: QoS, retain: boolean): Refusal | undefined {
    const delayed = asked.charCodeAt(0) === 0x24 ? parseDelayedTopic(asked) : undefined;
    if (delayed === "malformed") return "malformed";
    const topic = delayed?.topic ?? asked;
    if (topicNameProblem(topic) !== undefined) return "malformed";
    if (topicLevels(topic) > this.door.policy.limits.topicLevels) return "quota";
    // What the gateway says of itself is not for clients to say.
    if (topic.startsWith("$SYS/")) return "forbidden";
    return this.door.policy.mayPublish(this.identity, topic, qos, retain) ? undefined : "forbidden";
  }

  /** Streams go into debt and are read from later; a datagram that finds the bucket empty is refused. */
  #checkRate(rates: Rates, bytes: number): Refusal | undefined {
    const now = this.loop.core.now;
    if (!isStream(this.loop.peer.transport)) return rates.tryTake(bytes, now) ? undefined : "congested";
    const wait = rates.take(bytes, now);
    if (wait > 0) this.loop.throttle(after(now, wait));
    return undefined;
  }

  #pass(message: Message, ticket: Ticket, since: number): PublishAnswer | Pending {
    const { gate, now } = this.loop.core;
    let topic = message.topic;
    let due = NEVER;
    if (topic.charCodeAt(0) === 0x24) {
      const delayed = parseDelayedTopic(topic);
      if (delayed !== undefined && delayed !== "malformed") {
        topic = delayed.topic;
        due = after(now, milliseconds(delayed.seconds * 1000));
      }
    }
    const rewrite = this.door.policy.rewritePublish;
    if (rewrite !== undefined) topic = rewrite(this.identity, topic);
    if (this.mountpoint !== "") topic = this.mountpoint + topic;
    const passing = topic === message.topic ? message : message.withTopic(topic);
    passing.publisher = this.#publisher;
    if (due !== NEVER) return gate.askLater(passing, due, this.loop, ticket, since);
    return gate.ask(passing, this.aggregate ?? this.session, this.loop, ticket, since);
  }

  // ---- subscribing

  subscribe(asked: string, options: SubscribeOptions, ticket: Ticket): SubscribeAnswer | Pending {
    const session = this.session;
    if (this.ended) return "unavailable";
    if (session === undefined) return "forbidden";
    const refusal = this.#checkFilter(asked, options.qos);
    if (refusal !== undefined) return refusal;
    const filter = this.#rewritten(asked);
    if (filter === undefined) return "malformed";
    const limit = this.door.policy.limits.subscriptions;
    if (!session.subscriptions.has(filter) && session.subscriptions.size >= limit) return "quota";
    const core = this.loop.core;
    const commits = core.commits;
    if (commits?.failing === true && session.durable) return "unavailable";
    const writes = commits?.writes ?? 0;
    core.sessions.subscribe(session, filter, filter === asked ? options : { ...options, asked });
    if (commits === undefined || commits.writes === writes) return options.qos;
    commits.await(this.loop, ticket, options.qos, writes);
    return "pending";
  }

  unsubscribe(asked: string): boolean {
    if (this.ended || this.session === undefined) return false;
    const filter = this.#rewritten(asked);
    return filter !== undefined && this.loop.core.sessions.unsubscribe(this.session, filter);
  }

  subscriptions(): ReadonlyMap<string, SubscribeOptions> {
    return this.session?.subscriptions ?? NO_SUBSCRIPTIONS;
  }

  retained(asked: string, limit: number): readonly Message[] | Refusal {
    if (this.ended) return "unavailable";
    const refusal = this.#checkFilter(asked, 0);
    if (refusal !== undefined) return refusal;
    const filter = this.#rewritten(asked);
    if (filter === undefined || parseSharedFilter(filter) !== undefined) return "malformed";
    const found = this.loop.core.bus.retained(this.mountpoint + filter, limit);
    if (this.mountpoint === "") return found;
    return found.map((message) => message.withTopic(message.topic.slice(this.mountpoint.length)));
  }

  /** Rules speak of filters as devices name them: they are asked before rewrite and mountpoint. */
  #checkFilter(filter: string, qos: QoS): Refusal | undefined {
    const shared = parseSharedFilter(filter);
    if (shared === "malformed") return "malformed";
    const plain = shared?.filter ?? filter;
    if (topicFilterProblem(plain) !== undefined) return "malformed";
    if (topicLevels(plain) > this.door.policy.limits.topicLevels) return "quota";
    return this.door.policy.maySubscribe(this.identity, filter, qos) ? undefined : "forbidden";
  }

  /** Undefined when a rewrite rule makes of a filter what is none. */
  #rewritten(asked: string): string | undefined {
    const rewrite = this.door.policy.rewriteSubscribe;
    if (rewrite === undefined) return asked;
    // Rules speak of topics: in a shared subscription the filter is meant, not what says who shares it.
    const prefix = sharedPrefix(asked);
    const inner = asked.slice(prefix.length);
    const filter = rewrite(this.identity, inner);
    if (filter === inner) return asked;
    // A rule may share what the client did not.
    const shared = parseSharedFilter(prefix + filter);
    if (shared === "malformed" || (prefix !== "" && sharedPrefix(filter) !== "")) return undefined;
    return topicFilterProblem(shared?.filter ?? filter) === undefined ? prefix + filter : undefined;
  }

  // ---- deliveries

  deliver(delivery: Delivery): void {
    this.loop.deliver(this, delivery);
  }

  get held(): boolean {
    return this.loop.held;
  }

  flush(): void {
    this.session?.flush();
  }

  credit(window: number): void {
    if (!this.ended) this.session?.credit(window);
  }

  settle(id: DeliveryId, outcome: Outcome): void {
    if (!this.ended) this.session?.settle(id, outcome);
  }

  /** The channel failed: at this delivery, or at something else while it had deliveries that are not settled. */
  failed(at: DeliveryId | undefined): void {
    const given = this.ended ? undefined : this.session?.failed(at);
    if (given === undefined) return;
    const { topic, failures } = given;
    this.loop.note({ level: "warn", event: "delivery-dead", detail: { topic, failures } });
  }

  received(id: DeliveryId): "accepted" | Pending {
    return this.ended || this.session === undefined ? "accepted" : this.session.received(id);
  }

  published(message: Message): boolean {
    return message.publisher === this.#publisher;
  }

  unsettledQos(id: DeliveryId): QoS | undefined {
    return this.session?.unsettledQos(id);
  }

  get queued(): number {
    return (this.session?.queued ?? 0) + this.waiting;
  }

  get unsettled(): number {
    return this.session?.unsettled ?? 0;
  }

  acceptInbound(packetId: number): Receipt {
    if (this.ended || this.session === undefined) return "full";
    if (this.#writesBefore < 0) this.#writesBefore = this.loop.core.commits?.writes ?? -1;
    return this.session.acceptInbound(packetId);
  }

  get inboundLeft(): number {
    return this.session?.inboundLeft ?? 0;
  }

  releaseInbound(packetId: number): boolean {
    return !this.ended && this.session !== undefined && this.session.releaseInbound(packetId);
  }

  // ---- the session

  setWill(will: Will | undefined): void {
    if (this.ended || this.session === undefined) return;
    this.loop.core.sessions.setWill(
      this.session,
      will === undefined ? undefined : this.door.willOf(this, will),
    );
  }

  setSessionExpiry(expiry: Duration): void {
    if (!this.ended && this.session !== undefined) this.loop.core.sessions.setExpiry(this.session, expiry);
  }

  expectUntil(until: Instant | undefined): void {
    if (!this.ended && this.session !== undefined) this.loop.core.sessions.expect(this.session, until);
  }

  get expectedUntil(): Instant | undefined {
    return this.session?.expectedUntil;
  }

  get memo(): unknown {
    return this.session?.memo;
  }

  remember(memo: unknown): void {
    if (this.ended || this.session === undefined) return;
    this.session.memo = memo;
    this.session.save();
  }

  end(how: Departure): void {
    this.finish(how, how);
  }

  finish(how: Departure, reason: string): void {
    if (this.ended) return;
    this.ended = true;
    this.door.parted(this);
    if (this.session !== undefined) {
      this.loop.core.sessions.leave(this.session, how, this.loop.core.now);
      this.door.disconnected(this, reason);
    }
  }

  /** Another connection takes the session. */
  evict(): void {
    this.loop.stopClient(this, "taken-over");
    // The loop may be closing already, and take no more inputs.
    this.finish("lost", "taken-over");
  }
}
