/** application/octet-stream, content format 42 (LwM2M 1.1 §7.4.3): one resource or resource instance. */
import { NO_BYTES, text } from "#core/lib/bytes.ts";
import { type DecodeError, decodeError, ok, type Result } from "#core/lib/result.ts";
import type { Path } from "../objects/path.ts";
import { binaryOf } from "./tlv-value.ts";
import type { Entry, Types } from "./value.ts";

const CLAUSE = "LwM2M 1.1 §7.4.3";

export function decodeOpaque(bytes: Uint8Array, path: Path, types: Types): Result<Entry[], DecodeError> {
  if (path.ids.length < 3) return decodeError(CLAUSE, 0, "opaque content can carry one resource only");
  // Some devices answer strings as opaque; the definition knows better.
  const readable = types.typeOf(path) === "string" ? text(bytes) : undefined;
  if (readable !== undefined) return ok([{ path, value: readable, type: "string" }]);
  return ok([{ path, value: bytes, type: "opaque" }]);
}

export const encodeOpaque = (entry: Entry): Uint8Array =>
  entry.value === undefined ? NO_BYTES : binaryOf(entry.value, entry.type);
