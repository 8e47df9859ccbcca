/**
 * What a server has sent for one session and the device has not settled. Nothing is acknowledged to the server before
 * the device has: what a device does not take stays in the cluster, and survives this process.
 *
 * A delivery goes to the device under the server's own packet id, where that is free there: then device and server agree
 * on it whatever becomes of us. When a connection to the server breaks, what is with the device becomes an orphan, until
 * the server sends it again and finds what the device has done with it.
 */
import { Message, type QoS } from "../bus/message.ts";
import { type Delivery, type DeliveryId, NO_DELIVERY_ID, type Outcome } from "../contract/delivery.ts";
import { NO_BYTES, sameBytes } from "../lib/bytes.ts";
import { Ring } from "../lib/ring.ts";
import { earliest, type Instant, NEVER } from "../lib/time.ts";
import type { Arrived, Link } from "../mqtt/client/link.ts";
import { PacketType } from "../mqtt/packets.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import type { Occupant } from "../session/context.ts";
import type { UpstreamContext } from "./context.ts";

class Arrival implements Delivery {
  id: DeliveryId = NO_DELIVERY_ID;
  message: Message;
  readonly topic: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly subscriptionIds: readonly number[];
  duplicate: boolean;
  stage: "publish" | "release" = "publish";
  /** As the server knows it on the present connection; 0: it does not. */
  packetId: number;
  handed = false;
  /** QoS 2: the device has said that it has it, and the server was told. */
  received = false;
  /** QoS 2: the server has released it. */
  released = false;
  /** The device is done with it, and the server was not told the last word. */
  settled: "done" | "dead" | undefined = undefined;
  failures = 0;
  since: Instant | undefined = undefined;

  constructor(
    message: Message,
    topic: string,
    { qos, retain, duplicate, packetId, subscriptionIds }: Readonly<Arrived>,
  ) {
    this.message = message;
    this.topic = topic;
    this.qos = qos;
    this.retain = retain;
    this.duplicate = duplicate && qos > 0;
    this.packetId = packetId;
    this.subscriptionIds = subscriptionIds;
  }

  isSame({ topic, qos, message }: Arrival): boolean {
    return topic === this.topic && qos === this.qos && sameBytes(message.payload, this.message.payload);
  }
}

/** A message of which nothing is known but that it is to be released. */
function releaseOf(packetId: number, now: Instant): Arrival {
  const message = new Message("", NO_BYTES, 2, false, now);
  const publish = {
    message,
    qos: 2,
    retain: false,
    duplicate: false,
    packetId,
    subscriptionIds: [],
  } as const;
  const arrival = new Arrival(message, "", publish);
  arrival.id = packetId as DeliveryId;
  arrival.stage = "release";
  arrival.received = true;
  arrival.released = true;
  return arrival;
}

/** Orphans that the device has settled, and of which the server may ask again, at most. */
const SETTLED_MAX = 256;
const ID_MAX = 65_535;

export interface ArrivalsHost {
  /** While a connection to the server is up. */
  readonly link: Link | undefined;
  /** The device, while it is connected. */
  readonly occupant: Occupant | undefined;
  readonly failuresMax: number;
  /** The device does QoS 2's handshake itself: it is told of releases that it may wait for. */
  readonly releases: boolean;
  /** Since when what comes now may have waited at the server. */
  readonly waitsSince: Instant | undefined;
  /** More waits than may: read no more from the server, or go on. */
  congested(congested: boolean): void;
}

export class Arrivals {
  readonly #context: UpstreamContext;
  readonly #host: ArrivalsHost;
  /** With the device and not settled, by the id that it knows. Made at the first use, as the others. */
  #window: Map<number, Arrival> | undefined = undefined;
  /** Those of the present connection that are not done, by the server's packet id. */
  #byPacketId: Map<number, Arrival> | undefined = undefined;
  /** Not handed out yet. */
  #waiting: Ring<Arrival> | undefined = undefined;
  #waitingBytes = 0;
  /** Of an earlier connection: with the device, or settled by it since. */
  #orphans: Arrival[] | undefined = undefined;
  #credit = 0;
  #unsettled = 0;
  #flushing = false;
  #congested = false;
  receiveMaximum: number;
  #lastId = 0;

