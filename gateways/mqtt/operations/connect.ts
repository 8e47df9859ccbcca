import { TOPIC_LENGTH_MAX } from "#core/bus/topic.ts";
import type { Refusal, ServerWords } from "#core/contract/answers.ts";
import type { Client, Exchange, SessionRequest, Will } from "#core/contract/client.ts";
import { text, utf8 } from "#core/lib/bytes.ts";
import { FOREVER, seconds, ZERO } from "#core/lib/time.ts";
import { messageExpiry, messageProperties } from "#core/mqtt/message-properties.ts";
import {
  type ConnectPacket,
  type ProtocolVersion,
  VERSION_NAMES,
  type WillPacket,
} from "#core/mqtt/packets.ts";
import type { Properties } from "#core/mqtt/properties.ts";
import { ReasonCode } from "#core/mqtt/reason-codes.ts";
import { expiryDuration, expiryInterval } from "#core/mqtt/session-expiry.ts";
import type { MqttConfig } from "../config.ts";
import { receiveMaximumOf } from "../connection.ts";
import { connackReason } from "../refusals.ts";
import type { Terms } from "../terms.ts";
import type { Application } from "./login.ts";

/** MQTT 3.1 §3.1. */
const CLIENT_ID_LENGTH_3 = 23;

const CONFIG_NAME = { 3: "3.1", 4: "3.1.1", 5: "5.0" } as const;

export const isOffered = (version: ProtocolVersion, config: MqttConfig): boolean =>
  config.versions.includes(CONFIG_NAME[version]);

/** Why a well-formed CONNECT is refused before anybody is asked. */
export function connectRefusal(
  packet: ConnectPacket,
  config: MqttConfig,
  methods: readonly string[] | "any" = [],
): { readonly reason: ReasonCode; readonly why: string } | undefined {
  const method = packet.properties.authenticationMethod;
  if (method !== undefined && methods !== "any" && !methods.includes(method)) {
    const offered = methods.length === 0 ? "no enhanced authentication is" : `only ${methods.join(", ")} is`;
    return { reason: ReasonCode.badAuthenticationMethod, why: `${offered} offered` };
  }
  const { version, clientId } = packet;
  // Before MQTT 5 nobody can tell a client the identifier that it would need to find its session again
  // [MQTT-3.1.3-8 of 3.1.1]; MQTT 3.1 asks for one always.
  const mayBeEmpty = version === 5 || (version === 4 && packet.cleanStart);
  if (clientId === "" && !mayBeEmpty) {
    return { reason: ReasonCode.clientIdentifierNotValid, why: "empty client identifier" };
  }
  const longest =
    version === 3 && config.strictClientIdLength ? CLIENT_ID_LENGTH_3 : config.maximumClientIdLength;
  if (clientId.length > longest) {
    return {
      reason: ReasonCode.clientIdentifierNotValid,
      why: `client identifier above ${longest} characters`,
    };
  }
  const reason = packet.will === undefined ? undefined : willRefusal(packet.will, config);
  return reason === undefined ? undefined : { reason, why: "such a will is not supported" };
}

function willRefusal(will: WillPacket, config: MqttConfig): ReasonCode | undefined {
  if (will.qos > config.maximumQoS) return ReasonCode.qosNotSupported;
  if (will.retain && !config.retainAvailable) return ReasonCode.retainNotSupported;
  const declaredText = config.validatePayloadFormat && will.properties.payloadFormat === 1;
  return declaredText && text(will.payload) === undefined ? ReasonCode.payloadFormatInvalid : undefined;
}

export function connectRequest(
  packet: ConnectPacket,
  terms: Terms,
  exchange?: Exchange | undefined,
): SessionRequest {
  const { version, clientId, cleanStart, username, password, will, properties } = packet;
  // Clean Session 0 before MQTT 5 keeps the session until the core says otherwise.
  const kept = version === 5 ? expiryDuration(properties.sessionExpiryInterval ?? 0) : FOREVER;
  return {
    kind: "session",
    releases: true,
    clientId,
    username,
    password,
    ...(exchange === undefined ? {} : { exchange }),
    properties: saidToServer(properties),
    cleanStart,
    sessionExpiry: version !== 5 && cleanStart ? ZERO : kept,
    will: will === undefined ? undefined : willOf(will),
    credit: terms.receiveMaximum,
    committed: true,
    protocol: VERSION_NAMES[version],
    keepAlive: seconds(terms.keepAlive),
  };
}

