/**
 * One client on its way in. It says CONNECT for itself, over a connection of its own, and nothing else changes before a
 * server has let it in: another client of its name, or the session that one has left, knows nothing of a login that is
 * refused (MQTT 5 §3.1.4 authenticates first, and takes over then).
 */
import type { Message } from "../bus/message.ts";
import type { Ticket } from "../contract/answers.ts";
import type { Will } from "../contract/client.ts";
import { after, type Duration, type Instant } from "../lib/time.ts";
import type { Link } from "../mqtt/client/link.ts";
import type { ConnackPacket, ConnectPacket, ReasonPacket } from "../mqtt/packets.ts";
import { NO_PROPERTIES, type Properties } from "../mqtt/properties.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import type { EngineClient, OpenAnswer, Opening } from "../session/engine.ts";
import { connectOf, type Speaker, type Told } from "./application.ts";
import type { UpstreamContext } from "./context.ts";
import { Due } from "./due.ts";
import { Proof } from "./proof.ts";
import { refusalOf } from "./reasons.ts";
import type { SessionInfo } from "./server-choice.ts";
import { passwordOf, takenAtMost, type UpstreamSession } from "./session.ts";
import type { SessionLimits } from "./session-host.ts";
import { Uplink, type UplinkUser } from "./uplink.ts";

export type Refused = OpenAnswer & { readonly ok: false };
/** `known`: the session was here before, and its client comes back to it. */
export type Admitted = { readonly session: UpstreamSession; readonly known: boolean };

/** What an entry needs of the engine that it is for. */
export interface EntryHost {
  readonly context: UpstreamContext;
  readonly limits: SessionLimits;
  /** The session to which it comes back, if one is here. */
  formerOf(entry: Entry): UpstreamSession | undefined;
  /** A server has let it in: whoever had its name before has been taken over. */
  supersede(entry: Entry): Refused | undefined;
  /** The same, and it gets its session. */
  admit(entry: Entry): Admitted | Refused;
  /** It is in, or will never be. */
  concluded(entry: Entry): void;
}

const TAKEN_OVER: Refused = { ok: false, refusal: "unavailable", reason: "taken over meanwhile" };

export class Entry implements UplinkUser, Speaker {
  readonly subscribing = false;
  readonly exchanges = undefined;
  readonly upstreamId: string;
  readonly client: EngineClient;
  readonly opening: Opening;
  readonly ticket: Ticket;
  readonly password: Uint8Array | undefined;
  readonly expiry: Duration;
  readonly receiveMaximum: number;
  /** Of a device that proves itself to its server: how. */
  readonly proof: Proof | undefined;
  readonly uplink: Uplink;
  /** What the last CONNECT has told the server. */
  told: Told | undefined = undefined;
  /** The will of the one whose connection it takes [MQTT-3.1.4-3]. */
  owed: Message | undefined = undefined;
  /** It is in, or will never be. */
  over = false;
  readonly #host: EntryHost;
  readonly #context: UpstreamContext;
  readonly #entered: (session: UpstreamSession) => void;
  readonly #due: Due;
  /** The next CONNECT throws away what the server has. */
  #clean: boolean;
  /** The last that a server said about it. */
  #refusal: ReasonPacket | undefined = undefined;

  /** `entered` is called before its client hears that it is in. */
  constructor(
    host: EntryHost,
    upstreamId: string,
    client: EngineClient,
    opening: Opening,
    ticket: Ticket,
    entered: (session: UpstreamSession) => void,
  ) {
    const { exchange, cleanStart } = opening;
    this.#host = host;
    this.#context = host.context;
    this.upstreamId = upstreamId;
    this.client = client;
    this.opening = opening;
    this.ticket = ticket;
    this.#entered = entered;
    this.password = passwordOf(opening);
    this.expiry = Math.min(opening.expiry, host.limits.expiryMax) as Duration;
    this.receiveMaximum = takenAtMost(opening) || host.context.options.receiveMaximum;
    this.proof = exchange === undefined ? undefined : new Proof(exchange);
    this.uplink = new Uplink(host.context, this);
    this.#due = new Due(host.context.alarms);
    this.#clean = cleanStart;
  }

