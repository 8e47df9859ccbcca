import type { QoS } from "#core/bus/message.ts";
import { type Duration, FOREVER, inSeconds, seconds } from "#core/lib/time.ts";
import type { ConnectPacket, ProtocolVersion } from "#core/mqtt/packets.ts";
import type { Properties } from "#core/mqtt/properties.ts";
import type { MqttConfig } from "./config.ts";

/** What CONNECT and CONNACK settled for a connection (MQTT 5 §3.1.2, §3.2.2.3). */
export interface Terms {
  readonly version: ProtocolVersion;
  /**
   * A broker that passes messages on, and cannot say so in each SUBSCRIBE as MQTT 5 can: it gets nothing back that it
   * sent, which would go in circles, and RETAIN as it was published.
   */
  readonly bridge: boolean;
  /** Seconds; 0 for no supervision. The gateway's own, where it overrides the client's [MQTT-3.2.2-21]. */
  readonly keepAlive: number;
  /** How long nothing may come from the client before it is lost. */
  readonly patience: Duration;
  /** Of the client, in bytes: nothing longer is sent to it [MQTT-3.1.2-24]. */
  readonly maximumPacketSize: number;
  /** QoS 1 and 2 deliveries that the client takes at a time [MQTT-3.3.4-9]. */
  readonly receiveMaximum: number;
  /** Aliases that we set towards the client [MQTT-3.1.2-26]. */
  readonly outgoingAliases: number;
  /** Reason strings may go with answers too, not only with CONNACK and DISCONNECT [MQTT-3.1.2-29]. */
  readonly problemInformation: boolean;
  /** Of enhanced authentication (MQTT 5 §4.12). */
  readonly authenticationMethod: string | undefined;
  /** What the client may send: the gateway's limits, and those of a server behind it where there is one. */
  readonly maximumQoS: QoS;
  readonly retainAvailable: boolean;
  readonly topicAliasMaximum: number;
  /** Session Expiry Interval 0, which DISCONNECT cannot change any more (MQTT 5 §3.14.2.2.2). */
  readonly endsWithConnection: boolean;
}

export function termsOf(packet: ConnectPacket, config: MqttConfig): Terms {
  const { version, bridge, properties } = packet;
  const longest = inSeconds(config.serverKeepAlive);
  const keepAlive = version === 5 ? supervised(packet.keepAlive, longest) : packet.keepAlive;
  return {
    version,
    bridge,
    keepAlive,
    patience: patienceOf(keepAlive, config),
    maximumPacketSize: properties.maximumPacketSize ?? Number.POSITIVE_INFINITY,
    receiveMaximum: Math.min(properties.receiveMaximum ?? 65_535, config.inflightMaximum),
    outgoingAliases: Math.min(properties.topicAliasMaximum ?? 0, config.outgoingTopicAliases),
    problemInformation: properties.requestProblemInformation !== 0,
    authenticationMethod: properties.authenticationMethod,
    maximumQoS: config.maximumQoS,
    retainAvailable: config.retainAvailable,
    topicAliasMaximum: config.topicAliasMaximum,
    endsWithConnection: version === 5 && (properties.sessionExpiryInterval ?? 0) === 0,
  };
}

/** No more than the server allows that is behind the gateway (MQTT 5 §3.2.2.3). */
export function termsBefore(
  server: Readonly<Properties>,
  terms: Terms,
  { keepAliveFactor }: Pick<MqttConfig, "keepAliveFactor">,
): Terms {
  const keepAlive = supervised(terms.keepAlive, server.serverKeepAlive ?? 0);
  return {
    ...terms,
    keepAlive,
    patience: patienceOf(keepAlive, { keepAliveFactor }),
    maximumQoS: Math.min(terms.maximumQoS, server.maximumQoS ?? 2) as QoS,
    retainAvailable: terms.retainAvailable && server.retainAvailable !== 0,
    topicAliasMaximum: Math.min(terms.topicAliasMaximum, server.topicAliasMaximum ?? 0),
  };
}

const patienceOf = (keepAlive: number, { keepAliveFactor }: Pick<MqttConfig, "keepAliveFactor">): Duration =>
  keepAlive === 0 ? FOREVER : seconds(keepAlive * keepAliveFactor);

/** `longest`: 0 leaves it to the client. */
function supervised(keepAlive: number, longest: number): number {
  return longest > 0 && (keepAlive === 0 || keepAlive > longest) ? longest : keepAlive;
}
