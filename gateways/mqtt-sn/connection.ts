/**
 * A device that is connected: everything that lasts as long as its connection, and is forgotten with it (MQTT-SN 1.2
 * §6.14). What outlives it is the session's: `memo.ts`.
 */
import type { ChannelHost } from "#core/contract/channel.ts";
import type { Client } from "#core/contract/client.ts";
import { text } from "#core/lib/bytes.ts";
import { after, type Duration, FOREVER, type Instant, latest, NEVER } from "#core/lib/time.ts";
import { Answers } from "./answers.ts";
import { Downlink } from "./downlink.ts";
import type { Downstream } from "./downstream.ts";
import { encode, encodeBare } from "./encode.ts";
import { remember } from "./memo.ts";
import * as p from "./packets.ts";
import type { Setup } from "./setup.ts";
import { Topics } from "./topics.ts";
import type { StoredWill } from "./will.ts";

/** The way to the device, which may change under a connection. */
export interface Wire {
  readonly setup: Setup;
  readonly host: ChannelHost;
  /** Octets that a forwarder's wrapping adds to each message. */
  readonly wrapping: number;
  send(bytes: Uint8Array): void;
  /** Tells the sender that it has no connection here, and forgets it. */
  dismiss(why: string): void;
}

export interface LastQos1 {
  readonly hash: number;
  readonly topicId: number;
  readonly messageId: number;
  acknowledged: boolean;
}

export type Phase =
  /** The session is there, and CONNACK waits for the store. */
  "opening" | "active" | "asleep" | "awake";

/** So much later than its silence ends an active device is expected, so that not each message has to be kept. */
const SLACK = 1 / 8;

const NO_ID = new Uint8Array(0);

export class Connection implements Downstream {
  readonly wire: Wire;
  readonly client: Client;
  /** The session ends with the connection, or with the sleep. */
  readonly cleanSession: boolean;
  phase: Phase = "opening";
  topics = new Topics();
  predefinedInUse: Set<number> | undefined = undefined;
  will: StoredWill | undefined = undefined;
  readonly downlink: Downlink;
  readonly answers: Answers;
  /** The CONNECT that made it, as long as nothing but repeats of its handshake came after it. */
  accepted: p.Connect | undefined = undefined;
  /** Sleep or keep-alive time with its tolerance, and the last sign of life (§7.2). */
  patience: Duration = FOREVER;
  heardAt: Instant;
  /** When to look at `heardAt` again; moved only when it has come, not with every message. */
  silenceAt: Instant = NEVER;
  #probed = false;
  malformed = 0;
  /** The last QoS 1 publish, for `dropRepeatedQos1`. */
  lastQos1: LastQos1 | undefined = undefined;
  /** No QoS 0 refusal before this (§6.6 lets us answer at any QoS). */
  quietUntil = 0 as Instant;

  constructor(wire: Wire, client: Client, cleanSession: boolean, now: Instant) {
    this.wire = wire;
    this.client = client;
    this.cleanSession = cleanSession;
    this.heardAt = now;
    this.downlink = new Downlink(this);
    this.answers = new Answers(this);
  }

  get setup(): Setup {
    return this.wire.setup;
  }

  get host(): ChannelHost {
    return this.wire.host;
  }

  get wrapping(): number {
    return this.wire.wrapping;
  }

  get sleeps(): boolean {
    return this.phase === "asleep" || this.phase === "awake";
  }

  send(bytes: Uint8Array): void {
    this.wire.send(bytes);
  }

  assignId(name: string): number {
    const before = this.topics.names.length;
    const topicId = this.topics.assign(name, this.setup.config.topicIdsMax);
    if (this.topics.names.length > before) remember(this);
    return topicId;
  }

  // ---- active, asleep, awake

  /** CONNACK was sent. */
  activate(patience: Duration, now: Instant): void {
    this.phase = "active";
    this.supervise(patience, now);
    this.client.rest(undefined);
    this.downlink.activate(now);
  }

