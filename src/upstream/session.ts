/** One client's session, which is at a server: its device comes and goes, and what of it stays here. */
import type { Message } from "../bus/message.ts";
import type {
  PublishAnswer,
  Refusal,
  ServerWords,
  SubscribeAnswer,
  Ticket,
  UnsubscribeAnswer,
} from "../contract/answers.ts";
import type { SubscribeOptions, Will } from "../contract/client.ts";
import { isStream } from "../contract/peer.ts";
import { CallbackAlarm } from "../lib/alarm.ts";
import { sameBytes } from "../lib/bytes.ts";
import { after, between, type Duration, type Instant, latest, NEVER, ZERO } from "../lib/time.ts";
import type { ConnackPacket, ReasonPacket } from "../mqtt/packets.ts";
import { NO_PROPERTIES, type Properties } from "../mqtt/properties.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import { Attendance } from "../session/attendance.ts";
import type { EngineClient, OpenAnswer, Opening } from "../session/engine.ts";
import { plainIdentity } from "../session/plain-identity.ts";
import type { Departure } from "../session/sessions.ts";
import { sameWills, willMessage } from "./application.ts";
import type { SubscriptionAsker } from "./asks.ts";
import type { UpstreamContext } from "./context.ts";
import { Conversation, type ConversationOwner } from "./conversation.ts";
import type { DeviceRecord } from "./devices/record.ts";
import { Proof } from "./proof.ts";
import { refusalOf, stopReasonOf } from "./reasons.ts";
import type { Entering, SessionHost } from "./session-host.ts";

export class UpstreamSession extends Attendance implements ConversationOwner {
  readonly upstreamId: string;
  readonly server: Conversation;
  /** The device, while it is connected. */
  client: EngineClient | undefined = undefined;
  releases = false;
  password: Uint8Array | undefined = undefined;
  protocol: string | undefined = undefined;
  properties: Readonly<Properties> = NO_PROPERTIES;
  /** Of a device that proves itself to its server: how. */
  proof: Proof | undefined = undefined;
  readonly #host: SessionHost;
  readonly #context: UpstreamContext;
  #entering: Entering | undefined = undefined;
  /** A connection was up since the device came. */
  #wasUp = false;
  /** The grace for a broken connection is over: nobody waits for it any more. */
  #graceOver = false;
  /** The device sleeps, and the server has the session. */
  #resting = false;
  /** The device sleeps, until then at the latest. */
  #sleepsUntil: Instant | undefined = undefined;
  /** The device has gone; what it has asked for is being finished. */
  #departing: (() => void) | undefined = undefined;
  /** Another connection has the session, perhaps another gateway's. */
  elsewhere = false;
  /** The device is lost, and its will is published when it does not come back in time. */
  #willWaits = false;
  #alarm: CallbackAlarm | undefined = undefined;
  #due: (() => void) | undefined = undefined;

  constructor(host: SessionHost, gateway: string, clientId: string, upstreamId: string) {
    super(gateway, clientId, ZERO, host.context.memory);
    this.upstreamId = upstreamId;
    this.#host = host;
    this.#context = host.context;
    this.server = new Conversation(host.context, this);
  }

  get failuresMax(): number {
    return this.#host.limits.failuresMax;
  }

  override get queued(): number {
    return this.server.arrivals.queued;
  }

  override get unsettled(): number {
    return this.server.arrivals.unsettled;
  }

