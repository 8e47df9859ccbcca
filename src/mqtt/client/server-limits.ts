import { hasWildcard, sharedPrefix } from "../../bus/topic.ts";
import type { SubscribeOptions } from "../../contract/client.ts";
import type { Properties } from "../properties.ts";
import { ReasonCode } from "../reason-codes.ts";

/** What servers of a kind cannot do, and no wire tells (see `src/upstream/profiles.ts`). */
export interface ServerCaps {
  /** Highest QoS that may be published and subscribed. */
  readonly maximumQoS: 0 | 1 | 2;
  readonly retain: boolean;
  readonly shared: boolean;
  readonly wildcards: boolean;
  /** It closes the connection over a PUBLISH whose topic holds one of these characters. */
  readonly notInTopics: string;
}

/** What a server can do, as its CONNACK says (MQTT 5 §3.2.2.3) and as is known of its kind. */
export interface ServerLimits {
  readonly receiveMaximum: number;
  readonly maximumQoS: 0 | 1 | 2;
  readonly retain: boolean;
  readonly maximumPacketSize: number;
  readonly topicAliasMaximum: number;
  readonly wildcards: boolean;
  readonly subscriptionIds: boolean;
  readonly shared: boolean;
  readonly notInTopics: string;
  /** Subscription options of MQTT 5 (MQTT 5 §3.8.3.1). */
  readonly options: boolean;
}

export function limitsOf(
  version: 3 | 4 | 5,
  properties: Readonly<Properties>,
  caps: ServerCaps,
): ServerLimits {
  return {
    receiveMaximum: properties.receiveMaximum ?? 65_535,
    maximumQoS: Math.min(properties.maximumQoS ?? 2, caps.maximumQoS) as 0 | 1 | 2,
    retain: properties.retainAvailable !== 0 && caps.retain,
    maximumPacketSize: properties.maximumPacketSize ?? Number.POSITIVE_INFINITY,
    topicAliasMaximum: properties.topicAliasMaximum ?? 0,
    wildcards: properties.wildcardSubscriptionAvailable !== 0 && caps.wildcards,
    subscriptionIds: version === 5 && properties.subscriptionIdentifiersAvailable !== 0,
    shared: properties.sharedSubscriptionAvailable !== 0 && caps.shared,
    notInTopics: caps.notInTopics,
    options: version === 5,
  };
}

/** It is not sent: the server would close the connection over it. */
export function isUnfit({ notInTopics }: ServerLimits, topic: string): boolean {
  for (let index = 0; index < notInTopics.length; index++)
    if (topic.includes(notInTopics[index] as string)) return true;
  return false;
}

/** Why a server would not take a subscription, so that it is not asked for it (MQTT 5 §3.2.2.3.11 to §3.2.2.3.13). */
export function subscriptionProblem(
  limits: ServerLimits,
  filter: string,
  { identifier, noLocal = false }: SubscribeOptions,
): ReasonCode | undefined {
  if (identifier !== undefined && !limits.subscriptionIds && limits.options) {
    return ReasonCode.subscriptionIdentifiersNotSupported;
  }
  // Before MQTT 5 nobody can be asked to leave out what a client has published itself.
  if (noLocal && !limits.options) return ReasonCode.implementationSpecificError;
  if (sharedPrefix(filter) !== "" && !limits.shared) return ReasonCode.sharedSubscriptionsNotSupported;
  if (hasWildcard(filter) && !limits.wildcards) return ReasonCode.wildcardSubscriptionsNotSupported;
  return undefined;
}
