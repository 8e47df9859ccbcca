import type { Routed } from "../bus/bus.ts";
import type { Inspection, Origin } from "../bus/gate.ts";
import type { Message } from "../bus/message.ts";
import type { Answer, Ticket } from "../contract/answers.ts";
import type { Delivery, Outcome } from "../contract/delivery.ts";
import type { Dissection, Sender } from "../contract/dissection.ts";
import type { Datagram } from "../contract/endpoint.ts";
import type { Refused, RefusedTo } from "../contract/refused.ts";
import type { BusClient } from "../door/bus-client.ts";
import type { ChannelDriver } from "../door/channel-driver.ts";
import type { Door } from "../door/door.ts";
import type { Step, Trace } from "../door/trace.ts";
import { copyOf } from "../lib/bytes.ts";
import type { Drop, SessionWatch, Wait } from "../session/context.ts";
import type { SessionState } from "../session/session-state.ts";
import { Borrowed, Cause, Happening } from "./cause.ts";
import type { About } from "./filter.ts";
import { masked } from "./mask.ts";
import type { Recording } from "./recording.ts";
import type { NewRow } from "./rows.ts";
import { type Dissectors, GONE, safely, stateOf, TracedChannel } from "./traced-channel.ts";

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
 * Watches a running gateway for as long as recordings run: it knows what follows from what, and makes rows of what some
 * recording follows. It is attached in four places (channels, door, gate, sessions) by whoever starts the first recording.
 *
 * What nobody follows costs little: its frames are not read and its rows not made. They are kept for as long as the cause
 * may still turn out to be followed, which is mostly until its input has been taken, and are read and made then.
 */