  constructor(context: UpstreamContext, host: ArrivalsHost) {
    this.#context = context;
    this.#host = host;
    this.receiveMaximum = context.options.receiveMaximum;
  }

  get queued(): number {
    return this.#waiting?.length ?? 0;
  }

  /** With the device and not settled. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** Not acknowledged to the server. */
  get withheld(): number {
    return this.#byPacketId?.size ?? 0;
  }

  /** As early as the oldest that is not acknowledged may have been published; `now`: there is none. */
  oldest(now: Instant): Instant {
    let oldest = now;
    for (const { since, message } of this.#byPacketId?.values() ?? []) {
      oldest = earliest(oldest, since ?? message.publishedAt);
    }
    return oldest;
  }

  // ---- from the server

  /** `topic`: as the device knows it. */
  arrived(publish: Arrived, topic: string, link: Link, now: Instant): void {
    if (publish.qos === 0) {
      this.#take(this.#dated(new Arrival(publish.message, topic, publish)), now);
      return;
    }
    const known = this.#byPacketId?.get(publish.packetId);
    if (known !== undefined) {
      this.#repeated(known, link, now);
      return;
    }
    const arrival = this.#dated(new Arrival(publish.message, topic, publish));
    const orphan = this.#orphanOf(arrival);
    if (orphan !== undefined) {
      this.#adopt(orphan, publish.packetId, link, now);
      return;
    }
    this.#byPacketId ??= new Map();
    this.#byPacketId.set(publish.packetId, arrival);
    // More than was allowed is no reason to lose the connection: there are servers that count otherwise.
    if (this.#byPacketId.size > this.receiveMaximum) this.#context.counters.overshoots.value++;
    this.#take(arrival, now);
  }

  #dated(arrival: Arrival): Arrival {
    arrival.since = this.#host.waitsSince;
    return arrival;
  }

