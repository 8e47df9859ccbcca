/**
 * Everything on its way to one client: PUBLISH with the gateway's own repeats, REGISTER before it where the client does
 * not know the topic id yet, and the flush of a sleeper that is awake (MQTT-SN 1.2 §6.10, §6.13, §6.14).
 *
 *   session ─ deliver ─► waiting ─► announced (REGISTER, one at a time) ─► in flight (QoS 1, 2) ─► settled
 *
 * Waiting: behind a REGISTER, while the client sleeps, behind an unacknowledged message of its topic, or while the
 * address has proven nothing and what it may be sent is used up.
 */
import type { Delivery } from "#core/contract/delivery.ts";
import { earliest, type Instant, NEVER } from "#core/lib/time.ts";
import { Announcement, type Fate } from "./announcement.ts";
import type { Downstream } from "./downstream.ts";
import { encodedLength, encodeMessageAck, encodePublish, PUBLISH_FIXED, REGISTER_FIXED } from "./encode.ts";
import { Flush } from "./flush.ts";
import { InFlight } from "./in-flight.ts";
import * as p from "./packets.ts";
import { Proof } from "./proof.ts";
import { idFor } from "./topic-choice.ts";

/** So many may wait for an acknowledgement of their topic before all else waits in the session. */
const HELD_MAX = 16;

/** What downlinks share that have nothing in flight. */
const NONE: InFlight[] = [];

export class Downlink {
  readonly #of: Downstream;
  #mode: "active" | "asleep" | "awake" = "asleep";
  #announcement: Announcement | undefined = undefined;
  #waiting: Delivery[] | undefined = undefined;
  #inFlight: InFlight[] = NONE;
  #proof: Proof | undefined = undefined;
  readonly #flush = new Flush();
  /** How often in a row the client has said of a topic id that it does not know it. */
  #rejections = 0;
  #retryAt: Instant = NEVER;

  constructor(of: Downstream) {
    this.#of = of;
  }

  /** When `wake` is wanted. */
  get deadline(): Instant {
    return this.#retryAt;
  }

  get inFlight(): number {
    return this.#inFlight.length;
  }

  // ---- what the client is doing

  activate(now: Instant): void {
    this.#mode = "active";
    this.#proof = undefined;
    this.#goOn(now);
  }

  /** Awake: all that waits now, and so many that come meanwhile. */
  flush(now: Instant): void {
    const { client, setup } = this.#of;
    this.#mode = "awake";
    this.#proof = undefined;
    this.#flush.begin(client.queued + client.unsettled + client.uncounted + setup.config.sleep.flushExtra);
    this.#goOn(now);
    this.#endFlush(now);
  }

  /** Asleep: nothing is sent any more. What was sent and not acknowledged stays first in line. */
  sleep(): void {
    this.#of.client.credit(0);
    this.#mode = "asleep";
    this.#retryAt = NEVER;
  }