  /** Asleep, for the first time or for a new duration: found by its client id from now on, wherever it wakes up. */
  fallAsleep(patience: Duration, now: Instant): void {
    this.downlink.sleep();
    this.phase = "asleep";
    this.supervise(patience, now);
    this.#rest();
    this.host.claim(this.client.id);
  }

  /** From asleep to awake: everything that waits is sent, then PINGRESP. */
  wakeUp(now: Instant): void {
    this.setup.counters.wakeUps.value++;
    this.phase = "awake";
    this.client.rest(undefined);
    this.silenceAt = after(now, this.#allowance);
    this.expectWithin(this.#allowance, now);
    this.downlink.flush(now);
  }

  flushed(now: Instant): void {
    this.phase = "asleep";
    this.setup.counters.flushes.value++;
    this.supervise(this.patience, now);
    this.#rest();
    this.send(encodeBare(p.PINGRESP));
  }

  #rest(): void {
    this.client.rest(after(this.heardAt, this.patience));
  }

  /** The device fell asleep again without its acknowledgements. */
  unanswered(now: Instant): void {
    this.downlink.sleep();
    this.phase = "asleep";
    this.silenceAt = latest(now, after(this.heardAt, this.patience));
    this.#rest();
  }

  // ---- signs of life (§7.2)

  /** Not what names another client: who has got this address since is no sign of life of the one before. */
  heard(packet: p.Packet, now: Instant): void {
    const named = packet.type === p.CONNECT || packet.type === p.PINGREQ ? packet.clientId : NO_ID;
    if (named.length > 0 && text(named) !== this.client.id) return;
    this.heardAt = now;
    this.#probed = false;
    const { expectedUntil } = this.client;
    if (this.phase !== "active" || expectedUntil === undefined) return;
    // Kept again only when what is kept would be too early.
    if (after(now, this.patience) > expectedUntil) this.expectWithin(this.patience, now);
  }

  supervise(patience: Duration, now: Instant): void {
    this.patience = patience;
    this.heardAt = now;
    this.silenceAt = patience === FOREVER ? NEVER : after(now, patience);
    this.expectWithin(patience, now);
  }

  /** The time that the device may be silent is over, if it has been silent all that time. */
  checkSilence(now: Instant): void {
    const due = after(this.heardAt, this.#allowance);
    if (due > now && !this.#probed) {
      this.silenceAt = due;
      return;
    }
    const { probe, retryInterval } = this.setup.config;
    if (probe && !this.#probed && this.phase === "active") {
      this.#probed = true;
      this.silenceAt = after(now, retryInterval);
      this.send(encode({ type: p.PINGREQ, clientId: NO_ID }));
      return;
    }
    this.lose(this.phase === "active" ? "keep-alive" : "overslept", "silent");
  }

  /** The sleep timer rests while the device is awake: there our repeats decide (§6.14). */
  get #allowance(): Duration {
    if (this.phase !== "awake") return this.patience;
    const { retryInterval, retries } = this.setup.config;
    return Math.max(this.patience, retryInterval * (retries + 2)) as Duration;
  }

  /**
   * Until when it counts as connected whatever becomes of this process, of whose end it knows nothing. A sleeper is
   * expected to the end of its sleep; an active device only for its will's sake: without one its session counts from the
   * gateway's end.
   */
  expectWithin(patience: Duration, now: Instant): void {
    if (this.sleeps) this.client.expectUntil(after(now, patience));
    else if (this.will === undefined) this.client.expectUntil(undefined);
    else this.client.expectUntil(after(now, (patience * (1 + SLACK)) as Duration));
  }

  // ---- the end

  /** Its will is published; the session lives on by its expiry (§6.14). */
  lose(why: string, how: "lost" | "silent" = "lost"): void {
    this.setup.counters.lost.value++;
    this.client.end(how);
    this.wire.dismiss(why);
  }

  /** The channel goes, and the device knows nothing of it: it is lost when its time is over. */
  leaveExpected(now: Instant): void {
    remember(this);
    if (this.will !== undefined || this.sleeps) {
      this.client.expectUntil(latest(now, after(this.heardAt, this.patience)));
    }
    this.client.end("expected");
  }
}