  /** As it was left, in an earlier life of this process or at another gateway. */
  adopt({ username, proven, mountpoint, expiry, expectedUntil, memo, subscriptions }: DeviceRecord): void {
    const now = this.#now;
    this.username = username;
    this.proven = proven;
    this.mountpoint = mountpoint;
    this.expiry = Math.min(expiry, this.#host.limits.expiryMax) as Duration;
    this.expectedUntil = expectedUntil;
    this.memo = memo;
    for (const [filter, options] of subscriptions) this.subscriptions.set(filter, options);
    this.leftAt = latest(now, expectedUntil ?? now);
    this.#resting = true;
    if (this.leftAt > now) this.#arm(this.leftAt, () => this.#goLost(this.#now));
    else this.#away();
  }

  /** For metrics. */
  get state(): "up" | "connecting" | "resting" | "away" {
    if (this.server.link !== undefined) return "up";
    if (this.#resting) return "resting";
    return this.client === undefined ? "away" : "connecting";
  }

  get #now(): Instant {
    return this.#context.clock.now();
  }

  // ---- the device comes

  /** `known`: this session was here before, and its client comes back to it. */
  enter(client: EngineClient, opening: Opening, ticket: Ticket, known: boolean): OpenAnswer | "pending" {
    const now = this.#now;
    this.#depart();
    const keeps = known && !opening.cleanStart && this.#keepsConnection(opening);
    this.#take(client, opening);
    if (keeps) {
      this.server.arrivals.occupy();
      this.#subscribeAll(opening.subscriptions, now);
      this.#disarm();
      return { ok: true, sessionPresent: true };
    }
    this.#entering = { client, opening, ticket, known, refusal: undefined };
    const { patience, receiveMaximum } = this.#context.options;
    this.server.begin(opening.cleanStart, opening.credit > 0 ? opening.credit : receiveMaximum, now);
    if (this.#entering !== undefined) this.#arm(after(now, patience), () => this.#outOfPatience());
    return "pending";
  }

  /** Its client was expected, and its connection to the server is there and right. */
  #keepsConnection({ kind, password, will, credit }: Opening): boolean {
    if (this.server.link === undefined || this.elsewhere) return false;
    const own = this.password;
    const samePassword =
      own === password || (own !== undefined && password !== undefined && sameBytes(own, password));
    const sameWill = kind === "resume" || sameWills(this.will, will);
    return samePassword && sameWill && (credit === 0 || credit >= this.server.arrivals.receiveMaximum);
  }

  #take(client: EngineClient, opening: Opening): void {
    const { kind, expiry, will, releases, password, of, exchange } = opening;
    const { mountpoint, aggregate, username, identity, proven } = client;
    this.client = client;
    this.leftAt = undefined;
    this.mountpoint = mountpoint;
    this.owner = aggregate;
    this.username = username;
    this.identity = identity;
    this.proven = proven;
    this.unclaimed = false;
    this.releases = releases;
    this.protocol = opening.protocol;
    this.properties = opening.properties ?? NO_PROPERTIES;
    this.proof = exchange === undefined ? undefined : new Proof(exchange);
    this.expiry = Math.min(expiry, this.#host.limits.expiryMax) as Duration;
    if (kind === "session") this.will = will;
    // A further session of a client has that client's.
    const { attendance } = of ?? {};
    this.password = attendance instanceof UpstreamSession ? attendance.password : password;
    this.#graceOver = false;
    this.#wasUp = false;
    this.#resting = false;
    this.#sleepsUntil = undefined;
    this.elsewhere = false;
    this.#willWaits = false;
  }

  #outOfPatience(): void {
    const { refusal } = this.#entering ?? {};
    this.#refuse(refusal, "no server of the cluster can be reached", this.#now);
  }

