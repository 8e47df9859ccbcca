/** Reads OMA's object definition files (DDF, LwM2M 1.1 Appendix D.1) and our own of the same form in `xml/`. */
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { lossyText } from "#core/lib/bytes.ts";
import { type DecodeError, decodeError, ok, type Result } from "#core/lib/result.ts";
import type { ResourceType } from "../content/value.ts";
import type { ObjectModel, Operations, ResourceModel } from "./model.ts";
import { isId } from "./path.ts";

const CLAUSE = "LwM2M 1.1 Appendix D.1";

const TYPES: ReadonlyMap<string, ResourceType> = new Map([
  ["string", "string"],
  ["integer", "integer"],
  ["unsigned integer", "unsigned"],
  ["float", "float"],
  ["boolean", "boolean"],
  ["opaque", "opaque"],
  ["time", "time"],
  ["objlnk", "objlnk"],
  ["corelnk", "corelnk"],
]);

const OPERATIONS: ReadonlySet<string> = new Set(["R", "W", "RW", "E", ""]);

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  parseAttributeValue: false,
  parseTagValue: false,
  trimValues: true,
  processEntities: true,
  isArray: (name) => name === "Object" || name === "Item",
});

type Node = Readonly<Record<string, unknown>>;

/** All objects of one file: `<LWM2M><Object>`, usually one. */
export function parseDefinition(bytes: Uint8Array): Result<ObjectModel[], DecodeError> {
  const source = lossyText(bytes).replace(/^\uFEFF/, "");
  const valid = XMLValidator.validate(source);
  if (valid !== true) return decodeError(CLAUSE, valid.err.line, `line ${valid.err.line}: ${valid.err.msg}`);
  let root: Node;
  try {
    root = parser.parse(source) as Node;
  } catch (error) {
    return decodeError(CLAUSE, 0, error instanceof Error ? error.message : "not XML");
  }
  const objects = nodeOf(root["LWM2M"])?.["Object"];
  if (!Array.isArray(objects)) return decodeError(CLAUSE, 0, "no LWM2M/Object element");
  const models: ObjectModel[] = [];
  for (const object of objects) {
    const model = objectOf(nodeOf(object) ?? {});
    if (typeof model === "string") return decodeError(CLAUSE, 0, model);
    models.push(model);
  }
  return ok(models);
}

/** The object, or what is wrong with it. */
function objectOf(node: Node): ObjectModel | string {
  const id = numberOf(node["ObjectID"]);
  if (id === undefined) return "ObjectID is not an identifier";
  const items = nodeOf(node["Resources"])?.["Item"];
  const resources = new Map<number, ResourceModel>();
  for (const item of Array.isArray(items) ? items : []) {
    const resource = resourceOf(nodeOf(item) ?? {});
    if (typeof resource === "string") return `object ${id}: ${resource}`;
    resources.set(resource.id, resource);
  }
  return {
    id,
    name: textOf(node["Name"]),
    urn: textOf(node["ObjectURN"]),
    version: versionOf(node),
    multiple: textOf(node["MultipleInstances"]) === "Multiple",
    mandatory: textOf(node["Mandatory"]) === "Mandatory",
    resources,
  };
}

/** The version stands in an element of its own, or as the last part of the URN, or is 1.0. */
function versionOf(node: Node): string {
  const own = textOf(node["ObjectVersion"]);
  if (/^\d+\.\d+$/.test(own)) return own;
  return /:(\d+\.\d+)$/.exec(textOf(node["ObjectURN"]))?.[1] ?? "1.0";
}

function resourceOf(node: Node): ResourceModel | string {
  const id = numberOf(node["@ID"]);
  if (id === undefined) return "a resource has no identifier";
  const operations = textOf(node["Operations"]).toUpperCase();
  if (!OPERATIONS.has(operations)) return `resource ${id}: unknown operations ${operations}`;
  const typeName = textOf(node["Type"]).toLowerCase();
  const type = TYPES.get(typeName);
  if (type === undefined && typeName !== "" && typeName !== "none")
    return `resource ${id}: unknown type ${typeName}`;
  return {
    id,
    name: textOf(node["Name"]),
    operations: operations as Operations,
    multiple: textOf(node["MultipleInstances"]) === "Multiple",
    mandatory: textOf(node["Mandatory"]) === "Mandatory",
    type,
    range: textOf(node["RangeEnumeration"]),
    units: textOf(node["Units"]),
  };
}

const nodeOf = (value: unknown): Node | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Node) : undefined;
const textOf = (value: unknown): string => (typeof value === "string" ? value.trim() : "");

function numberOf(value: unknown): number | undefined {
  const text = textOf(value);
  return /^\d{1,5}$/.test(text) && isId(Number(text)) ? Number(text) : undefined;
}
