/** From the first packet to CONNACK, as values: the channel asks, sends and closes. */
import type { ConnectAnswer, SessionRequest } from "#core/contract/client.ts";
import { decodeConnect, decodeGreeting } from "#core/mqtt/codec/decode-connect.ts";
import { encodeConnack3, encodeConnack5 } from "#core/mqtt/codec/encode-connack.ts";
import { hasItsFlags } from "#core/mqtt/codec/fixed-header.ts";
import { Reader } from "#core/mqtt/codec/reader.ts";
import {
  breach,
  type ConnectPacket,
  type PacketError,
  PacketType,
  type ProtocolVersion,
} from "#core/mqtt/packets.ts";
import { NO_PROPERTIES, type Properties } from "#core/mqtt/properties.ts";
import { ReasonCode, returnCodeOf } from "#core/mqtt/reason-codes.ts";
import type { MqttConfig } from "../config.ts";
import { type Terms, termsOf } from "../terms.ts";
import { connackProperties, connectRefusal, connectRequest, isOffered, refusedConnack } from "./connect.ts";
import type { EnhancedLogin } from "./enhanced.ts";

/** A well-formed CONNECT, and what is asked of the core for it. */
export interface Application {
  readonly kind: "application";
  readonly packet: ConnectPacket;
  readonly terms: Terms;
  readonly request: SessionRequest;
  /** Where the client has named a method of authentication (MQTT 5 §4.12). */
  readonly exchange: EnhancedLogin | undefined;
}

/** The connection ends here. */
export interface Refused {
  readonly kind: "refused";
  /** CONNACK, where one may be sent; a view that the next packet written overwrites. */
  readonly connack: Uint8Array | undefined;
  readonly why: string;
  /** Set when it is the client that broke the protocol. */
  readonly error?: PacketError;
}

/** What a first octet that begins no CONNECT shows: asked before the rest of such a packet is waited for. */
export function strange(first: number): Refused | undefined {
  if (first >> 4 === PacketType.CONNECT) return undefined;
  const guess = HTTP.has(first) ? ": it may be HTTP" : "";
  const problem = `the first packet is of type ${first >> 4}, not CONNECT${guess}`;
  return silently(breach(ReasonCode.protocolError, "[MQTT-3.1.0-1]", problem));
}

/** GET, PUT and POST, HEAD, OPTIONS. */
const HTTP = new Set([..."GPHO"].map((letter) => letter.charCodeAt(0)));
/** A handshake record of TLS, whose type is that of CONNECT. */
const isTls = (bytes: Uint8Array, start: number): boolean =>
  bytes[start] === 0x16 && bytes[start + 1] === 0x03;

/** Reads the first packet of a connection, which must be CONNECT [MQTT-3.1.0-1]. */
export function apply(
  bytes: Uint8Array,
  start: number,
  body: number,
  end: number,
  config: MqttConfig,
  methods: readonly string[] | "any" = [],
  begin?: (method: string, data: Uint8Array | undefined) => EnhancedLogin,
): Application | Refused {
  const first = bytes[start] as number;
  const stranger = strange(first);
  if (stranger !== undefined) return stranger;
  const reader = new Reader(bytes, start, body, end, config.maximumItems);
  const greeting = decodeGreeting(reader);
  if (greeting.kind === "stranger") {
    const guess = isTls(bytes, start) ? ": it may be TLS, which has a port of its own" : "";
    return silently(breach(ReasonCode.protocolError, "[MQTT-3.1.2-1]", `not MQTT${guess}`));
  }
  if (greeting.kind === "unsupported" || !isOffered(greeting.version, config)) {
    const level = greeting.kind === "unsupported" ? greeting.level : greeting.version;
    const why = `protocol level ${level} is not offered`;
    return refused(level >= 5 ? 5 : 4, ReasonCode.unsupportedProtocolVersion, why, config);
  }
  if (!hasItsFlags(first, greeting.version)) {
    const error = breach(ReasonCode.malformedPacket, "[MQTT-2.1.3-1]", "flags of CONNECT");
    return malformed(greeting.version, error, config);
  }
  const packet = decodeConnect(reader, greeting.version, greeting.bridge);
  if (reader.error !== undefined) return malformed(packet.version, reader.error, config);
  const refusal = connectRefusal(packet, config, methods);
  if (refusal !== undefined) {
    return refused(packet.version, refusal.reason, refusal.why, config, packet.properties);
  }
  const terms = termsOf(packet, config);
  const { authenticationMethod, authenticationData } = packet.properties;
  const exchange =
    authenticationMethod === undefined ? undefined : begin?.(authenticationMethod, authenticationData);
  return { kind: "application", packet, terms, request: connectRequest(packet, terms, exchange), exchange };
}

