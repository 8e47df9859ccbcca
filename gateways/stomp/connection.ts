import { parseSharedFilter, topicMatches } from "#core/bus/topic.ts";
import type { Answer, Refusal, Ticket } from "#core/contract/answers.ts";
import type { ChannelHost } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import type { Counter } from "#core/contract/note.ts";
import { earliest, type Instant } from "#core/lib/time.ts";
import { Asks, type Awaiting } from "./asks.ts";
import {
  EOL_BYTE,
  encodeMessage,
  encodeMessageHead,
  encodeReceipt,
  FRAME_END,
  LARGE_BODY,
} from "./codec/encoder.ts";
import { type Frame, receiptOf } from "./codec/frame.ts";
import type { StompConfig } from "./config.ts";
import type { Destinations } from "./destinations.ts";
import type { Version } from "./frames.ts";
import type { HeartBeat } from "./heartbeat.ts";
import { acknowledge } from "./operations/acknowledge.ts";
import { send } from "./operations/send.ts";
import { subscribe } from "./operations/subscribe.ts";
import { abort, begin, commit } from "./operations/transact.ts";
import { unsubscribe } from "./operations/unsubscribe.ts";
import { DEFERRED, DONE, type Outcome, type Problem, problem, refused } from "./problem.ts";
import { type Subscription, Subscriptions } from "./subscriptions.ts";
import { Transactions } from "./transactions.ts";

/** What all connections of a gateway share. */
export interface Settings {
  readonly config: StompConfig;
  readonly destinations: Destinations;
  readonly counters: {
    readonly messages: Counter;
    readonly acknowledged: Counter;
    readonly returned: Counter;
    readonly errors: Counter;
  };
}

export interface Login {
  readonly version: Version;
  readonly client: Client;
  /** Unique among connections: in CONNECTED, and the beginning of every message id. */
  readonly session: string;
  /** As the client named itself; undefined when it did not, and then it cannot have durable subscriptions. */
  readonly clientId: string | undefined;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  readonly heart: HeartBeat;
}

/** A connection that has logged in: its subscriptions, its transactions, and what it waits for. */
export class Connection {
  readonly settings: Settings;
  readonly host: ChannelHost;
  readonly login: Login;
  readonly asks: Asks;
  readonly transactions: Transactions;
  now: Instant;
  /** Set when something went wrong outside of a frame's own processing. */
  failure: { readonly problem: Problem; readonly receipt: Uint8Array | undefined } | undefined = undefined;
  readonly #large: boolean;
  /** Made for the first SUBSCRIBE: many connections only send. */
  #subscriptions: Subscriptions | undefined = undefined;

  constructor(settings: Settings, host: ChannelHost, login: Login, now: Instant) {
    this.settings = settings;
    this.host = host;
    this.login = login;
    this.asks = new Asks(host, login.client, settings.config.limits.pendingSends);
    this.transactions = new Transactions(settings.config.limits);
    this.now = now;
    // A WebSocket message is a frame; on a stream a large body need not be copied into one.
    this.#large = host.peer.transport === "tcp" || host.peer.transport === "tls";
  }

  get version(): Version {
    return this.login.version;
  }

  get client(): Client {
    return this.login.client;
  }

  get session(): string {
    return this.login.session;
  }

  get subscriptions(): Subscriptions {
    this.#subscriptions ??= new Subscriptions();
    return this.#subscriptions;
  }

