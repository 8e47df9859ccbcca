/** A connection of the gateway itself: for clients that have none of their own. */
import type { Message } from "../bus/message.ts";
import { hasWildcard, topicMatches } from "../bus/topic.ts";
import type { PublishAnswer, RetainedAnswer, Ticket } from "../contract/answers.ts";
import { CallbackAlarm } from "../lib/alarm.ts";
import { after, type Instant, inSeconds } from "../lib/time.ts";
import type { Arrived, Link } from "../mqtt/client/link.ts";
import {
  type Acknowledgement,
  type CodesPacket,
  type ConnackPacket,
  type ConnectPacket,
  PacketType,
  type ReasonPacket,
} from "../mqtt/packets.ts";
import { isFailure, ReasonCode } from "../mqtt/reason-codes.ts";
import { expiryInterval } from "../mqtt/session-expiry.ts";
import { serviceCredentials } from "./application.ts";
import type { UpstreamContext } from "./context.ts";
import type { PublishAsker } from "./exchange.ts";
import { Exchanges, type ExchangesHost } from "./exchanges.ts";
import type { FirstContact } from "./first-contact.ts";
import { Overdue } from "./overdue.ts";
import { PacketIds } from "./packet-ids.ts";
import { refusalOf } from "./reasons.ts";
import type { Server, SessionInfo } from "./server-choice.ts";
import { Uplink, type UplinkUser } from "./uplink.ts";

type Found = (found: RetainedAnswer) => void;

/** A subscription for as long as it takes to be sent the retained messages of a filter. */
class LookUp {
  readonly filter: string;
  readonly found = new Map<string, Message>();
  readonly askers: { readonly limit: number; readonly answer: Found }[] = [];
  limit = 0;
  packetId = 0;
  state: "waiting" | "subscribing" | "reading" | "unsubscribing" = "waiting";
  /** PINGREQ goes behind SUBSCRIBE; its answer comes behind what was retained. */
  pinged = false;
  readonly deadline: CallbackAlarm;
  readonly silence: CallbackAlarm;

  constructor(filter: string, timedOut: (lookUp: LookUp) => void, silent: (lookUp: LookUp) => void) {
    this.filter = filter;
    this.deadline = new CallbackAlarm(() => timedOut(this));
    this.silence = new CallbackAlarm(() => silent(this));
  }

  get whole(): boolean {
    return this.found.size >= this.limit || (this.found.size > 0 && !hasWildcard(this.filter));
  }
}

/** Look-ups at a time; one more is refused. */
const LOOKUPS_MAX = 1_000;

export class ServiceConnection implements UplinkUser, ExchangesHost {
  readonly clientId: string;
  readonly exchanges: Exchanges;
  /** While it is found out whether the cluster lets the gateway in at all. */
  contact: FirstContact | undefined = undefined;
  readonly #context: UpstreamContext;
  readonly #ids = new PacketIds();
  readonly #uplink: Uplink;
  readonly #overdue: Overdue;
  readonly #lookUps = new Map<string, LookUp>();
  readonly #byPacketId = new Map<number, LookUp>();
  #clean = true;
  #started = false;
  /** Answers to SUBSCRIBE that are due. */
  #subscribing = 0;

