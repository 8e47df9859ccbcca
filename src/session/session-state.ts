import type { Grant, Lent, Subscriber } from "../bus/bus.ts";
import type { Message } from "../bus/message.ts";
import type { DeliveryId } from "../contract/delivery.ts";
import type { Duration, Instant } from "../lib/time.ts";
import { Attendance } from "./attendance.ts";
import type { Drop, Occupant, SessionContext } from "./context.ts";
import type { SessionJournal } from "./journal.ts";
import { giveLentBack, type Outgoing, onlyBy } from "./outgoing.ts";
import { Queue } from "./queue.ts";
import { Window } from "./window.ts";

/**
 * Session State (MQTT 5 §4.1): what waits for the client, what it was handed and has not settled, the inbound ids, and
 * what a store is told of them. When something goes out is the `Session`'s.
 */
export abstract class SessionState extends Attendance implements Subscriber {
  /** Its number in the store; 0 while it has none. */
  number = 0;
  /** Its client settled the last delivery within milliseconds: a store need not hurry with the next one. */
  prompt = true;
  /** Deliveries of it may wait in the store for longer than the next one can. */
  patient = false;
  /** Its client, while that is connected. */
  occupant: Occupant | undefined = undefined;
  protected readonly context: SessionContext;
  /** Made, as the window, at the first use: most devices are idle most of the time. */
  #queue: Queue | undefined = undefined;
  #window: Window | undefined = undefined;
  #sequence = 1;

  constructor(gateway: string, clientId: string, expiry: Duration, context: SessionContext) {
    super(gateway, clientId, expiry, context.memory);
    this.context = context;
  }

  abstract get available(): boolean;
  abstract deliver(message: Message, grant: Grant, lent?: Lent): void;
  /** The queue has become shorter. */
  protected abstract shortened(): void;

  override get queue(): Queue | undefined {
    return this.#queue;
  }

  protected get window(): Window | undefined {
    return this.#window;
  }

  /** The store's, while the session outlives its connection. */
  protected get journal(): SessionJournal | undefined {
    return this.durable ? this.context.journal : undefined;
  }

  /** Those handed out first; of retained messages that are still to be looked up there is nothing to see. */
  override *waiting(): Generator<Outgoing> {
    yield* this.#window?.inOrder() ?? [];
    yield* this.#queue ?? [];
  }

  /** Deliveries at QoS 1 and 2: those handed out, and those that wait. */
  get kept(): readonly Outgoing[] {
    return [...this.waiting()].filter(({ qos }) => qos > 0);
  }

  save(): void {
    this.journal?.saved(this);
  }

