import type { Grant, Lent, Pace, Subscriber } from "../bus/bus.ts";
import type { Message, QoS } from "../bus/message.ts";
import type { DeliveryId, Outcome } from "../contract/delivery.ts";
import { type Duration, type Instant, NEVER } from "../lib/time.ts";
import { Attendance } from "./attendance.ts";
import { paceOf } from "./back-pressure.ts";
import { type Deletion, isCrowded, type Occupant, type SessionContext, type Wait } from "./context.ts";
import type { SessionJournal } from "./journal.ts";
import { giveLentBack, Outgoing, onlyBy, unsent, waitingId } from "./outgoing.ts";
import { Queue } from "./queue.ts";
import { Replays } from "./replay.ts";
import { Window } from "./window.ts";

/**
 * One client's subscriptions, queue and window. It outlives connections. No I/O: while a client is connected
 * it has an occupant, and `credit` says how many QoS 1 and 2 deliveries may be unsettled at one time.
 */
export class Session extends Attendance implements Subscriber {
  /** Its number in the store; 0 while it has none. */
  number = 0;
  /** Its client settled the last delivery within milliseconds: a store need not hurry with the next one. */
  prompt = true;
  /** Deliveries of it may wait in the store for longer than the next one can. */
  patient = false;
  /** Its client, while that is connected. */
  occupant: Occupant | undefined = undefined;
  onRoom: (() => void) | undefined = undefined;
  readonly #context: SessionContext;
  /** Made, as the two below, at the first use: most devices are idle most of the time. */
  #queue: Queue | undefined = undefined;
  #window: Window | undefined = undefined;
  #replays: Replays | undefined = undefined;
  #credit = 0;
  #sequence = 1;
  /** QoS 2 deliveries that are kept since the transport became busy. */
  #ready: Outgoing[] | undefined = undefined;
  /**
   * What an earlier connection was handed and did not settle, newest first: it goes out again before all else, and no
   * faster than this connection's credit allows [MQTT-3.3.4-9].
   */
  #again: Outgoing[] | undefined = undefined;
  /** How many of the window those are. */
  #againLeft = 0;
  /** A channel failed, and what was out may be why: it is handed out again one by one, so that a failure tells. */
  #oneByOne = false;
  #flushing = false;
  pace: Pace = "in-time";

  constructor(gateway: string, clientId: string, expiry: Duration, context: SessionContext) {
    super(gateway, clientId, expiry, context.memory);
    this.#context = context;
  }

  get available(): boolean {
    return this.#open && this.queued === 0 && this.unsettled < this.#credit && !isCrowded(this.occupant!);
  }

  /** Its queue has become longer or shorter, or nobody reads from it any more. */
  #keepPace(): void {
    const { occupant, pace } = this;
    const reads = occupant !== undefined && this.#credit > 0 && occupant.loop?.line?.paused !== true;
    const next = paceOf(pace, this.#queue, reads);
    if (next === pace) return;
    const { pressure, clock } = this.#context;
    if (next === "crowded" && pressure?.begin(this, clock.now()) !== true) return;
    this.pace = next;
    if (pace === "crowded") pressure?.end(this);
  }