  /** A sign of life, after the message itself was dealt with. */
  heard(now: Instant): void {
    if (this.#proof !== undefined && this.#mode !== "asleep") {
      // What it sends is what it may be sent.
      if (this.#proof.unsent) this.#ask(this.#proof, now);
      this.#sendUnsent(now);
      this.#sendWaiting(now);
      this.#endFlush(now);
    }
    if (this.#retryAt === NEVER && this.#mode === "active") this.#askAgain(now);
  }

  /** `deadline` has come. */
  wake(now: Instant): void {
    if (this.#retryAt > now) return;
    this.#retryAt = NEVER;
    this.#repeatRegister(now);
    if (this.#proof !== undefined) this.#repeatQuestion(this.#proof, now);
    for (const each of this.#inFlight) {
      // A sleeper that answers nothing sleeps again, and is asked no further.
      if (!this.#repeat(each, now)) return;
    }
  }

  // ---- from the session

  deliver(delivery: Delivery, now: Instant): void {
    if (this.#mode === "awake" && this.#flush.take()) this.#of.client.credit(0);
    const waits = this.#mode === "asleep" || this.#announcement !== undefined || this.#waiting !== undefined;
    if (waits || !this.#mayGo(delivery)) {
      this.#waiting ??= [];
      this.#waiting.push(delivery);
      if (waits && this.#mode !== "asleep" && this.#announcement === undefined) this.#sendWaiting(now);
    } else {
      this.#offer(delivery, now);
    }
    this.#endFlush(now);
  }

  // ---- from the client

  puback(packet: p.TopicAck, now: Instant): void {
    if (packet.messageId === 0) {
      // About a message with QoS 0, which is gone; the next on this topic is announced first.
      if (packet.returnCode === p.INVALID_TOPIC_ID) this.#correctQos0(packet.topicId);
      return;
    }
    const found = this.#find(packet.messageId);
    if (found === undefined || found.released) return;
    switch (packet.returnCode) {
      case p.ACCEPTED:
        if (found.delivery.qos === 1) this.#finish(found, "done", now);
        return;
      case p.INVALID_TOPIC_ID:
        this.#correctTopicId(found, now);
        return;
      case p.CONGESTION:
        // The repeat will ask again; the message is not lost.
        return;
      default:
        this.#rejected(found, packet.returnCode, now);
    }
  }

  pubrec({ messageId }: p.MessageAck, now: Instant): void {
    const found = this.#find(messageId);
    if (found !== undefined && found.delivery.qos === 2 && !found.released) {
      found.released = true;
      found.startOver(now, true);
      this.#await(found.dueAt);
      if (this.#of.client.received(found.delivery.id) === "pending") return;
    }
    // Also for an id that is not ours: it ends the client's wait.
    this.#of.send(encodeMessageAck(p.PUBREL, messageId));
    if (this.#waiting !== undefined) this.#sendWaiting(now);
  }

  pubcomp({ messageId }: p.MessageAck, now: Instant): void {
    const found = this.#find(messageId);
    if (found?.released === true) this.#finish(found, "done", now);
  }

  regack(packet: p.TopicAck, now: Instant): void {
    if (this.#proof?.isAnswer(packet) === true) {
      this.#answered(this.#proof, now);
      return;
    }
    const announcement = this.#announcement;
    if (announcement === undefined || announcement.messageId !== packet.messageId) {
      // An answer to no question is a guess.
      this.#of.host.reachability.doubt();
      return;
    }
    const accepted = packet.returnCode === p.ACCEPTED;
    if (accepted && packet.topicId !== announcement.topicId) return;
    const { topics, setup } = this.#of;
    if (accepted) {
      topics.learnt(announcement.topicId);
      if (announcement.delivery.id === 0) this.#rejections = 0;
      this.#publishAnnounced(announcement, now);
      return;
    }
    // The same as an unsubscribe from this one name (§6.10).
    this.#announcement = undefined;
    topics.refused(announcement.topicId);
    setup.counters.refusedTopics.value++;
    this.#discard(announcement.delivery);
    this.#sendWaiting(now);
    this.#endFlush(now);
  }

  /** The client has just asked for this id itself, by SUBSCRIBE or REGISTER: it needs no REGACK to know it. */
  taught(topicId: number, now: Instant): void {
    const announcement = this.#announcement;
    if (announcement?.topicId === topicId) this.#publishAnnounced(announcement, now);
  }

  // ---- in line

  /** First what was sent and not acknowledged, then the rest (§6.14). */
  #goOn(now: Instant): void {
    for (const each of this.#inFlight) {
      each.startOver(now);
      this.#sendAgain(each, now);
    }
    if (this.#announcement === undefined) this.#sendWaiting(now);
    else this.#follow(this.#announcement, this.#announcement.askAfterSleep(now), now);
  }

  #askAgain(now: Instant): void {
    for (const each of this.#inFlight) {
      if (this.#givesUp(each, now)) continue;
      each.startOver(now);
      this.#sendAgain(each, now);
    }
    if (this.#announcement !== undefined) {
      this.#follow(this.#announcement, this.#announcement.askAgain(now), now);
    }
  }

  /** What waited, as far as it may go, in its order; what may not keeps all others of its topic back. */
  #sendWaiting(now: Instant): void {
    if (this.#mode === "asleep" || this.#stopped) return;
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    const kept: Delivery[] = [];
    let next = 0;
    // Until one has to be announced, or is too long for what is left: it stands first in line again.
    while (next < waiting.length && !this.#stopped && this.#waiting === undefined) {
      const delivery = waiting[next++]!;
      const behind = kept.some(({ topic }) => topic === delivery.topic);
      if (behind || !this.#mayGo(delivery)) kept.push(delivery);
      else this.#offer(delivery, now);
    }
    const held: readonly Delivery[] = this.#waiting ?? [];
    const left = [...kept, ...held, ...waiting.slice(next)];
    this.#waiting = left.length > 0 ? left : undefined;
    if (this.#stopped || held.length > 0) return;
    const more = this.#mode === "active" || this.#flush.left > 0;
    this.#of.client.credit(more && left.length < HELD_MAX ? this.#of.setup.config.inFlight : 0);
  }

  /** A question is open, and everything waits for its answer. */
  get #stopped(): boolean {
    return this.#announcement !== undefined || this.#proof?.asking === true;
  }

  /**
   * A message at QoS 0 does not overtake one of its topic that may have to be repeated. Those at QoS 1 and 2 are kept
   * apart by `inFlight`.
   */
  #mayGo({ qos, topic }: Delivery): boolean {
    if (qos > 0 || this.#inFlight.length === 0) return true;
    return !this.#inFlight.some((each) => !each.released && each.delivery.topic === topic);
  }

  /** To the front: it went out before, or would have. */
  #putBack(delivery: Delivery): void {
    this.#waiting ??= [];
    this.#waiting.unshift(delivery);
  }

  /** Sends a message under the id that the client knows, or tells it one first. */
  #offer(delivery: Delivery, now: Instant): void {
    if (delivery.stage === "release") {
      this.#release(delivery, now);
      return;
    }
    const { setup } = this.#of;
    const { message, topic } = delivery;
    const length = encodedLength(PUBLISH_FIXED + message.payload.length);
    if (length > setup.config.messageSizeMax) {
      this.#tooLong(delivery);
      return;
    }
    const under = idFor(this.#of, topic);
    if (under === undefined) this.#register(delivery, now);
    else if (!this.#affords(length, delivery.qos > 0)) this.#holdUnproven(delivery, now);
    else this.#publish(delivery, under.type, under.id, now);
  }

  /** Nobody will take this message: towards the bus it is done with. */
  #discard(delivery: Delivery): void {
    if (delivery.id !== 0) this.#of.client.settle(delivery.id, "dead");
  }

  /** Silent towards the client (§6.10), not towards the operator. It is never cut. */
  #tooLong(delivery: Delivery): void {
    const { setup, host } = this.#of;
    setup.counters.tooLong.value++;
    const detail = { topic: delivery.topic, octets: delivery.message.payload.length };
    host.note({ level: "warn", event: "too-long", detail });
    this.#discard(delivery);
  }

  // ---- an address that has proven nothing

  /** `answered`: the client acknowledges it. */
  #affords(length: number, answered = true): boolean {
    if (this.#of.host.reachability.allowance === Number.POSITIVE_INFINITY) return true;
    this.#proof ??= new Proof(this.#of, (id) => this.#find(id) !== undefined);
    return this.#proof.affords(length, answered);
  }

  /** Stops the session until the address is proven, or has sent more. */
  #holdUnproven(delivery: Delivery, now: Instant): void {
    this.#putBack(delivery);
    this.#of.client.credit(0);
    this.#prove(now);
  }

  #prove(now: Instant): void {
    const proof = this.#proof;
    if (proof !== undefined && !proof.asking && !proof.hopeless) this.#ask(proof, now);
  }

  #ask(proof: Proof, now: Instant): void {
    proof.ask(now);
    this.#await(proof.dueAt);
  }

  #answered(proof: Proof, now: Instant): void {
    if (!proof.take()) {
      if (this.#mode !== "asleep") this.#ask(proof, now);
      return;
    }
    this.#proof = undefined;
    if (this.#mode === "asleep") return;
    this.#sendUnsent(now);
    this.#sendWaiting(now);
    this.#endFlush(now);
  }

  /** Repeats that were too long for what was left. */
  #sendUnsent(now: Instant): void {
    for (const each of this.#inFlight) {
      if (each.unsent) this.#sendAgain(each, now);
    }
  }

  #repeatQuestion(proof: Proof, now: Instant): void {
    if (!proof.asking) return;
    if (proof.dueAt > now) {
      this.#await(proof.dueAt);
      return;
    }
    if (!proof.hopeless) {
      this.#ask(proof, now);
      return;
    }
    if (this.#mode !== "active") {
      this.#of.unanswered(now);
      return;
    }
    proof.giveUp();
    this.#sendWaiting(now);
  }

  // ---- REGISTER

  #register(delivery: Delivery, now: Instant): void {
    const { setup, host, topics } = this.#of;
    const { topic } = delivery;
    const length = encodedLength(REGISTER_FIXED + Buffer.byteLength(topic));
    if (length > setup.config.messageSizeMax) {
      this.#tooLong(delivery);
      return;
    }
    if (!this.#affords(length)) {
      this.#holdUnproven(delivery, now);
      return;
    }
    const topicId = this.#of.assignId(topic);
    if (topicId === 0) {
      host.note({ level: "warn", event: "topic-ids-exhausted", detail: { topic } });
      this.#discard(delivery);
    } else if (topics.isRefused(topicId)) {
      setup.counters.refusedTopics.value++;
      this.#discard(delivery);
    } else {
      this.#announce(delivery, topicId, now);
    }
  }

  /** Tells the client an id before the first PUBLISH that uses it. What comes behind waits, so order is kept. */
  #announce(delivery: Delivery, topicId: number, now: Instant): void {
    const messageId = delivery.id === 0 ? this.#freeMessageId() : delivery.id;
    this.#of.client.credit(0);
    this.#announcement = new Announcement(this.#of, delivery, topicId, messageId, now);
    this.#await(this.#announcement.dueAt);
  }

  /** An id that nothing of ours in flight uses; deliveries at QoS 0 have none of their own. */
  #freeMessageId(): number {
    // Small ones: there are clients that echo the lower octet only.
    let messageId = 1;
    while (this.#find(messageId) !== undefined) messageId++;
    return messageId;
  }

  #publishAnnounced(announcement: Announcement, now: Instant): void {
    const { delivery, topicId } = announcement;
    this.#announcement = undefined;
    if (
      this.#mode === "asleep" ||
      !this.#affords(encodedLength(PUBLISH_FIXED + delivery.message.payload.length))
    ) {
      this.#putBack(delivery);
      this.#sendWaiting(now);
      return;
    }
    this.#publish(delivery, p.NORMAL, topicId, now);
    this.#sendWaiting(now);
    this.#endFlush(now);
  }

  #repeatRegister(now: Instant): void {
    const announcement = this.#announcement;
    if (announcement === undefined) return;
    if (announcement.dueAt > now) {
      this.#await(announcement.dueAt);
      return;
    }
    const fate = announcement.repeat(now);
    if (fate !== "repeated" && this.#mode !== "active") this.#of.unanswered(now);
    else this.#follow(announcement, fate, now);
  }

  #follow(announcement: Announcement, fate: Fate, now: Instant): void {
    if (fate === "ignored") this.#goOnWithoutRegack(announcement, now);
    else this.#await(announcement.dueAt);
  }

