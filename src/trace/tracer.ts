import type { Routed } from "../bus/bus.ts";
import type { Inspection, Origin } from "../bus/gate.ts";
import type { Message } from "../bus/message.ts";
import type { Answer, Ticket } from "../contract/answers.ts";
import type { Delivery, Outcome } from "../contract/delivery.ts";
import type { Dissected, Dissection, Dissector, Sender } from "../contract/dissection.ts";
import { unreadable } from "../contract/dissection.ts";
import type { Datagram } from "../contract/endpoint.ts";
import type { Refused, RefusedTo } from "../contract/refused.ts";
import type { BusClient } from "../door/bus-client.ts";
import type { ChannelDriver } from "../door/channel-driver.ts";
import type { Door } from "../door/door.ts";
import type { Step, Trace } from "../door/trace.ts";
import { copyOf } from "../lib/bytes.ts";
import type { Drop, SessionWatch, Wait } from "../session/context.ts";
import type { Session } from "../session/session.ts";
import { Cause } from "./cause.ts";
import { masked } from "./mask.ts";
import type { Recording } from "./recording.ts";
import type { NewRow, TraceRow } from "./rows.ts";
import { stateOf, TracedChannel } from "./traced-channel.ts";

/** Makes the dissector of a channel's gateway. */
export type Dissectors = (gateway: string, of: Dissected) => Dissector | undefined;

/** Octets of a frame or payload that a row keeps. */
const SNAP = 65_535;
/** Rows that are made in a second at most; what is above is counted and not looked at. */
const RATE_MAX = 20_000;
/** Causes that are known by their number: messages and deliveries wait long. */
const CAUSES_MAX = 50_000;

/** What became of one message as it was routed. */
interface Tally {
  given: number;
  waits: number;
  dropped: number;
}

/**
 * Watches a running gateway for as long as recordings run: it knows what follows from what, and makes a row of each thing
 * that happens. It is attached in four places (channels, door, gate, sessions) by whoever starts the first recording.
 */
export class Tracer implements Trace, SessionWatch, Inspection {
  recordings: readonly Recording[] = [];
  /** What was attached to the gate before, and goes on being asked. */
  before: Inspection | undefined = undefined;
  readonly #now: () => number;
  readonly #dissectors: Dissectors;
  readonly #channels = new WeakMap<ChannelDriver, TracedChannel>();
  readonly #causes = new Map<number, Cause>();
  /** Since when deliveries wait. */
  readonly #waiting = new WeakMap<Delivery, number>();
  readonly #tallies: Tally[] = [];
  #numbers = 0;
  #channelNumbers = 0;
  #causeNumbers = 0;
  /** What runs now. */
  #cause: Cause | undefined = undefined;
  #second = 0;
  #rate = 0;
  #skipped = 0;

  constructor(now: () => number, dissectors: Dissectors) {
    this.#now = now;
    this.#dissectors = dissectors;
  }

  /** The last recording has ended: what was remembered for it goes. */
  rest(): void {
    this.#causes.clear();
    this.#tallies.length = 0;
    this.#cause = undefined;
  }

  // ---- channels

  received(driver: ChannelDriver, bytes: Uint8Array, take: (piece: Uint8Array) => void): void {
    if (this.#busy()) {
      take(bytes);
      return;
    }
    const channel = this.#channelOf(driver);
    let at = 0;
    for (const frame of channel.frames(bytes, "device")) {
      const end = Math.max(at, frame.end);
      this.#input(channel, frame.bytes, () => take(bytes.subarray(at, end)));
      at = end;
    }
    // The beginning of a frame causes nothing yet.
    if (at < bytes.length) take(bytes.subarray(at));
  }

