import { topicNameProblem } from "#core/bus/topic.ts";
import { breach, type PacketError } from "#core/mqtt/packets.ts";
import type { Properties } from "#core/mqtt/properties.ts";
import { ReasonCode } from "#core/mqtt/reason-codes.ts";
import type { Connection } from "../connection.ts";

/** The topic of a PUBLISH itself, or the one that its alias stands for [MQTT-3.3.2-8..12]. */
export function resolveTopic(
  connection: Connection,
  topic: string,
  properties: Readonly<Properties>,
): string | PacketError {
  if (properties.subscriptionIdentifiers !== undefined) {
    return breach(ReasonCode.protocolError, "[MQTT-3.3.4-6]", "subscription identifier from a client");
  }
  if (properties.responseTopic !== undefined && topicNameProblem(properties.responseTopic) !== undefined) {
    return breach(ReasonCode.protocolError, "[MQTT-3.3.2-14]", "response topic is not a topic name");
  }
  const alias = properties.topicAlias;
  if (alias === undefined) {
    return topic !== ""
      ? topic
      : breach(ReasonCode.protocolError, "MQTT 5 §3.3.2.1", "neither topic nor alias");
  }
  if (alias === 0 || alias > connection.terms.topicAliasMaximum) {
    return breach(ReasonCode.topicAliasInvalid, "[MQTT-3.3.2-9]", `topic alias ${alias}`);
  }
  if (topic !== "") {
    connection.aliases ??= new Map();
    connection.aliasWeight += topic.length - (connection.aliases.get(alias)?.length ?? 0);
    connection.aliases.set(alias, topic);
    return topic;
  }
  const known = connection.aliases?.get(alias);
  return known ?? breach(ReasonCode.protocolError, "MQTT 5 §3.3.2.3.4", `topic alias ${alias} is not set`);
}