  /** Open and draining subscriptions, for operators. */
  get openSubscriptions(): readonly Subscription[] {
    return [...(this.#subscriptions?.all() ?? [])];
  }

  // ---- frames from the client

  handle(frame: Frame): void {
    const told = this.client.told;
    this.asks.told = told;
    this.#concludeOnceKept(this.#process(frame), receiptOf(frame), told);
  }

  #process(frame: Frame): Outcome {
    switch (frame.command) {
      case "SEND":
        return send(frame, this);
      case "ACK":
      case "NACK":
        return acknowledge(frame, this);
      case "SUBSCRIBE":
        return subscribe(frame, this);
      case "UNSUBSCRIBE":
        return unsubscribe(frame, this);
      case "BEGIN":
        return begin(frame, this);
      case "COMMIT":
        return commit(frame, this);
      case "ABORT":
        return abort(frame, this);
      case "CONNECT":
      case "STOMP":
        return problem("already connected", `${frame.command} came a second time.`);
      case "DISCONNECT":
        return DONE;
    }
  }

  /**
   * A receipt says that a frame was processed, so it waits for the store too: an ended subscription stays ended, and a
   * dead letter is kept. Only what an ACK settled may come again after a crash, as it may after a lost connection.
   */
  #concludeOnceKept(outcome: Outcome, receipt: Uint8Array | undefined, since: number): void {
    if (outcome === DONE && receipt !== undefined && this.failure === undefined) {
      if (this.asks.isKeptLater(since, new AwaitingStore(receipt.slice()))) return;
    }
    this.conclude(outcome, receipt);
  }

  /** For the receipt of DISCONNECT, which speaks for all frames before it, with or without a receipt. */
  awaitAll(): void {
    this.asks.isKeptLater(0, new AwaitingStore(undefined));
  }

  /** Answers a frame: RECEIPT if it was processed and asked for one, nothing yet, or ERROR. */
  conclude(outcome: Outcome, receipt: Uint8Array | undefined): void {
    if (outcome === DEFERRED) return;
    if (outcome !== DONE) this.failure ??= { problem: outcome, receipt };
    else if (receipt !== undefined && this.failure === undefined) this.write(encodeReceipt(receipt));
  }

  write(bytes: Uint8Array): void {
    this.host.send(bytes);
    this.login.heart.sent(this.now);
  }

  // ---- answers of the core

  answered(ticket: Ticket, answer: Answer): void {
    const awaiting = this.asks.takeAwaiting(ticket);
    if (awaiting === undefined) return;
    const told = this.client.told;
    this.asks.told = told;
    const outcome = awaiting.answered(answer);
    if (awaiting instanceof AwaitingStore) this.conclude(outcome, awaiting.receipt);
    else this.#concludeOnceKept(outcome, awaiting.receipt, told);
  }

  connected(ticket: Ticket, answer: ConnectAnswer): void {
    const awaiting = this.asks.takeOpening(ticket);
    if (awaiting === undefined) return;
    const told = awaiting.told ?? this.client.told;
    this.asks.told = told;
    this.#concludeOnceKept(awaiting.connected(answer), awaiting.receipt, told);
  }

  // ---- messages to the client

  deliver(client: Client, delivery: Delivery): void {
    if (client === this.client) this.#deliverShared(delivery);
    else {
      const subscription = this.subscriptions.ofClient(client);
      if (subscription !== undefined) this.#deliverOwn(subscription, delivery);
    }
  }