/** What a server behind the gateway says in its CONNACK. */
export const wordsIn = ({ words }: ConnectAnswer): Readonly<Properties> | undefined => words?.properties;

/** The core's answer as CONNACK; `packetSize`: the largest packet that this client may send. */
export function connack(
  application: Application,
  answer: ConnectAnswer,
  config: MqttConfig,
  packetSize: number,
): Uint8Array | Refused {
  const { packet, terms, exchange } = application;
  const { version } = packet;
  if (!answer.ok) {
    const { reason, properties } = refusedConnack(answer.refusal, answer.reason, answer.words, config);
    return refusedWith(version, reason, answer.reason ?? answer.refusal, properties, packet.properties);
  }
  if (version !== 5) {
    return encodeConnack3(version === 4 && answer.sessionPresent, returnCodeOf(ReasonCode.success));
  }
  const server = wordsIn(answer) ?? NO_PROPERTIES;
  const properties = connackProperties(application, answer.client, server, config, packetSize);
  if (exchange !== undefined) {
    properties.authenticationMethod = exchange.method;
    if (exchange.final !== undefined) properties.authenticationData = exchange.final;
  }
  const bytes = encodeConnack5(answer.sessionPresent, ReasonCode.success, properties);
  if (bytes.length <= terms.maximumPacketSize) return bytes;
  // What is told there must be told, and may not be [MQTT-3.1.2-24].
  return { kind: "refused", connack: undefined, why: "CONNACK is above the client's Maximum Packet Size" };
}

/** What a client sends between CONNECT and CONNACK that is not to be sent there [MQTT-3.1.2-30]. */
export const brokenExchange = (error: PacketError, config: MqttConfig): Refused => ({
  ...refused(5, error.code, reasonText(error), config),
  error,
});

/** MQTT 5 says what is wrong in CONNACK; before that such a connection is just closed [MQTT-3.1.4-1]. */
function malformed(version: ProtocolVersion, error: PacketError, config: MqttConfig): Refused {
  if (version !== 5) return silently(error);
  return { ...refused(5, error.code, reasonText(error), config), error };
}

const silently = (error: PacketError): Refused => ({
  kind: "refused",
  connack: undefined,
  why: reasonText(error),
  error,
});

const reasonText = ({ problem, clause }: PacketError): string => `${problem} (${clause})`;

function refused(
  version: ProtocolVersion,
  reason: ReasonCode,
  why: string,
  config: MqttConfig,
  asked: Readonly<Properties> = NO_PROPERTIES,
): Refused {
  const properties = config.reasonStrings ? { reasonString: why } : NO_PROPERTIES;
  return refusedWith(version, reason, why, properties, asked);
}

function refusedWith(
  version: ProtocolVersion,
  reason: ReasonCode,
  why: string,
  properties: Readonly<Properties>,
  asked: Readonly<Properties>,
): Refused {
  const kind = "refused";
  if (version !== 5) return { kind, connack: encodeConnack3(false, returnCodeOf(reason)), why };
  const bytes = encodeConnack5(false, reason, properties);
  const fits = bytes.length <= (asked.maximumPacketSize ?? bytes.length);
  return { kind, connack: fits ? bytes : encodeConnack5(false, reason), why };
}
