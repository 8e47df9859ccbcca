import type { Pace, Subscriber } from "../bus/bus.ts";
import type { Asker } from "../bus/commits.ts";
import type { Gate } from "../bus/gate.ts";
import type { Message } from "../bus/message.ts";
import { type Alarms, CallbackAlarm } from "../lib/alarm.ts";
import { Ring } from "../lib/ring.ts";
import { after, type Duration, type Instant, ZERO } from "../lib/time.ts";
import type { SessionCounters } from "./counters.ts";
import type { Queue } from "./queue.ts";

/** A subscriber whose queue is nearly full. */
export interface Reader extends Subscriber {
  pace: Pace;
}

/** Over what a client publishes. */
export interface PublisherChannel {
  /** What has been published over it since that has to wait. */
  line: PublisherLine | undefined;
  /** Whether it is not read from for now. False where that cannot be: datagrams come when they come. */
  wait(waits: boolean): boolean;
}

export interface Publisher extends Asker {
  readonly loop: PublisherChannel;
}

/** What a change of its queue makes of a reader's pace; of one that does not read nobody expects anything. */
export function paceOf(pace: Pace, queue: Queue | undefined, reads: boolean): Pace {
  if (queue === undefined || !reads) return "in-time";
  if (pace === "in-time") return queue.nearlyFull ? "crowded" : pace;
  return (pace === "slow" ? queue.length === 0 : queue.halfEmpty) ? "in-time" : pace;
}

export interface BackPressureParts {
  readonly gate: Gate;
  readonly alarms: Alarms;
  readonly counters: SessionCounters;
  /** How long a subscriber may make its publishers wait until it has caught up; 0: nobody waits. */
  readonly wait: Duration;
  /** What may wait of all publishers together, in bytes; what is above goes on its way. */
  readonly bytes: number;
}

/** Messages that a publisher may have in its line before it is not read from any more. */
const LINE_MAX = 64;
const PAST = 0 as Instant;
/** How many times as long as it has waited in vain a publisher then waits for nobody: it loses no more than a tenth. */
const RESPITE = 9;

interface Crowd {
  readonly lines: Set<PublisherLine>;
  readonly alarm: CallbackAlarm;
}

/**
 * Before a connected reader's queue is full its publishers wait: what they publish to it at QoS 1 and 2 stands in front
 * of the gate, unacknowledged, until the queue is half empty again. A reader that needs longer for that than `wait` is a
 * slow one: nobody waits for it, and its queue drops by its policy, until that has been empty once.
 */
export class BackPressure {
  /** Readers for which publishers wait at this moment, and publishers in line. While there are none, a message costs one look. */
  active = 0;
  bytes = 0;
  readonly #parts: BackPressureParts;
  readonly #crowds = new Map<Reader, Crowd>();
  readonly #due = new Set<PublisherLine>();
  readonly #later = new CallbackAlarm(() => this.#goOn());

  constructor(parts: BackPressureParts) {
    this.#parts = parts;
  }

