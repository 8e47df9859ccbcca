import type { Grant, Lent, Pace } from "../bus/bus.ts";
import type { Message, QoS } from "../bus/message.ts";
import type { DeliveryId, Outcome } from "../contract/delivery.ts";
import { NEVER } from "../lib/time.ts";
import { paceOf } from "./back-pressure.ts";
import { type Deletion, isCrowded, type Occupant, type Wait } from "./context.ts";
import type { SessionJournal } from "./journal.ts";
import { Outgoing, unsent, waitingId } from "./outgoing.ts";
import { Redelivery } from "./redelivery.ts";
import { Replays } from "./replay.ts";
import { SessionState } from "./session-state.ts";
import type { Window } from "./window.ts";

/**
 * One client's session. It outlives connections. No I/O: while a client is connected it has an occupant, to whom it hands
 * deliveries; `credit` says how many of QoS 1 and 2 may be unsettled at one time.
 */
export class Session extends SessionState {
  onRoom: (() => void) | undefined = undefined;
  #credit = 0;
  #replays: Replays | undefined = undefined;
  /** QoS 2 deliveries that are kept since the transport became busy. */
  #ready: Outgoing[] | undefined = undefined;
  #again: Redelivery | undefined = undefined;
  /** A channel failed, and what was out may be why: it is handed out again one by one, so that a failure tells. */
  #oneByOne = false;
  #flushing = false;
  pace: Pace = "in-time";

  override get available(): boolean {
    return this.#open && this.queued === 0 && this.unsettled < this.#credit && !isCrowded(this.occupant!);
  }

