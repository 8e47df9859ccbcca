/** The Policy port: who may connect, and what each client may do. The door (`src/door`) is its only user. */
import type { QoS } from "../bus/message.ts";
import type { Refusal } from "../contract/answers.ts";
import type { PacketLimits } from "../contract/channel.ts";
import type { Credentials, SubscribeOptions } from "../contract/client.ts";
import type { Identity } from "../contract/identity.ts";
import type { Peer } from "../contract/peer.ts";
import type { Duration, Instant } from "../lib/time.ts";
import type { Question } from "./authorization.ts";

export type { Identity } from "../contract/identity.ts";
export type { Question } from "./authorization.ts";

/** What kept an authenticator from its work. */
export interface AuthenticationFailure {
  readonly authenticator: string;
  readonly error: string;
}

export type Verdict =
  | { readonly ok: true; readonly identity: Identity }
  | {
      readonly ok: false;
      readonly refusal: Refusal;
      readonly reason: string;
      readonly why?: string;
      /** Who has decided: an authenticator by its kind, a ban. For the log. */
      readonly by?: string;
      /** An authenticator could not do its work: for the log, and not for the client. */
      readonly failure?: AuthenticationFailure;
    };

export interface AutomaticSubscription {
  readonly filter: string;
  readonly options: SubscribeOptions;
}

/** Limits of one listener, as configured; rates in units per second, `Infinity` for none. */
export interface ListenerLimits extends PacketLimits {
  readonly connections: number;
  /** Datagrams: peers whose address is not proven, at once, and those of one network among them. */
  readonly unproven?: number;
  readonly unprovenOfNetwork?: number;
  readonly connectionRate: number;
  readonly messageRate: number;
  readonly byteRate: number;
  readonly topicLevels: number;
  readonly subscriptions: number;
  /** How long a client may read nothing of what is sent to it. */
  readonly stallTimeout: Duration;
}

/** Something that rules decide. */
export type AskedOfPolicy =
  | {
      readonly action: "publish";
      readonly identity: Identity;
      readonly topic: string;
      readonly qos: QoS;
      readonly retain: boolean;
    }
  | { readonly action: "subscribe"; readonly identity: Identity; readonly filter: string; readonly qos: QoS };

/** Policy as one listener applies it. */
export interface ListenerPolicy {
  readonly gateway: string;
  readonly listener: string;
  readonly limits: ListenerLimits;
  /** Whether an address may talk to the listener at all: access rules and ban list. Asked before any protocol. */
  allows(peer: Pick<Peer, "address">, now: Instant): "accepted" | Refusal;
  /** A new connection or a first datagram: access rules of the listener, ban list, connection rate. */
  admit(peer: Peer, now: Instant): "accepted" | Refusal;
  /** How long until the connection rate has room for one more. */
  roomIn(now: Instant): Duration;
  /** Runs the chain. At once where it can; a promise where a password must be hashed. */
  authenticate(
    request: Credentials,
    peer: Peer,
    now: Instant,
    applicant?: { readonly closed: boolean },
  ): Verdict | Promise<Verdict>;
  /** Somebody is asked about who logs in. */
  readonly checks?: boolean;
  /** Methods of logins of several messages that the chain knows. */
  readonly methods?: readonly string[];
  /** Whether who came in before would still be let in: access rules, bans, and whether its user is still there. */
  mayStay(identity: Identity, now: Instant): "accepted" | Refusal;
  /** For flapping detection. */
  disconnected(identity: Identity, now: Instant): void;
  /**
   * The topic is as the device names it, before mountpoint and rewrite. Cached per client. Undefined: it has to be asked
   * (`ask`).
   */
  mayPublish(identity: Identity, topic: string, qos: QoS, retain: boolean): boolean | undefined;
  maySubscribe(identity: Identity, filter: string, qos: QoS): boolean | undefined;
  /** Finds out what is undefined above. Never rejects. */
  ask(identity: Identity, question: Question): Promise<boolean>;
  /** Sources outside this process are asked: answers change without a new generation. */
  readonly asks: boolean;
  /** Which rule speaks about it, or that none does; for the log, after the fact. */
  decidedBy?(asked: AskedOfPolicy): string;
  /** The same of an address: its access rules, a ban, the rate of new connections. */
  addressDecidedBy?(peer: Pick<Peer, "address">, now: Instant): string;
  /** Prefix with its placeholders filled in; empty for none. */
  mountpoint(identity: Identity): string;
  /** Topic rewrite, before the mountpoint. Undefined when no rule exists at all: the hot path skips it. */
  readonly rewritePublish: ((identity: Identity, topic: string) => string) | undefined;
  readonly rewriteSubscribe: ((identity: Identity, filter: string) => string) | undefined;
  automaticSubscriptions(identity: Identity): readonly AutomaticSubscription[];
  /** What a client gets from which a change of the rules takes a subscription: it is told and ended, or not. */
  readonly revoked: "disconnect" | "quiet";
  /** Grows when rules change, so that callers drop what they remember of earlier answers. */
  readonly generation: number;
}

export interface Policy {
  /**
   * `host` names the gateway whose listener it is when another is served on it (LwM2M on CoAP's): limits and
   * access rules are the listener's, authentication and mountpoint are the served gateway's.
   */
  listener(gateway: string, listener: string, host?: string): ListenerPolicy;
}
