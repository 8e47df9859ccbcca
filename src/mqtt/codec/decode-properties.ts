import { PacketType } from "../packets.ts";
import { NO_PROPERTIES, PROPERTY_BY_ID, type Properties, type PropertyRule } from "../properties.ts";
import { ReasonCode } from "../reason-codes.ts";
import type { Reader } from "./reader.ts";

type Value = number | string | Uint8Array;

/**
 * Reads a property section of a packet of type `packet`, or of `WILL` or `SERVER_DISCONNECT`; never throws, see
 * `Reader.error`.
 */
export function decodeProperties(reader: Reader, packet: number): Readonly<Properties> {
  const length = reader.variable();
  if (length === 0 || reader.error !== undefined) return NO_PROPERTIES;
  const packetEnd = reader.end;
  const end = reader.at + length;
  if (end > packetEnd) {
    reader.malformed("MQTT 5 §2.2.2.1", "property length goes beyond the packet");
    return NO_PROPERTIES;
  }
  reader.end = end;
  const properties: Properties = {};
  const pairs: [string, string][] = [];
  while (!reader.done) decodeProperty(reader, packet, properties, pairs);
  reader.end = packetEnd;
  if (reader.error !== undefined) reader.at = packetEnd;
  return properties;
}

function decodeProperty(
  reader: Reader,
  packet: number,
  properties: Properties,
  pairs: [string, string][],
): void {
  const id = reader.variable();
  const rule = PROPERTY_BY_ID[id];
  if (rule === undefined || (rule.within & (1 << packet)) === 0) {
    reader.malformed("MQTT 5 §2.2.2.2", `property 0x${id.toString(16)} does not belong here`);
    return;
  }
  if (rule.type === "pair") {
    reader.item();
    pairs.push([reader.string(), reader.string()]);
    properties.userProperties = pairs;
    return;
  }
  if (properties[rule.name] !== undefined) {
    reader.fail(ReasonCode.protocolError, "MQTT 5 §2.2.2.2", `${rule.name} is given twice`);
    return;
  }
  const value = readValue(reader, rule);
  if (reader.error !== undefined) return;
  if (rule.positive && value === 0) {
    reader.fail(ReasonCode.protocolError, "MQTT 5 §2.2.2.2", `${rule.name} is 0`);
    return;
  }
  if (rule.type === "flag" && (value as number) > 1) {
    reader.fail(ReasonCode.protocolError, "MQTT 5 §2.2.2.2", `${rule.name} is neither 0 nor 1`);
    return;
  }
  if (rule.name === "subscriptionIdentifier" && packet === PacketType.PUBLISH) {
    reader.item();
    properties.subscriptionIdentifiers ??= [];
    (properties.subscriptionIdentifiers as number[]).push(value as number);
    return;
  }
  // The rule's type has been read, which is the type of the field that it names.
  (properties as Record<string, Value>)[rule.name] = value;
}

function readValue(reader: Reader, rule: PropertyRule): Value {
  switch (rule.type) {
    case "flag":
      return reader.octet();
    case "uint16":
      return reader.uint16();
    case "uint32":
      return reader.uint32();
    case "variable":
      return reader.variable();
    case "string":
      return reader.string();
    default:
      return reader.binary();
  }
}