  #input(channel: TracedChannel, bytes: Uint8Array, take: () => void): void {
    const part = this.#dissect(channel, bytes, "device");
    const known = part.begins
      ? channel.repeatedBy(part, "device", bytes)?.cause
      : channel.exchangeOf(part)?.cause;
    const cause = known ?? this.#newCause();
    this.#within(cause, () => {
      this.#frame(channel, part, bytes, "device", cause);
      take();
      this.#stateChange(channel);
    });
  }

  sent(driver: ChannelDriver, bytes: Uint8Array): void {
    if (this.#busy()) return;
    const channel = this.#channelOf(driver);
    for (const frame of channel.frames(bytes, "gateway")) {
      const part = this.#dissect(channel, frame.bytes, "gateway");
      const running = this.#cause;
      // An answer belongs to what it answers; what a timer sends repeats something, where it has such an exchange.
      const follows = !part.begins || running === undefined || running.timer;
      const known = follows ? channel.exchangeOf(part)?.cause : undefined;
      const cause = known ?? running ?? this.#newCause();
      this.#frame(channel, part, frame.bytes, "gateway", cause);
    }
  }

  #frame(channel: TracedChannel, part: Dissection, bytes: Uint8Array, from: Sender, cause: Cause): void {
    const again = channel.took(part, from, bytes, cause);
    const { name, summary, fields, exchanges, expects, secrets } = part;
    this.#row(cause, {
      kind: "frame",
      ...channel.place,
      from,
      name,
      summary,
      fields,
      bytes: masked(bytes, secrets, SNAP),
      length: bytes.length,
      masked: secrets.length > 0,
      exchange: exchanges[0],
      expects,
      again,
    });
  }

  woken(driver: ChannelDriver, run: () => void): void {
    if (this.#busy()) {
      run();
      return;
    }
    const channel = this.#channelOf(driver);
    const cause = this.#newCause({ kind: "timer", ...channel.place });
    this.#within(cause, () => {
      run();
      this.#stateChange(channel);
    });
  }

  delivering(client: BusClient, delivery: Delivery, run: () => void): void {
    if (this.#busy()) {
      run();
      return;
    }
    const cause = this.#causeOf(delivery);
    const tally = this.#tallies.at(-1);
    if (tally !== undefined) tally.given++;
    const since = this.#waiting.get(delivery);
    this.#waiting.delete(delivery);
    const waited = since === undefined ? {} : { waited: this.#now() - since };
    const { gateway, sessionId } = client;
    const { topic, qos } = delivery;
    this.#row(cause, { kind: "delivery", state: "given", gateway, client: sessionId, topic, qos, ...waited });
    this.#within(cause, run);
  }

  /** A retained message that a new subscription brings follows from the subscribing, and not from its old publish. */
  #causeOf({ message, retain }: Delivery): Cause {
    const running = this.#cause;
    if (message.cause === 0) return running ?? this.#newCause();
    if (retain && running !== undefined) return running;
    return this.#known(message.cause);
  }

  publishing(message: Message): void {
    message.cause = this.#cause?.number ?? 0;
  }

  pending(driver: ChannelDriver, ticket: Ticket): void {
    if (this.#cause !== undefined) this.#channelOf(driver).asks(ticket, this.#cause);
  }

  answered(driver: ChannelDriver, ticket: Ticket, run: () => void): void {
    const cause = this.#channelOf(driver).answers(ticket);
    if (cause === undefined) run();
    else this.#within(cause, run);
  }

  closed(driver: ChannelDriver, reason: string): void {
    if (this.#busy()) return;
    const { place } = this.#channelOf(driver);
    this.#row(this.#cause ?? this.#newCause(), { kind: "closed", ...place, reason });
  }

  stray(
    { gateway, policy }: Door,
    { bytes, address, port, association }: Datagram,
    outcome: string | Uint8Array,
  ): void {
    if (this.#busy()) return;
    const cause = this.#newCause();
    const transport = association === undefined ? "udp" : "dtls";
    const peer = { transport, address, port } as const;
    const { listener } = policy;
    const dissector = this.#dissectors(gateway, { peer, listener, protocol: undefined }) ?? GONE;
    const tell = (frame: Uint8Array, from: Sender, why?: string): void => {
      const { name, summary, secrets } = safely(dissector, frame, from);
      const cut = { bytes: masked(copyOf(frame), secrets, SNAP), length: frame.length };
      const said = why === undefined ? {} : { why };
      this.#row(cause, { kind: "stray", gateway, listener, ...peer, from, name, summary, ...cut, ...said });
    };
    tell(bytes, "device", typeof outcome === "string" ? outcome : undefined);
    if (typeof outcome !== "string") tell(outcome, "gateway");
  }

  // ---- the door

  stepped(client: BusClient, what: Step, asked: string, answer: Answer | string): void {
    if (this.#busy()) return;
    const { place } = this.#channelOf(client.loop);
    const { id } = client;
    // The client of a login is not yet among those of its channel, and one that has left no more.
    const clients = place.clients.includes(id) ? place.clients : [...place.clients, id];
    const row = {
      kind: "step",
      ...place,
      gateway: client.gateway,
      clients,
      what,
      client: id,
      asked,
    } as const;
    this.#row(this.#cause ?? this.#newCause(), { ...row, answer: String(answer) });
  }

  refused({ clientId, username, ...to }: RefusedTo, { what, asked, refusal, by }: Refused): void {
    if (this.#busy()) return;
    const cause = this.#cause ?? this.#newCause();
    this.#row(cause, {
      kind: "refusal",
      ...to,
      client: clientId,
      user: username,
      what,
      asked,
      refusal,
      by: by(),
    });
  }

  // ---- the bus

  entering(message: Message, from: object | undefined, origin: Origin): Message | undefined {
    const entered = this.before === undefined ? message : this.before.entering(message, from, origin);
    if (entered === undefined) return undefined;
    this.#tallies.push({ given: 0, waits: 0, dropped: 0 });
    if (this.#busy()) return entered;
    const cause = this.#cause ?? (message.cause === 0 ? this.#newCause() : this.#known(message.cause));
    entered.cause = cause.number;
    const { topic, qos, retain, payload, publisher } = entered;
    const { length } = payload;
    const kept = copyOf(payload.subarray(0, SNAP));
    this.#row(cause, { kind: "message", origin, topic, qos, retain, payload: kept, length, publisher });
    return entered;
  }

  routed(message: Message, origin: Origin, routed: Routed): void {
    this.before?.routed?.(message, origin, routed);
    const tally = this.#tallies.pop();
    if (tally === undefined || message.cause === 0) return;
    const matched = routed === "matched";
    this.#row(this.#known(message.cause), { kind: "routed", topic: message.topic, matched, ...tally });
  }

  // ---- sessions

  waits({ gateway, clientId, occupant }: Session, delivery: Delivery, why: Wait): void {
    const tally = this.#tallies.at(-1);
    if (tally !== undefined) tally.waits++;
    this.#waiting.set(delivery, this.#now());
    const driver = (occupant as Partial<BusClient> | undefined)?.loop;
    const asleep = driver === undefined ? {} : { asleep: stateOf(driver).startsWith("asleep") };
    this.#delivery("waits", gateway, clientId, delivery, { why, ...asleep });
  }

  settled({ gateway, clientId }: Session, delivery: Delivery, outcome: Outcome): void {
    this.#delivery(outcome, gateway, clientId, delivery, {});
  }

  dropped({ gateway, clientId }: Session, delivery: Delivery, why: Drop): void {
    const tally = this.#tallies.at(-1);
    if (tally !== undefined) tally.dropped++;
    this.#delivery("dropped", gateway, clientId, delivery, { why });
  }

  #delivery(
    state: Outcome | "waits" | "dropped",
    gateway: string,
    client: string,
    delivery: Delivery,
    more: { readonly why?: string; readonly asleep?: boolean },
  ): void {
    if (this.#busy()) return;
    const { topic, qos } = delivery;
    this.#row(this.#causeOf(delivery), { kind: "delivery", state, gateway, client, topic, qos, ...more });
  }

  // ---- inside

  #channelOf(driver: ChannelDriver): TracedChannel {
    let channel = this.#channels.get(driver);
    if (channel === undefined) {
      const { peer, door } = driver;
      const client = driver.clients()[0];
      const of = { peer, listener: door.policy.listener, protocol: client?.protocol };
      const dissector = this.#dissectors(client?.gateway ?? door.gateway, of) ?? GONE;
      channel = new TracedChannel(++this.#channelNumbers, driver, dissector);
      this.#channels.set(driver, channel);
    }
    return channel;
  }

  #dissect({ dissector }: TracedChannel, frame: Uint8Array, from: Sender): Dissection {
    return safely(dissector, frame, from);
  }

  #stateChange(channel: TracedChannel): void {
    const was = channel.state;
    const is = stateOf(channel.driver);
    if (is === "") return;
    channel.state = is;
    // Before there was a client there was no state.
    if (was === "" || was === is || this.#cause === undefined) return;
    this.#row(this.#cause, { kind: "state", ...channel.place, was, is });
  }

  #within(cause: Cause, run: () => void): void {
    const before = this.#cause;
    this.#cause = cause;
    try {
      run();
    } finally {
      this.#cause = before;
    }
  }

  #newCause(prelude?: NewRow): Cause {
    const cause = new Cause(++this.#causeNumbers, prelude);
    this.#causes.set(cause.number, cause);
    if (this.#causes.size > CAUSES_MAX) {
      const oldest = this.#causes.keys().next();
      if (oldest.done !== true) this.#causes.delete(oldest.value);
    }
    return cause;
  }

  /** One that is so old that it was forgotten goes on under its number. */
  #known(number: number): Cause {
    const known = this.#causes.get(number);
    if (known !== undefined) return known;
    const cause = new Cause(number);
    this.#causes.set(number, cause);
    return cause;
  }

  #row(cause: Cause, row: NewRow): void {
    const { prelude } = cause;
    if (prelude !== undefined) {
      cause.prelude = undefined;
      this.#row(cause, prelude);
    }
    const whole = { number: ++this.#numbers, cause: cause.number, at: this.#now(), ...row } as TraceRow;
    this.#rate++;
    cause.add(whole);
    for (const recording of this.recordings) recording.offer(whole, cause);
  }

  /** More happens than may be looked at. */
  #busy(): boolean {
    const second = Math.floor(this.#now() / 1000);
    if (second !== this.#second) this.#nextSecond(second);
    if (this.#rate < RATE_MAX) return false;
    this.#skipped++;
    return true;
  }

  #nextSecond(second: number): void {
    const count = this.#skipped;
    this.#second = second;
    this.#rate = 0;
    this.#skipped = 0;
    for (const recording of this.recordings) {
      if (recording.options.until <= this.#now()) recording.end("time");
      else if (count > 0) {
        const number = ++this.#numbers;
        recording.tell({ number, cause: 0, at: this.#now(), kind: "skipped", count });
      }
    }
  }
}

/** Of a gateway that was stopped, or that has no dissector. */
const GONE: Dissector = { dissect: (frame) => unreadable(frame, "its gateway has nobody to read it") };

/** A fault in a dissector is ours, and nobody else's to feel. */
function safely(dissector: Dissector, frame: Uint8Array, from: Sender): Dissection {
  try {
    return dissector.dissect(frame, from);
  } catch (error) {
    return unreadable(frame, `cannot be shown: ${String(error)}`);
  }
}