  /**
   * The client is there and never answers REGISTER: many simple ones do not know this message. The id counts as told;
   * a client that has not understood says so with PUBACK, and is asked anew (§6.10).
   */
  #goOnWithoutRegack(announcement: Announcement, now: Instant): void {
    const { host, topics } = this.#of;
    const { topicId, delivery } = announcement;
    host.note({ level: "info", event: "register-not-answered", detail: { topic: delivery.topic } });
    topics.assumed(topicId);
    this.#publishAnnounced(announcement, now);
  }

  // ---- PUBLISH

  #publish(delivery: Delivery, topicIdType: p.TopicIdType, topicId: number, now: Instant): void {
    const { qos, retain, message } = delivery;
    if (qos === 0) {
      this.#of.send(encodePublish(false, 0, retain, topicIdType, topicId, 0, message.payload));
      return;
    }
    this.#open(delivery, topicIdType, topicId, now).send(now);
  }

  /** The client has the message: only PUBREL is due. */
  #release(delivery: Delivery, now: Instant): void {
    const waiting = this.#find(delivery.id);
    if (waiting === undefined) {
      this.#open(delivery, p.NORMAL, 0, now).send(now);
      return;
    }
    // PUBREC came in this connection, and only now is that kept: PUBREL may go.
    waiting.wait(now);
    this.#await(waiting.dueAt);
    this.#of.send(encodeMessageAck(p.PUBREL, delivery.id));
  }

  #open(delivery: Delivery, topicIdType: p.TopicIdType, topicId: number, now: Instant): InFlight {
    const opened = new InFlight(this.#of, delivery, topicIdType, topicId, now);
    opened.wait(now);
    this.#await(opened.dueAt);
    if (this.#inFlight.length === 0) this.#inFlight = [opened];
    else this.#inFlight.push(opened);
    return opened;
  }

  #close(closed: InFlight): void {
    const left = this.#inFlight.filter((each) => each !== closed);
    this.#inFlight = left.length === 0 ? NONE : left;
    const asked = this.#announcement !== undefined || this.#proof?.asking === true;
    if (left.length === 0 && !asked) this.#retryAt = NEVER;
  }

  #find(messageId: number): InFlight | undefined {
    return this.#inFlight.find((each) => each.delivery.id === messageId);
  }

  #sendAgain(each: InFlight, now: Instant): void {
    this.#await(each.dueAt);
    each.unsent = !each.released && !this.#affords(each.length);
    if (each.unsent) this.#prove(now);
    else each.sendAgain(now);
  }

  /** False when the client answers nothing, and sleeps again. */
  #repeat(each: InFlight, now: Instant): boolean {
    if (each.dueAt > now) {
      this.#await(each.dueAt);
      return true;
    }
    const active = this.#mode === "active";
    if (active && this.#givesUp(each, now)) return true;
    if (!each.mayRepeat()) {
      if (!active) {
        this.#of.unanswered(now);
        return false;
      }
      // It is lost when it was silent for its keep-alive time, not before (§6.14); until then nothing is sent.
      each.dueAt = NEVER;
      return true;
    }
    each.wait(now);
    this.#sendAgain(each, now);
    return true;
  }

  #givesUp(each: InFlight, now: Instant): boolean {
    if (!each.isIgnored()) return false;
    const detail = { topic: each.delivery.topic };
    this.#of.host.note({ level: "warn", event: "not-acknowledged", detail });
    this.#finish(each, "dead", now);
    return true;
  }

  #rejected(found: InFlight, code: number, now: Instant): void {
    if (found.duplicate && code === p.NOT_SUPPORTED) {
      // There are clients that do not know DUP. What they have refused they have not got: it is new to them.
      found.plain = true;
      if (this.#mode === "asleep") return;
      found.wait(now);
      this.#sendAgain(found, now);
      return;
    }
    const detail = { topic: found.delivery.topic };
    this.#of.host.note({ level: "info", event: "rejected-by-client", detail });
    this.#finish(found, "dead", now);
  }

  /** A client that neither answers REGISTER nor knows what it was told there does not want this name (§6.10). */
  #correctQos0(topicId: number): void {
    const { topics, setup } = this.#of;
    if (topics.isAssumed(topicId) && ++this.#rejections > setup.config.retries) topics.refused(topicId);
    else topics.forgotten(topicId);
  }

  /** The id is unknown to the client: a normal one is announced anew and the message sent again (§6.10). */
  #correctTopicId(found: InFlight, now: Instant): void {
    const { topics, setup, predefinedInUse } = this.#of;
    const { delivery, topicIdType, topicId } = found;
    if (this.#announcement !== undefined) return;
    // A client that goes on rejecting what it has itself registered gets no further.
    if (++this.#rejections > setup.config.retries) {
      if (topics.isAssumed(topicId)) topics.refused(topicId);
      this.#finish(found, "dead", now);
      return;
    }
    this.#close(found);
    if (topicIdType === p.NORMAL) topics.forgotten(topicId);
    if (topicIdType === p.PREDEFINED) predefinedInUse?.delete(topicId);
    // To a sleeper nothing is sent before it asks (§6.14): its next wake-up begins with the REGISTER.
    if (this.#mode === "asleep") this.#putBack(delivery);
    else this.#register(delivery, now);
    this.#endFlush(now);
  }

  #finish(found: InFlight, outcome: "done" | "dead", now: Instant): void {
    this.#close(found);
    this.#rejections = 0;
    this.#of.client.settle(found.delivery.id, outcome);
    if (this.#waiting !== undefined) this.#sendWaiting(now);
    this.#endFlush(now);
  }

  /** PINGRESP says that nothing more waits: it is due when all that was sent has been acknowledged. */
  #endFlush(now: Instant): void {
    if (this.#mode !== "awake") return;
    const { client } = this.#of;
    const busy = this.#inFlight.length > 0 || this.#announcement !== undefined || this.#waiting !== undefined;
    if (busy || client.unsettled > 0 || !this.#flush.isOver(client)) return;
    this.sleep();
    this.#of.flushed(now);
  }

  /** A queue that is elsewhere has answered whether there is more. */
  handedOut(ticket: number, now: Instant): void {
    if (this.#flush.answered(ticket)) this.#endFlush(now);
  }

  /** Makes sure that `wake` is called then at the latest. */
  #await(due: Instant): void {
    // A sleeper is sent nothing but answers (§6.14).
    if (this.#mode !== "asleep") this.#retryAt = earliest(this.#retryAt, due);
  }
}
