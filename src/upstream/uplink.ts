/**
 * Keeps one MQTT session connected: dials, sends CONNECT, and again after each cut.
 *
 *   idle ─ start ─► queued ─ budget ─► dialling ─ CONNECT ─► greeting ─ CONNACK ─► up
 *                     ▲                    │                    │                   │
 *                     └──── resting ◄──────┴────────────────────┴───────────────────┘   back-off, full jitter
 *
 * To which server, in which version and whether at all is judged by `ReconnectPolicy`.
 */
import { Alarm, CallbackAlarm } from "../lib/alarm.ts";
import { after, type Duration, earliest, type Instant, NEVER } from "../lib/time.ts";
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
import type { Applicant } from "./connect-budget.ts";
import type { UpstreamContext } from "./context.ts";
import { type AfterEnd, type AfterTry, ReconnectPolicy, type Subject } from "./reconnect-policy.ts";
import type { Server, SessionInfo } from "./server-choice.ts";
import { Wire, WireReceiver, type WireUser } from "./wire.ts";

/** The session behind an uplink. */
export interface UplinkUser extends Subject {
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

  challenged(auth: ReasonPacket, now: Instant): void;
  arrived(publish: Arrived, now: Instant): void;
  acknowledged(type: Acknowledgement, packetId: number, answer: ReasonPacket, now: Instant): void;
  subscribed(suback: CodesPacket, now: Instant): void;
  unsubscribed(unsuback: CodesPacket, now: Instant): void;
  ponged(now: Instant): void;
}

type Phase = "idle" | "queued" | "dialling" | "greeting" | "up" | "resting";

export class Uplink extends Alarm implements LinkUser, Applicant, WireUser {
  readonly #context: UpstreamContext;
  #user: UplinkUser;
  #phase: Phase = "idle";
  readonly #policy: ReconnectPolicy;
  #dialling: Dialling | undefined = undefined;
  #wire: Wire | undefined = undefined;
  #link: Link | undefined = undefined;
  #restUntil: Instant = NEVER;

  constructor(context: UpstreamContext, user: UplinkUser) {
    super();
    this.#context = context;
    this.#user = user;
    this.#policy = new ReconnectPolicy(context);
  }

  /** While it is up. */
  get link(): Link | undefined {
    return this.#phase === "up" ? this.#link : undefined;
  }

  get serverName(): string | undefined {
    return this.#policy.server?.name;
  }

  /** While it is up. */
  get server(): Server | undefined {
    return this.#phase === "up" ? this.#policy.server : undefined;
  }

  /** The transport takes no more for now. */
  get full(): boolean {
    return this.#wire?.full === true;
  }

  get gone(): boolean {
    return this.#phase !== "queued";
  }

  // ---- from the session

  /** It is this one's from now on. */
  handTo(user: UplinkUser): void {
    this.#user = user;
  }

  /** Connects, unless it is at it. */
  start(now: Instant): void {
    if (this.#phase !== "idle") return;
    this.#policy.forgive();
    this.#apply(now);
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

  /** Another connection has the session: this one is left to the server, which ends it when it lets the other one in. */
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
    this.#policy.exhaust();
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
    const server = this.#policy.choose(this.#user.info());
    this.#phase = "dialling";
    if (server === undefined) {
      this.#conclude(this.#policy.noServer(now), now);
      return;
    }
    this.#dialling = server.dial(
      (connection) => this.#connected(server, connection),
      (error) => this.#undialled(error),
      this.#user.info().source,
    );
  }

