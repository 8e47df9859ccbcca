/**
 * What a hook may implement: the types for whoever writes one (`import type { Hook } from "isthmus-iot/hooks"`). This file
 * imports nothing, so that it can be read, and copied, alone. See the README of this folder.
 */

/** A module that the configuration names: its default export makes the hook. */
export type OpenHook = (
  options: Readonly<Record<string, unknown>>,
  context: HookContext,
) => Hook | Promise<Hook>;

/** What a hook gets when it is opened. */
export interface HookContext {
  /** As the configuration calls it. */
  readonly name: string;
  readonly log: Record<"debug" | "info" | "warn" | "error", (detail: object, message: string) => void>;
}

/** A connected client, or one that makes single requests. The same object for as long as it is connected. */
export interface HookClient {
  readonly gateway: string;
  readonly listener: string;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly address: string;
  readonly port: number;
  readonly transport: string;
}

/** Who wants to come in, before anybody has asked for a password. */
export interface HookLogin {
  readonly gateway: string;
  readonly listener: string;
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
  readonly transport: string;
  /** `session`: with a session. `resume`: a sleeper that comes back to its own. `single`: for single requests. */
  readonly kind: "session" | "resume" | "single";
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
}

export interface HookProperties {
  readonly payloadFormat?: 0 | 1;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  readonly userProperties?: readonly (readonly [name: string, value: string])[];
}

/** A message, as its device names the topic: without mountpoint, before rewrite rules. Not to be changed in place. */
export interface HookMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties: HookProperties;
  /** Milliseconds; undefined when it does not expire. */
  readonly expiry: number | undefined;
}

export interface HookSubscription {
  readonly filter: string;
  readonly qos: 0 | 1 | 2;
  /** Nothing is subscribed: retained messages are read, as by a CoAP GET. */
  readonly read: boolean;
}

/** Instead of what was asked for. The reason is logged, and told where the protocol has a place for it. */
export interface Refuse {
  readonly refuse: string;
  /** Which of the protocol's answers it becomes; `forbidden` when absent. */
  readonly as?:
    | "forbidden"
    | "unauthenticated"
    | "banned"
    | "malformed"
    | "congested"
    | "quota"
    | "too-large"
    | "unavailable";
}

/** Accepted, and not published: the device hears that all is well. */
export interface Drop {
  readonly drop: true;
}

export interface ChangeLogin {
  readonly clientId?: string;
  readonly username?: string | undefined;
  readonly password?: Uint8Array | string | undefined;
}

export interface ChangeMessage {
  readonly topic?: string;
  readonly payload?: Uint8Array | string;
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
  /** In place of all properties that it had. */
  readonly properties?: HookProperties;
  readonly expiry?: number | undefined;
}

export interface ChangeSubscription {
  readonly filter?: string;
  readonly qos?: 0 | 1 | 2;
}

/** Nothing: as it was asked for. */
// biome-ignore lint/suspicious/noConfusingVoidType: a hook that returns nothing lets pass
export type Decision<Change> = void | undefined | Change | Promise<void | undefined | Change>;
export type Noted = void | Promise<void>;

/** All members are optional. A member may be asynchronous: what one client does stays in its order. */
export interface Hook {
  /** Before authentication: may change the credentials that are checked. */
  authConnect?(login: HookLogin): Decision<ChangeLogin | Refuse>;
  /** After the access rules: may change the message. Also asked about wills, when they are given. */
  authPublish?(client: HookClient, message: HookMessage): Decision<ChangeMessage | Refuse | Drop>;
  /** After the access rules: may change filter and QoS. */
  authSubscribe?(client: HookClient, subscription: HookSubscription): Decision<ChangeSubscription | Refuse>;

  /** What has happened. */
  connected?(
    client: HookClient,
    how: { readonly cleanStart: boolean; readonly sessionPresent: boolean },
  ): Noted;
  /** Accepted, and safe where something must keep it. */
  published?(client: HookClient, message: HookMessage): Noted;
  subscribed?(client: HookClient, filter: string, qos: 0 | 1 | 2): Noted;
  /** A filter as its client knows it: not wanted any more, or over with its session, also where its client left before. */
  unsubscribed?(client: HookClient, filter: string, why: "asked" | "session-ended"): Noted;
  disconnected?(client: HookClient, reason: string): Noted;
  /** At QoS 0: handed to its connection. At QoS 1 and 2: acknowledged by the client. */
  delivered?(client: HookClient, message: HookMessage): Noted;

  /** The gateway stops. */
  close?(): void | Promise<void>;
}
