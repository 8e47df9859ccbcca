/** One client's session, which is at a server: its device comes and goes, and what of it stays here. */
import type { Message } from "../bus/message.ts";
import type {
  PublishAnswer,
  ServerWords,
  SubscribeAnswer,
  Ticket,
  UnsubscribeAnswer,
} from "../contract/answers.ts";
import type { SubscribeOptions, Will } from "../contract/client.ts";
import { isStream } from "../contract/peer.ts";
import { sameBytes } from "../lib/bytes.ts";
import { after, between, type Duration, type Instant, latest, ZERO } from "../lib/time.ts";
import type { Link } from "../mqtt/client/link.ts";
import type { ConnackPacket, ReasonPacket } from "../mqtt/packets.ts";
import { NO_PROPERTIES, type Properties } from "../mqtt/properties.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import { Attendance } from "../session/attendance.ts";
import type { EngineClient, OpenAnswer, Opening } from "../session/engine.ts";
import { plainIdentity } from "../session/plain-identity.ts";
import type { Departure as How } from "../session/sessions.ts";
import { sameWills } from "./application.ts";
import type { SubscriptionAsker } from "./asks.ts";
import type { UpstreamContext } from "./context.ts";
import { Conversation, type ConversationOwner } from "./conversation.ts";
import { Departure } from "./departure.ts";
import type { DeviceRecord } from "./devices/record.ts";
import { Due } from "./due.ts";
import type { Entry } from "./entry.ts";
import { NOBODY } from "./exchange.ts";
import type { Proof } from "./proof.ts";
import { stopReasonOf } from "./reasons.ts";
import type { SessionHost } from "./session-host.ts";

/** Since nobody knows when. */
const UNKNOWN = 0 as Instant;

/** How much the client takes before it has acknowledged any of it; 0: it does not say. */
export const takenAtMost = ({ credit, window = credit }: Opening): number => window;

/** A further session of a client has that client's. */
export const passwordOf = ({ of, password }: Opening): Uint8Array | undefined =>
  of?.attendance instanceof UpstreamSession ? of.attendance.password : password;

export class UpstreamSession extends Attendance implements ConversationOwner {
  readonly upstreamId: string;
  readonly server: Conversation;
  /** The device, while it is connected. */
  client: EngineClient | undefined = undefined;
  releases = false;
  dated = false;
  password: Uint8Array | undefined = undefined;
  protocol: string | undefined = undefined;
  properties: Readonly<Properties> = NO_PROPERTIES;
  /** Of a device that proves itself to its server: how. */
  proof: Proof | undefined = undefined;
  readonly #host: SessionHost;
  readonly #context: UpstreamContext;
  /** What is to happen next, if nothing else does before. */
  readonly #due: Due;
  /** It is being entered: by whom, and whether it was here before. */
  #entering: { readonly entry: Entry; readonly known: boolean } | undefined = undefined;
  /** A connection was up since the device came. */
  #wasUp = false;
  /** A connection broke, and by one of its filters nothing has come since. */
  #unproven = false;
  /** It was found deaf, and the server has been told to throw it away. */
  #madeAnew = false;
  /** It was found deaf on the last connection. */
  #deafBefore = false;
  /** The grace for a broken connection is over: nobody waits for it any more. */
  #graceOver = false;
  /** The device sleeps, and the server has the session. */
  #resting = false;
  /** The device sleeps, until then at the latest. */
  #sleepsUntil: Instant | undefined = undefined;
  readonly #departure: Departure;
  /** Another connection has the session, perhaps another gateway's. */
  elsewhere = false;