  get waiting(): number {
    let waiting = this.#due.size;
    for (const { lines } of this.#crowds.values()) waiting += lines.size;
    return waiting;
  }

  get gate(): Gate {
    return this.#parts.gate;
  }

  get counters(): SessionCounters {
    return this.#parts.counters;
  }

  get full(): boolean {
    return this.bytes >= this.#parts.bytes;
  }

  /** A reader's queue is nearly full. False when nobody is made to wait for that. */
  begin(reader: Reader, now: Instant): boolean {
    const { wait, alarms } = this.#parts;
    if (wait === ZERO) return false;
    const alarm = new CallbackAlarm((now) => this.#giveUp(reader, now));
    this.#crowds.set(reader, { lines: new Set(), alarm });
    this.active++;
    alarms.arm(alarm, after(now, wait));
    return true;
  }

  /** It has caught up, or is gone. */
  end(reader: Reader): void {
    const crowd = this.#crowds.get(reader);
    if (crowd === undefined) return;
    this.#crowds.delete(reader);
    this.active--;
    this.#parts.alarms.disarm(crowd.alarm);
    for (const line of crowd.lines) this.#due.add(line);
    // A message that passes the gate has its deliveries first: they may fill the queue again.
    if (this.gate.passing) this.#parts.alarms.arm(this.#later, PAST);
    else this.#goOn();
  }

  /** For whom a message has to wait. */
  crowdFor(message: Message, from: object | undefined): Subscriber | undefined {
    return this.#crowds.size === 0 ? undefined : this.gate.bus.crowded(message, from);
  }

  wait(line: PublisherLine, reader: Subscriber): void {
    this.#crowds.get(reader as Reader)?.lines.add(line);
  }

  /** It waits no more. */
  forget(line: PublisherLine): void {
    this.#due.delete(line);
    for (const { lines } of this.#crowds.values()) lines.delete(line);
  }

  #giveUp(reader: Reader, now: Instant): void {
    this.counters.readersSlow.value++;
    const until = after(now, (RESPITE * this.#parts.wait) as Duration);
    for (const line of this.#crowds.get(reader)!.lines) line.respiteUntil = until;
    reader.pace = "slow";
    this.end(reader);
  }

  #goOn(): void {
    for (const line of this.#due) {
      this.#due.delete(line);
      line.goOn();
    }
  }
}

interface InLine {
  readonly message: Message;
  readonly from: object | undefined;
  readonly publisher: Publisher;
  readonly ticket: number;
  readonly since: number;
}

/** What has been published over one channel since it waits, in order; also what would not have to wait by itself. */
export class PublisherLine {
  waits = false;
  /** It waits for no reader before then. */
  respiteUntil: Instant = PAST;
  readonly #pressure: BackPressure;
  readonly #line = new Ring<InLine>();
  /** Nothing is read from the channel. */
  paused = false;
  #channel: PublisherChannel | undefined = undefined;

  constructor(pressure: BackPressure) {
    this.#pressure = pressure;
  }

  /** Undefined when the message need not wait. */
  publish(
    message: Message,
    from: object | undefined,
    publisher: Publisher,
    ticket: number,
    since: number,
    now: Instant,
  ): "accepted" | "pending" | "congested" | undefined {
    const pressure = this.#pressure;
    if (!this.waits) {
      const reader = now < this.respiteUntil || pressure.full ? undefined : pressure.crowdFor(message, from);
      if (reader === undefined) return undefined;
      this.waits = true;
      pressure.active++;
      pressure.counters.publishersWaited.value++;
      pressure.wait(this, reader);
    }
    if (this.#line.length >= LINE_MAX && !this.paused) {
      if (!publisher.loop.wait(true)) return "congested";
      this.#channel = publisher.loop;
      this.paused = true;
    }
    const kept = message.kept();
    pressure.bytes += kept.weight;
    this.#line.push({ message: kept, from, publisher, ticket, since });
    return message.qos > 0 ? "pending" : "accepted";
  }

  /** Nobody is waited for at present: what stands in line goes through, until somebody is again. */
  goOn(): void {
    for (let next = this.#line.peek(); next !== undefined; next = this.#line.peek()) {
      const reader = this.#pressure.crowdFor(next.message, next.from);
      if (reader !== undefined) {
        this.#pressure.wait(this, reader);
        return;
      }
      this.#pass();
    }
    this.#ended();
  }

  /** All at once, whoever is crowded by it: the publisher is lost, and its will comes behind. */
  finish(): void {
    if (!this.waits) return;
    this.#pressure.forget(this);
    while (this.#line.length > 0) this.#pass();
    this.#ended();
  }

  #pass(): void {
    const { message, from, publisher, ticket, since } = this.#line.shift()!;
    this.#pressure.bytes -= message.weight;
    const passed = this.#pressure.gate.ask(message, from, publisher, ticket, since);
    if (message.qos > 0 && passed !== "pending" && !publisher.closed) publisher.answered(ticket, passed);
  }

  #ended(): void {
    // By the answer to its last message it may have gone on already.
    if (!this.waits) return;
    this.waits = false;
    this.#pressure.active--;
    if (!this.paused) return;
    this.paused = false;
    this.#channel?.wait(false);
  }
}
