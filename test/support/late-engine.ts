/**
 * An engine that is somewhere else: it asks another one, and every answer that may be pending is, in an order from a
 * seed. What one client asks arrives in its order, as over one connection, and what comes back for it stays in its
 * order but for answers that stand next to each other; clients overtake each other as chance will have it.
 */
import type { Message } from "#core/bus/message.ts";
import type { Answer, Pending, RetainedAnswer, Ticket } from "#core/contract/answers.ts";
import type { SubscribeOptions, Will } from "#core/contract/client.ts";
import type { Delivery, DeliveryId, Outcome } from "#core/contract/delivery.ts";
import type { Duration, Instant } from "#core/lib/time.ts";
import type { Attendance } from "#core/session/attendance.ts";
import type { Deletion, Stopped } from "#core/session/context.ts";
import type {
  EngineClient,
  EngineSession,
  OpenAnswer,
  Opening,
  SessionEngine,
} from "#core/session/engine.ts";
import type { Departure } from "#core/session/sessions.ts";

/** What comes back for one client: an answer, once it is known, or a delivery. */
interface Coming {
  give: (() => void) | undefined;
  readonly delivery: Delivery | undefined;
}

export class LateEngine implements SessionEngine {
  readonly #inner: SessionEngine;
  readonly #random: () => number;
  readonly #defer: (run: () => void) => void;
  /** Sessions that have something on its way, there or back. */
  readonly #busy: LateSession[] = [];
  #armed = false;

  constructor(inner: SessionEngine, random: () => number, defer: (run: () => void) => void) {
    this.#inner = inner;
    this.#random = random;
    this.#defer = defer;
  }

  enter(client: EngineClient, single: boolean): EngineSession {
    return new LateSession(this, this.#inner, client, single);
  }

  refuses(client: EngineClient): boolean {
    return this.#inner.refuses(client);
  }

  aggregate(gateway: string, clientId: string) {
    return this.#inner.aggregate(gateway, clientId);
  }

  absent() {
    return this.#inner.absent();
  }

  grant(attendance: Attendance, filter: string, options: SubscribeOptions): void {
    this.#inner.grant(attendance, filter, options);
  }

  revoke(attendance: Attendance, filter: string): void {
    this.#inner.revoke(attendance, filter);
  }

  proven(attendance: Attendance): void {
    this.#inner.proven?.(attendance);
  }

  deleteWaiting(attendance: Attendance, id: string): Deletion {
    return this.#inner.deleteWaiting?.(attendance, id) ?? "unknown";
  }

  discard(attendance: Attendance): void {
    this.#inner.discard(attendance);
  }

  get watcher() {
    return this.#inner.watcher;
  }

  set watcher(watcher: SessionEngine["watcher"]) {
    this.#inner.watcher = watcher;
  }

  get mayPublishWill() {
    return this.#inner.mayPublishWill;
  }

  set mayPublishWill(may: SessionEngine["mayPublishWill"]) {
    this.#inner.mayPublishWill = may;
  }

  memos(gateway: string) {
    return this.#inner.memos(gateway);
  }

  clearRetained(topic: string): void {
    this.#defer(() => this.#inner.clearRetained(topic));
  }

  lastWord(
    gateway: string,
    clientId: string,
    word: Omit<Will, "delay"> | undefined,
    memo: (memo: unknown) => unknown,
    said: () => void,
  ): void {
    this.#defer(() => this.#inner.lastWord(gateway, clientId, word, memo, () => this.#defer(said)));
  }

  /** One of so many. */
  choose(count: number): number {
    return Math.floor(this.#random() * count);
  }

  /** The session has something to do. */
  wake(session: LateSession): void {
    if (!this.#busy.includes(session)) this.#busy.push(session);
    this.#arm();
  }

  #rest(session: LateSession): void {
    const index = this.#busy.indexOf(session);
    if (index >= 0) this.#busy.splice(index, 1);
  }

  #arm(): void {
    if (this.#armed || this.#busy.length === 0) return;
    this.#armed = true;
    this.#defer(() => {
      this.#armed = false;
      const index = this.choose(this.#busy.length);
      const session = this.#busy[index];
      // What it does may make others move, and this one too.
      if (session?.step() === false) this.#rest(session);
      this.#arm();
    });
  }
}

class LateSession implements EngineSession {
  readonly #engine: LateEngine;
  readonly #client: EngineClient;
  readonly #inner: EngineSession;
  /** Asks on their way to the other engine. */
  readonly #going: (() => void)[] = [];
  readonly #coming: Coming[] = [];
  /** Answers that the other engine owes. */
  readonly #owed = new Map<Ticket, Coming[]>();
  /** Deliveries at QoS 2 that the client has not yet received. */
  readonly #received = new Map<DeliveryId, Delivery>();
  #left = false;
  #credit = 0;