  /** The same packet id while its exchange is open: some servers repeat themselves on a live connection. */
  #repeated(arrival: Arrival, link: Link, now: Instant): void {
    this.#context.counters.repeats.value++;
    if (arrival.qos === 2 && arrival.received) link.acknowledge(PacketType.PUBREC, arrival.packetId, now);
  }

  #take(arrival: Arrival, now: Instant): void {
    const { occupant } = this.#host;
    const open = occupant !== undefined && this.#credit > 0 && !occupant.held && this.queued === 0;
    if (open && (arrival.qos === 0 || this.#unsettled < this.#credit)) this.#hand(arrival, occupant);
    else this.#wait(arrival, now);
  }

  #hand(arrival: Arrival, occupant: Occupant): void {
    this.#context.counters.delivered[arrival.qos].value++;
    arrival.handed = true;
    if (arrival.qos > 0) {
      if (arrival.id === NO_DELIVERY_ID) this.#identify(arrival);
      this.#unsettled++;
    }
    occupant.deliver(arrival);
  }

  #identify(arrival: Arrival): void {
    this.#window ??= new Map();
    let id = arrival.packetId;
    while (id === 0 || this.#window.has(id)) {
      this.#lastId = this.#lastId === ID_MAX ? 1 : this.#lastId + 1;
      id = this.#lastId;
    }
    arrival.id = id as DeliveryId;
    this.#window.set(id, arrival);
  }

  #wait(arrival: Arrival, now: Instant): void {
    const { messages, bytes } = this.#context.options.buffer;
    arrival.message = arrival.message.kept();
    this.#waiting ??= new Ring();
    this.#waiting.push(arrival);
    this.#waitingBytes += arrival.message.weight;
    if (this.#waiting.length <= messages && this.#waitingBytes <= bytes) return;
    if (arrival.qos === 0) this.#dropOldestQos0(now);
    else this.#congest(true);
  }

  #dropOldestQos0(now: Instant): void {
    let dropped = false;
    this.#waiting?.filter((each) => {
      if (dropped || each.qos > 0) return true;
      dropped = true;
      this.#waitingBytes -= each.message.weight;
      const expired = each.message.expiresAt <= now;
      this.#context.counters[expired ? "expired" : "droppedQos0"].value++;
      return false;
    });
  }

  #congest(congested: boolean): void {
    if (this.#congested === congested) return;
    this.#congested = congested;
    this.#host.congested(congested);
  }

  /** PUBREL. */
  released(packetId: number, link: Link, now: Instant): void {
    const arrival = this.#byPacketId?.get(packetId) ?? this.#adoptReleased(packetId);
    if (arrival === undefined) {
      this.#releaseUnknown(packetId, link, now);
      return;
    }
    arrival.released = true;
    if (arrival.settled !== undefined) {
      this.#finish(arrival, link, now);
    } else if (arrival.received) {
      arrival.stage = "release";
      this.#handRelease(arrival);
    } else {
      // The server takes it for received; so it is when the device has it.
      arrival.received = true;
    }
  }

  /** The device may wait for this: it has said to another gateway, or in another life, that it has the message. */
  #releaseUnknown(packetId: number, link: Link, now: Instant): void {
    if (!this.#host.releases || this.#host.occupant === undefined || this.#window?.has(packetId) === true) {
      link.acknowledge(PacketType.PUBCOMP, packetId, now);
      return;
    }
    const arrival = releaseOf(packetId, now);
    this.#window ??= new Map();
    this.#window.set(packetId, arrival);
    this.#byPacketId ??= new Map();
    this.#byPacketId.set(packetId, arrival);
    this.#handRelease(arrival);
  }

  #handRelease(arrival: Arrival): void {
    const { occupant } = this.#host;
    if (occupant !== undefined && this.#credit > 0 && !occupant.held) {
      if (!arrival.handed) this.#unsettled++;
      arrival.handed = true;
      occupant.deliver(arrival);
      return;
    }
    if (arrival.handed) this.#unsettled--;
    arrival.handed = false;
    this.#waiting ??= new Ring();
    this.#waiting.unshift(arrival);
    this.#waitingBytes += arrival.message.weight;
  }

  // ---- from the device

  credit(window: number): void {
    const raised = window > this.#credit;
    this.#credit = window;
    if (raised) this.flush();
  }

  flush(): void {
    // Asked for by a client that settles within its delivery: the loop below comes to it anyway.
    if (this.#flushing) return;
    this.#flushing = true;
    try {
      this.#handOut();
    } finally {
      this.#flushing = false;
    }
  }

  #handOut(): void {
    for (;;) {
      const waiting = this.#waiting;
      const next = waiting?.peek();
      const { occupant } = this.#host;
      if (waiting === undefined || next === undefined) break;
      if (occupant === undefined || this.#credit === 0 || occupant.held) return;
      if (next.qos > 0 && this.#unsettled >= this.#credit) return;
      waiting.shift();
      this.#waitingBytes -= next.message.weight;
      if (next.message.expiresAt !== NEVER && next.stage === "publish" && this.#expired(next)) continue;
      this.#hand(next, occupant);
    }
    this.#congest(false);
  }

  /** Its time has passed while it waited here [MQTT-3.3.2-5]. */
  #expired(arrival: Arrival): boolean {
    const now = this.#context.clock.now();
    if (arrival.message.expiresAt > now) return false;
    this.#context.counters.expired.value++;
    if (arrival.qos > 0) this.#acknowledge(arrival, "done", now);
    return true;
  }

  /** False: there is none of this id. */
  settle(id: DeliveryId, outcome: Outcome): boolean {
    const arrival = this.#window?.get(id);
    if (arrival === undefined) return false;
    if (arrival.handed) this.#unsettled--;
    arrival.handed = false;
    if (outcome === "again") {
      arrival.duplicate = true;
      arrival.message = arrival.message.kept();
      this.#waiting ??= new Ring();
      this.#waiting.unshift(arrival);
      this.#waitingBytes += arrival.message.weight;
      return true;
    }
    this.#window?.delete(id);
    if (outcome === "dead") this.#context.counters.dead.value++;
    this.#acknowledge(arrival, outcome, this.#context.clock.now());
    if (this.queued > 0) this.flush();
    return true;
  }

  #acknowledge(arrival: Arrival, outcome: "done" | "dead", now: Instant): void {
    const { link } = this.#host;
    arrival.settled = outcome;
    if (link === undefined || arrival.packetId === 0) {
      this.#keepSettled(arrival);
      return;
    }
    this.#tell(arrival, link, now);
  }

  /** What the server has still to hear of a delivery that the device has settled. */
  #tell(arrival: Arrival, link: Link, now: Instant): void {
    const { packetId, qos, settled } = arrival;
    const reason = settled === "dead" ? ReasonCode.unspecifiedError : ReasonCode.success;
    if (qos === 1) {
      this.#byPacketId?.delete(packetId);
      link.acknowledge(PacketType.PUBACK, packetId, now, reason);
    } else if (arrival.released) {
      this.#finish(arrival, link, now);
    } else if (!arrival.received) {
      arrival.received = true;
      link.acknowledge(PacketType.PUBREC, packetId, now, reason);
      // Refused, and so over, which only MQTT 5 can say [MQTT-4.3.3-4].
      if (settled === "dead" && link.version === 5) this.#byPacketId?.delete(packetId);
    }
  }

  #finish(arrival: Arrival, link: Link, now: Instant): void {
    this.#byPacketId?.delete(arrival.packetId);
    link.acknowledge(PacketType.PUBCOMP, arrival.packetId, now);
  }

  /** The device has a QoS 2 message. It is released when the server has released it. */
  received(id: DeliveryId): "accepted" | "pending" {
    const arrival = this.#window?.get(id);
    if (arrival === undefined || arrival.qos !== 2) return "accepted";
    if (arrival.stage === "release") return "accepted";
    if (arrival.received) {
      // Asked again, or the server had released it before.
      if (arrival.released) arrival.stage = "release";
      return arrival.released ? "accepted" : "pending";
    }
    arrival.received = true;
    const { link } = this.#host;
    if (link !== undefined && arrival.packetId !== 0) {
      link.acknowledge(PacketType.PUBREC, arrival.packetId, this.#context.clock.now());
    }
    return "pending";
  }

  unsettledQos(id: DeliveryId): QoS | undefined {
    const arrival = this.#window?.get(id);
    return arrival?.handed === true ? arrival.qos : undefined;
  }

  /** The channel failed, perhaps at this delivery. What is given up, because that has happened too often. */
  failed(at: DeliveryId | undefined): { readonly topic: string; readonly failures: number } | undefined {
    const window = this.#window;
    if (window === undefined) return undefined;
    const only = this.#unsettled === 1 ? [...window.values()].find(({ handed }) => handed) : undefined;
    const culprit = (at === undefined ? undefined : window.get(at)) ?? only;
    if (culprit === undefined) return undefined;
    const { topic } = culprit;
    const failures = ++culprit.failures;
    if (failures < this.#host.failuresMax) return undefined;
    this.settle(culprit.id, "dead");
    return { topic, failures };
  }

  // ---- devices come and go

  /** The device is gone. What it had is the server's to send again. */
  vacate(): void {
    this.#credit = 0;
    for (const arrival of this.#window?.values() ?? []) {
      if (arrival.handed) this.#unsettled--;
      arrival.handed = false;
    }
  }

  /** A device takes the connection over as it is: what the one before did not settle is handed out first. */
  occupy(): void {
    const left = [...(this.#window?.values() ?? [])].filter(
      (each) => !each.handed && each.settled === undefined,
    );
    const waiting = new Set(this.#waiting ?? []);
    for (const arrival of left.reverse()) {
      if (waiting.has(arrival)) continue;
      arrival.duplicate = true;
      arrival.message = arrival.message.kept();
      this.#waiting ??= new Ring();
      this.#waiting.unshift(arrival);
      this.#waitingBytes += arrival.message.weight;
    }
  }

  // ---- connections to the server come and go

  /** What is with the device becomes an orphan; what is not is the server's again. */
  cut(): void {
    for (const arrival of this.#byPacketId?.values() ?? []) {
      if (arrival.id === NO_DELIVERY_ID) continue;
      this.#orphans ??= [];
      this.#orphans.push(arrival);
    }
    this.#byPacketId = undefined;
    this.#congested = false;
  }

  resumed(sessionPresent: boolean): void {
    if (sessionPresent) {
      // It sends again what was not acknowledged, and so what waits here and was never seen by the device.
      this.#dropWaiting((each) => each.qos > 0 && each.id === NO_DELIVERY_ID);
      return;
    }
    const orphans = this.#orphans;
    this.#orphans = undefined;
    for (const orphan of orphans ?? []) {
      orphan.packetId = 0;
      if (orphan.qos === 2 && orphan.received && orphan.settled === undefined) {
        // Nobody else will release it.
        orphan.released = true;
        orphan.stage = "release";
        this.#handRelease(orphan);
      }
    }
    for (const each of this.#waiting ?? []) each.packetId = 0;
    this.flush();
  }

  #dropWaiting(drop: (arrival: Arrival) => boolean): void {
    this.#waiting?.filter((each) => {
      if (!drop(each)) return true;
      this.#waitingBytes -= each.message.weight;
      return false;
    });
  }

  /** What the device has, or had, of what the server sends again. Its packet id may be another one by now. */
  #orphanOf(arrival: Arrival): Arrival | undefined {
    const orphans = this.#orphans;
    if (orphans === undefined) return undefined;
    const { packetId, qos, duplicate } = arrival;
    let found = orphans.findIndex((each) => each.packetId === packetId && each.qos === 2 && qos === 2);
    if (found < 0 && duplicate) {
      found = orphans.findIndex((each) => each.packetId === packetId && each.isSame(arrival));
      if (found < 0) found = orphans.findIndex((each) => each.isSame(arrival));
    }
    return found < 0 ? undefined : this.#takeOrphan(found);
  }

  #takeOrphan(index: number): Arrival | undefined {
    const [orphan] = this.#orphans?.splice(index, 1) ?? [];
    if (this.#orphans?.length === 0) this.#orphans = undefined;
    return orphan;
  }

  #adoptReleased(packetId: number): Arrival | undefined {
    const found = this.#orphans?.findIndex((each) => each.packetId === packetId && each.qos === 2) ?? -1;
    const orphan = found < 0 ? undefined : this.#takeOrphan(found);
    if (orphan === undefined) return undefined;
    this.#byPacketId ??= new Map();
    this.#byPacketId.set(packetId, orphan);
    return orphan;
  }

  #adopt(orphan: Arrival, packetId: number, link: Link, now: Instant): void {
    this.#context.counters.repeats.value++;
    orphan.packetId = packetId;
    this.#byPacketId ??= new Map();
    this.#byPacketId.set(packetId, orphan);
    if (orphan.qos === 2 && orphan.received) {
      link.acknowledge(PacketType.PUBREC, packetId, now);
    } else if (orphan.settled !== undefined) {
      this.#tell(orphan, link, now);
    }
  }

  /** Without a connection nobody can be told: the server will ask. */
  #keepSettled(arrival: Arrival): void {
    if (arrival.packetId === 0) return;
    const orphans = this.#orphans;
    if (orphans === undefined || orphans.length <= SETTLED_MAX) return;
    const oldest = orphans.findIndex(({ settled }) => settled !== undefined);
    if (oldest >= 0) orphans.splice(oldest, 1);
  }

  /** Nothing of this session is left. */
  clear(): void {
    this.release();
    this.#credit = 0;
  }

  /** The server has all of it again; the device takes as much as before. */
  release(): void {
    this.#window = undefined;
    this.#byPacketId = undefined;
    this.#waiting = undefined;
    this.#orphans = undefined;
    this.#waitingBytes = 0;
    this.#unsettled = 0;
    this.#congested = false;
  }
}
