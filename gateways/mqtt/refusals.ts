/** What the core refuses, in the reason codes that each packet may carry (MQTT 5 §2.4 and its tables). */
import type { Refusal, UnsubscribeAnswer } from "#core/contract/answers.ts";
import { unreachable } from "#core/lib/assert.ts";
import { ReasonCode } from "#core/mqtt/reason-codes.ts";

/** CONNACK (MQTT 5 §3.2.2.2). */
export function connackReason(refusal: Refusal): ReasonCode {
  switch (refusal) {
    case "unauthenticated":
      return ReasonCode.badUserNameOrPassword;
    case "forbidden":
      return ReasonCode.notAuthorized;
    case "banned":
      return ReasonCode.banned;
    case "malformed":
      return ReasonCode.clientIdentifierNotValid;
    case "congested":
      return ReasonCode.connectionRateExceeded;
    case "quota":
      return ReasonCode.quotaExceeded;
    case "too-large":
      return ReasonCode.packetTooLarge;
    case "unavailable":
      return ReasonCode.serverUnavailable;
    default:
      return unreachable(refusal);
  }
}

/** PUBACK and PUBREC (MQTT 5 §3.4.2.1, §3.5.2.1). */
export function publishReason(refusal: Refusal): ReasonCode {
  switch (refusal) {
    case "unauthenticated":
    case "forbidden":
    case "banned":
      return ReasonCode.notAuthorized;
    case "malformed":
      return ReasonCode.topicNameInvalid;
    case "congested":
    case "quota":
    case "too-large":
      return ReasonCode.quotaExceeded;
    case "unavailable":
      return ReasonCode.implementationSpecificError;
    default:
      return unreachable(refusal);
  }
}

/** SUBACK (MQTT 5 §3.9.3): as a publish, but that what may be malformed is a filter. */
export const subackReason = (refusal: Refusal): ReasonCode =>
  refusal === "malformed" ? ReasonCode.topicFilterInvalid : publishReason(refusal);

/** UNSUBACK (MQTT 5 §3.11.3). */
export function unsubackReason(answer: UnsubscribeAnswer): ReasonCode {
  switch (answer) {
    case "unsubscribed":
      return ReasonCode.success;
    case "no-subscription":
      return ReasonCode.noSubscriptionExisted;
    case "malformed":
      return ReasonCode.topicFilterInvalid;
    case "unauthenticated":
    case "forbidden":
    case "banned":
      return ReasonCode.notAuthorized;
    case "congested":
    case "quota":
    case "too-large":
    case "unavailable":
      return ReasonCode.implementationSpecificError;
    default:
      return unreachable(answer);
  }
}

/** DISCONNECT after a publish that cannot be answered otherwise (MQTT 5 §3.14.2.1). */
export function disconnectReason(refusal: Refusal): ReasonCode {
  switch (refusal) {
    case "unauthenticated":
    case "forbidden":
    case "banned":
      return ReasonCode.notAuthorized;
    case "malformed":
      return ReasonCode.topicNameInvalid;
    case "congested":
      return ReasonCode.messageRateTooHigh;
    case "quota":
      return ReasonCode.quotaExceeded;
    case "too-large":
      return ReasonCode.packetTooLarge;
    case "unavailable":
      return ReasonCode.implementationSpecificError;
    default:
      return unreachable(refusal);
  }
}
