/** Rules of the access control list, as configurations, tokens and tables hold them. */
import type { QoS } from "../bus/message.ts";

export type Action = "publish" | "subscribe" | "both";

/** All given conditions must hold; of several values in one condition, any. */
export interface WhoConditions {
  readonly user?: string | readonly string[];
  readonly clientId?: string | readonly string[];
  /** Regular expressions, found anywhere in the user name unless `^` and `$` say otherwise. */
  readonly userPattern?: string | readonly string[];
  readonly clientIdPattern?: string | readonly string[];
  /** IP addresses or CIDR ranges. */
  readonly address?: string | readonly string[];
  readonly gateway?: string | readonly string[];
}

export interface AccessRule {
  readonly permission: "allow" | "deny";
  readonly who: "all" | WhoConditions;
  readonly action: Action;
  /** Topic filters with placeholders; `eq x` means the text `x` and nothing else. Absent: every topic. */
  readonly topics?: readonly string[];
  /** Only at these QoS. */
  readonly qos?: readonly QoS[];
  /** Publishing: only retained, or only not retained, messages. */
  readonly retain?: boolean;
}
