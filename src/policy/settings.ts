/** What the policy is made of: the configuration, with files read and units converted. */
import type { QoS } from "../bus/message.ts";
import type { AccessRule, Action } from "../contract/access-rule.ts";
import type { Duration, Instant } from "../lib/time.ts";
import type { Authenticator } from "./authentication.ts";
import type { AuthorizationSource } from "./authorization.ts";
import type { AttemptLimits } from "./login-attempts.ts";
import type { ListenerLimits } from "./policy.ts";

export type { AccessRule, Action, WhoConditions } from "../contract/access-rule.ts";

export interface AuthorizationSettings {
  readonly noMatch: "allow" | "deny";
  /** See `ListenerPolicy.revoked`. */
  readonly revoked?: "disconnect" | "quiet";
  /** Decisions remembered per client: how many, and for how long. */
  readonly cache: { readonly entries: number; readonly ttl: Duration };
  readonly rules: readonly AccessRule[];
  /** Asked in order where no rule has decided, or before the rules. */
  readonly sources?: readonly AuthorizationSource[];
  readonly order?: "rules-first" | "sources-first";
}

export interface AuthenticationSettings {
  /** Lets in clients that present no user name and that no authenticator refuses. */
  readonly anonymous: boolean;
  readonly chain: readonly Authenticator[];
}

/** Refused are clients for whom all given fields match. At least one is given. */
export interface Ban {
  readonly clientId?: string;
  readonly user?: string;
  /** IP address or CIDR range. */
  readonly address?: string;
  /** `NEVER`: until somebody lifts it. */
  readonly until: Instant;
  readonly reason: string;
}

export interface FlappingSettings {
  readonly enable: boolean;
  /** Disconnects within `window` that lead to a ban. */
  readonly threshold: number;
  readonly window: Duration;
  readonly ban: Duration;
  /** Clients watched at once; beyond that the longest watched are forgotten. */
  readonly clients: number;
}

export interface RewriteRule {
  readonly action: Action;
  /** Which topics the rule looks at. */
  readonly filter: string;
  /** Regular expression on the whole topic. */
  readonly pattern: string;
  /** The new topic, with `$1`…`$9` for groups and placeholders for the client. */
  readonly target: string;
}

export interface AutomaticSubscriptionRule {
  readonly topic: string;
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: 0 | 1 | 2;
  /** Only clients of these gateways; absent: of all. */
  readonly gateways?: readonly string[];
}

export interface ListenerSettings {
  /** Instead of the gateway's. */
  readonly mountpoint?: string;
  /** False: the chain is skipped and everybody is let in. */
  readonly authenticate: boolean;
  /** One of `PolicySettings.chains`, instead of its gateway's. */
  readonly chain?: string;
  /** `allow <address|CIDR|all>` and `deny …`; the first that matches decides. */
  readonly accessRules: readonly string[];
  readonly limits: ListenerLimits;
}

export interface GatewaySettings {
  readonly mountpoint: string;
  /** Instead of the general one. */
  readonly authentication?: AuthenticationSettings;
  /** What clients that send no user name are taken to have sent; templates, empty for none. */
  readonly presents?: { readonly username: string; readonly password: string };
  readonly listeners: Readonly<Record<string, ListenerSettings>>;
}

export interface PolicySettings {
  readonly authentication: AuthenticationSettings;
  /** Absent: failed logins are not counted. */
  readonly attempts?: AttemptLimits;
  /** Others by name, for listeners. */
  readonly chains?: Readonly<Record<string, AuthenticationSettings>>;
  readonly authorization: AuthorizationSettings;
  /** `max` bounds the list together with the bans that flapping and operators add. */
  readonly bans: { readonly max: number; readonly list: readonly Ban[] };
  readonly flapping: FlappingSettings;
  readonly rewrite: readonly RewriteRule[];
  readonly subscriptions: readonly AutomaticSubscriptionRule[];
  readonly gateways: Readonly<Record<string, GatewaySettings>>;
}
