import { PROPERTY_RULES, type Properties, type PropertyRule } from "../properties.ts";
import type { Writer } from "./writer.ts";

/** Writes a property section with its length. */
export function encodeProperties(writer: Writer, properties: Readonly<Properties>): void {
  const mark = writer.length;
  encodePropertyList(writer, PROPERTY_RULES, properties);
  writer.prefixLength(mark);
}

/** Writes those properties that `rules` name. User properties keep their order [MQTT-3.3.2-18]. */
export function encodePropertyList(
  writer: Writer,
  rules: readonly PropertyRule[],
  properties: Readonly<Properties>,
): void {
  for (const rule of rules) {
    const value = properties[rule.name];
    if (value !== undefined) encodeProperty(writer, rule, value);
  }
}

function encodeProperty(
  writer: Writer,
  rule: PropertyRule,
  value: NonNullable<Properties[PropertyRule["name"]]>,
): void {
  if (rule.type === "pair") {
    for (const [name, text] of value as readonly (readonly [string, string])[]) {
      writer.octet(rule.id);
      writer.string(name);
      writer.string(text);
    }
    return;
  }
  writer.octet(rule.id);
  switch (rule.type) {
    case "flag":
      writer.octet(value as number);
      return;
    case "uint16":
      writer.uint16(value as number);
      return;
    case "uint32":
      writer.uint32(value as number);
      return;
    case "variable":
      writer.variable(value as number);
      return;
    case "string":
      writer.string(value as string);
      return;
    default:
      writer.binary(value as Uint8Array);
      return;
  }
}