  #refuse(connack: ReasonPacket | undefined, why: string, now: Instant): void {
    const entering = this.#entering;
    if (entering === undefined) return;
    this.#entering = undefined;
    this.#disarm();
    this.server.abandon(now);
    const refusal: Refusal = connack === undefined ? "unavailable" : refusalOf(connack.reason);
    const reason = connack?.properties.reasonString ?? why;
    const { client, ticket } = entering;
    // Not within the client's own ask.
    this.#context.defer(() => client.opened(ticket, { ok: false, refusal, reason, words: connack }));
  }

  #subscribeAll(subscriptions: Opening["subscriptions"], now: Instant): void {
    for (const { filter, options } of subscriptions) this.server.asks.want(filter, options, now);
  }

  // ---- from the server

  remakes(): boolean {
    const entering = this.#entering;
    if (entering === undefined) return true;
    const { known, opening } = entering;
    // A client that is told so makes its subscriptions anew.
    if (known && !opening.cleanStart && !opening.committed) return true;
    for (const filter of [...this.subscriptions.keys()]) this.subscriptions.delete(filter);
    for (const id of this.inboundIds) this.dropInbound(id);
    this.server.exchanges.clear(true);
    return false;
  }

  connected(connack: ConnackPacket, remade: boolean, now: Instant): void {
    const entering = this.#entering;
    this.#entering = undefined;
    this.#graceOver = false;
    this.#disarm();
    const { sessionPresent } = connack;
    if (entering === undefined) {
      if (!sessionPresent && this.#wasUp) this.#sessionLost();
    } else {
      const { client, opening, ticket } = entering;
      this.#subscribeAll(opening.subscriptions, now);
      const present = sessionPresent || (remade && !opening.committed);
      this.proof?.succeeded(connack.properties);
      // MQTT 3.1.1 has no words for it.
      const words = this.server.link?.version === 5 ? connack : undefined;
      client.opened(ticket, { ok: true, sessionPresent: present, words });
    }
    this.#wasUp = true;
  }

  #sessionLost(): void {
    this.#context.counters.sessionsLost.value++;
    const detail = { server: this.server.serverName, subscriptions: this.subscriptions.size };
    this.#context.note({ level: "warn", event: "upstream-session-lost", detail }, this.clientId);
  }

  cut(now: Instant): void {
    if (this.#departing !== undefined) {
      this.#depart();
    } else if (this.#willWaits) {
      // The server has found it lost by now.
      this.#goLost(now);
    } else if (this.proof !== undefined && this.client !== undefined) {
      // Nobody but the device can prove to the server who it is, and it does that when it connects.
      this.client.evict("unavailable");
    } else if (this.client === undefined) {
      // Its device is expected, and connects it again when it comes.
      this.#resting = true;
      this.server.abandon(now);
    } else {
      this.#beginGrace(now);
    }
  }

  #beginGrace(now: Instant): void {
    if (this.#entering !== undefined) return;
    this.#arm(after(now, this.#context.options.grace), () => this.#endGrace());
  }

  #endGrace(): void {
    const { client } = this;
    this.#graceOver = true;
    this.server.exchanges.giveUp();
    for (const tell of this.server.asks.drop()) tell();
    // A device on a stream is told to go; one that has no connection goes on asking, and is told that nothing works.
    if (client !== undefined && isStream(client.identity.peer.transport)) client.evict("unavailable");
  }

  missed(connack: ReasonPacket | undefined): void {
    if (this.#entering === undefined) return;
    if (connack !== undefined) this.#entering.refusal = connack;
    if (this.proof?.begun === true) this.#refuse(connack, "the login was cut short", this.#now);
  }

  denied(connack: ReasonPacket, now: Instant): void {
    if (this.#entering === undefined) {
      const detail = { reason: `0x${connack.reason.toString(16)}` };
      this.#context.note({ level: "info", event: "upstream-denied", detail }, this.clientId);
    }
    // What CONNACK says is not all for DISCONNECT to say.
    this.#dismiss(connack, undefined, now);
  }

  dismissed(packet: ReasonPacket, now: Instant): void {
    this.#dismiss(packet, packet, now);
  }

  #dismiss(packet: ReasonPacket, words: ServerWords | undefined, now: Instant): void {
    if (this.#entering !== undefined) {
      this.#refuse(packet, "refused by the server", now);
      return;
    }
    this.elsewhere = true;
    const { client } = this;
    if (client === undefined) this.#forget();
    else client.evict(stopReasonOf(packet.reason), words);
  }

  // ---- asks of the device

  publish(
    message: Message,
    client: EngineClient,
    ticket: Ticket,
    deviceId: number | undefined,
  ): PublishAnswer | "pending" {
    if (!this.#serves()) {
      this.#context.counters.refused.value++;
      return "unavailable";
    }
    return this.server.exchanges.publish(message, client, ticket, deviceId);
  }

  /** The device's PUBREL. */
  release(packetId: number, known: boolean): void {
    this.server.exchanges.release(packetId, known);
  }

  subscribe(
    filter: string,
    options: SubscribeOptions,
    asker: SubscriptionAsker,
    ticket: Ticket,
  ): SubscribeAnswer | "pending" {
    if (!this.#serves()) return "unavailable";
    return this.server.subscribe(filter, options, asker, ticket);
  }

  unsubscribe(filter: string, client: EngineClient, ticket: Ticket): UnsubscribeAnswer | "pending" {
    if (!this.#serves()) return "unavailable";
    return this.server.unsubscribe(filter, client, ticket);
  }

  /** False when the server is away for too long. One that was left to rest is connected again. */
  #serves(): boolean {
    this.#wakeUp(this.#now);
    return !this.#graceOver;
  }

  setWill(will: Will | undefined): void {
    this.will = will;
    this.server.tellWill(will, this.#now);
  }

  // ---- sleep

  /** The device sleeps until then at the latest; undefined: it is awake. */
  rest(until: Instant | undefined): void {
    this.#sleepsUntil = until;
    if (until === undefined) this.#wakeUp(this.#now);
    else this.#letRest(until, this.#now);
  }

  /** Ends the connection of a sleeper: the server keeps what comes. */
  #letRest(until: Instant, now: Instant): void {
    const { whileAsleep, holdFor } = this.#context.options.sleepers;
    const { link, exchanges, asks, handOut, stays } = this.server;
    if (whileAsleep === "hold" || between(now, until) <= holdFor || link === undefined || !stays) return;
    if (exchanges.count > 0 || asks.open || handOut.open) return;
    this.#resting = true;
    this.server.bye(ReasonCode.success, now);
    this.server.arrivals.clear();
  }

  #wakeUp(now: Instant): void {
    if (!this.#resting) return;
    this.#resting = false;
    this.server.resume(now);
    this.#beginGrace(now);
  }

  // ---- the device goes

  /** Its connection was taken by another one, here. */
  supersede(): void {
    this.elsewhere = true;
    this.client?.evict("taken-over");
  }

  leave(how: Departure): void {
    const now = this.#now;
    // Made now, a last time, by whoever makes it.
    this.memo = this.memo;
    this.client = undefined;
    this.server.handOut.forget();
    if (this.identity !== undefined) this.identity = plainIdentity(this.identity);
    this.server.arrivals.vacate();
    if (how === "closed") this.will = undefined;
    const entering = this.#entering;
    if (entering !== undefined) {
      this.#neverEntered(entering, now);
    } else if (how === "expected" && !this.elsewhere) {
      this.#expect(now);
    } else {
      this.leftAt = now;
      if (this.expiry > ZERO) this.expectedUntil = undefined;
      if (this.elsewhere) this.#goSilently(now);
      else if (how === "lost") this.#lose(now);
      else this.#goOnceAnswered(() => this.#bye(ReasonCode.success));
    }
  }

  #neverEntered(entering: Entering, now: Instant): void {
    this.#refuse(undefined, "the client has left", now);
    this.leftAt = now;
    if (entering.known) this.#away();
    else this.#forget();
  }

  /** The device knows nothing of it, and counts as connected until then. */
  #expect(now: Instant): void {
    this.leftAt = latest(now, this.expectedUntil ?? now);
    this.#sayNothing(this.server.asks.drop());
    this.#sayNothing(this.server.exchanges.disown());
    if (this.leftAt > now) this.#arm(this.leftAt, () => this.#goLost(this.#now));
    else this.#goLost(now);
  }

  /** Another connection has the session at the server. */
  #goSilently(now: Instant): void {
    this.#dropAsks();
    this.#disarm();
    this.server.detach(now);
    if (this.expiry === ZERO) this.#forget();
  }

  /** Its will may have to wait, and is taken back if the device returns meanwhile [MQTT-3.1.3-9]. */
  #lose(now: Instant): void {
    const { will, expiry } = this;
    const { link } = this.server;
    const wait = Math.min(will?.delay ?? 0, expiry) as Duration;
    // A server that is told of a longer delay than `linger` holds it back for as long itself.
    if (link === undefined || wait === ZERO || wait >= this.#context.options.linger) {
      this.#goLost(now);
      return;
    }
    this.#sayNothing(this.server.asks.drop());
    this.#sayNothing(this.server.exchanges.disown());
    this.#willWaits = true;
    this.#arm(after(now, wait), () => this.#goLost(this.#now));
  }

  /** One that rests may have come to another gateway without a word to this one. */
  #ifHere(run: () => void): void {
    const asked = this.#host.devices?.whereabouts(this, (elsewhere) => {
      if (this.client !== undefined || this.elsewhere) return;
      this.elsewhere = elsewhere;
      if (elsewhere) this.#forget();
      else run();
    });
    if (asked !== true) run();
  }

  #goLost(now: Instant): void {
    if (this.#resting) this.#ifHere(() => this.#goLostHere(this.#now));
    else this.#goLostHere(now);
  }

  #goLostHere(now: Instant): void {
    this.#willWaits = false;
    const { will } = this;
    const { link } = this.server;
    this.will = undefined;
    if (will === undefined) {
      this.#goOnceAnswered(() => this.#bye(ReasonCode.success));
      return;
    }
    if (this.#host.mayPublishWill?.(this, will) === false) {
      this.#bye(ReasonCode.success);
      return;
    }
    const told = this.server.hasTold(will);
    if (link === undefined) {
      // The server has found it lost, and its will waits there, if it was told of it.
      if (this.#resting || !told) this.#publishApart(will, now);
      this.#bye(ReasonCode.success);
    } else if (told && link.version === 4) {
      this.#dropAsks();
      this.server.abandon(now);
      this.#away();
    } else if (told && will.delay >= this.#context.options.linger) {
      this.#bye(ReasonCode.disconnectWithWill);
    } else {
      // At once, which a server that holds it back for our sake would not do.
      this.server.exchanges.publish(willMessage(will, this.mountpoint, now), NOBODY, 0, undefined);
      this.#goOnceAnswered(() => this.#bye(ReasonCode.success));
    }
  }

  #publishApart(will: Will, now: Instant): void {
    const message = willMessage(will, this.mountpoint, now);
    this.#context.defer(() => this.#host.publishFor(this, message, () => {}));
  }

  /** What it has asked for before it said goodbye is finished first. */
  #goOnceAnswered(go: () => void): void {
    if (this.server.link === undefined || this.server.exchanges.count === 0) {
      go();
      return;
    }
    this.#departing = go;
    this.#arm(after(this.#now, this.#context.options.pingTimeout), () => this.#depart());
  }

  answered(): void {
    if (this.#departing !== undefined) this.#depart();
    else if (this.#sleepsUntil !== undefined && this.client !== undefined)
      this.#letRest(this.#sleepsUntil, this.#now);
  }

  #depart(): void {
    const go = this.#departing;
    this.#departing = undefined;
    go?.();
  }

  #bye(reason: ReasonCode): void {
    this.#dropAsks();
    this.server.bye(reason, this.#now);
    this.#away();
  }

  #dropAsks(): void {
    const { asks, exchanges } = this.server;
    for (const id of exchanges.unreceived()) this.dropInbound(id);
    this.#sayNothing(asks.drop());
    this.#sayNothing(exchanges.clear());
  }

  /** Whoever waits for an answer is told that there is none; not within an ask of its own. */
  #sayNothing(tell: readonly (() => void)[]): void {
    if (tell.length === 0) return;
    this.#context.defer(() => {
      for (const each of tell) each();
    });
  }

  /** Neither device nor connection: what stays here of the session stays as long as the session. */
  #away(): void {
    this.server.arrivals.clear();
    this.#disarm();
    const until = after(this.leftAt ?? this.#now, this.expiry);
    if (until <= this.#now) this.#forget();
    else if (until !== NEVER) this.#arm(until, () => this.#expire());
  }

  #expire(): void {
    this.#ifHere(() => {
      if (this.server.forgetsNothing) this.#host.wipe(this);
      this.#forget();
    });
  }

  #forget(): void {
    this.#disarm();
    this.subscriptions.gone();
    this.server.abandon(this.#now);
    this.server.arrivals.clear();
    this.#host.ended(this);
  }

  /** Another session takes its client id. */
  replace(): void {
    this.#depart();
    // The session ends, and its will waits no longer [MQTT-3.1.2-8].
    if (this.#willWaits && this.will !== undefined) this.#publishApart(this.will, this.#now);
    this.#dropAsks();
    this.#disarm();
    this.server.detach(this.#now);
    this.#host.ended(this);
  }

  /** Nobody shall come back to it. */
  discard(): void {
    this.client?.evict("kicked");
    this.#host.wipe(this);
    this.#forget();
  }

  /** This process ends: what the device expects to find is at the server. */
  shutDown(): void {
    if (this.#willWaits) this.server.abandon(this.#now);
    else this.server.bye(ReasonCode.success, this.#now);
    this.#disarm();
  }

  // ---- time

  #arm(due: Instant, run: () => void): void {
    this.#due = run;
    this.#alarm ??= new CallbackAlarm(() => {
      const ready = this.#due;
      this.#due = undefined;
      ready?.();
    });
    this.#context.alarms.arm(this.#alarm, due);
  }

  #disarm(): void {
    this.#due = undefined;
    if (this.#alarm !== undefined) this.#context.alarms.disarm(this.#alarm);
  }
}

const NOBODY = { answered: () => {} };
