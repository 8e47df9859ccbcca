/** What a server's reason codes are in the words of the contract. */
import type { PublishAnswer, Refusal, SubscribeAnswer, UnsubscribeAnswer } from "../contract/answers.ts";
import type { StopReason } from "../contract/channel.ts";
import { isFailure, ReasonCode } from "../mqtt/reason-codes.ts";

/** It says something about the server, not about this client: another server, or another time, may do better. */
export function blamesServer(reason: ReasonCode): boolean {
  switch (reason) {
    case ReasonCode.success:
    case ReasonCode.unspecifiedError:
    case ReasonCode.implementationSpecificError:
    case ReasonCode.serverUnavailable:
    case ReasonCode.serverBusy:
    case ReasonCode.serverShuttingDown:
    case ReasonCode.keepAliveTimeout:
    case ReasonCode.connectionRateExceeded:
    case ReasonCode.maximumConnectTime:
    case ReasonCode.useAnotherServer:
    case ReasonCode.serverMoved:
      return true;
    default:
      return false;
  }
}

export const isElsewhere = (reason: ReasonCode): boolean =>
  reason === ReasonCode.useAnotherServer || reason === ReasonCode.serverMoved;

/** Of a failure. */
export function refusalOf(reason: ReasonCode): Refusal {
  switch (reason) {
    case ReasonCode.badUserNameOrPassword:
    case ReasonCode.badAuthenticationMethod:
      return "unauthenticated";
    case ReasonCode.notAuthorized:
    case ReasonCode.retainNotSupported:
    case ReasonCode.qosNotSupported:
    case ReasonCode.sharedSubscriptionsNotSupported:
    case ReasonCode.subscriptionIdentifiersNotSupported:
    case ReasonCode.wildcardSubscriptionsNotSupported:
      return "forbidden";
    case ReasonCode.banned:
      return "banned";
    case ReasonCode.clientIdentifierNotValid:
    case ReasonCode.topicNameInvalid:
    case ReasonCode.topicFilterInvalid:
    case ReasonCode.payloadFormatInvalid:
      return "malformed";
    case ReasonCode.packetTooLarge:
      return "too-large";
    case ReasonCode.quotaExceeded:
      return "quota";
    case ReasonCode.messageRateTooHigh:
    case ReasonCode.connectionRateExceeded:
    case ReasonCode.serverBusy:
      return "congested";
    default:
      return "unavailable";
  }
}

/** PUBACK and PUBREC (MQTT 5 §3.4.2.1). */
export function publishAnswerOf(reason: ReasonCode): PublishAnswer {
  if (!isFailure(reason)) return reason === ReasonCode.noMatchingSubscribers ? "no-subscribers" : "accepted";
  // It may be better soon, and is not this client's fault.
  return reason === ReasonCode.quotaExceeded ? "congested" : refusalOf(reason);
}

/** SUBACK (MQTT 5 §3.9.3). */
export const subscribeAnswerOf = (reason: ReasonCode): SubscribeAnswer => {
  if (!isFailure(reason)) return reason as 0 | 1 | 2;
  // All that MQTT 3.1.1 can say is that it did not.
  return reason === ReasonCode.unspecifiedError ? "forbidden" : refusalOf(reason);
};

/** UNSUBACK (MQTT 5 §3.11.3); MQTT 3.1.1 has no codes. */
export function unsubscribeAnswerOf(reason: ReasonCode | undefined): UnsubscribeAnswer {
  if (reason === undefined || reason === ReasonCode.success) return "unsubscribed";
  return reason === ReasonCode.noSubscriptionExisted ? "no-subscription" : refusalOf(reason);
}

/** Why a device's connection ends, when the server has ended its session's. */
export function stopReasonOf(reason: ReasonCode): StopReason {
  switch (reason) {
    case ReasonCode.sessionTakenOver:
      return "taken-over";
    case ReasonCode.notAuthorized:
    case ReasonCode.badUserNameOrPassword:
    case ReasonCode.banned:
      return "forbidden";
    case ReasonCode.maximumConnectTime:
      return "expired";
    case ReasonCode.messageRateTooHigh:
      return "rate";
    case ReasonCode.quotaExceeded:
    case ReasonCode.receiveMaximumExceeded:
      return "overload";
    default:
      return "kicked";
  }
}
