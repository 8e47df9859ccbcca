/**
 * Whether, where, when and in which version of MQTT a session is connected again: judged by how its connections end, and
 * tries to have one.
 *
 * It is not where coming back would do harm: another connection has taken the session, or the server does not want this
 * client.
 */
import { between, type Duration, type Instant, NEVER, seconds } from "../lib/time.ts";
import type { ProtocolVersion, ReasonPacket } from "../mqtt/packets.ts";
import { NO_PROPERTIES } from "../mqtt/properties.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import type { DialError } from "../net/transport.ts";
import { Backoff } from "./backoff.ts";
import type { UpstreamContext } from "./context.ts";
import { Destination } from "./destination.ts";
import type { Exchanges } from "./exchanges.ts";
import { blamesServer, isElsewhere } from "./reasons.ts";
import { Rivalry } from "./rivalry.ts";
import type { Server, ServerFailure, SessionInfo } from "./server-choice.ts";

/** What follows from a try that came to nothing. */
export type AfterTry =
  /** The next one, at once. */
  | { readonly next: "at-once" }
  /** The next one after a pause. `connack`: in the server's own words. */
  | { readonly next: "pause"; readonly why: string; readonly connack: ReasonPacket | undefined }
  /** The server refuses this client: no other try. */
  | { readonly next: "none"; readonly connack: ReasonPacket };

/** What follows from the end of a connection. */
export type AfterEnd =
  | { readonly next: "at-once" | "pause"; readonly why: string }
  /** No other connection: in these words. */
  | { readonly next: "none"; readonly packet: ReasonPacket };

/** Of whom it is judged, for what a server closes the connection over. */
export interface Subject {
  /** An ask is on its way whose answer may be that the server closes the connection. */
  readonly subscribing: boolean;
  /** What it publishes, which a server may refuse in the same way. */
  readonly exchanges: Pick<Exchanges, "closed" | "underWay"> | undefined;
}

/** Why there is no connection, where the reason is older. */
export const NO_SERVER = "no server can be tried now";

/** A connection that lasts so long was a good one: what went wrong before does not count any more. */
const STABLE = seconds(30);

const TAKEN: ReasonPacket = { reason: ReasonCode.sessionTakenOver, properties: NO_PROPERTIES };

export class ReconnectPolicy {
  readonly #context: UpstreamContext;
  readonly #destination: Destination;
  readonly #backoff = new Backoff();
  readonly #rivalry = new Rivalry();
  #upAt: Instant = NEVER;
  /** MQTT 5 was not understood in the last try. */
  #older = false;

  constructor(context: UpstreamContext) {
    this.#context = context;
    this.#destination = new Destination(context);
  }

  // ---- where, when, in which version

  /** Of the present connection, or of the last. */
  get server(): Server | undefined {
    return this.#destination.server;
  }

  /** Nothing that went wrong before counts any more. */
  forgive(): void {
    this.#backoff.reset();
    this.#rivalry.forgive();
    this.#destination.settled();
  }

  /** The next pause is as long as any. */
  exhaust(): void {
    this.#backoff.exhaust();
  }

  /** Undefined: there is none that can be tried now. */
  choose(info: SessionInfo): Server | undefined {
    return this.#destination.choose(info);
  }

  version(server: Server): 4 | 5 {
    return this.#older ? 4 : (this.#context.versions.of(server) ?? 5);
  }

  /** How long to wait before the next try. */
  pause(): Duration {
    this.#destination.settled();
    return this.#backoff.next(this.#context.options.reconnect, this.#context.random());
  }

  // ---- how a try ends

  accepted(version: 4 | 5, now: Instant): void {
    const server = this.server as Server;
    this.#upAt = now;
    this.#older = false;
    if (server.version === "auto") this.#context.versions.learn(server, version);
    this.#context.choice.succeeded(server, version);
  }

  noServer(now: Instant): AfterTry {
    return this.#missed(NO_SERVER, now);
  }

  undialled(error: DialError, now: Instant): AfterTry {
    this.#rivalry.forgive();
    this.#destination.blame({ kind: "dial", detail: error.message });
    return this.#missed(error.message, now);
  }

