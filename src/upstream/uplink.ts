/**
 * Keeps one MQTT session connected: chooses a server, dials, sends CONNECT, and again after each cut.
 *
 *   idle ─ start ─► queued ─ budget ─► dialling ─ CONNECT ─► greeting ─ CONNACK ─► up
 *                     ▲                    │                    │                   │
 *                     └──── resting ◄──────┴────────────────────┴───────────────────┘   back-off, full jitter
 *
 * It ends by itself only where coming back would do harm: another connection has taken the session, or the server does
 * not want this client.
 */
import { Alarm, CallbackAlarm } from "../lib/alarm.ts";
import { after, between, earliest, type Instant, NEVER, seconds } from "../lib/time.ts";
import { type Arrived, Link, type LinkUser } from "../mqtt/client/link.ts";
import type {
  Acknowledgement,
  CodesPacket,
  ConnackPacket,
  ConnectPacket,
  ReasonPacket,
} from "../mqtt/packets.ts";
import { NO_PROPERTIES, type Properties } from "../mqtt/properties.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import type { DialError, Dialling, StreamConnection, StreamReceiver } from "../net/transport.ts";
import { Backoff } from "./backoff.ts";
import type { Applicant } from "./connect-budget.ts";
import type { UpstreamContext } from "./context.ts";
import { Destination } from "./destination.ts";
import type { Exchanges } from "./exchanges.ts";
import { blamesServer, isElsewhere } from "./reasons.ts";
import { Rivalry } from "./rivalry.ts";
import type { Server, SessionInfo } from "./server-choice.ts";
import { Wire, WireReceiver, type WireUser } from "./wire.ts";

/** The session behind an uplink. */
export interface UplinkUser {
  info(): SessionInfo;
  /** CONNECT of the next connection. */
  application(version: 4 | 5, now: Instant): ConnectPacket;
  /** Connected; whatever was said on an earlier connection was lost with it, unless the server has the session. */
  up(link: Link, connack: ConnackPacket, now: Instant): void;
  /** Not connected for now. */
  down(why: string, now: Instant): void;
  /** A try came to nothing, and why, perhaps in the server's words; there will be another. */
  missed(why: string, connack: ReasonPacket | undefined, now: Instant): void;
  /** The server refuses this client. It is not tried again. */
  denied(connack: ReasonPacket, now: Instant): void;
  /** The server has ended this session's connection, and coming back would not be right. It is not tried again. */
  dismissed(packet: ReasonPacket, now: Instant): void;
  /** There is room to send again. */
  writable(now: Instant): void;
  /** An ask is on its way whose answer may be that the server closes the connection. */
  readonly subscribing: boolean;
  /** What it publishes, which a server may refuse in the same way. */
  readonly exchanges: Pick<Exchanges, "closed" | "underWay"> | undefined;

  challenged(auth: ReasonPacket, now: Instant): void;
  arrived(publish: Arrived, now: Instant): void;
  acknowledged(type: Acknowledgement, packetId: number, answer: ReasonPacket, now: Instant): void;
  subscribed(suback: CodesPacket, now: Instant): void;
  unsubscribed(unsuback: CodesPacket, now: Instant): void;
  ponged(now: Instant): void;
}

type Phase = "idle" | "queued" | "dialling" | "greeting" | "up" | "resting";

/** A connection that lasts so long was a good one: what went wrong before does not count any more. */
const STABLE = seconds(30);

export class Uplink extends Alarm implements LinkUser, Applicant, WireUser {
  readonly #context: UpstreamContext;
  readonly #user: UplinkUser;
  #phase: Phase = "idle";
  readonly #destination: Destination;
  #dialling: Dialling | undefined = undefined;
  #wire: Wire | undefined = undefined;
  #link: Link | undefined = undefined;
  readonly #backoff = new Backoff();
  readonly #rivalry = new Rivalry();
  #upAt: Instant = NEVER;
  #restUntil: Instant = NEVER;
  /** MQTT 5 was not understood in the last try. */
  #older = false;

