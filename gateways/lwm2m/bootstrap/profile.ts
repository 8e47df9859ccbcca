/** Bootstrap profiles: what each endpoint is given, from a file, checked before anything is sent. */
import { text } from "#core/lib/bytes.ts";
import { err, ok, type Result } from "#core/lib/result.ts";
import { isJsonObject, type Json, type JsonObject, parseExactJson } from "../content/exact-json.ts";
import type { Entry, Types } from "../content/value.ts";
import { type Path, parsePath } from "../path.ts";
import { contentPath, writtenEntry } from "../written-value.ts";
import { inconsistency } from "./consistency.ts";

/** One write of a bootstrap: an instance with all its resources (LwM2M 1.1 §6.1.7.4). */
export interface BootstrapWrite {
  readonly path: Path;
  readonly entries: readonly Entry[];
}

export interface BootstrapProfile {
  /** Ask the device what it has before anything else (LwM2M 1.1 §6.1.7.2). */
  readonly discover: boolean;
  /** Deleted first; `/` deletes all but the bootstrap server's own account (LwM2M 1.1 §6.1.7.5). */
  readonly delete: readonly Path[];
  /** Read after the deletes, objects 1 and 2 only (LwM2M 1.1 §6.1.7.3), and reported. */
  readonly read: readonly Path[];
  readonly write: readonly BootstrapWrite[];
  /** Content format of the writes; what the device prefers (`pct`) when absent. */
  readonly format: number | undefined;
}

export interface BootstrapProfiles {
  readonly byEndpoint: ReadonlyMap<string, BootstrapProfile>;
  readonly byDefault: BootstrapProfile | undefined;
}

export const NO_PROFILES: BootstrapProfiles = { byEndpoint: new Map(), byDefault: undefined };

export const profileFor = (profiles: BootstrapProfiles, ep: string): BootstrapProfile | undefined =>
  profiles.byEndpoint.get(ep) ?? profiles.byDefault;

/**
 * Reads `{"default": PROFILE, "endpoints": {"name": PROFILE}}`. An error is one sentence that names the profile.
 */
export function parseProfiles(bytes: Uint8Array, types: Types): Result<BootstrapProfiles, string> {
  const source = text(bytes);
  const json = source === undefined ? undefined : parseExactJson(source);
  if (json === undefined || !json.ok || !isJsonObject(json.value))
    return err("the file is not a JSON object");
  const { default: byDefault, endpoints = {} } = json.value as { [name: string]: Json };
  if (!isJsonObject(endpoints)) return err("endpoints must be an object");
  const byEndpoint = new Map<string, BootstrapProfile>();
  for (const [ep, item] of Object.entries(endpoints)) {
    const profile = parseProfile(item as Json, types);
    if (!profile.ok) return err(`profile ${ep}: ${profile.error}`);
    byEndpoint.set(ep, profile.value);
  }
  if (byDefault === undefined) return ok({ byEndpoint, byDefault: undefined });
  const profile = parseProfile(byDefault, types);
  return profile.ok ? ok({ byEndpoint, byDefault: profile.value }) : err(`profile default: ${profile.error}`);
}

function parseProfile(item: Json, types: Types): Result<BootstrapProfile, string> {
  if (!isJsonObject(item)) return err("not an object");
  const removed = paths(item["delete"] ?? ["/"]);
  const read = paths(item["read"] ?? []);
  if (removed === undefined) return err("delete must be a list of paths");
  if (read === undefined) return err("read must be a list of paths");
  if (read.some((path) => path.object !== 1 && path.object !== 2))
    return err("only objects 1 and 2 may be read");
  const { format, discover = false, write = [] } = item as { [name: string]: Json };
  if (format !== undefined && typeof format !== "number")
    return err("format must be a content format number");
  if (typeof discover !== "boolean") return err("discover must be true or false");
  if (!Array.isArray(write)) return err("write must be a list");
  const writes: BootstrapWrite[] = [];
  for (const each of write as readonly Json[]) {
    const parsed = parseWrite(each, types);
    if (!parsed.ok) return parsed;
    writes.push(parsed.value);
  }
  const problem = inconsistency(writes);
  return problem === undefined
    ? ok({ discover, delete: removed, read, write: writes, format })
    : err(problem);
}

function paths(json: Json | undefined): Path[] | undefined {
  if (!Array.isArray(json)) return undefined;
  const found: Path[] = [];
  for (const item of json as readonly Json[]) {
    const path = typeof item === "string" ? parsePath(item) : undefined;
    if (path?.ok !== true) return undefined;
    found.push(path.value);
  }
  return found;
}

/** `{"path": "/0/1", "content": [{"path": "0", "value": "coap://..."}]}`, as a write command. */
function parseWrite(item: Json, types: Types): Result<BootstrapWrite, string> {
  if (!isJsonObject(item) || !Array.isArray(item["content"])) return err("a write needs path and content");
  const path = typeof item["path"] === "string" ? parsePath(item["path"]) : undefined;
  if (path?.ok !== true || path.value.kind !== "instance")
    return err("a write needs the path of an instance");
  const hex = item["encoding"] === "hex" ? "hex" : "plain";
  const entries: Entry[] = [];
  for (const resource of item["content"] as readonly Json[]) {
    const at = isJsonObject(resource) ? contentPath(path.value, (resource as JsonObject)["path"]) : undefined;
    if (at === undefined) return err(`${path.value}: a content path is not valid`);
    const entry = writtenEntry(at, resource, hex, types);
    if (!entry.ok) return entry;
    entries.push(entry.value);
  }
  return ok({ path: path.value, entries });
}