  constructor(context: UpstreamContext, clientId: string) {
    this.#context = context;
    this.clientId = clientId;
    this.exchanges = new Exchanges(context, this, this.#ids);
    this.#uplink = new Uplink(context, this);
    this.#overdue = new Overdue(context, (until) => this.exchanges.overdue(until).oldest);
  }

  get link(): Link | undefined {
    return this.#uplink.link;
  }

  get full(): boolean {
    return this.#uplink.full;
  }

  get serverName(): string | undefined {
    return this.#uplink.serverName;
  }

  /** Where it is connected. */
  get server(): Server | undefined {
    return this.#uplink.server;
  }

  /** Goes to whichever server is chosen now. */
  move(now: Instant): void {
    this.#uplink.renew({}, now);
  }

  get subscribing(): boolean {
    return this.#subscribing > 0;
  }

  start(now: Instant): void {
    if (this.#started) return;
    this.#started = true;
    this.#uplink.start(now);
  }

  stop(now: Instant): void {
    this.contact?.cancel();
    for (const lookUp of [...this.#lookUps.values()]) this.#answer(lookUp, "unavailable");
    this.exchanges.clear();
    this.#overdue.stop();
    this.#uplink.stop(ReasonCode.success, {}, now);
  }

  publish(message: Message, asker: PublishAsker, ticket: Ticket): PublishAnswer | "pending" {
    const now = this.#context.clock.now();
    this.start(now);
    if (this.#context.outage.isOver(this.#context.options.grace, now)) {
      this.#context.counters.refused.value++;
      return "unavailable";
    }
    return this.exchanges.publish(message, asker, ticket, undefined);
  }

  /** Somebody waits for an answer of the server. */
  asked(now: Instant): void {
    this.#overdue.watch(now);
  }

  /** Nothing goes under a device's own packet id. */
  refused(): void {}

  // ---- retained messages

  lookUp(filter: string, limit: number, answer: Found): RetainedAnswer | "pending" {
    const now = this.#context.clock.now();
    this.start(now);
    if (this.#context.outage.isOver(this.#context.options.grace, now)) return "unavailable";
    this.#context.counters.lookups.value++;
    const known = this.#lookUps.get(filter);
    if (known !== undefined && known.state === "waiting") {
      known.limit = Math.max(known.limit, limit);
      known.askers.push({ limit, answer });
      return "pending";
    }
    if (this.#lookUps.size >= LOOKUPS_MAX) return "congested";
    if (known !== undefined) return this.#next(known, limit, answer);
    this.#begin(filter, limit, answer, now);
    return "pending";
  }

  /** One of the same filter is under way: what it finds may be older than this one asks for. */
  #next(running: LookUp, limit: number, answer: Found): "pending" {
    running.askers.push({
      limit: 0,
      answer: () => {
        const again = this.lookUp(running.filter, limit, answer);
        if (again !== "pending") answer(again);
      },
    });
    return "pending";
  }

  #begin(filter: string, limit: number, answer: Found, now: Instant): void {
    const lookUp = new LookUp(
      filter,
      (late) => this.#answer(late, late.found.size > 0 ? [] : "unavailable"),
      (silent) => this.#finish(silent),
    );
    lookUp.limit = limit;
    lookUp.askers.push({ limit, answer });
    this.#lookUps.set(filter, lookUp);
    this.#context.alarms.arm(lookUp.deadline, after(now, this.#context.options.pool.lookupTimeout));
    const { link } = this;
    if (link !== undefined) this.#ask(lookUp, link, now);
  }

  #ask(lookUp: LookUp, link: Link, now: Instant): void {
    const packetId = this.#ids.take();
    if (packetId === undefined || !link.subscribe(packetId, lookUp.filter, { qos: 0 }, now)) {
      this.#context.defer(() => this.#answer(lookUp, "too-large"));
      return;
    }
    lookUp.state = "subscribing";
    lookUp.packetId = packetId;
    this.#byPacketId.set(packetId, lookUp);
    this.#subscribing++;
  }

  subscribed({ packetId, codes }: CodesPacket, now: Instant): void {
    const lookUp = this.#byPacketId.get(packetId);
    const { link } = this;
    if (lookUp === undefined || link === undefined || lookUp.state !== "subscribing") return;
    this.#subscribing--;
    this.#byPacketId.delete(packetId);
    this.#ids.free(packetId);
    const code = codes[0] ?? ReasonCode.unspecifiedError;
    if (isFailure(code)) {
      const refused = code === ReasonCode.unspecifiedError ? "forbidden" : refusalOf(code);
      this.#lookUps.delete(lookUp.filter);
      this.#tell(lookUp, refused);
      return;
    }
    lookUp.state = "reading";
    if (lookUp.whole) {
      this.#finish(lookUp);
      return;
    }
    lookUp.pinged = true;
    link.ping(now);
    this.#uplink.rearm();
  }

  arrived({ message, retain, packetId, qos }: Arrived, now: Instant): void {
    // A live message is somebody else's; only what was retained is looked for.
    if (retain) for (const lookUp of this.#lookUps.values()) this.#collect(lookUp, message);
    const { link } = this;
    if (qos > 0 && link !== undefined) {
      link.acknowledge(qos === 1 ? PacketType.PUBACK : PacketType.PUBREC, packetId, now);
    }
  }

  #collect(lookUp: LookUp, message: Message): void {
    if (lookUp.state !== "subscribing" && lookUp.state !== "reading") return;
    if (!topicMatches(lookUp.filter, message.topic) || lookUp.found.size >= lookUp.limit) return;
    lookUp.found.set(message.topic, message.kept());
    if (lookUp.state === "reading" && lookUp.whole) this.#finish(lookUp);
  }

  ponged(now: Instant): void {
    for (const lookUp of [...this.#lookUps.values()]) {
      if (lookUp.state !== "reading" || !lookUp.pinged) continue;
      const { quiet } = this.#context.options;
      if (quiet === 0 || lookUp.whole) this.#finish(lookUp);
      else this.#context.alarms.arm(lookUp.silence, after(now, quiet));
    }
  }

  #finish(lookUp: LookUp): void {
    this.#answer(lookUp, []);
  }

  /** `[]`: what was found. */
  #answer(lookUp: LookUp, answer: RetainedAnswer): void {
    if (this.#lookUps.get(lookUp.filter) !== lookUp) return;
    const { link } = this;
    const now = this.#context.clock.now();
    this.#lookUps.delete(lookUp.filter);
    if (lookUp.state === "subscribing") this.#subscribing--;
    if (lookUp.state === "subscribing" || lookUp.state === "reading") {
      this.#byPacketId.delete(lookUp.packetId);
      const packetId = this.#ids.take();
      if (packetId !== undefined) link?.unsubscribe(packetId, lookUp.filter, now);
    }
    this.#tell(lookUp, answer);
  }

  #tell(lookUp: LookUp, answer: RetainedAnswer): void {
    this.#context.alarms.disarm(lookUp.deadline);
    this.#context.alarms.disarm(lookUp.silence);
    const found = [...lookUp.found.values()];
    for (const { limit, answer: give } of lookUp.askers) {
      give(typeof answer === "string" ? answer : found.slice(0, limit));
    }
  }

  unsubscribed({ packetId }: CodesPacket): void {
    this.#ids.free(packetId);
  }

  // ---- the connection

  info(): SessionInfo {
    return {
      gateway: "",
      listener: undefined,
      clientId: this.clientId,
      username: undefined,
      source: undefined,
      protocol: undefined,
    };
  }

  application(version: 4 | 5): ConnectPacket {
    const { keepAlive, linger, packetSize } = this.#context.options;
    const cleanStart = this.#clean || version === 4;
    return {
      version,
      bridge: false,
      clientId: this.clientId,
      cleanStart,
      keepAlive: inSeconds(keepAlive),
      properties:
        version === 5 ? { sessionExpiryInterval: expiryInterval(linger), maximumPacketSize: packetSize } : {},
      will: undefined,
      ...serviceCredentials(this.#context.options),
    };
  }

  up(link: Link, connack: ConnackPacket, now: Instant): void {
    this.#clean = false;
    this.contact?.made();
    this.exchanges.resume(link, connack.sessionPresent, now);
    for (const lookUp of this.#lookUps.values()) this.#ask(lookUp, link, now);
  }

  down(_why: string, now: Instant): void {
    this.#subscribing = 0;
    for (const lookUp of this.#lookUps.values()) {
      this.#byPacketId.delete(lookUp.packetId);
      this.#ids.free(lookUp.packetId);
      lookUp.state = "waiting";
      lookUp.pinged = false;
    }
    this.#giveUpLate(now);
  }

  missed(why: string, _connack: ReasonPacket | undefined, now: Instant): void {
    this.contact?.missed(why);
    this.#giveUpLate(now);
  }

  /** Who waits for a server that has been away for too long is told so. */
  #giveUpLate(now: Instant): void {
    if (this.#context.outage.isOver(this.#context.options.grace, now)) this.exchanges.giveUp();
  }

  denied({ reason }: ReasonPacket, now: Instant): void {
    const detail = {
      clientId: this.clientId,
      username: this.#context.options.username,
      reason: `0x${reason.toString(16)}`,
      fix: "bus.upstream.username and password are for the gateway's own connections",
    };
    this.#context.note({ level: "warn", event: "upstream-service-denied", detail });
    this.contact?.refused(reason);
    this.#uplink.retry(now);
  }

  dismissed(packet: ReasonPacket, now: Instant): void {
    this.down("ended by the server", now);
    this.denied(packet, now);
  }

  writable(now: Instant): void {
    this.exchanges.flush(now);
  }

  challenged(): void {}

  acknowledged(type: Acknowledgement, packetId: number, answer: ReasonPacket, now: Instant): void {
    if (type === PacketType.PUBREL) this.link?.acknowledge(PacketType.PUBCOMP, packetId, now);
    else this.exchanges.acknowledged(type, packetId, answer, now);
  }
}
