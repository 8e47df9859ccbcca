/** MQTT 5 reason codes (MQTT 5 §2.4). A client may send others: a code is a number, the table names the known. */
import type { Brand } from "../lib/brand.ts";

export type ReasonCode = Brand<number, "ReasonCode">;

const code = (value: number): ReasonCode => value as ReasonCode;

export const ReasonCode = {
  success: code(0x00),
  grantedQos1: code(0x01),
  grantedQos2: code(0x02),
  disconnectWithWill: code(0x04),
  noMatchingSubscribers: code(0x10),
  noSubscriptionExisted: code(0x11),
  continueAuthentication: code(0x18),
  reAuthenticate: code(0x19),
  unspecifiedError: code(0x80),
  malformedPacket: code(0x81),
  protocolError: code(0x82),
  implementationSpecificError: code(0x83),
  unsupportedProtocolVersion: code(0x84),
  clientIdentifierNotValid: code(0x85),
  badUserNameOrPassword: code(0x86),
  notAuthorized: code(0x87),
  serverUnavailable: code(0x88),
  serverBusy: code(0x89),
  banned: code(0x8a),
  serverShuttingDown: code(0x8b),
  badAuthenticationMethod: code(0x8c),
  keepAliveTimeout: code(0x8d),
  sessionTakenOver: code(0x8e),
  topicFilterInvalid: code(0x8f),
  topicNameInvalid: code(0x90),
  packetIdentifierInUse: code(0x91),
  packetIdentifierNotFound: code(0x92),
  receiveMaximumExceeded: code(0x93),
  topicAliasInvalid: code(0x94),
  packetTooLarge: code(0x95),
  messageRateTooHigh: code(0x96),
  quotaExceeded: code(0x97),
  administrativeAction: code(0x98),
  payloadFormatInvalid: code(0x99),
  retainNotSupported: code(0x9a),
  qosNotSupported: code(0x9b),
  useAnotherServer: code(0x9c),
  serverMoved: code(0x9d),
  sharedSubscriptionsNotSupported: code(0x9e),
  connectionRateExceeded: code(0x9f),
  maximumConnectTime: code(0xa0),
  subscriptionIdentifiersNotSupported: code(0xa1),
  wildcardSubscriptionsNotSupported: code(0xa2),
} as const;

/** Codes of 0x80 and above say that the request failed (MQTT 5 §2.4). */
export const isFailure = (reason: number): boolean => reason >= 0x80;

/** CONNACK return codes of MQTT 3.1 and 3.1.1 (MQTT 3.1.1 §3.2.2.3). */
export type ReturnCode = Brand<number, "ReturnCode">;

const returns = (value: number): ReturnCode => value as ReturnCode;

export const ReturnCode = {
  accepted: returns(0),
  unacceptableProtocolVersion: returns(1),
  identifierRejected: returns(2),
  serverUnavailable: returns(3),
  badUserNameOrPassword: returns(4),
  notAuthorized: returns(5),
} as const;

/** What MQTT 3.1.1 says where MQTT 5 would say `reason`; its table has five reasons (MQTT 3.1.1 Table 3.1). */
export function returnCodeOf(reason: ReasonCode): ReturnCode {
  switch (reason) {
    case ReasonCode.success:
      return ReturnCode.accepted;
    case ReasonCode.unsupportedProtocolVersion:
      return ReturnCode.unacceptableProtocolVersion;
    case ReasonCode.clientIdentifierNotValid:
      return ReturnCode.identifierRejected;
    case ReasonCode.badUserNameOrPassword:
    case ReasonCode.badAuthenticationMethod:
      return ReturnCode.badUserNameOrPassword;
    case ReasonCode.notAuthorized:
    case ReasonCode.banned:
      return ReturnCode.notAuthorized;
    default:
      return ReturnCode.serverUnavailable;
  }
}

/** What a return code of a server that speaks MQTT 3.1 or 3.1.1 means. */
export function reasonOfReturnCode(code: number): ReasonCode {
  switch (code) {
    case ReturnCode.accepted:
      return ReasonCode.success;
    case ReturnCode.unacceptableProtocolVersion:
      return ReasonCode.unsupportedProtocolVersion;
    case ReturnCode.identifierRejected:
      return ReasonCode.clientIdentifierNotValid;
    case ReturnCode.serverUnavailable:
      return ReasonCode.serverUnavailable;
    case ReturnCode.badUserNameOrPassword:
      return ReasonCode.badUserNameOrPassword;
    case ReturnCode.notAuthorized:
      return ReasonCode.notAuthorized;
    default:
      return ReasonCode.unspecifiedError;
  }
}
