import type { Answer, Pending, RetainedAnswer, ServerWords, Ticket } from "../contract/answers.ts";
import type { Channel, ChannelHost, PacketLimits, Reachability, StopReason } from "../contract/channel.ts";
import type { ConnectAnswer, ConnectRequest } from "../contract/client.ts";
import type { Delivery } from "../contract/delivery.ts";
import type { Endpoint } from "../contract/endpoint.ts";
import type { Note } from "../contract/note.ts";
import { isStream, type Peer } from "../contract/peer.ts";
import type { Refused } from "../contract/refused.ts";
import type { BusClient } from "../door/bus-client.ts";
import type { ChannelDriver } from "../door/channel-driver.ts";
import type { Core } from "../door/core.ts";
import type { Door } from "../door/door.ts";
import type { Rates } from "../door/rates.ts";
import { type Burden, WAITING_MAX } from "../lib/memory.ts";
import { stackOf } from "../lib/thrown.ts";
import { after, earliest, type Instant, NEVER } from "../lib/time.ts";
import { type AddressProof, PROVEN } from "./address-proof.ts";
import { ChannelClients } from "./channel-clients.ts";

/** The transport under one channel, as its runtime offers it. */
export interface Link {
  readonly peer: Peer;
  /** The address and port of ours that it has reached, where that is known. */
  readonly local?: string | undefined;
  send(bytes: Uint8Array): void;
  sendView(bytes: Uint8Array): void;
  pauseReading(): void;
  resumeReading(): void;
  /** Flushes, then closes (streams) or forgets the peer (datagrams). `parted`: it waits for nothing more. */
  close(reason: string, parted?: boolean): void;
  claim(name: string): void;
  unclaim(name: string): void;
  /** What the peer makes us hold, made at its first use. */
  readonly burden: Burden;
  readonly roaming?: ChannelHost["roaming"];
  /** Datagrams whose address must be proven. */
  readonly proof?: AddressProof | undefined;
}

/** A delivery, or a rarer input, that waits for the running one to complete. */
type Waiting = { readonly client: BusClient; readonly delivery: Delivery } | (() => void);

/**
 * Drives one channel: inputs one at a time, each to completion. What an input causes for this same channel
 * waits and is its next input. A failure of the channel, which is our bug, closes that channel alone.
 */
export class ChannelLoop extends ChannelClients implements ChannelHost, ChannelDriver {
  readonly door: Door;
  readonly link: Link;
  /** Made by `open`, because a channel is given its host when it is made. */
  channel!: Channel;
  /** The transport takes no more: deliveries stay in their sessions. */
  held = false;
  heardAt: Instant;
  #state: "open" | "closing" | "parting" | "closed" = "open";
  #closeReason = "";
  /** How clients go that are here when it closes. */
  #departure: "lost" | "refused" = "lost";
  #running = false;
  #waiting: Waiting[] | undefined = undefined;
  /** Rates of clients that live for one request: they share those of their channel. */
  rates: Rates | undefined = undefined;
  /** Held since so long then that the peer is given up. */
  #stalledAt: Instant = NEVER;
  /** Reading waits until then. */
  #throttledUntil: Instant | undefined = undefined;
  #pausedBy = 0;
  /** What of that are the channel's own pauses: it has read more than it may look at yet. */
  #pausedByChannel = 0;
  /** What was published over it and waits for who is behind. */
  line: ChannelDriver["line"] = undefined;
  /** Asks to connect that have no answer yet: what the channel was sent may depend on it. */
  #connecting = 0;
  /** Some were of single requests: each is work that was sent, and no mere login. */
  #serves = false;
  /** Other asks that have no answer yet. */
  #asking = 0;
  /** The peer sends no more, and still reads. */
  #halfClosed = false;
  /** The peer sends no more, and what it has sent is still being worked on: why. */
  #endOfStream: string | undefined = undefined;

  constructor(door: Door, link: Link) {
    super();
    this.door = door;
    this.link = link;
    this.heardAt = door.core.now;
  }

  get core(): Core {
    return this.door.core;
  }

  get peer(): Peer {
    return this.link.peer;
  }

  get local(): string | undefined {
    return this.link.local;
  }

  get limits(): PacketLimits {
    return this.door.policy.limits;
  }

  get closed(): boolean {
    return this.#state === "closed";
  }

  /** Makes the channel. What that causes (a close, a delivery) comes after, as with any input. */
  open(endpoint: Endpoint): void {
    this.#running = true;
    this.channel = endpoint.open(this.peer, this, this.core.now);
    this.door.entered(this);
    this.#complete();
  }

  // ---- inputs