  #undialled(error: DialError): void {
    this.#context.tick();
    const now = this.#context.clock.now();
    this.#dialling = undefined;
    this.#conclude(this.#policy.undialled(error, now), now);
  }

  #connected(server: Server, connection: StreamConnection): StreamReceiver | undefined {
    this.#context.tick();
    const now = this.#context.clock.now();
    this.#dialling = undefined;
    if (this.#phase !== "dialling") return undefined;
    const version = this.#policy.version(server);
    const wire = new Wire(connection, this.#context.schedule);
    const { connackTimeout, pingTimeout, packetSize, topicAliases } = this.#context.options;
    const options = { connackTimeout, pingTimeout, packetSize, topicAliases };
    const link = new Link(version, server.caps, wire, this, options);
    if (!link.connect(this.#user.application(version, now), now)) {
      this.#conclude({ next: "none", connack: TOO_LONG }, now);
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
    const link = this.#link as Link;
    link.end();
    wire.end();
    const why = error ?? "closed by the server";
    if (this.#phase === "up") {
      this.#resume(this.#policy.cut(why, error === undefined, this.#user, now), now);
    } else {
      this.#forget();
      this.#conclude(this.#policy.unanswered(link.version, why, now), now);
    }
  }

  // ---- from the link

  accepted(connack: ConnackPacket, now: Instant): void {
    const link = this.#link as Link;
    this.#phase = "up";
    this.#policy.accepted(link.version as 4 | 5, now);
    this.#context.counters.connects.value++;
    this.#context.outage.connected();
    this.#context.budget.done(now);
    this.#user.up(link, connack, now);
  }

  refused(connack: ConnackPacket, now: Instant): void {
    const { version } = this.#link as Link;
    this.#hangUp();
    this.#forget();
    this.#conclude(this.#policy.refused(version, connack, this.#user.info(), now), now);
  }

  dismissed(packet: ReasonPacket, now: Instant): void {
    this.#hangUp();
    this.#resume(this.#policy.dismissed(packet, now), now);
  }

  failed(problem: string, silent: boolean, now: Instant): void {
    const server = this.#policy.server as Server;
    this.#context.note({ level: "warn", event: "upstream-broken", detail: { server: server.name, problem } });
    this.#hangUp(silent);
    if (this.#phase === "up") {
      this.#resume(this.#policy.failed(problem, now), now);
    } else {
      this.#forget();
      const failure = { kind: silent ? "silent" : "broken", detail: problem } as const;
      this.#conclude(this.#policy.blamed(failure, problem, now), now);
    }
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

  ponged(now: Instant, took: Duration | undefined): void {
    if (took !== undefined) this.#context.choice.answered(this.#policy.server as Server, took);
    this.#user.ponged(now);
  }

  // ---- what follows

  /** From a try that came to nothing. */
  #conclude(judgement: AfterTry, now: Instant): void {
    this.#context.budget.done(now);
    if (judgement.next === "at-once") {
      this.#apply(now);
    } else if (judgement.next === "none") {
      this.#phase = "idle";
      this.#user.denied(judgement.connack, now);
    } else {
      this.#phase = "resting";
      this.#user.missed(judgement.why, judgement.connack, now);
      this.#rest(now);
    }
  }

  /** From the end of a connection that was up. */
  #resume(judgement: AfterEnd, now: Instant): void {
    if (judgement.next === "none") {
      this.#drop();
      this.#phase = "idle";
      this.#user.dismissed(judgement.packet, now);
      return;
    }
    this.#context.counters.cuts.value++;
    this.#drop();
    this.#phase = "resting";
    this.#context.outage.failed(now);
    this.#user.down(judgement.why, now);
    if (judgement.next === "pause") this.#rest(now);
    else if (this.#phase === "resting") this.#apply(now);
  }

  #rest(now: Instant): void {
    // The session has taken its end from the news.
    if (this.#phase !== "resting") return;
    this.#restUntil = after(now, this.#policy.pause());
    this.#rearm();
  }

  #drop(): void {
    if (this.#phase === "up") {
      this.#context.outage.disconnected();
      this.#context.choice.left(this.#policy.server as Server);
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

  #leave(now: Instant, end: (wire: Wire) => void): void {
    const phase = this.#phase;
    if (phase === "dialling" || phase === "greeting") this.#context.budget.done(now);
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