  /** Its queue has become longer or shorter, or nobody reads from it any more. */
  #keepPace(): void {
    const { occupant, pace } = this;
    const reads = occupant !== undefined && this.#credit > 0 && occupant.loop?.line?.paused !== true;
    const next = paceOf(pace, this.queue, reads);
    if (next === pace) return;
    const { pressure, clock } = this.context;
    if (next === "crowded" && pressure?.begin(this, clock.now()) !== true) return;
    this.pace = next;
    if (pace === "crowded") pressure?.end(this);
  }

  protected override shortened(): void {
    if (this.pace !== "in-time") this.#keepPace();
  }

  override get queued(): number {
    return (this.queue?.length ?? 0) + (this.#replays?.left ?? 0) + (this.#again?.left ?? 0);
  }

  /** Handed to this connection, or to the last one while there is none, and not settled. */
  override get unsettled(): number {
    return (this.window?.size ?? 0) - (this.#again?.left ?? 0);
  }

  override deliver(message: Message, grant: Grant, lent?: Lent): void {
    if (message.expiresAt !== NEVER && message.expiresAt <= this.context.clock.now()) {
      // It has waited elsewhere: with another member of a group, or for its time [MQTT-3.3.2-5].
      this.context.counters.droppedExpired.value++;
      this.lost++;
      this.context.follower?.dropped(this, unsent(message, this), "expired");
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
      (this.queue?.length ?? 0) === 0 &&
      this.#replays === undefined &&
      this.#again === undefined
    ) {
      if (qos === 0) {
        this.context.counters.delivered[0].value++;
        this.occupant!.deliver(delivery);
        this.context.follower?.handed(this, delivery);
        lent?.done();
        return;
      }
      if (this.#mayHand()) {
        this.#hand(delivery);
        return;
      }
    }
    this.#putOff(delivery);
  }

  spared(message: Message): void {
    this.context.follower?.dropped(this, unsent(message, this), "no-local");
  }

  /** Retained messages for a new subscription; they go out with RETAIN set [MQTT-3.3.1-8]. */
  replay(filter: string, messages: Iterator<Message>, grant: Grant): void {
    this.#replays ??= new Replays(this, this.context.turns);
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
    const { window } = this;
    if (window === undefined || window.size === 0) this.#oneByOne = false;
    else this.#again = new Redelivery(window);
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
    this.#again?.end();
    this.#again = undefined;
    const replays = this.#replays;
    this.#replays = undefined;
    if (!this.durable) return;
    if (replays !== undefined) this.#keepReplays(replays);
    this.window?.keep();
    if (!this.context.options.queueQos0 && this.queue !== undefined) {
      this.context.counters.droppedAway.value += this.queue.remove((delivery) => delivery.qos === 0).length;
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
      if (this.window?.get(delivery.id) === delivery) this.occupant?.deliver(delivery);
    }
    while (this.#open) {
      if (isCrowded(this.occupant!)) return;
      if (this.#replays?.mayTake() === false) return;
      const { queue } = this;
      const delivery = this.#nextReplay() ?? queue?.peek();
      if (delivery === undefined) {
        if (this.available) this.onRoom?.();
        return;
      }
      const fromQueue = queue !== undefined && queue.peek() === delivery;
      if (delivery.message.expiresAt !== NEVER && delivery.message.expiresAt <= this.context.clock.now()) {
        if (fromQueue) queue.shift();
        this.context.counters.droppedExpired.value++;
        this.lost++;
        this.tellDropped(delivery, "expired");
        this.finish(delivery);
        continue;
      }
      if (delivery.qos > 0 && !this.#mayHand()) {
        if (!fromQueue) this.#replays!.putBack();
        return;
      }
      if (fromQueue) queue.shift();
      if (delivery.qos === 0) {
        this.context.counters.delivered[0].value++;
        this.occupant!.deliver(delivery);
        this.context.follower?.handed(this, delivery);
      } else {
        this.#hand(delivery);
      }
    }
  }

  /** False while some of them have still to wait. */
  #handAgain(again: Redelivery): boolean {
    for (let next = again.next(); next !== undefined; next = again.next()) {
      // One that never went out, because the store has not kept its id yet, lets nothing overtake it.
      if (!this.#open || next.held || this.unsettled >= (this.#oneByOne ? 1 : this.#credit)) return false;
      this.#again?.taken(next);
      next.duplicate = true;
      this.occupant!.deliver(next);
    }
    if (this.#oneByOne && this.unsettled > 0) return false;
    this.#oneByOne = false;
    if (this.#again === again) this.#again = undefined;
    return true;
  }

  /** False: there is none of this id. */
  settle(id: DeliveryId, outcome: Outcome): boolean {
    const delivery = this.window?.remove(id);
    if (delivery === undefined) return false;
    this.context.watch?.settled(this, delivery, outcome);
    this.context.follower?.settled(this, delivery, outcome);
    this.#again?.taken(delivery);
    if (outcome === "again") {
      // Not handed out in the same breath: the client has just said that it cannot take it.
      this.giveBack(delivery);
      return true;
    }
    this.context.counters[outcome === "done" ? "settled" : "dead"].value++;
    this.finish(delivery);
    if (
      (this.queue?.length ?? 0) > 0 ||
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
    const { window } = this;
    if (window === undefined || window.size === 0) return undefined;
    this.#oneByOne = true;
    const culprit = (at === undefined ? undefined : window.get(at)) ?? this.#onlyOneOut(window);
    if (culprit === undefined || ++culprit.failures < this.context.options.failuresMax) return undefined;
    window.remove(culprit.id);
    this.#again?.taken(culprit);
    this.context.counters.dead.value++;
    this.lost++;
    this.finish(culprit);
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
    const delivery = this.window?.get(id);
    if (delivery === undefined || delivery.qos !== 2) return "accepted";
    this.#again?.taken(delivery);
    if (delivery.stage === "release") return delivery.held ? "pending" : "accepted";
    delivery.stage = "release";
    const { journal } = this;
    if (journal === undefined) return "accepted";
    journal.moved(delivery);
    // Released before that is kept, a crash in between would send the message a second time.
    this.#handOnceKept(delivery, journal);
    return "pending";
  }

  /** What waits to be handed out again does not count: this connection has not seen it. */
  unsettledQos(id: DeliveryId): QoS | undefined {
    const delivery = this.window?.get(id);
    return delivery === undefined || delivery.again ? undefined : delivery.qos;
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
    this.context.counters.droppedDeleted.value++;
    this.lost++;
    this.tellDropped(delivery, "deleted");
    if (!queued && delivery.qos === 2) {
      this.owesRelease(delivery);
    } else {
      if (queued) this.queue!.remove((one) => one === delivery);
      else this.window!.remove(delivery.id);
      this.#again?.taken(delivery);
      this.finish(delivery);
    }
    this.flush();
    return "deleted";
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
    const { window } = this;
    if (window === undefined) return true;
    const { bytes } = this.context.options.queue;
    return this.unsettled < this.#credit && !window.full && (window.bytes < bytes || window.size === 0);
  }

  #hand(delivery: Outgoing): void {
    this.enterWindow(delivery);
    const { journal } = this;
    if (delivery.qos === 2 && journal !== undefined) this.#handOnceKept(delivery, journal);
    else this.occupant!.deliver(delivery);
  }

  /**
   * A client that has seen a QoS 2 message under an id that a crash makes us forget would get it a second time
   * under another: it goes out when message and id are kept, and its release when that step is.
   */
  #handOnceKept(delivery: Outgoing, journal: SessionJournal): void {
    delivery.held = true;
    journal.whenKept(() => {
      delivery.held = false;
      if (this.window?.get(delivery.id) !== delivery) return;
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

  #putOff(delivery: Outgoing): void {
    if (delivery.qos === 0 && this.occupant === undefined && !this.context.options.queueQos0) {
      this.context.counters.droppedAway.value++;
      this.tellDropped(delivery, "away");
      return;
    }
    // A queued message must not hold on to the read buffer that it came in.
    delivery.message = delivery.message.kept();
    const why = this.context.watch === undefined ? undefined : this.#wait;
    const entered = this.enqueue(delivery);
    if (this.pace === "in-time" && this.queue!.nearlyFull) this.#keepPace();
    if (entered && why !== undefined) this.context.watch?.waits(this, delivery, why);
  }

  /** Retained messages that this connection had no credit for are pending for the session (MQTT 5 §4.1). */
  #keepReplays(replays: Replays): void {
    const newer = new Set<string>();
    for (const { topic } of this.queue ?? []) newer.add(topic);
    const queue = this.ownQueue();
    for (const delivery of replays.pending((message) => this.unmounted(message.topic), newer)) {
      if (!queue.fits(delivery.message.weight)) {
        // How many more there are is not worth the walk.
        this.overflowed(1, this.context.clock.now());
        return;
      }
      this.#putOff(delivery);
    }
  }

  #nextReplay(): Outgoing | undefined {
    const delivery = this.#replays?.take((message) => this.unmounted(message.topic));
    if (delivery === undefined) this.#replays = undefined;
    return delivery;
  }
}