  constructor(host: SessionHost, gateway: string, clientId: string, upstreamId: string) {
    super(gateway, clientId, ZERO, host.context.memory);
    this.upstreamId = upstreamId;
    this.#host = host;
    this.#context = host.context;
    this.server = new Conversation(host.context, this);
    this.#due = new Due(host.context.alarms);
    this.#departure = new Departure(this, host, this.#due);
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
  adopt(record: DeviceRecord): void {
    const { username, proven, mountpoint, expiry, expectedUntil, memo, subscriptions } = record;
    const now = this.#now;
    this.server.backlog.begin(record.since ?? UNKNOWN);
    this.username = username;
    this.proven = proven;
    this.mountpoint = mountpoint;
    this.expiry = Math.min(expiry, this.#host.limits.expiryMax) as Duration;
    this.expectedUntil = expectedUntil;
    this.memo = memo;
    for (const [filter, options] of subscriptions) this.subscriptions.set(filter, options);
    this.leftAt = latest(now, expectedUntil ?? now);
    this.#resting = true;
    if (this.leftAt > now) this.#due.at(this.leftAt, () => this.#departure.lost(this.#now));
    else this.#departure.away();
  }

  /** For metrics. */
  get state(): "up" | "connecting" | "resting" | "away" {
    if (this.server.link !== undefined) return "up";
    if (this.#resting) return "resting";
    return this.client === undefined ? "away" : "connecting";
  }

  /** The device sleeps, and the server has the session. */
  get resting(): boolean {
    return this.#resting;
  }

  get #now(): Instant {
    return this.#context.clock.now();
  }

  // ---- the device comes

  /** A server has let its client in. `known`: this session was here before, and its client comes back to it. */
  enter(entry: Entry, known: boolean, link: Link, connack: ConnackPacket, now: Instant): void {
    const { client, opening, proof } = entry;
    this.#departure.cancel();
    this.#take(client, opening, proof);
    this.#entering = { entry, known };
    this.server.take(entry, now);
    this.server.up(link, connack, now);
  }

  /** Its client comes back to a connection that is there and right: no server has to be asked. */
  comeBack(client: EngineClient, opening: Opening): OpenAnswer {
    this.#departure.cancel();
    this.#take(client, opening, undefined);
    this.server.arrivals.occupy();
    this.#subscribeAll(opening.subscriptions, this.#now);
    this.#due.cancel();
    return { ok: true, sessionPresent: true };
  }

  /** Its client was expected, and its connection is one that the server has let in with what this one says. */
  keepsConnection(client: EngineClient, opening: Opening): boolean {
    if (this.server.link === undefined || this.client !== undefined || this.elsewhere) return false;
    if (this.#departure.going || !this.#saysTheSame(client, opening)) return false;
    const sameWill = opening.kind === "resume" || sameWills(this.will, opening.will);
    const taken = takenAtMost(opening);
    return sameWill && (taken === 0 || taken >= this.server.arrivals.receiveMaximum);
  }

  /** As its last client, to whom the server has listened. */
  #saysTheSame({ username }: EngineClient, opening: Opening): boolean {
    // A proof is good for one connection.
    if (opening.exchange !== undefined || this.proof !== undefined) return false;
    const [own, password] = [this.password, passwordOf(opening)];
    const samePassword =
      own === password || (own !== undefined && password !== undefined && sameBytes(own, password));
    return this.username === username && samePassword;
  }

  /** `run` comes behind the goodbye of its last client, who has its answers first; not where it is back itself. */
  afterGoodbye(client: EngineClient, opening: Opening, run: () => void): void {
    if (this.#saysTheSame(client, opening)) this.hurry();
    this.#departure.afterGoodbye(run);
  }

  /** Nothing of its last client is waited for any more. */
  hurry(): void {
    this.#departure.finish();
  }

  #take(client: EngineClient, opening: Opening, proof: Proof | undefined): void {
    const { kind, expiry, will, releases, dated } = opening;
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
    this.dated = dated;
    this.protocol = opening.protocol;
    this.properties = opening.properties ?? NO_PROPERTIES;
    this.proof = proof;
    this.expiry = Math.min(expiry, this.#host.limits.expiryMax) as Duration;
    if (kind === "session") this.will = will;
    this.password = passwordOf(opening);
    this.#graceOver = false;
    this.#wasUp = false;
    this.#resting = false;
    this.#sleepsUntil = undefined;
    this.elsewhere = false;
  }

  #subscribeAll(subscriptions: Opening["subscriptions"], now: Instant): void {
    for (const { filter, options } of subscriptions) this.server.asks.want(filter, options, now);
  }

  // ---- from the server

  remakes(): boolean {
    if (this.#entering === undefined) return true;
    const { known, entry } = this.#entering;
    const { opening } = entry;
    // A client that is told so makes its subscriptions anew.
    if (known && !opening.cleanStart && !opening.committed) return true;
    this.#host.subscriptionsEnd(this);
    for (const filter of [...this.subscriptions.keys()]) this.subscriptions.delete(filter);
    for (const id of this.inboundIds) this.dropInbound(id);
    this.server.exchanges.clear(true);
    return false;
  }

  connected(connack: ConnackPacket, remade: boolean, now: Instant): void {
    const entering = this.#entering;
    this.#entering = undefined;
    this.#graceOver = false;
    this.#due.cancel();
    const { sessionPresent } = connack;
    if (entering === undefined) {
      if (!sessionPresent && this.#wasUp) this.#sessionLost();
      this.#unproven = true;
    } else {
      const { client, opening, ticket } = entering.entry;
      const { known } = entering;
      // One that is there was made by another gateway, or in another life of this one, of which nothing is known here.
      if (!known && sessionPresent) this.server.backlog.begin(UNKNOWN);
      else if (!known) this.server.backlog.forget();
      const { owed } = entering.entry;
      if (owed !== undefined) this.server.exchanges.publish(owed, NOBODY, 0, undefined);
      this.#subscribeAll(opening.subscriptions, now);
      const present = sessionPresent || (remade && !opening.committed);
      this.proof?.succeeded(connack.properties);
      // MQTT 3.1.1 has no words for it.
      const words = this.server.link?.version === 5 ? connack : undefined;
      client.opened(ticket, { ok: true, sessionPresent: present, words });
    }
    this.#wasUp = true;
    // One that was made anew may be as deaf, as at a NATS that still counts on the node that died.
    if (!sessionPresent && !this.#madeAnew) this.hears();
    this.#madeAnew = false;
    if (this.#unproven) this.#context.deafness.suspect(this, now);
  }

  hears(): void {
    this.#unproven = false;
    this.#deafBefore = false;
  }

  /** Nothing that the server has sent holds back what comes next. */
  get listens(): boolean {
    return this.server.link !== undefined && this.server.arrivals.withheld === 0;
  }

  /** It is connected anew, perhaps to another server; where that has not helped, without what the server has of it. */
  deafTo(topic: string, now: Instant): void {
    const again = this.#deafBefore;
    this.#deafBefore = !again;
    this.#madeAnew = again;
    this.#context.counters.deaf.value++;
    const detail = { server: this.server.serverName, topic, remade: again };
    this.#context.note({ level: "warn", event: "upstream-deaf", detail }, this.clientId);
    if (again) this.server.remake(now);
    else this.server.move(now);
  }

  #sessionLost(): void {
    this.#context.counters.sessionsLost.value++;
    const detail = { server: this.server.serverName, subscriptions: this.subscriptions.size };
    this.#context.note({ level: "warn", event: "upstream-session-lost", detail }, this.clientId);
  }

  /** All that waited for it at the server has come: what is remembered of it says so. */
  caughtUp(): void {
    if (this.memo !== undefined) this.#host.devices?.changed(this);
    this.#restIfAsleep();
  }

  cut(now: Instant): void {
    this.#unproven = true;
    if (this.#departure.cut(now)) return;
    if (this.proof !== undefined && this.client !== undefined) {
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
    this.#due.at(after(now, this.#context.options.grace), () => this.#endGrace());
  }

  #endGrace(): void {
    const { client } = this;
    this.#graceOver = true;
    this.server.exchanges.giveUp();
    for (const tell of this.server.asks.drop()) tell();
    // A device on a stream is told to go; one that has no connection goes on asking, and is told that nothing works.
    if (client !== undefined && isStream(client.identity.peer.transport)) client.evict("unavailable");
  }

  denied(connack: ReasonPacket): void {
    const detail = { reason: `0x${connack.reason.toString(16)}` };
    this.#context.note({ level: "info", event: "upstream-denied", detail }, this.clientId);
    // What CONNACK says is not all for DISCONNECT to say.
    this.#dismiss(connack, undefined);
  }

  dismissed(packet: ReasonPacket): void {
    this.#dismiss(packet, packet);
  }

  #dismiss(packet: ReasonPacket, words: ServerWords | undefined): void {
    this.elsewhere = true;
    const { client } = this;
    if (client !== undefined) client.evict(stopReasonOf(packet.reason), words);
    else if (this.#host.isAwaited(this)) this.#forgetLater();
    else this.forget();
  }

  /** It may well be its own client, on its way in, that has taken it from here. */
  #forgetLater(): void {
    this.#due.at(after(this.#now, this.#context.options.patience), () => this.forget());
  }

  // ---- asks of the device

  publish(
    message: Message,
    client: EngineClient,
    ticket: Ticket,
    deviceId: number | undefined,
  ): PublishAnswer | "pending" {
    if (this.#resting) return this.#publishAsleep(message, client, ticket);
    if (this.#graceOver) {
      this.#context.counters.refused.value++;
      return "unavailable";
    }
    return this.server.exchanges.publish(message, client, ticket, deviceId);
  }

  /** Its gateway speaks for it, and wakes nobody: over a connection of the gateway itself. */
  #publishAsleep(message: Message, client: EngineClient, ticket: Ticket): PublishAnswer | "pending" {
    const answered = (_: Ticket, answer: PublishAnswer): void => {
      if (this.client === client) client.answered(ticket, answer);
    };
    return this.#host.publishFor(this, message, { answered });
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
    said: Readonly<Properties> | undefined,
  ): SubscribeAnswer | "pending" {
    if (!this.#serves()) return "unavailable";
    return this.server.subscribe(filter, options, asker, ticket, said);
  }

  unsubscribe(
    filter: string,
    client: EngineClient,
    ticket: Ticket,
    said: Readonly<Properties> | undefined,
  ): UnsubscribeAnswer | "pending" {
    if (!this.#serves()) return "unavailable";
    return this.server.unsubscribe(filter, client, ticket, said);
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
    const { link, exchanges, asks, handOut, backlog, stays } = this.server;
    if (whileAsleep === "hold" || between(now, until) <= holdFor || link === undefined || !stays) return;
    if (exchanges.count > 0 || asks.open || handOut.open || backlog.since !== undefined) return;
    this.#resting = true;
    this.server.bye(ReasonCode.success, now);
    this.server.arrivals.release();
    this.#due.at(until, () => this.#lookElsewhere());
  }

  /** It may have come to another gateway, which has said nothing to this one. */
  #lookElsewhere(): void {
    this.#host.devices?.whereabouts(this, (elsewhere) => {
      if (!elsewhere || !this.#resting || this.client === undefined) return;
      this.#context.counters.takeovers.value++;
      this.supersede();
    });
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

  /** `said`: with its goodbye. */
  leave(how: How, said: Readonly<Properties> | undefined): void {
    const now = this.#now;
    // Made now, a last time, by whoever makes it.
    this.memo = this.memo;
    this.client = undefined;
    this.server.handOut.forget();
    if (this.identity !== undefined) this.identity = plainIdentity(this.identity);
    this.server.arrivals.vacate();
    if (how === "closed") this.will = undefined;
    this.#departure.leave(how, now, said);
  }

  answered(): void {
    if (this.#departure.finish()) return;
    this.#restIfAsleep();
  }

  #restIfAsleep(): void {
    if (this.#sleepsUntil !== undefined && this.client !== undefined) {
      this.#letRest(this.#sleepsUntil, this.#now);
    }
  }

  /** Nothing of it is left here. */
  forget(): void {
    this.#due.cancel();
    this.#departure.forgotten();
    // Another connection that has the session has them, too.
    if (!this.elsewhere) this.#host.subscriptionsEnd(this);
    this.subscriptions.gone();
    this.server.abandon(this.#now);
    this.server.arrivals.clear();
    this.#host.ended(this);
  }

  /** Another session takes its client id. */
  replace(): void {
    this.#departure.replaced(this.#now);
    this.#host.ended(this);
  }

  /** Nobody shall come back to it. */
  discard(): void {
    this.client?.evict("kicked");
    this.#host.wipe(this);
    this.forget();
  }

  /** This process ends: what the device expects to find is at the server. */
  shutDown(): void {
    this.#departure.shutDown(this.#now);
    this.#due.cancel();
  }
}