/** What a client says in CONNECT to the server of its session, where that is behind the gateway. */
function saidToServer(properties: Readonly<Properties>): Properties | undefined {
  const { userProperties, requestResponseInformation, requestProblemInformation } = properties;
  if (
    userProperties === undefined &&
    requestResponseInformation === undefined &&
    requestProblemInformation === undefined
  )
    return undefined;
  return {
    ...(userProperties === undefined ? {} : { userProperties }),
    ...(requestResponseInformation === undefined ? {} : { requestResponseInformation }),
    ...(requestProblemInformation === undefined ? {} : { requestProblemInformation }),
  };
}

const willOf = ({ topic, payload, qos, retain, properties }: WillPacket): Will => ({
  topic,
  payload,
  qos,
  retain,
  delay: seconds(properties.willDelayInterval ?? 0),
  options: { properties: messageProperties(properties), expiry: messageExpiry(properties) },
});

/** What CONNACK tells of the server, as far as it is not what a client assumes anyway (MQTT 5 §3.2.2.3). */
export function connackProperties(
  { packet, terms, request }: Pick<Application, "packet" | "terms" | "request">,
  client: Client,
  server: Readonly<Properties>,
  config: MqttConfig,
  packetSize: number,
): Properties {
  const properties: Properties = {
    ...told(server),
    receiveMaximum: receiveMaximumOf(client, config),
    maximumPacketSize: packetSize,
    topicAliasMaximum: terms.topicAliasMaximum,
  };
  if (terms.maximumQoS !== 2) properties.maximumQoS = terms.maximumQoS;
  if (!terms.retainAvailable) properties.retainAvailable = 0;
  if (!config.wildcardSubscriptions) properties.wildcardSubscriptionAvailable = 0;
  if (!config.sharedSubscriptions) properties.sharedSubscriptionAvailable = 0;
  if (!config.subscriptionIdentifiers) properties.subscriptionIdentifiersAvailable = 0;
  if (packet.clientId === "") properties.assignedClientIdentifier = client.id;
  if (terms.keepAlive !== packet.keepAlive) properties.serverKeepAlive = terms.keepAlive;
  const { sessionExpiry } = client;
  if (sessionExpiry !== undefined && sessionExpiry !== request.sessionExpiry) {
    properties.sessionExpiryInterval = expiryInterval(sessionExpiry);
  }
  if (packet.properties.requestResponseInformation === 1 && config.responseInformation !== "") {
    const information = config.responseInformation.replaceAll("%c", client.id);
    // A long client id, many times over, may not fit into a string of MQTT.
    if (utf8(information).length <= TOPIC_LENGTH_MAX) properties.responseInformation = information;
  }
  return properties;
}

/** What a server behind the gateway says that is not about its connection with the gateway. */
function told({
  reasonString,
  userProperties,
  responseInformation,
  serverReference,
  wildcardSubscriptionAvailable,
  subscriptionIdentifiersAvailable,
  sharedSubscriptionAvailable,
}: Readonly<Properties>): Properties {
  const properties = {
    ...{ reasonString, userProperties, responseInformation, serverReference },
    ...{ wildcardSubscriptionAvailable, subscriptionIdentifiersAvailable, sharedSubscriptionAvailable },
  };
  const said = Object.entries(properties).filter(([, value]) => value !== undefined);
  return Object.fromEntries(said) as Properties;
}

/** The reason of a CONNACK for what is refused, and what goes with it. `words`: of a server behind the gateway. */
export function refusedConnack(
  refusal: Refusal,
  why: string | undefined,
  words: ServerWords | undefined,
  config: MqttConfig,
): { readonly reason: ReasonCode; readonly properties: Properties } {
  if (words !== undefined) return { reason: words.reason as ReasonCode, properties: told(words.properties) };
  const elsewhere = refusal === "unavailable" && config.serverReference !== "";
  const properties: Properties = {};
  if (elsewhere) properties.serverReference = config.serverReference;
  if (config.reasonStrings) properties.reasonString = why ?? refusal;
  return { reason: elsewhere ? ReasonCode.useAnotherServer : connackReason(refusal), properties };
}