  /** The server has closed without CONNACK: perhaps because it knows no MQTT 5. */
  unanswered(version: ProtocolVersion, why: string, now: Instant): AfterTry {
    if (this.#mayBeOld(version)) return this.#tryOlder();
    return this.blamed({ kind: "silent", detail: why }, `no CONNACK: ${why}`, now);
  }

  /** Silence, or what is no MQTT, in place of CONNACK. */
  blamed(failure: ServerFailure, why: string, now: Instant): AfterTry {
    this.#destination.blame(failure);
    return this.#missed(why, now);
  }

  refused(version: ProtocolVersion, connack: ReasonPacket, info: SessionInfo, now: Instant): AfterTry {
    const { reason, properties } = connack;
    if (reason === ReasonCode.unsupportedProtocolVersion && this.#mayBeOld(version)) return this.#tryOlder();
    if (isElsewhere(reason) && this.#destination.follow(reason, properties)) return { next: "at-once" };
    if (!blamesServer(reason)) return this.#denied(connack);
    this.#destination.blame({ kind: "refused", detail: properties.reasonString ?? "CONNACK", reason });
    // Another server may let it in; where there is none, this one's word stands.
    if (this.#backoff.fresh && this.#destination.tryAnother(info)) {
      this.#backoff.count();
      return { next: "at-once" };
    }
    return this.#missed(`refused with reason 0x${reason.toString(16)}`, now, connack);
  }

  #mayBeOld(version: ProtocolVersion): boolean {
    return version === 5 && this.#context.versions.of(this.server as Server) === undefined;
  }

  #tryOlder(): AfterTry {
    this.#older = true;
    this.#destination.stay();
    return { next: "at-once" };
  }

  #denied(connack: ReasonPacket): AfterTry {
    this.#context.counters.denied.value++;
    return { next: "none", connack };
  }

  /** `connack`: what the server said, for who waits for the first connection. */
  #missed(why: string, now: Instant, connack?: ReasonPacket): AfterTry {
    this.#context.outage.failed(now);
    this.#older = false;
    if (connack !== undefined && this.#backoff.fresh) return { next: "none", connack };
    return { next: "pause", why, connack };
  }

  // ---- how a connection ends

  /** DISCONNECT. */
  dismissed(packet: ReasonPacket, now: Instant): AfterEnd {
    const { reason, properties } = packet;
    const lasted = between(this.#upAt, now);
    // Servers that send a session back and forth let it in each time.
    if (this.#isStable(now)) this.#destination.settled();
    if (isElsewhere(reason) && this.#destination.follow(reason, properties)) {
      // The redirect that is followed now counts.
      this.#upAt = now;
      return { next: "at-once", why: "the server names another one" };
    }
    if (reason === ReasonCode.sessionTakenOver) {
      if (!this.#rivalry.mayBeMistaken(lasted)) return this.#taken(packet);
      return { next: "at-once", why: "taken over as it came in" };
    }
    if (!blamesServer(reason)) return { next: "none", packet };
    this.#destination.failed({ kind: "refused", detail: "DISCONNECT", reason });
    return this.#pause(`DISCONNECT with reason 0x${reason.toString(16)}`, now);
  }

  /** Silence, or what is no MQTT. */
  failed(problem: string, now: Instant): AfterEnd {
    this.#destination.failed({ kind: "broken", detail: problem });
    return this.#pause(problem, now);
  }

  /** The transport is gone. `orderly`: the server has closed it. */
  cut(why: string, orderly: boolean, { subscribing, exchanges }: Subject, now: Instant): AfterEnd {
    if (this.#isStable(now)) this.#rivalry.forgive();
    if (!orderly) return this.failed(why, now);
    if (!subscribing && this.#rivalry.closed(exchanges)) return this.#taken(TAKEN);
    return this.#pause(why, now);
  }

  #taken(packet: ReasonPacket): AfterEnd {
    this.#context.counters.takeovers.value++;
    return { next: "none", packet };
  }

  #pause(why: string, now: Instant): AfterEnd {
    if (this.#isStable(now)) {
      this.#backoff.reset();
      this.#destination.settled();
      this.#rivalry.settled();
    }
    return { next: "pause", why };
  }

  #isStable(now: Instant): boolean {
    return between(this.#upAt, now) >= STABLE;
  }
}