  override get queued(): number {
    return (this.#queue?.length ?? 0) + (this.#replays?.left ?? 0) + this.#againLeft;
  }

  override get queue(): Queue | undefined {
    return this.#queue;
  }

  /** Handed to this connection, or to the last one while there is none, and not settled. */
  override get unsettled(): number {
    return (this.#window?.size ?? 0) - this.#againLeft;
  }

  deliver(message: Message, grant: Grant, lent?: Lent): void {
    if (message.expiresAt !== NEVER && message.expiresAt <= this.#context.clock.now()) {
      // It has waited elsewhere: with another member of a group, or for its time [MQTT-3.3.2-5].
      this.#context.counters.droppedExpired.value++;
      this.lost++;
      this.#context.follower?.dropped(this, unsent(message, this), "expired");
      lent?.done();
      return;
    }
    const qos = message.qos < grant.qos ? message.qos : grant.qos;
    const delivery = new Outgoing(
      message,
      this.mountpoint === "" ? message.topic : this.unmounted(message.topic),
      qos,
      message.retain && grant.retainAsPublished,
      grant.identifiers,
      grant.group,
    );
    delivery.lent = lent;
    if (
      this.#open &&
      (this.#queue?.length ?? 0) === 0 &&
      this.#replays === undefined &&
      this.#again === undefined
    ) {
      if (qos === 0) {
        this.#context.counters.delivered[0].value++;
        this.occupant!.deliver(delivery);
        this.#context.follower?.handed(this, delivery);
        lent?.done();
        return;
      }
      if (this.#mayHand()) {
        this.#hand(delivery);
        return;
      }
    }
    this.#enqueue(delivery);
  }

  spared(message: Message): void {
    this.#context.follower?.dropped(this, unsent(message, this), "no-local");
  }

  /** Retained messages for a new subscription; they go out with RETAIN set [MQTT-3.3.1-8]. */
  replay(filter: string, messages: Iterator<Message>, grant: Grant): void {
    this.#replays ??= new Replays(this, this.#context.turns);
    this.#replays.add(filter, messages, grant);
    if (this.#replays.left === 0) this.#replays = undefined;
    else this.flush();
  }

  /** The client does not want them any more [MQTT-3.10.4-2]. */
  endReplay(filter: string): void {
    this.#replays?.drop(filter);
  }

  attach(occupant: Occupant, credit: number): void {
    this.occupant = occupant;
    this.#credit = credit;
    if (this.unsettled === 0) {
      this.#oneByOne = false;
    } else {
      this.#again = this.#window!.inOrder().reverse();
      this.#againLeft = this.#again.length;
      for (const delivery of this.#again) delivery.again = true;
    }
    this.flush();
  }

  /** The client is gone. What it had not settled stays in the window and is handed out again on resume. */
  detach(): void {
    // Made now, a last time, by whoever makes it.
    this.memo = this.memo;
    this.occupant = undefined;
    this.#credit = 0;
    if (this.pace !== "in-time") this.#keepPace();
    this.#ready = undefined;
    for (const delivery of this.#again ?? []) delivery.again = false;
    this.#again = undefined;
    this.#againLeft = 0;
    const replays = this.#replays;
    this.#replays = undefined;
    if (!this.durable) return;
    if (replays !== undefined) this.#keepReplays(replays);
    this.#window?.keep();
    if (!this.#context.options.queueQos0 && this.#queue !== undefined) {
      this.#context.counters.droppedAway.value += this.#queue.remove((delivery) => delivery.qos === 0).length;
    }
  }

  credit(window: number): void {
    const raised = window > this.#credit;
    this.#credit = window;
    if (raised) this.flush();
    else if (this.pace !== "in-time") this.#keepPace();
  }

  /**
   * Hands out what waits, as long as there is credit and the transport takes it: first, after a resume, what was
   * handed out before and never settled [MQTT-4.4.0-1].
   */
  flush(): void {
    // Asked for by a client that settles within its delivery: the loop below comes to it anyway.
    if (this.#flushing) return;
    this.#flushing = true;
    try {
      this.#handOut();
    } finally {
      this.#flushing = false;
    }
    if (this.pace !== "in-time") this.#keepPace();
  }

  #handOut(): void {
    if (this.#again !== undefined && !this.#handAgain(this.#again)) return;
    for (const delivery of this.#open ? (this.#ready?.splice(0) ?? []) : []) {
      if (this.#window?.get(delivery.id) === delivery) this.occupant?.deliver(delivery);
    }
    while (this.#open) {
      if (isCrowded(this.occupant!)) return;
      if (this.#replays?.mayTake() === false) return;
      const queue = this.#queue;
      const delivery = this.#nextReplay() ?? queue?.peek();
      if (delivery === undefined) {
        if (this.available) this.onRoom?.();
        return;
      }
      const fromQueue = queue !== undefined && queue.peek() === delivery;
      if (delivery.message.expiresAt !== NEVER && delivery.message.expiresAt <= this.#context.clock.now()) {
        if (fromQueue) queue.shift();
        this.#context.counters.droppedExpired.value++;
        this.lost++;
        this.#context.watch?.dropped(this, delivery, "expired");
        this.#context.follower?.dropped(this, delivery, "expired");
        this.#finish(delivery);
        continue;
      }
      if (delivery.qos > 0 && !this.#mayHand()) {
        if (!fromQueue) this.#replays!.putBack();
        return;
      }
      if (fromQueue) queue.shift();
      if (delivery.qos === 0) {
        this.#context.counters.delivered[0].value++;
        this.occupant!.deliver(delivery);
        this.#context.follower?.handed(this, delivery);
      } else {
        this.#hand(delivery);
      }
    }
  }

  /** False while some of them have still to wait. */
  #handAgain(again: Outgoing[]): boolean {
    for (let next = again.at(-1); next !== undefined; next = again.at(-1)) {
      if (next.again) {
        // One that never went out, because the store has not kept its id yet, lets nothing overtake it.
        if (!this.#open || next.held || this.unsettled >= (this.#oneByOne ? 1 : this.#credit)) return false;
        this.#noMoreAgain(next);
        next.duplicate = true;
        this.occupant!.deliver(next);
      }
      again.pop();
    }
    if (this.#oneByOne && this.unsettled > 0) return false;
    this.#oneByOne = false;
    if (this.#again === again) this.#again = undefined;
    return true;
  }

  /** This connection has it, or has settled what it had of an earlier one. */
  #noMoreAgain(delivery: Outgoing): void {
    if (!delivery.again) return;
    delivery.again = false;
    this.#againLeft--;
  }

  /** False: there is none of this id. */
  settle(id: DeliveryId, outcome: Outcome): boolean {
    const delivery = this.#window?.remove(id);
    if (delivery === undefined) return false;
    this.#context.watch?.settled(this, delivery, outcome);
    this.#context.follower?.settled(this, delivery, outcome);
    this.#noMoreAgain(delivery);
    if (outcome === "again") {
      // Not handed out in the same breath: the client has just said that it cannot take it.
      this.#giveBack(delivery);
      return true;
    }
    this.#context.counters[outcome === "done" ? "settled" : "dead"].value++;
    this.#finish(delivery);
    if (
      (this.#queue?.length ?? 0) > 0 ||
      this.#replays !== undefined ||
      this.#again !== undefined ||
      this.onRoom !== undefined
    )
      this.flush();
    return true;
  }

  /**
   * The channel failed at a delivery, or at something else while it had some. Returns the one that is given up because
   * that has happened too often; all else is handed out again when the client is back.
   */
  failed(at: DeliveryId | undefined): Outgoing | undefined {
    const window = this.#window;
    if (window === undefined || window.size === 0) return undefined;
    this.#oneByOne = true;
    const culprit = (at === undefined ? undefined : window.get(at)) ?? this.#onlyOneOut(window);
    if (culprit === undefined || ++culprit.failures < this.#context.options.failuresMax) return undefined;
    window.remove(culprit.id);
    this.#noMoreAgain(culprit);
    this.#context.counters.dead.value++;
    this.lost++;
    this.#finish(culprit);
    return culprit;
  }

  #onlyOneOut(window: Window): Outgoing | undefined {
    return this.unsettled === 1 ? window.inOrder().find(({ again }) => !again) : undefined;
  }

  /**
   * The client has a QoS 2 message: what is due is its release, now (`accepted`) or, where a store keeps that, as a
   * delivery of its own once it is committed.
   */
  received(id: DeliveryId): "accepted" | "pending" {
    const delivery = this.#window?.get(id);
    if (delivery === undefined || delivery.qos !== 2) return "accepted";
    this.#noMoreAgain(delivery);
    if (delivery.stage === "release") return delivery.held ? "pending" : "accepted";
    delivery.stage = "release";
    const journal = this.durable ? this.#context.journal : undefined;
    if (journal === undefined) return "accepted";
    journal.moved(delivery);
    // Released before that is kept, a crash in between would send the message a second time.
    this.#handOnceKept(delivery, journal);
    return "pending";
  }

  /** What waits to be handed out again does not count: this connection has not seen it. */
  unsettledQos(id: DeliveryId): QoS | undefined {
    const delivery = this.#window?.get(id);
    return delivery === undefined || delivery.again ? undefined : delivery.qos;
  }

  acceptInbound(packetId: number): "new" | "duplicate" | "full" {
    const receipt = this.takeInbound(packetId, this.#context.options.inboundMax);
    if (receipt === "new" && this.durable) this.#context.journal?.inbound(this, packetId, true);
    return receipt;
  }

  releaseInbound(packetId: number): boolean {
    if (!this.dropInbound(packetId)) return false;
    if (this.durable) this.#context.journal?.inbound(this, packetId, false);
    return true;
  }

  /**
   * Gives what is left of shared subscriptions to the other members, and tells the journal. A QoS 2 message
   * that was handed out is not given to anybody else [MQTT-4.8.2-5].
   */
  end(): void {
    const left = [...this.waiting()];
    this.subscriptions.gone();
    this.#window?.clear();
    this.#queue?.clear();
    this.#queue = undefined;
    if (this.pace !== "in-time") this.#keepPace();
    for (const delivery of left) this.#forget(delivery);
    if (this.durable) this.#context.journal?.removed(this);
    this.#share(left);
  }

  /**
   * Drops what waits: it was queued under another mountpoint, and under the new one its topics would be somebody else's;
   * or there is no memory for it. Of a QoS 2 message that was handed out the id is still released: the client may hold it as received.
   */
  drop(counter = this.#context.counters.droppedMoved): void {
    const left = [...this.waiting()].filter(({ qos, id }) => qos < 2 || id === 0);
    for (const delivery of left) {
      if (delivery.id !== 0) this.#window?.remove(delivery.id);
      this.#forget(delivery);
    }
    this.#queue?.clear();
    this.#queue = undefined;
    if (this.pace !== "in-time") this.#keepPace();
    counter.value += left.length;
    for (const delivery of this.#window?.inOrder() ?? []) {
      if (delivery.stage === "release") continue;
      delivery.stage = "release";
      if (this.durable) this.#context.journal?.moved(delivery);
    }
    this.#share(left);
  }

  /** Drops what waits only because of a subscription that it has no more. */
  dropUnsubscribed(filter: string): void {
    const left = this.#queue?.remove(onlyBy(filter, this.subscriptions)) ?? [];
    for (const delivery of left) this.#forget(delivery);
    this.#context.counters.droppedRevoked.value += left.length;
    if (this.pace !== "in-time") this.#keepPace();
    this.#share(left);
  }

  /**
   * Takes one message away from its client. What this connection was handed is not taken back: the client may settle it
   * still, and its id would mean another one (MQTT 5 §2.2.1). Of a QoS 2 message that an earlier one was handed, the id
   * is still released, as in `drop`.
   */
  delete(id: string): Deletion {
    const delivery = [...this.waiting()].find((one) => waitingId(one) === id);
    if (delivery === undefined) return "unknown";
    if (delivery.stage === "release") return "received";
    const queued = delivery.id === 0;
    if (!queued && this.occupant !== undefined && !delivery.again) return "handed-out";
    this.#context.counters.droppedDeleted.value++;
    this.lost++;
    this.#context.watch?.dropped(this, delivery, "deleted");
    this.#context.follower?.dropped(this, delivery, "deleted");
    if (!queued && delivery.qos === 2) {
      delivery.stage = "release";
      if (this.durable) this.#context.journal?.moved(delivery);
    } else {
      if (queued) this.#queue!.remove((one) => one === delivery);
      else this.#window!.remove(delivery.id);
      this.#noMoreAgain(delivery);
      this.#finish(delivery);
    }
    this.flush();
    return "deleted";
  }

  #share(left: readonly Outgoing[]): void {
    giveLentBack(left);
    for (const { group, lent, message, qos, id } of left) {
      if (group === undefined || lent !== undefined || (qos === 2 && id !== 0)) continue;
      this.#context.gate.redeliver(group, id === 0 ? message : message.leftBehind(), this);
    }
  }

  save(): void {
    if (this.durable) this.#context.journal?.saved(this);
  }

  /** Deliveries at QoS 1 and 2: those handed out, and those that wait. */
  get kept(): readonly Outgoing[] {
    return [...this.waiting()].filter(({ qos }) => qos > 0);
  }

  /** Puts back a delivery that a store had kept, in the order of its calls. */
  restore(delivery: Outgoing, id: DeliveryId, sequence: number): void {
    delivery.sequence = sequence;
    if (sequence >= this.#sequence) this.#sequence = sequence + 1;
    if (id === 0 || this.#window?.get(id) !== undefined) {
      // Limits may have become smaller since.
      this.#enter(delivery);
    } else {
      this.#window ??= new Window(this.#context.memory);
      this.#window.put(delivery, id);
    }
  }

  /** Puts a delivery at the end of the queue. False when that cannot be, and it is dropped. */
  #enter(delivery: Outgoing): boolean {
    const { options, clock, counters } = this.#context;
    this.#queue ??= new Queue(options.queue, this.#context.memory);
    const now = clock.now();
    const dropped = this.#queue.push(delivery, now);
    if (this.pace === "in-time" && this.#queue.nearlyFull) this.#keepPace();
    if (dropped.length === 0) return true;
    const expired = dropped.filter(({ message }) => message.expiresAt <= now).length;
    counters.droppedExpired.value += expired;
    this.lost += dropped.length;
    this.#overflowed(dropped.length - expired, now);
    for (const each of dropped) {
      const why = each.message.expiresAt <= now ? "expired" : "full";
      this.#context.watch?.dropped(this, each, why);
      this.#context.follower?.dropped(this, each, why);
      if (each.sequence !== 0) this.#forget(each);
    }
    giveLentBack(dropped);
    return !dropped.includes(delivery);
  }

  #overflowed(dropped: number, now: Instant): void {
    this.#context.counters.droppedFull.value += dropped;
    const unsaid = this.#queue!.lost(dropped, now);
    if (unsaid > 0) this.#context.overflowed?.(this.gateway, this.clientId, unsaid);
  }

  /** Those handed out first; of retained messages that are still to be looked up there is nothing to see. */
  override *waiting(): Generator<Outgoing> {
    yield* this.#window?.inOrder() ?? [];
    yield* this.#queue ?? [];
  }

  get #open(): boolean {
    return this.occupant !== undefined && this.#credit > 0 && !this.occupant.held;
  }

  /** What the next delivery has to wait for. */
  get #wait(): Wait {
    if (this.occupant === undefined) return "away";
    if (this.occupant.held) return "transport";
    if (this.#credit === 0) return "no-credit";
    return this.unsettled >= this.#credit ? "credit-used" : "order";
  }

  #mayHand(): boolean {
    const window = this.#window;
    if (window === undefined) return true;
    const { bytes } = this.#context.options.queue;
    return this.unsettled < this.#credit && !window.full && (window.bytes < bytes || window.size === 0);
  }

  #hand(delivery: Outgoing): void {
    this.#window ??= new Window(this.#context.memory);
    const isNew = delivery.sequence === 0;
    if (isNew) delivery.sequence = this.#sequence++;
    this.#window.add(delivery);
    this.#context.counters.delivered[delivery.qos].value++;
    this.#context.follower?.handed(this, delivery);
    const journal = this.durable ? this.#context.journal : undefined;
    if (journal !== undefined) {
      if (isNew) journal.queued(this, delivery);
      else journal.moved(delivery);
      // It is kept here now.
      delivery.lent?.done();
      delivery.lent = undefined;
      if (delivery.qos === 2) {
        this.#handOnceKept(delivery, journal);
        return;
      }
    }
    this.occupant!.deliver(delivery);
  }

  /**
   * A client that has seen a QoS 2 message under an id that a crash makes us forget would get it a second time
   * under another: it goes out when message and id are kept, and its release when that step is.
   */
  #handOnceKept(delivery: Outgoing, journal: SessionJournal): void {
    delivery.held = true;
    journal.whenKept(() => {
      delivery.held = false;
      if (this.#window?.get(delivery.id) !== delivery) return;
      if (delivery.again) {
        this.flush();
      } else if (this.#open) {
        this.occupant!.deliver(delivery);
      } else if (this.occupant !== undefined) {
        this.#ready ??= [];
        this.#ready.push(delivery);
      }
    });
  }

  /** True when all that was unsettled has been settled. */
  #enqueue(delivery: Outgoing): void {
    if (delivery.qos === 0 && this.occupant === undefined && !this.#context.options.queueQos0) {
      this.#context.counters.droppedAway.value++;
      this.#context.watch?.dropped(this, delivery, "away");
      this.#context.follower?.dropped(this, delivery, "away");
      return;
    }
    // A queued message must not hold on to the read buffer that it came in.
    delivery.message = delivery.message.kept();
    const why = this.#context.watch === undefined ? undefined : this.#wait;
    if (!this.#enter(delivery)) return;
    if (why !== undefined) this.#context.watch?.waits(this, delivery, why);
    delivery.sequence = this.#sequence++;
    if (delivery.qos === 0) return;
    if (this.durable) this.#context.journal?.queued(this, delivery);
  }

  #giveBack(delivery: Outgoing): void {
    delivery.duplicate = true;
    delivery.id = 0 as DeliveryId;
    delivery.stage = "publish";
    this.#queue ??= new Queue(this.#context.options.queue, this.#context.memory);
    this.#queue.unshift(delivery);
    if (this.durable) this.#context.journal?.moved(delivery);
  }

  #finish(delivery: Outgoing): void {
    this.#forget(delivery);
    delivery.lent?.done();
  }

  #forget(delivery: Outgoing): void {
    if (delivery.qos > 0 && this.durable) this.#context.journal?.settled(this, delivery);
  }

  /** Retained messages that this connection had no credit for are pending for the session (MQTT 5 §4.1). */
  #keepReplays(replays: Replays): void {
    const newer = new Set<string>();
    for (const { topic } of this.#queue ?? []) newer.add(topic);
    this.#queue ??= new Queue(this.#context.options.queue, this.#context.memory);
    for (const delivery of replays.pending((message) => this.unmounted(message.topic), newer)) {
      if (!this.#queue.fits(delivery.message.weight)) {
        // How many more there are is not worth the walk.
        this.#overflowed(1, this.#context.clock.now());
        return;
      }
      this.#enqueue(delivery);
    }
  }

  #nextReplay(): Outgoing | undefined {
    const delivery = this.#replays?.take((message) => this.unmounted(message.topic));
    if (delivery === undefined) this.#replays = undefined;
    return delivery;
  }
}