  get #now(): Instant {
    return this.#context.clock.now();
  }

  start(): void {
    if (this.over) return;
    const now = this.#now;
    this.#due.at(after(now, this.#context.options.patience), () => this.#outOfPatience());
    this.uplink.start(now);
  }

  #outOfPatience(): void {
    this.#refuse(this.#refusal, "no server of the cluster can be reached");
  }

  /** Its client has gone. */
  leave(): void {
    if (this.over) return;
    this.#conclude();
    this.uplink.abandon(this.#now);
  }

  /** It is not let in. */
  end(answer: Refused): void {
    if (this.over) return;
    this.leave();
    // Not within the client's own ask.
    this.#context.defer(() => this.client.opened(this.ticket, answer));
  }

  /** One that came later is in by now: it goes as if it had been. */
  overtaken(): void {
    this.end(TAKEN_OVER);
    this.client.evict("taken-over");
  }

  #refuse(connack: ReasonPacket | undefined, why: string): void {
    const refusal = connack === undefined ? "unavailable" : refusalOf(connack.reason);
    const reason = connack?.properties.reasonString ?? why;
    this.end({ ok: false, refusal, reason, words: connack });
  }

  #conclude(): void {
    this.over = true;
    this.#due.cancel();
    this.#host.concluded(this);
  }

  // ---- who speaks in CONNECT

  get expectedUntil(): Instant | undefined {
    return this.#host.formerOf(this)?.expectedUntil;
  }

  get durable(): boolean {
    return this.expiry > 0 || this.expectedUntil !== undefined;
  }

  get will(): Will | undefined {
    return this.opening.kind === "session" ? this.opening.will : this.#host.formerOf(this)?.will;
  }

  get mountpoint(): string {
    return this.client.mountpoint;
  }

  get username(): string | undefined {
    return this.client.username;
  }

  get properties(): Readonly<Properties> {
    return this.opening.properties ?? NO_PROPERTIES;
  }

  // ---- for the uplink

  info(): SessionInfo {
    const { gateway, identity, username } = this.client;
    const { listener, peer: source } = identity;
    return {
      gateway,
      listener,
      clientId: this.upstreamId,
      username,
      source,
      protocol: this.opening.protocol,
    };
  }

  application(version: 4 | 5, now: Instant): ConnectPacket {
    const { packet, told } = connectOf(
      this,
      { clean: this.#clean, receiveMaximum: this.receiveMaximum, version },
      this.#context.options,
      now,
    );
    this.told = told;
    return packet;
  }

  challenged(auth: ReasonPacket, now: Instant): void {
    const heard = this.proof?.heard(auth, (answer) => {
      if (!this.over) this.uplink.authenticate(answer, this.#now);
    });
    // Nobody has begun an exchange of this kind.
    if (heard !== true) this.#refuseMethod(now);
  }

  #refuseMethod(now: Instant): void {
    this.uplink.stop(ReasonCode.protocolError, {}, now);
    this.denied({ reason: ReasonCode.badAuthenticationMethod, properties: {} });
  }

  up(link: Link, connack: ConnackPacket, now: Instant): void {
    if (link.version === 4 && this.proof !== undefined) {
      // It has let in somebody of whom it has seen no proof.
      this.#refuseMethod(now);
    } else if (this.#clean && link.version === 4 && this.durable) {
      this.#wiped(now);
    } else {
      const admitted = this.#host.admit(this);
      if ("refusal" in admitted) this.#turnAway(admitted, now);
      else this.#enter(admitted, link, connack, now);
    }
  }

  /** Clean Session 1 also means that the session ends with the connection: it is wiped, and now made to stay. */
  #wiped(now: Instant): void {
    const refused = this.#host.supersede(this);
    if (refused !== undefined) {
      this.#turnAway(refused, now);
      return;
    }
    this.#clean = false;
    this.uplink.renew({}, now);
  }

  #enter({ session, known }: Admitted, link: Link, connack: ConnackPacket, now: Instant): void {
    this.#conclude();
    this.#entered(session);
    session.enter(this, known, link, connack, now);
  }

  /** What the server allows is not allowed here. */
  #turnAway(refused: Refused, now: Instant): void {
    this.uplink.stop(ReasonCode.success, {}, now);
    this.end(refused);
  }

  missed(_why: string, connack: ReasonPacket | undefined): void {
    if (connack !== undefined) this.#refusal = connack;
    // What the device has said for one connection it does not say again.
    if (this.proof?.begun === true) this.#refuse(connack, "the login was cut short");
  }

  denied(connack: ReasonPacket): void {
    this.#refuse(connack, "refused by the server");
  }

  // Nothing of this comes before CONNACK, and what comes behind it is the session's.
  down(): void {}
  dismissed(): void {}
  writable(): void {}
  arrived(): void {}
  acknowledged(): void {}
  subscribed(): void {}
  unsubscribed(): void {}
  ponged(): void {}
}