  receive(bytes: Uint8Array): void {
    if (this.#state !== "open") return;
    this.core.counters.bytesReceived.value += bytes.length;
    this.heardAt = this.core.now;
    if (this.core.trace === undefined) this.#take(bytes);
    else this.#takeTraced(bytes);
  }

  // What a trace needs is in functions of its own: a closure in a hot function costs it a context at each call.

  #takeTraced(bytes: Uint8Array): void {
    this.core.trace?.received(this, bytes, (piece) => this.#take(piece));
  }

  #take(bytes: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#running = true;
    try {
      this.channel.receive(bytes, this.core.now);
    } catch (error) {
      this.#fail(error);
    }
    this.#complete();
  }

  deliver(client: BusClient, delivery: Delivery): void {
    if (this.#state !== "open") return;
    if (this.#running) {
      client.waiting++;
      this.#wait({ client, delivery });
      return;
    }
    this.#running = true;
    try {
      this.#give(client, delivery);
    } catch (error) {
      this.#fail(error, { client, delivery });
    }
    this.#complete();
  }

  #give(client: BusClient, delivery: Delivery): void {
    const { trace, now } = this.core;
    if (trace === undefined) this.channel.deliver(client, delivery, now);
    else this.#giveTraced(client, delivery);
  }

  #giveTraced(client: BusClient, delivery: Delivery): void {
    this.core.trace?.delivering(client, delivery, () =>
      this.channel.deliver(client, delivery, this.core.now),
    );
  }

  asked(ticket: Ticket): void {
    this.#asking++;
    this.core.trace?.pending(this, ticket);
  }

  answered(ticket: Ticket, answer: Answer, words?: ServerWords): void {
    this.#asking--;
    if (this.#state !== "open") return;
    if (this.#running) {
      this.#wait(() => this.#answer(ticket, answer, words));
      return;
    }
    this.#running = true;
    try {
      this.#answer(ticket, answer, words);
    } catch (error) {
      this.#fail(error);
    }
    this.#complete();
  }

  #answer(ticket: Ticket, answer: Answer, words: ServerWords | undefined): void {
    const { trace, now } = this.core;
    if (trace === undefined) this.channel.answered(ticket, answer, now, words);
    else trace.answered(this, ticket, () => this.channel.answered(ticket, answer, now, words));
  }

  found(ticket: Ticket, answer: RetainedAnswer): void {
    this.#asking--;
    this.#enter(() => this.#asAnswer(ticket, () => this.channel.found?.(ticket, answer, this.core.now)));
  }

  /** Rarer answers: the closure costs nothing that counts. */
  #asAnswer(ticket: Ticket, run: () => void): void {
    const { trace } = this.core;
    if (trace === undefined) run();
    else trace.answered(this, ticket, run);
  }

  /** What letting the client in causes (a resumed session's deliveries) comes after the answer. */
  connected(ticket: Ticket, admit: () => ConnectAnswer | Pending): void {
    this.#enter(() => {
      const answer = admit();
      if (answer === "pending") return;
      this.#connecting--;
      this.#asAnswer(ticket, () => this.channel.connected(ticket, answer, this.core.now));
    });
  }

  /** The whole channel has to go: it says goodbye, and is closed. */
  stop(reason: StopReason): void {
    for (const client of this.clients()) client.stopped ??= reason;
    this.#enter(() => {
      this.channel.stop(reason, this.core.now);
      this.close(reason);
    });
  }

  /** One of its clients has to go. A stream with no other client closes; a datagram peer may stay. */
  stopClient(client: BusClient, reason: StopReason, words?: ServerWords): void {
    client.stopped ??= reason;
    const leave = (): void => {
      if (client.ended) return;
      this.channel.stop(reason, this.core.now, client, words);
      client.finish("lost", reason);
      if (this.clientCount === 0 && isStream(this.peer.transport)) this.close(reason);
    };
    if (!this.#running) this.#enter(leave);
    // Its own channel ends it, by letting in another client of that name, and knows.
    else client.finish("lost", reason);
  }

  /**
   * The peer of a stream sends no more. That is an event in order, behind all that it has sent: a channel that waits for
   * an answer of the core has still to read what came before ([MQTT-3.14.4-3], MQTT 5 §3.1.4). `half`: what is sent may
   * still be read; `broken`: without a word, and then nobody waits for a login behind which nothing was sent.
   */
  ended(reason: string, how: "half" | "whole" | "broken"): void {
    if (this.#state === "closed") return;
    // There is nobody left to whom a delivery could go.
    if (how !== "half") this.held = true;
    this.#halfClosed = how === "half";
    const inOrder = how !== "broken" || this.#endOfStream !== undefined || !this.#onlyLogsIn;
    if (this.#state === "open" && this.#reads && inOrder) this.#endOfStream ??= reason;
    else this.gone(reason, how === "half");
  }

  /** Nothing but a login waits: nothing was sent behind it. */
  get #onlyLogsIn(): boolean {
    return this.#connecting > 0 && !this.#serves && (this.channel.buffered ?? 0) === 0;
  }

  /** Nothing arrives at the peer any more, but not all that it has sent is read: it waits for no reader of its own. */
  unheard(): void {
    if (this.#state !== "open") return;
    if (this.held) this.#resume();
    this.#stalledAt = NEVER;
    this.held = true;
  }

  /** The channel has something to read that it was sent before, or to say to a peer that still reads. */
  get #reads(): boolean {
    if (this.#pausedByChannel > 0 || this.#connecting > 0) return true;
    return this.#halfClosed && this.#asking > 0;
  }

  /** The transport is gone, or with `closeLink` to be ended from this side too. */
  gone(reason: string, closeLink = false): void {
    if (this.#state === "closed") return;
    this.#enter(() => this.channel.closed(this.core.now), true);
    this.#closeReason ||= reason;
    this.#finish(closeLink);
  }

  override fire(now: Instant): void {
    // The wheel may have been about to ring when this channel was closed.
    if (this.#state !== "open") return;
    if (this.#throttledUntil !== undefined && this.#throttledUntil <= now) this.#unthrottle();
    if (this.#stalledAt <= now) {
      this.stop("overload");
    } else if (this.channel.deadline() <= now) {
      this.#enter(() => this.#wake());
    } else {
      this.#rearm();
    }
  }

  #wake(): void {
    const { trace } = this.core;
    if (trace === undefined) this.channel.wake(this.core.now);
    else trace.woken(this, () => this.channel.wake(this.core.now));
  }

  /** A slow reader: holds deliveries back, and with them what it sends us, until it reads again. */
  hold(held: boolean): void {
    if (this.held === held || this.#state !== "open" || this.#endOfStream !== undefined) return;
    this.held = held;
    if (held) {
      this.core.counters.held.value++;
      this.#stalledAt = after(this.core.now, this.door.policy.limits.stallTimeout);
      this.#pause();
      if (!this.#running) this.#rearm();
      return;
    }
    this.#stalledAt = NEVER;
    this.#resume();
    this.#flush();
  }

  #flush(): void {
    for (const client of this.clients()) client.flush();
  }

  // ---- effects

  send(bytes: Uint8Array): void {
    if (this.#state === "closed") return;
    this.core.counters.bytesSent.value += bytes.length;
    this.core.trace?.sent(this, bytes);
    this.link.send(bytes);
  }

  sendView(bytes: Uint8Array): void {
    if (this.#state === "closed") return;
    this.core.counters.bytesSent.value += bytes.length;
    this.core.trace?.sent(this, bytes);
    this.link.sendView(bytes);
  }

  get authenticationMethods(): readonly string[] | "any" {
    if (this.core.engine.passesLogins === true) return "any";
    return this.door.policy.methods ?? [];
  }

  connect(request: ConnectRequest, ticket: Ticket): ConnectAnswer | Pending {
    const answer = this.door.connect(this, request, ticket);
    if (answer === "pending") {
      this.#connecting++;
      this.#serves ||= request.kind === "single";
      this.core.trace?.pending(this, ticket);
    }
    return answer;
  }

  claim(name: string): void {
    this.link.claim(name);
  }

  unclaim(name: string): void {
    this.link.unclaim(name);
  }

  get roaming(): ChannelHost["roaming"] {
    return this.link.roaming;
  }

  get reachability(): Reachability {
    return this.link.proof ?? PROVEN;
  }

  turn(run: (now: Instant) => void): void {
    this.#enter(() => run(this.core.now));
  }

  reserve(bytes: number): boolean {
    const { burden } = this.link;
    const { memory, counters } = this.core;
    if (burden.stranger && this.client !== undefined) burden.welcome();
    const room = burden.reserve(bytes);
    if (!room) counters.memoryRefused.value++;
    else if (burden.stranger && memory.crowded) memory.check();
    return room;
  }

  release(bytes: number): void {
    this.link.burden.release(bytes);
  }

  get paused(): boolean {
    return this.#pausedBy > 0;
  }

  pauseReading(): void {
    this.#pausedByChannel++;
    this.#pause();
  }

  resumeReading(): void {
    if (this.#pausedByChannel === 0) return;
    this.#pausedByChannel--;
    this.#resume();
  }

  /** Reading stops at the first reason and goes on when the last one is gone. */
  #pause(): void {
    if (this.#pausedBy++ === 0) this.link.pauseReading();
  }

  #resume(): void {
    if (this.#pausedBy > 0 && --this.#pausedBy === 0 && this.#state === "open") this.link.resumeReading();
  }

  note(note: Note): void {
    const client = this.client?.id;
    const peer = `${this.peer.address}:${this.peer.port}`;
    this.core.note(this.door.gateway, note, client === undefined ? { peer } : { peer, client });
  }

  refused(refused: Refused): void {
    const { door, peer } = this;
    const { address, port } = peer;
    const client = this.client;
    const who = { clientId: client?.id, username: client?.username };
    this.core.refused(
      {
        gateway: refused.gateway ?? client?.gateway ?? door.gateway,
        listener: door.policy.listener,
        address,
        port,
        ...who,
      },
      refused,
    );
  }

  random(length: number): Uint8Array {
    return this.core.random(length);
  }

  close(reason: string, parted = false, how: "lost" | "refused" = parted ? "lost" : "refused"): void {
    if (this.#state !== "open") return;
    this.#state = parted ? "parting" : "closing";
    this.#closeReason = reason;
    this.#departure = how;
    if (!this.#running) this.#finish(true);
  }

  wait(waits: boolean): boolean {
    if (!isStream(this.peer.transport)) return false;
    if (waits) this.#pause();
    else this.#resume();
    return true;
  }

  /** Streams: what was read is read; the next read waits until the rate allows it. */
  throttle(until: Instant): void {
    if (this.#throttledUntil === undefined) {
      this.core.counters.throttled.value++;
      this.#pause();
    }
    this.#throttledUntil = until;
    if (!this.#running) this.#rearm();
  }

  // ---- inside

  get #closing(): boolean {
    return this.#state === "closing" || this.#state === "parting";
  }

  #enter(input: () => void, evenClosing = false): void {
    if (this.#running) {
      this.#wait(input);
      return;
    }
    if (this.#state === "closed" || (this.#closing && !evenClosing)) return;
    this.#running = true;
    try {
      input();
    } catch (error) {
      this.#fail(error);
    }
    this.#complete();
  }

  #wait(input: Waiting): void {
    this.#waiting ??= [];
    this.#waiting.push(input);
  }

  /** Ends an input: then come those that it caused, the close that it asked for, or the next deadline. */
  #complete(): void {
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      this.#runWaiting(waiting);
    }
    this.#running = false;
    if (this.#closing) this.#finish(true);
    else if (this.#endOfStream !== undefined && this.#state === "open" && !this.#reads) {
      const reason = this.#endOfStream;
      this.#endOfStream = undefined;
      this.gone(reason, true);
    } else if (this.#state === "open") {
      this.#rearm();
      // Some client's queue may have had to stop for those that waited.
      if (waiting !== undefined && waiting.length >= WAITING_MAX) this.#flush();
    }
  }

  #runWaiting(waiting: Waiting[]): void {
    for (let index = 0; index < waiting.length; index++) {
      if (this.#state !== "open") return;
      const input = waiting[index]!;
      try {
        if (typeof input === "function") {
          input();
        } else {
          input.client.waiting--;
          if (!input.client.ended) this.#give(input.client, input.delivery);
        }
      } catch (error) {
        this.#fail(error, typeof input === "function" ? undefined : input);
      }
      // What it has caused comes behind all that waited before.
      const more: Waiting[] | undefined = this.#waiting;
      if (more !== undefined) {
        this.#waiting = undefined;
        for (const next of more) waiting.push(next);
      }
    }
  }

  /** The alarm is only ever brought forward; when it comes too early it is set again. */
  #rearm(): void {
    let wanted = earliest(this.channel.deadline(), this.#stalledAt);
    if (this.#throttledUntil !== undefined) wanted = earliest(wanted, this.#throttledUntil);
    if (!this.armed ? wanted !== NEVER : wanted < this.due) this.core.alarms.arm(this, wanted);
  }

  #unthrottle(): void {
    this.#throttledUntil = undefined;
    this.#resume();
  }

  #finish(closeLink: boolean): void {
    const parted = this.#state === "parting";
    this.#state = "closed";
    this.#waiting = undefined;
    this.core.alarms.disarm(this);
    for (const client of this.clients()) client.finish(this.#departure, this.#closeReason);
    if (closeLink) this.link.close(this.#closeReason, parted);
    this.core.trace?.closed(this, this.#closeReason);
    this.door.left(this);
  }

  /** What it was given and never settled may be why, and would be at every attempt: sessions count. */
  #fail(error: unknown, at?: Exclude<Waiting, () => void>): void {
    this.core.counters.channelFailures.value++;
    if (at !== undefined && at.delivery.id !== 0) at.client.failed(at.delivery.id);
    else for (const client of this.clients()) client.failed(undefined);
    this.note({
      level: "warn",
      event: "channel-failure",
      detail: { error: stackOf(error) },
    });
    this.close("internal error");
  }
}