  constructor(context: UpstreamContext, user: UplinkUser) {
    super();
    this.#context = context;
    this.#user = user;
    this.#destination = new Destination(context);
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** While it is up. */
  get link(): Link | undefined {
    return this.#phase === "up" ? this.#link : undefined;
  }

  get serverName(): string | undefined {
    return this.#destination.server?.name;
  }

  /** While it is up. */
  get server(): Server | undefined {
    return this.#phase === "up" ? this.#destination.server : undefined;
  }

  /** The transport takes no more for now. */
  get full(): boolean {
    return this.#wire?.full === true;
  }

  get gone(): boolean {
    return this.#phase !== "queued";
  }

  // ---- from the session

  /** Connects, unless it is at it. */
  start(now: Instant): void {
    if (this.#phase !== "idle") return;
    this.#backoff.reset();
    this.#rivalry.forgive();
    this.#destination.settled();
    this.#apply(now);
  }

  /** Connects at once where it waits for its next try. */
  hurry(now: Instant): void {
    if (this.#phase === "resting") this.#apply(now);
  }

  /** Ends with DISCONNECT. */
  stop(reason: ReasonCode, properties: Readonly<Properties>, now: Instant): void {
    this.#link?.disconnect(reason, properties);
    this.#leave(now, (wire) => wire.end());
  }

  /** Ends without a word: the server finds the client lost. */
  abandon(now: Instant): void {
    this.#link?.end();
    this.#leave(now, (wire) => wire.end());
  }

  /**
   * Another connection is about to take the session: this one is left to the server, which ends it when it lets the
   * other one in.
   */
  detach(now: Instant): void {
    const wire = this.#wire;
    this.#link?.end();
    this.#leave(now, () => {});
    if (wire === undefined) return;
    const { alarms, options } = this.#context;
    const alarm = new CallbackAlarm(() => wire.end());
    alarms.arm(alarm, after(now, options.connackTimeout));
  }

  /** Tries again, but no sooner than after the longest back-off. */
  retry(now: Instant): void {
    if (this.#phase !== "idle") return;
    this.#phase = "resting";
    this.#backoff.exhaust();
    this.#rest(now);
  }

  /** Connects anew, because what only CONNECT can say has changed. */
  renew(properties: Readonly<Properties>, now: Instant): void {
    if (this.#phase !== "up") return;
    this.stop(ReasonCode.success, properties, now);
    this.#apply(now);
  }

  /** AUTH, before CONNACK or after it. */
  authenticate(auth: ReasonPacket, now: Instant): void {
    if (this.#phase !== "greeting" && this.#phase !== "up") return;
    this.#link?.authenticate(auth, now);
    this.#rearm();
  }

  /** Stops reading what the server sends, or goes on. */
  pauseReading(now: Instant): void {
    this.#wire?.connection.pauseReading();
    this.#link?.deaf(true, now);
  }

  resumeReading(now: Instant): void {
    this.#wire?.connection.resumeReading();
    this.#link?.deaf(false, now);
    this.#rearm();
  }

  /** After the session has sent something that is waited for. */
  rearm(): void {
    this.#rearm();
  }

  // ---- connecting

  #apply(now: Instant): void {
    this.#phase = "queued";
    this.#restUntil = NEVER;
    this.#context.budget.apply(this, now);
  }

  go(now: Instant): void {
    const server = this.#destination.choose(this.#user.info());
    this.#phase = "dialling";
    if (server === undefined) {
      this.#miss("no server can be tried now", now);
      return;
    }
    this.#dialling = server.dial(
      (connection) => this.#connected(connection),
      (error) => this.#undialled(error),
      this.#user.info().source,
    );
  }

  #undialled(error: DialError): void {
    this.#context.tick();
    const now = this.#context.clock.now();
    this.#dialling = undefined;
    this.#rivalry.forgive();
    this.#destination.blame({ kind: "dial", detail: error.message });
    this.#miss(error.message, now);
  }

  #connected(connection: StreamConnection): StreamReceiver | undefined {
    this.#context.tick();
    const now = this.#context.clock.now();
    this.#dialling = undefined;
    if (this.#phase !== "dialling") return undefined;
    const server = this.#destination.server as Server;
    const known = this.#context.versions.of(server);
    const version = this.#older ? 4 : (known ?? 5);
    const wire = new Wire(connection, this.#context.schedule);
    const { connackTimeout, pingTimeout, packetSize, topicAliases } = this.#context.options;
    const options = { connackTimeout, pingTimeout, packetSize, topicAliases };
    const link = new Link(version, server.caps, wire, this, options);
    if (!link.connect(this.#user.application(version, now), now)) {
      this.#finishAttempt(now);
      this.#phase = "idle";
      this.#user.denied(TOO_LONG, now);
      return undefined;
    }
    this.#phase = "greeting";
    this.#wire = wire;
    this.#link = link;
    this.#rearm();
    return new WireReceiver(this, wire);
  }

  // ---- from the transport

  /** `wire`: of which connection; those of an earlier one say nothing any more. */
  bytes(wire: Wire, bytes: Uint8Array): void {
    if (wire !== this.#wire) return;
    this.#context.tick();
    this.#link?.receive(bytes, this.#context.clock.now());
    if (wire === this.#wire) this.#rearm();
  }

  room(wire: Wire): void {
    wire.full = false;
    if (wire !== this.#wire) return;
    this.#context.tick();
    this.#user.writable(this.#context.clock.now());
  }

  lost(wire: Wire, error: string | undefined): void {
    if (wire !== this.#wire) {
      wire.end();
      return;
    }
    this.#context.tick();
    const now = this.#context.clock.now();
    const { phase } = this;
    this.#link?.end();
    wire.end();
    const why = error ?? "closed by the server";
    if (phase === "up") this.#cut(why, error === undefined, now);
    else this.#unanswered(why, now);
  }

  /** The server has closed without CONNACK: perhaps because it knows no MQTT 5. */
  #unanswered(why: string, now: Instant): void {
    const server = this.#destination.server as Server;
    const mayBeOld = this.#link?.version === 5 && this.#context.versions.of(server) === undefined;
    this.#forget();
    if (mayBeOld && !this.#older) {
      this.#tryOlder(now);
      return;
    }
    this.#destination.blame({ kind: "silent", detail: why });
    this.#miss(`no CONNACK: ${why}`, now);
  }

  #tryOlder(now: Instant): void {
    this.#older = true;
    this.#destination.stay();
    this.#finishAttempt(now);
    this.#apply(now);
  }

  // ---- from the link

  accepted(connack: ConnackPacket, now: Instant): void {
    const server = this.#destination.server as Server;
    const link = this.#link as Link;
    this.#phase = "up";
    this.#upAt = now;
    this.#older = false;
    if (server.version === "auto") this.#context.versions.learn(server, link.version as 4 | 5);
    this.#context.counters.connects.value++;
    this.#context.outage.connected();
    this.#finishAttempt(now);
    this.#context.choice.succeeded(server);
    this.#user.up(link, connack, now);
  }

  refused(connack: ConnackPacket, now: Instant): void {
    const server = this.#destination.server as Server;
    const { reason, properties } = connack;
    const mayBeOld = this.#link?.version === 5 && this.#context.versions.of(server) === undefined;
    this.#hangUp();
    this.#forget();
    if (reason === ReasonCode.unsupportedProtocolVersion && mayBeOld) {
      this.#tryOlder(now);
    } else if (isElsewhere(reason) && this.#destination.follow(reason, properties)) {
      this.#finishAttempt(now);
      this.#apply(now);
    } else if (blamesServer(reason)) {
      this.#destination.blame({ kind: "refused", detail: properties.reasonString ?? "CONNACK", reason });
      this.#elsewhere(connack, now);
    } else {
      this.#deny(connack, now);
    }
  }

  /** Another server may let it in; where there is none, this one's word stands. */
  #elsewhere(connack: ConnackPacket, now: Instant): void {
    if (this.#backoff.fresh && this.#destination.tryAnother(this.#user.info())) {
      this.#backoff.count();
      this.#finishAttempt(now);
      this.#apply(now);
      return;
    }
    this.#miss(`refused with reason 0x${connack.reason.toString(16)}`, now, connack);
  }

  #deny(connack: ReasonPacket, now: Instant): void {
    this.#context.counters.denied.value++;
    this.#finishAttempt(now);
    this.#phase = "idle";
    this.#rearm();
    this.#user.denied(connack, now);
  }

  dismissed(packet: ReasonPacket, now: Instant): void {
    const { reason, properties } = packet;
    const lasted = between(this.#upAt, now);
    // Servers that send a session back and forth let it in each time.
    if (this.#isStable(now)) this.#destination.settled();
    this.#hangUp();
    if (isElsewhere(reason) && this.#destination.follow(reason, properties)) {
      // The redirect that is followed now counts.
      this.#upAt = now;
      this.#dropped("the server names another one", now);
      this.#apply(now);
      return;
    }
    if (reason === ReasonCode.sessionTakenOver && this.#rivalry.mayBeMistaken(lasted)) {
      this.#dropped("taken over as it came in", now);
      this.#apply(now);
      return;
    }
    if (reason === ReasonCode.sessionTakenOver) this.#context.counters.takeovers.value++;
    if (reason === ReasonCode.sessionTakenOver || !blamesServer(reason)) {
      this.#drop();
      this.#phase = "idle";
      this.#user.dismissed(packet, now);
      return;
    }
    this.#destination.failed({ kind: "refused", detail: "DISCONNECT", reason });
    this.#dropped(`DISCONNECT with reason 0x${reason.toString(16)}`, now);
    this.#rest(now);
  }

  failed(problem: string, silent: boolean, now: Instant): void {
    const wasUp = this.#phase === "up";
    const server = this.#destination.server as Server;
    this.#context.note({ level: "warn", event: "upstream-broken", detail: { server: server.name, problem } });
    this.#hangUp(silent);
    if (!wasUp) {
      this.#forget();
      this.#destination.blame({ kind: silent ? "silent" : "broken", detail: problem });
      this.#miss(problem, now);
      return;
    }
    this.#destination.failed({ kind: "broken", detail: problem });
    this.#dropped(problem, now);
    this.#rest(now);
  }

  challenged(auth: ReasonPacket, now: Instant): void {
    this.#user.challenged(auth, now);
  }

  arrived(publish: Arrived, now: Instant): void {
    this.#user.arrived(publish, now);
  }

  acknowledged(type: Acknowledgement, packetId: number, answer: ReasonPacket, now: Instant): void {
    this.#user.acknowledged(type, packetId, answer, now);
  }

  subscribed(suback: CodesPacket, now: Instant): void {
    this.#user.subscribed(suback, now);
  }

  unsubscribed(unsuback: CodesPacket, now: Instant): void {
    this.#user.unsubscribed(unsuback, now);
  }

  ponged(now: Instant): void {
    this.#user.ponged(now);
  }

  // ---- cuts

  #cut(why: string, orderly: boolean, now: Instant): void {
    if (this.#isStable(now)) this.#rivalry.forgive();
    if (orderly && !this.#user.subscribing && this.#rivalry.closed(this.#user.exchanges)) {
      this.#context.counters.takeovers.value++;
      this.#drop();
      this.#phase = "idle";
      this.#user.dismissed(TAKEN, now);
      return;
    }
    if (!orderly) this.#destination.failed({ kind: "broken", detail: why });
    this.#dropped(why, now);
    this.#rest(now);
  }

  /** Was up, and is not any more. */
  #dropped(why: string, now: Instant): void {
    if (this.#isStable(now)) {
      this.#backoff.reset();
      this.#destination.settled();
      this.#rivalry.settled();
    }
    this.#context.counters.cuts.value++;
    this.#drop();
    this.#phase = "resting";
    this.#context.outage.failed(now);
    this.#user.down(why, now);
  }

  #isStable(now: Instant): boolean {
    return between(this.#upAt, now) >= STABLE;
  }

  #drop(): void {
    if (this.#phase === "up") {
      this.#context.outage.disconnected();
      this.#context.choice.left(this.#destination.server as Server);
    }
    this.#forget();
  }

  /** What the transport says of it afterwards, or at once, is no news. */
  #hangUp(silent = false): void {
    const wire = this.#wire;
    this.#wire = undefined;
    if (silent) wire?.destroy();
    else wire?.end();
  }

  #forget(): void {
    this.#wire = undefined;
    this.#link = undefined;
  }

  /** A try came to nothing. `connack`: what the server said, for who waits for the first connection. */
  #miss(why: string, now: Instant, connack?: ReasonPacket): void {
    this.#context.outage.failed(now);
    this.#finishAttempt(now);
    this.#older = false;
    if (connack !== undefined && this.#backoff.fresh) {
      this.#phase = "idle";
      this.#user.denied(connack, now);
      return;
    }
    this.#phase = "resting";
    this.#user.missed(why, connack, now);
    if (this.#phase === "resting") this.#rest(now);
  }

  #rest(now: Instant): void {
    // The session has taken its end from the news.
    if (this.#phase !== "resting") return;
    this.#destination.settled();
    const { reconnect } = this.#context.options;
    this.#restUntil = after(now, this.#backoff.next(reconnect, this.#context.random()));
    this.#rearm();
  }

  #finishAttempt(now: Instant): void {
    this.#context.budget.done(now);
  }

  #leave(now: Instant, end: (wire: Wire) => void): void {
    const { phase } = this;
    if (phase === "dialling" || phase === "greeting") this.#finishAttempt(now);
    this.#dialling?.cancel();
    this.#dialling = undefined;
    const wire = this.#wire;
    this.#drop();
    this.#phase = "idle";
    this.#restUntil = NEVER;
    if (wire !== undefined) end(wire);
    this.#context.alarms.disarm(this);
  }

  // ---- time

  override fire(now: Instant): void {
    if (this.#phase === "resting" && this.#restUntil <= now) this.#apply(now);
    else this.#link?.wake(now);
    this.#rearm();
  }

  /** The alarm is only ever brought forward; when it comes too early it is set again. */
  #rearm(): void {
    const wanted = earliest(this.#restUntil, this.#link?.deadline ?? NEVER);
    if (!this.armed ? wanted !== NEVER : wanted < this.due) this.#context.alarms.arm(this, wanted);
  }
}

const TOO_LONG: ReasonPacket = { reason: ReasonCode.packetTooLarge, properties: NO_PROPERTIES };
const TAKEN: ReasonPacket = { reason: ReasonCode.sessionTakenOver, properties: NO_PROPERTIES };