  /** Puts back a delivery that a store had kept, in the order of its calls. */
  restore(delivery: Outgoing, id: DeliveryId, sequence: number): void {
    delivery.sequence = sequence;
    if (sequence >= this.#sequence) this.#sequence = sequence + 1;
    if (id === 0 || this.#window?.get(id) !== undefined) {
      // Limits may have become smaller since.
      this.#enter(delivery);
    } else {
      this.#window ??= new Window(this.context.memory);
      this.#window.put(delivery, id);
    }
  }

  acceptInbound(packetId: number): "new" | "duplicate" | "full" {
    const receipt = this.takeInbound(packetId, this.context.options.inboundMax);
    if (receipt === "new") this.journal?.inbound(this, packetId, true);
    return receipt;
  }

  releaseInbound(packetId: number): boolean {
    if (!this.dropInbound(packetId)) return false;
    this.journal?.inbound(this, packetId, false);
    return true;
  }

  protected ownQueue(): Queue {
    this.#queue ??= new Queue(this.context.options.queue, this.context.memory);
    return this.#queue;
  }

  /** Puts a delivery at the end of the queue. False when that cannot be, and it is dropped. */
  protected enqueue(delivery: Outgoing): boolean {
    if (!this.#enter(delivery)) return false;
    delivery.sequence = this.#sequence++;
    if (delivery.qos > 0) this.journal?.queued(this, delivery);
    return true;
  }

  #enter(delivery: Outgoing): boolean {
    const { clock, counters } = this.context;
    const now = clock.now();
    const dropped = this.ownQueue().push(delivery, now);
    if (dropped.length === 0) return true;
    const expired = dropped.filter(({ message }) => message.expiresAt <= now).length;
    counters.droppedExpired.value += expired;
    this.lost += dropped.length;
    this.overflowed(dropped.length - expired, now);
    for (const each of dropped) {
      this.tellDropped(each, each.message.expiresAt <= now ? "expired" : "full");
      if (each.sequence !== 0) this.#forget(each);
    }
    giveLentBack(dropped);
    return !dropped.includes(delivery);
  }

  protected overflowed(dropped: number, now: Instant): void {
    this.context.counters.droppedFull.value += dropped;
    const unsaid = this.#queue!.lost(dropped, now);
    if (unsaid > 0) this.context.overflowed?.(this.gateway, this.clientId, unsaid);
  }

  protected tellDropped(delivery: Outgoing, why: Drop): void {
    this.context.watch?.dropped(this, delivery, why);
    this.context.follower?.dropped(this, delivery, why);
  }

  /** It is to be handed out: from now on it has an id, and is in the window. */
  protected enterWindow(delivery: Outgoing): void {
    this.#window ??= new Window(this.context.memory);
    const isNew = delivery.sequence === 0;
    if (isNew) delivery.sequence = this.#sequence++;
    this.#window.add(delivery);
    this.context.counters.delivered[delivery.qos].value++;
    this.context.follower?.handed(this, delivery);
    const { journal } = this;
    if (journal === undefined) return;
    if (isNew) journal.queued(this, delivery);
    else journal.moved(delivery);
    // It is kept here now.
    delivery.lent?.done();
    delivery.lent = undefined;
  }

  /** To the head of the queue, for another attempt. */
  protected giveBack(delivery: Outgoing): void {
    delivery.duplicate = true;
    delivery.id = 0 as DeliveryId;
    delivery.stage = "publish";
    this.ownQueue().unshift(delivery);
    this.journal?.moved(delivery);
  }

  protected finish(delivery: Outgoing): void {
    this.#forget(delivery);
    delivery.lent?.done();
  }

  #forget(delivery: Outgoing): void {
    if (delivery.qos > 0) this.journal?.settled(this, delivery);
  }

  /** Of a QoS 2 message that is withdrawn the client may hold the id as received: it is still released. */
  protected owesRelease(delivery: Outgoing): void {
    delivery.stage = "release";
    this.journal?.moved(delivery);
  }

  /**
   * Gives what is left of shared subscriptions to the other members, and tells the journal. A QoS 2 message
   * that was handed out is not given to anybody else [MQTT-4.8.2-5].
   */
  end(): void {
    const left = [...this.waiting()];
    this.subscriptions.gone();
    this.#window?.clear();
    this.#clearQueue();
    for (const delivery of left) this.#forget(delivery);
    this.journal?.removed(this);
    this.#share(left);
  }

  /**
   * Drops what waits: it was queued under another mountpoint, and under the new one its topics would be somebody else's;
   * or there is no memory for it.
   */
  drop(counter = this.context.counters.droppedMoved): void {
    const left = [...this.waiting()].filter(({ qos, id }) => qos < 2 || id === 0);
    for (const delivery of left) {
      if (delivery.id !== 0) this.#window?.remove(delivery.id);
      this.#forget(delivery);
    }
    this.#clearQueue();
    counter.value += left.length;
    for (const delivery of this.#window?.inOrder() ?? [])
      if (delivery.stage !== "release") this.owesRelease(delivery);
    this.#share(left);
  }

  #clearQueue(): void {
    this.#queue?.clear();
    this.#queue = undefined;
    this.shortened();
  }

  /** Drops what waits only because of a subscription that it has no more. */
  dropUnsubscribed(filter: string): void {
    const left = this.#queue?.remove(onlyBy(filter, this.subscriptions)) ?? [];
    for (const delivery of left) this.#forget(delivery);
    this.context.counters.droppedRevoked.value += left.length;
    this.shortened();
    this.#share(left);
  }

  #share(left: readonly Outgoing[]): void {
    giveLentBack(left);
    for (const { group, lent, message, qos, id } of left) {
      if (group === undefined || lent !== undefined || (qos === 2 && id !== 0)) continue;
      this.context.gate.redeliver(group, id === 0 ? message : message.leftBehind(), this);
    }
  }
}