  constructor(engine: LateEngine, inner: SessionEngine, client: EngineClient, single: boolean) {
    this.#engine = engine;
    this.#client = client;
    this.#inner = inner.enter(this.#asClient(client), single);
  }

  /** What the other engine calls back. */
  #asClient(client: EngineClient): EngineClient {
    return {
      gateway: client.gateway,
      sessionId: client.sessionId,
      username: client.username,
      proven: client.proven,
      identity: client.identity,
      mountpoint: client.mountpoint,
      aggregate: client.aggregate,
      get closed() {
        return client.closed;
      },
      get held() {
        return client.held;
      },
      loop: client.loop,
      deliver: (delivery) => this.#deliver(delivery),
      evict: (reason, words, anew) => client.evict(reason, words, anew),
      get said() {
        return client.said;
      },
      answered: (ticket, answer, words) => this.#know(ticket, () => client.answered(ticket, answer, words)),
      found: (ticket, answer) => this.#know(ticket, () => client.found(ticket, answer)),
      opened: (ticket, answer) => this.#know(ticket, () => client.opened(ticket, answer)),
    };
  }

  #know(ticket: Ticket, give: () => void): void {
    const owed = this.#owed.get(ticket);
    const coming = owed?.shift();
    if (owed?.length === 0) this.#owed.delete(ticket);
    if (coming === undefined) throw new Error(`an answer under ${ticket}, which nobody waits for`);
    coming.give = give;
    this.#engine.wake(this);
  }

  #deliver(delivery: Delivery): void {
    if (delivery.qos === 2) this.#received.set(delivery.id, delivery);
    this.#coming.push({ give: () => this.#client.deliver(delivery), delivery });
    this.#engine.wake(this);
  }

  /** Moves one ask or answer on. False when nothing can move. */
  step(): boolean {
    const ready = this.#ready();
    const asks = this.#going.length;
    if (asks === 0 && ready.length === 0) return false;
    const ask = ready.length === 0 || (asks > 0 && this.#engine.choose(2) === 0);
    if (ask) this.#going.shift()?.();
    else {
      const coming = ready[this.#engine.choose(ready.length)] as Coming;
      this.#coming.splice(this.#coming.indexOf(coming), 1);
      coming.give?.();
    }
    return this.#going.length > 0 || this.#ready().length > 0;
  }

  /** What may come next: the first delivery, or any answer before it. */
  #ready(): Coming[] {
    const ready: Coming[] = [];
    for (const coming of this.#coming) {
      if (coming.delivery === undefined) {
        if (coming.give !== undefined) ready.push(coming);
        continue;
      }
      if (ready.length === 0 && !this.#client.held) ready.push(coming);
      break;
    }
    return ready;
  }

  #ask<Given>(ticket: Ticket, ask: () => Given | Pending, give: (answer: Given) => void): Pending {
    const coming: Coming = { give: undefined, delivery: undefined };
    this.#going.push(() => {
      // Its answer comes before what it causes.
      this.#coming.push(coming);
      const owed = this.#owed.get(ticket);
      if (owed === undefined) this.#owed.set(ticket, [coming]);
      else owed.push(coming);
      const answer = ask();
      if (answer !== "pending") this.#know(ticket, () => give(answer as Given));
    });
    this.#engine.wake(this);
    return "pending";
  }

  #answered(ticket: Ticket, ask: () => Answer | Pending): Pending {
    return this.#ask<Answer>(ticket, ask, (answer) => this.#client.answered(ticket, answer));
  }

  // ---- asks

  open(opening: Opening, ticket: Ticket): Pending {
    return this.#ask<OpenAnswer>(
      ticket,
      () => this.#inner.open(opening, ticket),
      (answer) => this.#client.opened(ticket, answer),
    );
  }

  /** What was asked before arrives before; nothing but answers comes any more. */
  leave(how: Departure, stopped?: Stopped): void {
    this.#left = true;
    for (let ask = this.#going.shift(); ask !== undefined; ask = this.#going.shift()) ask();
    this.#inner.leave(how, stopped);
    for (const coming of this.#coming.splice(0)) if (coming.delivery === undefined) this.#coming.push(coming);
  }

  publish(message: Message, ticket: Ticket) {
    // It goes on its way: not with a view of a buffer that is read into again.
    const own = message.kept();
    return this.#submit(own, ticket, () => this.#inner.publish(own, ticket));
  }

  publishLater(message: Message, due: Instant, ticket: Ticket) {
    const own = message.kept();
    return this.#submit(own, ticket, () => this.#inner.publishLater(own, due, ticket));
  }

  #submit({ qos }: Message, ticket: Ticket, ask: () => Answer | Pending): "accepted" | Pending {
    if (qos > 0) return this.#answered(ticket, ask);
    this.#going.push(() => void ask());
    this.#engine.wake(this);
    return "accepted";
  }

  subscribe(filter: string, options: SubscribeOptions, ticket: Ticket): Pending {
    return this.#ask(
      ticket,
      () => this.#inner.subscribe(filter, options, ticket),
      (answer) => this.#client.answered(ticket, answer),
    );
  }

  unsubscribe(filter: string, ticket: Ticket): Pending {
    return this.#ask(
      ticket,
      () => this.#inner.unsubscribe(filter, ticket),
      (answer) => this.#client.answered(ticket, answer),
    );
  }

  retained(filter: string, limit: number, ticket: Ticket): Pending {
    return this.#ask<RetainedAnswer>(
      ticket,
      () => this.#inner.retained(filter, limit, ticket),
      (answer) => this.#client.found(ticket, answer),
    );
  }

  setWill(will: Will | undefined, ticket: Ticket): Pending {
    return this.#answered(ticket, () => this.#inner.setWill(will, ticket));
  }

  get told(): number {
    return this.#inner.told;
  }

  committed(ticket: Ticket, since: number): Pending {
    return this.#answered(ticket, () => this.#inner.committed(ticket, since));
  }

  // ---- what is known here

  get expiry(): Duration | undefined {
    return this.#inner.expiry;
  }

  setExpiry(expiry: Duration): void {
    this.#inner.setExpiry(expiry);
  }

  get attendance() {
    return this.#inner.attendance;
  }

  get expectedUntil(): Instant | undefined {
    return this.#inner.expectedUntil;
  }

  expectUntil(until: Instant | undefined): void {
    this.#inner.expectUntil(until);
  }

  get subscriptions() {
    return this.#inner.subscriptions;
  }

  get memo(): unknown {
    return this.#inner.memo;
  }

  remember(memo: unknown, weight?: number, alias?: string): void {
    this.#inner.remember(memo, weight, alias);
  }

  acceptInbound(packetId: number) {
    return this.#inner.acceptInbound(packetId);
  }

  get publisher(): string {
    return this.#inner.publisher;
  }

  get inboundLeft(): number {
    return this.#inner.inboundLeft;
  }

  releaseInbound(packetId: number): boolean {
    return this.#inner.releaseInbound(packetId);
  }

  // ---- deliveries

  credit(window: number): void {
    this.#credit = window;
    this.#inner.credit(window);
  }

  settle(id: DeliveryId, outcome: Outcome): boolean {
    this.#received.delete(id);
    return this.#inner.settle(id, outcome);
  }

  received(id: DeliveryId): "accepted" | Pending {
    const given = this.#inner.received(id);
    const delivery = this.#received.get(id);
    // Nothing is handed to a client without credit, a release no more than a message.
    if (given === "pending" || delivery === undefined || this.#left || this.#credit === 0) return given;
    this.#deliver(delivery);
    return "pending";
  }

  failed(at: DeliveryId | undefined) {
    return this.#inner.failed(at);
  }

  flush(): void {
    this.#inner.flush();
    if (this.#coming.length > 0) this.#engine.wake(this);
  }

  get queued(): number {
    return this.#inner.queued + this.#coming.filter(({ delivery }) => delivery !== undefined).length;
  }

  unsettledQos(id: DeliveryId) {
    return this.#inner.unsettledQos(id);
  }

  get unsettled(): number {
    return this.#inner.unsettled;
  }

  get uncounted(): number {
    return this.#inner.uncounted;
  }

  /** Answered behind what is on its way, in either direction. */
  handedOut(ticket: Ticket): "accepted" | Pending {
    if (this.#going.length === 0 && this.#coming.length === 0) return this.#inner.handedOut(ticket);
    return this.#answered(ticket, () => this.#inner.handedOut(ticket));
  }

  rest(until: Instant | undefined): void {
    this.#inner.rest(until);
  }
}
