/** Bootstrap profiles: what each endpoint is given, from a file, checked before anything is sent. */
import { text } from "#core/lib/bytes.ts";
import { err, ok, type Result } from "#core/lib/result.ts";
import { contentPath, writtenEntry } from "../commands/written-value.ts";
import { isJsonObject, type Json, type JsonObject, parseExactJson } from "../content/exact-json.ts";
import { ContentFormat } from "../content/formats.ts";
import type { Entry, Types } from "../content/value.ts";
import { type Path, parsePath } from "../objects/path.ts";
import { inconsistency } from "./consistency.ts";

/** One write of a bootstrap: an instance with all its resources (LwM2M 1.1 §6.1.7.4). */
export interface BootstrapWrite {
  readonly path: Path;
  readonly entries: readonly Entry[];
}

/** One operation on the device, in the order in which they are sent (LwM2M 1.1 §6.1.7). */
export type BootstrapStep =
  | ({ readonly kind: "write" } & BootstrapWrite)
  | { readonly kind: "discover" | "read" | "delete"; readonly path: Path };

export interface BootstrapProfile {
  readonly steps: readonly BootstrapStep[];
  /** What stands when all steps are done: what is not deleted again. */
  readonly writes: readonly BootstrapWrite[];
  /** Content format of the writes; what the device prefers (`pct`) when absent. */
  readonly format: number | undefined;
}

/** Formats that can carry a whole instance. */
export const PROFILE_FORMATS: readonly number[] = [
  ContentFormat.Lwm2mCbor,
  ContentFormat.SenmlCbor,
  ContentFormat.SenmlJson,
  ContentFormat.Tlv,
  ContentFormat.OldTlv,
  ContentFormat.Json,
];

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
  const strange = strangerIn(json.value, ["default", "endpoints"]);
  if (strange !== undefined) return err(strange);
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

/** A key that means nothing here: probably a misspelt one. */
function strangerIn(object: JsonObject, known: readonly string[]): string | undefined {
  const strange = Object.keys(object).find((key) => !known.includes(key));
  return strange === undefined ? undefined : `${strange} is not a known key; allowed: ${known.join(", ")}`;
}

function parseProfile(item: Json, types: Types): Result<BootstrapProfile, string> {
  if (!isJsonObject(item)) return err("not an object");
  const strange = strangerIn(item, ["format", "steps", "discover", "delete", "read", "write"]);
  if (strange !== undefined) return err(strange);
  const { format } = item;
  if (format !== undefined && !(typeof format === "number" && PROFILE_FORMATS.includes(format)))
    return err(`format must be one of ${PROFILE_FORMATS.join(", ")}`);
  const steps = item["steps"] === undefined ? usualSteps(item, types) : listedSteps(item, types);
  if (!steps.ok) return steps;
  if (steps.value.some(({ kind, path }) => kind === "read" && path.object !== 1 && path.object !== 2))
    return err("only objects 1 and 2 may be read");
  const writes = standing(steps.value);
  const problem = inconsistency(writes);
  return problem === undefined ? ok({ steps: steps.value, writes, format }) : err(problem);
}

/** `discover`, `delete`, `read` and `write`, in this order; `/` deletes all but the bootstrap server's account. */
function usualSteps(item: JsonObject, types: Types): Result<BootstrapStep[], string> {
  const {
    discover = false,
    delete: removed = ["/"],
    read = [],
    write = [],
  } = item as { [name: string]: Json };
  if (typeof discover !== "boolean") return err("discover must be true or false");
  if (!Array.isArray(removed)) return err("delete must be a list of paths");
  if (!Array.isArray(read)) return err("read must be a list of paths");
  if (!Array.isArray(write)) return err("write must be a list");
  const steps: Json[] = [
    ...(discover ? [{ discover: "/" }] : []),
    ...removed.map((path: Json) => ({ delete: path })),
    ...read.map((path: Json) => ({ read: path })),
    ...write.map((each: Json) => ({ write: each })),
  ];
  return parseSteps(steps, types);
}

/** `steps` instead of the usual order: each `{"discover"|"delete"|"read": path}` or `{"write": …}`. */
function listedSteps(item: JsonObject, types: Types): Result<BootstrapStep[], string> {
  const { steps } = item;
  if (!Array.isArray(steps)) return err("steps must be a list");
  const beside = ["discover", "delete", "read", "write"].find((name) => item[name] !== undefined);
  if (beside !== undefined) return err(`${beside} has no place beside steps`);
  return parseSteps(steps as readonly Json[], types);
}

function parseSteps(list: readonly Json[], types: Types): Result<BootstrapStep[], string> {
  const steps: BootstrapStep[] = [];
  for (const item of list) {
    const [[kind, argument] = [], ...more] = isJsonObject(item) ? Object.entries(item) : [];
    if (more.length > 0)
      return err(`a step is one operation, and this one has ${more[0]![0]} beside ${kind}`);
    if (kind === "write") {
      const write = parseWrite(argument as Json, types);
      if (!write.ok) return write;
      steps.push({ kind, ...write.value });
    } else if (kind === "discover" || kind === "delete" || kind === "read") {
      const path = typeof argument === "string" ? parsePath(argument) : undefined;
      if (path?.ok !== true) return err(`${kind} needs a path`);
      steps.push({ kind, path: path.value });
    } else return err("a step is discover, delete, read or write");
  }
  return ok(steps);
}

/** Writes whose instance is not deleted by a later step. */
function standing(steps: readonly BootstrapStep[]): BootstrapWrite[] {
  let writes: BootstrapWrite[] = [];
  for (const step of steps) {
    if (step.kind === "write") writes.push({ path: step.path, entries: step.entries });
    if (step.kind === "delete") writes = writes.filter((write) => !step.path.covers(write.path));
  }
  return writes;
}

/** `{"path": "/0/1", "content": [{"path": "0", "value": "coap://..."}]}`, as a write command. */
function parseWrite(item: Json, types: Types): Result<BootstrapWrite, string> {
  if (!isJsonObject(item) || !Array.isArray(item["content"])) return err("a write needs path and content");
  const strange = strangerIn(item, ["path", "content", "encoding"]);
  if (strange !== undefined) return err(strange);
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
