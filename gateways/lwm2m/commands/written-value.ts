/** Values as a JSON command gives them: `{path, type, value}` (types String, Integer, Float, ... of the DDF). */
import { text } from "#core/lib/bytes.ts";
import { err, ok, type Result } from "#core/lib/result.ts";
import { decodeHex } from "../content/base64.ts";
import { isJsonObject, type Json } from "../content/exact-json.ts";
import { typeByValue } from "../content/guess.ts";
import { parseValue } from "../content/text.ts";
import { type Entry, fits, type ResourceType, type Types, type Value } from "../content/value.ts";
import { Path, parseDevicePath } from "../objects/path.ts";
import { outOfRange } from "../objects/range.ts";

const TYPE_NAMES: ReadonlyMap<string, ResourceType> = new Map([
  ["string", "string"],
  ["integer", "integer"],
  ["unsigned", "unsigned"],
  ["unsigned integer", "unsigned"],
  ["float", "float"],
  ["time", "time"],
  ["boolean", "boolean"],
  ["opaque", "opaque"],
  ["objlnk", "objlnk"],
  ["corelnk", "corelnk"],
]);

export type Encoding = "plain" | "hex";

/** One entry of a write; errors are sentences for the author of the command. */
export function writtenEntry(
  path: Path,
  item: Json,
  encoding: Encoding,
  types: Types,
): Result<Entry, string> {
  if (path.ids.length < 3) return err(`${path} is not a resource`);
  if (!isJsonObject(item)) return err("a value must be an object with path, type and value");
  const named = item["type"];
  if (named !== undefined && typeof named !== "string") return err("type must be a text");
  const type = named === undefined ? types.typeOf(path) : TYPE_NAMES.get(named.toLowerCase());
  if (named !== undefined && type === undefined) return err(`type ${named} is not known`);
  const given = item["value"];
  if (given === undefined || given === null) return err(`${path} has no value`);
  const value = valueFrom(given, type, encoding);
  if (value === undefined) return err(`the value of ${path} is not a valid ${type ?? "value"}`);
  const beyond = outOfRange(value, types.rangeOf?.(path) ?? "");
  if (beyond !== undefined) return err(`the value of ${path}: ${beyond}`);
  return ok({ path, value, type: type ?? typeByValue(value) });
}

function valueFrom(given: Json, type: ResourceType | undefined, encoding: Encoding): Value | undefined {
  if (encoding === "hex") return fromHex(given, type);
  if (typeof given === "string") return type === undefined ? given : parseValue(given, type);
  if (typeof given === "boolean") return type === undefined || type === "boolean" ? given : undefined;
  if (typeof given !== "number" && typeof given !== "bigint") return undefined;
  // JSON's 1e400 is a number that nothing here can hold; JavaScript reads it as infinity.
  if (!Number.isFinite(Number(given))) return undefined;
  if (type === "boolean") return given === 0 ? false : given === 1 ? true : undefined;
  if (type === "string") return given.toString();
  return type === undefined || fits(given, type) ? given : undefined;
}

/** Hex spells the bytes of an opaque value, or the text of any other. */
function fromHex(given: Json, type: ResourceType | undefined): Value | undefined {
  const bytes = typeof given === "string" ? decodeHex(given) : undefined;
  if (bytes === undefined || type === "opaque") return bytes;
  const readable = text(bytes);
  if (type === undefined) return readable ?? bytes;
  return readable === undefined ? undefined : parseValue(readable, type);
}

/** `path` of a content item, below `base`; also accepted in full. */
export function contentPath(base: Path, given: Json | undefined): Path | undefined {
  if (typeof given !== "string") return undefined;
  const relative = parseDevicePath(given);
  if (!relative.ok) return undefined;
  const { ids, prefix } = relative.value;
  if (prefix !== "") return base.covers(relative.value) ? relative.value : undefined;
  const joined = Path.of(...base.ids, ...ids)?.behind(base.prefix);
  return joined ?? (base.covers(relative.value) ? relative.value : undefined);
}