export class Tracer implements Trace, SessionWatch, Inspection {
  recordings: readonly Recording[] = [];
  /** What was attached to the gate before, and goes on being asked. */
  before: Inspection | undefined = undefined;
  readonly #now: () => number;
  readonly #dissectors: Dissectors;
  #channels = new WeakMap<ChannelDriver, TracedChannel>();
  /** Those that go on after their input: followed, or with a message that waits. */
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
    // What they are in the middle of is not known when the next trace begins.
    this.#channels = new WeakMap();
  }

  // ---- channels

  received(driver: ChannelDriver, bytes: Uint8Array, take: (piece: Uint8Array) => void): void {
    const channel = this.#channelOf(driver);
    let at = 0;
    for (const frame of channel.frames(bytes, "device")) {
      const end = Math.max(at, frame.end);
      this.#input(
        channel,
        frame.bytes,
        at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end),
        take,
      );
      at = end;
    }
    // The beginning of a frame causes nothing yet.
    if (at < bytes.length) take(bytes.subarray(at));
  }

  #input(
    channel: TracedChannel,
    bytes: Uint8Array,
    piece: Uint8Array,
    take: (piece: Uint8Array) => void,
  ): void {
    const frame = new Borrowed(bytes);
    const part = this.#reads(channel) ? channel.dissect(frame.own(), "device") : undefined;
    // What is not looked at before cannot be compared behind.
    channel.state = part === undefined ? "" : stateOf(channel.driver);
    const cause = this.#causeOfInput(channel, part, bytes) ?? this.#newCause();
    const before = this.#cause;
    this.#cause = cause;
    try {
      this.#frame(channel, part, frame, "device", cause);
      take(piece);
      this.#stateChange(channel);
    } finally {
      this.#left(cause, before);
    }
  }

  /** Something known that it goes on with. */
  #causeOfInput(channel: TracedChannel, part: Dissection | undefined, bytes: Uint8Array): Cause | undefined {
    if (part === undefined) return undefined;
    return (part.begins ? channel.repeatedBy(part, "device", bytes) : channel.exchangeOf(part))?.cause;
  }

  sent(driver: ChannelDriver, bytes: Uint8Array): void {
    const channel = this.#channelOf(driver);
    const running = this.#cause;
    if (running?.followed !== true && !this.#reads(channel)) return;
    for (const frame of channel.frames(bytes, "gateway")) {
      const bytes = new Borrowed(frame.bytes);
      const part = channel.dissect(bytes.own(), "gateway");
      // An answer belongs to what it answers; what a timer sends repeats something, where it has such an exchange.
      const follows = !part.begins || running === undefined || running.timer;
      const known = follows ? channel.exchangeOf(part)?.cause : undefined;
      const cause = known ?? running ?? this.#newCause();
      this.#frame(channel, part, bytes, "gateway", cause);
    }
  }

  /** Whether frames of this channel have to be read as they come, to know what they belong to. */
  #reads(channel: TracedChannel): boolean {
    if (this.#rate >= RATE_MAX && this.#busy()) return false;
    if (channel.exchanging) return true;
    for (const recording of this.recordings) if (recording.concerns(channel)) return true;
    return false;
  }

  #frame(
    channel: TracedChannel,
    read: Dissection | undefined,
    frame: Borrowed,
    from: Sender,
    cause: Cause,
  ): void {
    const make = (): NewRow => {
      const bytes = frame.own();
      const part = read ?? channel.dissect(bytes, from);
      const again = channel.took(part, from, bytes, cause);
      const { name, summary, fields, exchanges, expects, secrets } = part;
      return {
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
      };
    };
    this.#happens(cause, { channel }, make, frame);
  }

  woken(driver: ChannelDriver, run: () => void): void {
    const channel = this.#channelOf(driver);
    const make = (): NewRow => ({ kind: "timer", ...channel.place });
    const cause = this.#newCause({ about: { channel }, make });
    this.#within(cause, () => {
      run();
      this.#stateChange(channel);
    });
  }

  delivering(client: BusClient, delivery: Delivery, run: () => void): void {
    const cause = this.#causeOf(delivery);
    const tally = this.#tallies.at(-1);
    if (tally !== undefined) tally.given++;
    const since = this.#waiting.get(delivery);
    if (since !== undefined) this.#waiting.delete(delivery);
    const { gateway, sessionId } = client;
    const { topic, qos } = delivery;
    this.#happens(cause, { gateway, client: sessionId, topic }, (at) => ({
      ...{ kind: "delivery", state: "given", gateway, client: sessionId, topic, qos },
      ...(since === undefined ? {} : { waited: at - since }),
    }));
    this.#within(cause, run);
  }

  /** A retained message that a new subscription brings follows from the subscribing, and not from its old publish. */
  #causeOf({ message, retain }: Delivery): Cause {
    const running = this.#cause;
    if (running !== undefined && (message.cause === running.number || message.cause === 0 || retain))
      return running;
    return message.cause === 0 ? this.#newCause() : this.#known(message.cause);
  }

  publishing(message: Message): void {
    const running = this.#cause;
    message.cause = running?.number ?? 0;
    if (running !== undefined) running.published++;
  }

  pending(driver: ChannelDriver, ticket: Ticket): void {
    if (this.#cause === undefined) return;
    this.#remember(this.#cause);
    this.#channelOf(driver).asks(ticket, this.#cause);
  }

  answered(driver: ChannelDriver, ticket: Ticket, run: () => void): void {
    const cause = this.#channelOf(driver).answers(ticket);
    if (cause === undefined) run();
    else this.#within(cause, run);
  }

  closed(driver: ChannelDriver, reason: string): void {
    const channel = this.#channelOf(driver);
    const make = (): NewRow => ({ kind: "closed", ...channel.place, reason });
    this.#happens(this.#cause ?? this.#newCause(), { channel }, make);
  }

  stray(
    { gateway, policy }: Door,
    { bytes, address, port, association }: Datagram,
    outcome: string | Uint8Array,
  ): void {
    const cause = this.#newCause();
    const transport = association === undefined ? "udp" : "dtls";
    const peer = { transport, address, port } as const;
    const { listener } = policy;
    const tell = (frame: Uint8Array, from: Sender, why?: string): void =>
      this.#happens(cause, { gateway, address }, () => {
        const dissector = this.#dissectors(gateway, { peer, listener, protocol: undefined }) ?? GONE;
        const { name, summary, secrets } = safely(dissector, frame, from);
        const cut = { bytes: masked(copyOf(frame), secrets, SNAP), length: frame.length };
        const said = why === undefined ? {} : { why };
        return { kind: "stray", gateway, listener, ...peer, from, name, summary, ...cut, ...said };
      });
    tell(bytes, "device", typeof outcome === "string" ? outcome : undefined);
    if (typeof outcome !== "string") tell(outcome, "gateway");
  }

  // ---- the door

  stepped(client: BusClient, what: Step, asked: string, answer: Answer | string): void {
    const channel = this.#channelOf(client.loop);
    const { id, gateway } = client;
    this.#happens(this.#cause ?? this.#newCause(), { channel, gateway, client: id, asked }, () => {
      const { place } = channel;
      // The client of a login is not yet among those of its channel, and one that has left no more.
      const clients = place.clients.includes(id) ? place.clients : [...place.clients, id];
      return { kind: "step", ...place, gateway, clients, what, client: id, asked, answer: String(answer) };
    });
  }

  refused({ clientId, username, ...to }: RefusedTo, { what, asked, refusal, by }: Refused): void {
    const { gateway, address } = to;
    this.#happens(this.#cause ?? this.#newCause(), { gateway, address, client: clientId, asked }, () => ({
      kind: "refusal",
      ...to,
      client: clientId,
      user: username,
      what,
      asked,
      refusal,
      by: by(),
    }));
  }

  // ---- the bus

  entering(message: Message, from: object | undefined, origin: Origin): Message | undefined {
    const entered = this.before === undefined ? message : this.before.entering(message, from, origin);
    if (entered === undefined) return undefined;
    this.#tallies.push({ given: 0, waits: 0, dropped: 0 });
    const running = this.#cause;
    const cause = running ?? (message.cause === 0 ? this.#newCause() : this.#known(message.cause));
    if (running !== undefined && message.cause === running.number) running.published--;
    entered.cause = cause.number;
    const { topic, qos, retain, payload, publisher } = entered;
    const octets = new Borrowed(payload.length > SNAP ? payload.subarray(0, SNAP) : payload);
    const { length } = payload;
    const make = (): NewRow => ({
      ...{ kind: "message", origin, topic, qos, retain },
      ...{ payload: octets.own(), length, publisher },
    });
    this.#happens(cause, { topic, publisher }, make, octets);
    return entered;
  }

  routed(message: Message, origin: Origin, routed: Routed): void {
    this.before?.routed?.(message, origin, routed);
    const tally = this.#tallies.pop();
    if (tally === undefined || message.cause === 0) return;
    const { topic } = message;
    const matched = routed === "matched";
    this.#happens(this.#known(message.cause), { topic }, () => ({
      kind: "routed",
      topic,
      matched,
      ...tally,
    }));
  }

  // ---- sessions

  waits({ gateway, clientId, occupant }: SessionState, delivery: Delivery, why: Wait): void {
    const tally = this.#tallies.at(-1);
    if (tally !== undefined) tally.waits++;
    this.#waiting.set(delivery, this.#now());
    const driver = (occupant as Partial<BusClient> | undefined)?.loop;
    const asleep = driver === undefined ? {} : { asleep: stateOf(driver).startsWith("asleep") };
    this.#remember(this.#delivery("waits", gateway, clientId, delivery, { why, ...asleep }));
  }

  settled({ gateway, clientId }: SessionState, delivery: Delivery, outcome: Outcome): void {
    this.#delivery(outcome, gateway, clientId, delivery, {});
  }

  dropped({ gateway, clientId }: SessionState, delivery: Delivery, why: Drop): void {
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
  ): Cause {
    const { topic, qos } = delivery;
    const cause = this.#causeOf(delivery);
    const make = (): NewRow => ({ kind: "delivery", state, gateway, client, topic, qos, ...more });
    this.#happens(cause, { gateway, client, topic }, make);
    return cause;
  }

  // ---- inside

  #channelOf(driver: ChannelDriver): TracedChannel {
    let channel = this.#channels.get(driver);
    if (channel === undefined) {
      channel = new TracedChannel(++this.#channelNumbers, driver, this.#dissectors);
      this.#channels.set(driver, channel);
    }
    return channel;
  }

  #stateChange(channel: TracedChannel): void {
    const was = channel.state;
    const is = stateOf(channel.driver);
    if (is === "") return;
    channel.state = is;
    // Before there was a client there was no state.
    if (was === "" || was === is || this.#cause === undefined) return;
    this.#happens(this.#cause, { channel }, () => ({ kind: "state", ...channel.place, was, is }));
  }

  #within(cause: Cause, run: () => void): void {
    const before = this.#cause;
    this.#cause = cause;
    try {
      run();
    } finally {
      this.#left(cause, before);
    }
  }

  #left(cause: Cause, before: Cause | undefined): void {
    this.#cause = before;
    // A delayed message, or one whose bus is elsewhere.
    if (cause.published > 0) this.#remember(cause);
  }

  #newCause(prelude?: Cause["prelude"]): Cause {
    return new Cause(++this.#causeNumbers, prelude);
  }

  #remember(cause: Cause): void {
    if (cause.kept) return;
    cause.keep();
    this.#causes.set(cause.number, cause);
    if (this.#causes.size <= CAUSES_MAX) return;
    const oldest = this.#causes.keys().next();
    if (oldest.done !== true) this.#causes.delete(oldest.value);
  }

  /** One that nobody followed, or that is so old that it was forgotten, goes on under its number. */
  #known(number: number): Cause {
    if (this.#cause?.number === number) return this.#cause;
    return this.#causes.get(number) ?? new Cause(number);
  }

  /**
   * Something that belongs to a cause: a row of it is made as soon as a recording follows the cause. Of a cause that promises
   * nothing and ends with its input only the frame and the messages are remembered: what holds something `borrowed`.
   */
  #happens(cause: Cause, about: About, make: (at: number) => NewRow, borrowed?: Borrowed): void {
    const { prelude } = cause;
    if (prelude !== undefined) {
      cause.prelude = undefined;
      this.#happens(cause, prelude.about, prelude.make);
    }
    let happening: Happening | undefined;
    for (const recording of this.recordings) {
      const follows = recording.follows(cause, about);
      if (follows === undefined) continue;
      happening ??= this.#happening(cause, make, borrowed);
      if (!cause.followed) {
        cause.followed = true;
        this.#remember(cause);
      }
      if (follows === "newly") for (const earlier of cause.first) this.#tell(recording, earlier);
      this.#tell(recording, happening);
    }
    if (happening === undefined && borrowed === undefined && !cause.promising && !cause.kept) return;
    cause.add(happening ?? this.#happening(cause, make, borrowed));
  }

  #happening(cause: Cause, make: (at: number) => NewRow, borrowed: Borrowed | undefined): Happening {
    return new Happening(++this.#numbers, this.#now(), cause.number, make, borrowed);
  }

  #tell(recording: Recording, happening: Happening): void {
    if (happening.made) recording.tell(happening.row);
    else if (this.#busy()) this.#skipped++;
    else {
      this.#rate++;
      recording.tell(happening.row);
    }
  }

  /** More happens than may be looked at. */
  #busy(): boolean {
    const second = Math.floor(this.#now() / 1000);
    if (second !== this.#second) this.#nextSecond(second);
    return this.#rate >= RATE_MAX;
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