  #deliverOwn(subscription: Subscription, delivery: Delivery): void {
    if (this.#isEcho(subscription, delivery)) {
      if (delivery.id !== 0) subscription.client.settle(delivery.id, "done");
      return;
    }
    if (subscription.acknowledges && subscription.full) {
      subscription.hold(delivery);
      return;
    }
    this.sendMessage(subscription, delivery);
    // STOMP 1.2 SUBSCRIBE ack Header: with `auto`, sent is received.
    if (!subscription.acknowledges && delivery.id !== 0) subscription.client.settle(delivery.id, "done");
  }

  /** Acknowledgements made room: what was held goes out first, then the core is asked for more. */
  refill(subscription: Subscription): void {
    for (let held = subscription.nextHeld(); held !== undefined; held = subscription.nextHeld()) {
      this.sendMessage(subscription, held);
    }
    subscription.refill();
  }

  /** One delivery to every subscription whose filter matched it. */
  #deliverShared(delivery: Delivery): void {
    const identifiers = delivery.subscriptionIds;
    for (let index = 0; index < identifiers.length; index++) {
      const shared = this.subscriptions.identified(identifiers[index] as number);
      for (const member of shared?.members ?? []) this.#deliverTo(member, delivery);
    }
    if (identifiers.length === 0) this.#deliverByFilter(delivery);
    if (delivery.id !== 0) this.client.settle(delivery.id, "done");
  }

  /** A bus that does not say which subscriptions matched. */
  #deliverByFilter(delivery: Delivery): void {
    for (const shared of this.subscriptions.filters()) {
      if (!filterMatches(shared.filter, delivery.topic)) continue;
      for (const member of shared.members) this.#deliverTo(member, delivery);
    }
  }

  #deliverTo(member: Subscription, delivery: Delivery): void {
    if (!this.#isEcho(member, delivery)) this.sendMessage(member, delivery);
  }

  #isEcho(subscription: Subscription, { message }: Delivery): boolean {
    return subscription.options.noLocal && this.client.published(message);
  }

  /** Writes a MESSAGE, and remembers it if it is to be acknowledged. */
  sendMessage(subscription: Subscription, delivery: Delivery): void {
    const sequence = subscription.nextSequence();
    const { envelope } = subscription.options;
    const { payload } = delivery.message;
    this.settings.counters.messages.value++;
    if (this.#large && payload.length >= LARGE_BODY) {
      this.write(encodeMessageHead(delivery, envelope, sequence));
      this.host.sendView(payload);
      this.host.send(FRAME_END);
    } else this.write(encodeMessage(delivery, envelope, sequence));
    if (subscription.acknowledges) subscription.keep(sequence, delivery);
  }

  // ---- time, and the end

  get deadline(): Instant {
    const { heart } = this.login;
    return earliest(this.transactions.deadline, earliest(heart.sendDue, heart.lostAt));
  }

  /** Sends a heart-beat that is due, and finds what has taken too long. */
  wake(now: Instant): void {
    this.now = now;
    const { heart } = this.login;
    if (this.host.paused === true) this.#bePatient(now);
    if (heart.lostAt <= now) {
      this.failure ??= { problem: problem("heart-beat missed"), receipt: undefined };
      this.client.end("silent", "heart-beat missed");
    }
    const late = this.transactions.expired(now);
    if (late !== undefined) {
      const why = problem("transaction timed out", `${late.name} was not committed in time.`);
      this.failure ??= { problem: why, receipt: undefined };
    }
    if (this.failure === undefined && heart.sendDue <= now) this.write(EOL_BYTE);
  }

  /** A client that is not read from, because of its rate or a backlog towards it, is neither silent nor late. */
  #bePatient(now: Instant): void {
    this.login.heart.heard(now);
    this.transactions.postpone(now);
  }

  /** Ends an unsubscribed subscription as soon as nothing of it is unacknowledged. */
  endIfDrained(subscription: Subscription): void {
    if (subscription.unacknowledged.size === 0) this.endSubscription(subscription);
  }

  /** What is unacknowledged goes back to the queue. */
  endSubscription(subscription: Subscription): void {
    this.subscriptions.remove(subscription);
    subscription.clear();
    if (subscription.client !== this.client) subscription.client.end("closed");
  }

  /** An orderly end: transactions are aborted, what is unacknowledged goes back. */
  end(): void {
    this.transactions.clear();
    for (const subscription of [...this.subscriptions.all()]) this.endSubscription(subscription);
    this.client.end("closed");
  }
}

function filterMatches(filter: string, topic: string): boolean {
  const shared = parseSharedFilter(filter);
  return topicMatches(typeof shared === "object" ? shared.filter : filter, topic);
}

/** A frame that was processed, and whose traces the store has not committed yet. */
class AwaitingStore implements Awaiting {
  readonly receipt: Uint8Array | undefined;

  constructor(receipt: Uint8Array | undefined) {
    this.receipt = receipt;
  }

  answered(answer: Answer): Outcome {
    return answer === "accepted" ? DONE : refused(answer as Refusal, "keeping what was processed");
  }
}
