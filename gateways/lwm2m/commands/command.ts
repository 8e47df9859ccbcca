/** Commands: the JSON that applications publish to a device's command topic becomes a checked value here. */
import { NO_BYTES, text, utf8 } from "#core/lib/bytes.ts";
import { err, ok, type Result } from "#core/lib/result.ts";
import {
  formatExactJson,
  isJsonObject,
  type Json,
  type JsonObject,
  parseExactJson,
} from "../content/exact-json.ts";
import type { Entry, Types } from "../content/value.ts";
import { type FirmwareOrder, firmwareOrder } from "../firmware/order.ts";
import { Path, parseDevicePath, parsePath } from "../objects/path.ts";
import type { Operation, Query } from "./operation.ts";
import { contentPath, type Encoding, writtenEntry } from "./written-value.ts";

/** Items in one command; more are refused. */
export const CONTENT_MAX = 1000;

export type Task = { readonly operation: Operation } | { readonly firmware: FirmwareOrder };

export interface Command {
  readonly task: Task;
  readonly msgType: string;
  /** Top-level fields that every message about this command repeats. */
  readonly echo: JsonObject;
  /** `path` or `basePath` as the command gave it, for reports that are no answers. */
  readonly place: JsonObject;
  /** Seconds it may wait; `undefined` for the configured default, 0 to be sent at once even to a sleeper. */
  readonly ttl: number | undefined;
  /** When it was published, in seconds since 1970, where it says so. */
  readonly time: number | undefined;
  /** Say `queued` when it has to wait. */
  readonly reportQueued: boolean;
}

/** Why a command is answered 4.00, with what can be echoed. */
export interface BadCommand {
  readonly msgType: string | null;
  readonly echo: JsonObject;
  readonly requestPath: string | undefined;
  readonly reason: string;
}

/** Answered in their own way. */
const NOT_ECHOED: ReadonlySet<string> = new Set(["data", "msgType"]);

export function parseCommand(payload: Uint8Array, types: Types): Result<Command, BadCommand> {
  const readable = text(payload);
  const json = readable === undefined ? undefined : parseExactJson(readable);
  if (json === undefined || !json.ok || !isJsonObject(json.value)) {
    return bad({}, null, undefined, "the command is not a JSON object");
  }
  return readCommand(json.value, types);
}

/** The same of JSON that is read already. */
export function readCommand(command: JsonObject, types: Types): Result<Command, BadCommand> {
  const echo = Object.fromEntries(Object.entries(command).filter(([name]) => !NOT_ECHOED.has(name)));
  const { msgType, data, encoding = "plain", mheaders = {} } = command as { [name: string]: Json };
  if (typeof msgType !== "string") return bad(echo, null, undefined, "msgType is missing");
  const path = isJsonObject(data) ? (data["path"] ?? data["basePath"]) : undefined;
  const requestPath = typeof path === "string" ? path.split("?", 1)[0] : undefined;
  const refuse = (reason: string) => bad(echo, msgType, requestPath, reason);
  if (!isJsonObject(data)) return refuse("data is missing");
  if (encoding !== "plain" && encoding !== "hex") return refuse("encoding must be plain or hex");
  if (!isJsonObject(mheaders)) return refuse("mheaders must be an object");
  const { ttl, time, queued } = mheaders as { [name: string]: Json };
  if (ttl !== undefined && !(typeof ttl === "number" && ttl >= 0))
    return refuse("mheaders.ttl must be seconds");
  if (time !== undefined && !(typeof time === "number" && time >= 0))
    return refuse("mheaders.time must be seconds since 1970");
  const read = READERS.get(msgType);
  if (read === undefined) return refuse(`msgType ${msgType} is not known`);
  const task = read(data, encoding, types);
  if (!task.ok) return refuse(task.error);
  const { path: at, basePath } = data as { [name: string]: Json };
  const place = at !== undefined ? { path: at } : basePath !== undefined ? { basePath } : {};
  return ok({ task: task.value, msgType, echo, place, ttl, time, reportQueued: queued === true });
}

const bad = (echo: JsonObject, msgType: string | null, requestPath: string | undefined, reason: string) =>
  err({ echo, msgType, requestPath, reason });

type Reader = (data: JsonObject, encoding: Encoding, types: Types) => Result<Task, string>;
const asked = (operation: Operation): Result<Task, string> => ok({ operation });

const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  [
    "read",
    (data) => onPath(data, 1, (path, query) => asked({ kind: "read", path, query, ...accepted(data) })),
  ],
  ["discover", readDiscover],
  ["write", readWrite],
  ["write-attr", readAttributes],
  ["execute", readExecute],
  ["create", readCreate],
  ["delete", (data) => onPath(data, 2, (path) => asked({ kind: "delete", path }))],
  [
    "observe",
    (data) => onPath(data, 1, (path, query) => asked({ kind: "observe", path, query, ...accepted(data) })),
  ],
  ["cancel-observe", (data) => onPath(data, 1, (path) => asked({ kind: "cancel-observe", path }))],
  [
    "read-composite",
    (data) => onPaths(data, (paths) => ({ kind: "read-composite", paths, ...accepted(data) })),
  ],
  [
    "observe-composite",
    (data) => {
      const query = attributesIn(data, COMPOSITE_ATTRIBUTES);
      if (!query.ok) return query;
      return onPaths(data, (paths) => ({
        kind: "observe-composite",
        paths,
        query: query.value,
        ...accepted(data),
      }));
    },
  ],
  [
    "cancel-observe-composite",
    (data) => onPaths(data, (paths) => ({ kind: "cancel-observe-composite", paths })),
  ],
  ["write-composite", readWriteComposite],
  ["bootstrap-request", readBootstrapRequest],
  ["firmware", (data) => firmwareOrder(data)],
]);

/** Not by `String`, which calls members that JSON can name: `{"toString": 1}`. */
const shown = (json: Json | undefined): string => (typeof json === "string" ? json : formatExactJson(json));

export const MESSAGE_TYPES: readonly string[] = [...READERS.keys()];

/** Of what reads, `format` means the answer, as `accept` does. */
const accepted = (data: JsonObject) => {
  const accept = data["accept"] ?? data["format"];
  return typeof accept === "number" ? { accept } : {};
};
const formatIn = (data: JsonObject) => (typeof data["format"] === "number" ? { format: data["format"] } : {});

/** `path` with the part behind `?` as queries; at least `levels` identifiers. */
function onPath(
  data: JsonObject,
  levels: number,
  make: (path: Path, query: Query) => Result<Task, string>,
  name: "path" | "basePath" = "path",
): Result<Task, string> {
  const given = data[name];
  if (typeof given !== "string") return err(`${name} is missing`);
  const [location = "", query = ""] = given.split("?", 2);
  const path = parseDevicePath(location);
  if (!path.ok) return err(`${name} ${given}: ${path.error.problem}`);
  if (path.value.ids.length < levels) return err(`${name} ${given} is too short for this operation`);
  return make(path.value, query === "" ? [] : query.split("&"));
}

function onPaths(data: JsonObject, make: (paths: readonly Path[]) => Operation): Result<Task, string> {
  const given = data["paths"];
  if (!Array.isArray(given) || given.length === 0) return err("paths must be a list of paths");
  if (given.length > CONTENT_MAX) return err("too many paths");
  const paths: Path[] = [];
  for (const item of given as readonly Json[]) {
    const path = typeof item === "string" ? parseDevicePath(item) : undefined;
    if (path === undefined || !path.ok) return err(`${shown(item)} is not a path`);
    paths.push(path.value);
  }
  return asked(make(paths));
}

/** `depth` is how many levels the links go down (LwM2M 1.2 §6.3.2); also as a query of the path. */
function readDiscover(data: JsonObject): Result<Task, string> {
  const { depth } = data;
  if (depth !== undefined && depth !== 0 && depth !== 1 && depth !== 2 && depth !== 3)
    return err("depth must be 0 to 3");
  const levels = depth === undefined ? [] : [`depth=${depth}`];
  return onPath(data, 0, (path, query) => asked({ kind: "discover", path, query: [...query, ...levels] }));
}

function readWrite(data: JsonObject, encoding: Encoding, types: Types): Result<Task, string> {
  if (data["basePath"] === undefined || data["basePath"] === "/") {
    return onPath(data, 3, (path, query) => {
      const entry = writtenEntry(path, data, encoding, types);
      if (!entry.ok) return entry;
      return asked({
        kind: "write",
        mode: "replace",
        path,
        query,
        entries: [entry.value],
        ...formatIn(data),
      });
    });
  }
  return onPath(
    data,
    2,
    (path, query) => {
      const entries = readContent(path, data["content"], encoding, types);
      if (!entries.ok) return entries;
      if (entries.value.length === 0) return err("content is empty");
      const replaces = data["replace"] ?? path.kind !== "instance";
      const mode = replaces === true ? "replace" : "update";
      return asked({ kind: "write", mode, path, query, entries: entries.value, ...formatIn(data) });
    },
    "basePath",
  );
}

/** Items of `content` as entries; of two for the same path the later wins. */
function readContent(
  base: Path,
  content: Json | undefined,
  encoding: Encoding,
  types: Types,
): Result<Entry[], string> {
  if (content === undefined) return ok([]);
  if (!Array.isArray(content)) return err("content must be a list");
  if (content.length > CONTENT_MAX) return err("content has too many items");
  const byPath = new Map<string, Entry>();
  for (const item of content as readonly Json[]) {
    if (!isJsonObject(item)) return err("content must be a list of objects");
    const path = contentPath(base, item["path"]);
    if (path === undefined) return err(`path ${shown(item["path"])} in content is not valid`);
    const entry = writtenEntry(path, item, encoding, types);
    if (!entry.ok) return entry;
    byPath.set(path.toString(), entry.value);
  }
  return ok([...byPath.values()]);
}

/** Attributes that a server may set (LwM2M 1.1 §5.1.2, 1.2 §5.1.2). */
const ATTRIBUTES: readonly string[] = [
  "pmin",
  "pmax",
  "gt",
  "lt",
  "st",
  "epmin",
  "epmax",
  "edge",
  "con",
  "hqmax",
];

/** Those that may come with an Observe-Composite (LwM2M 1.2 §6.4.4). */
const COMPOSITE_ATTRIBUTES: typeof ATTRIBUTES = ["pmin", "pmax", "epmin", "epmax", "con"];

function readAttributes(data: JsonObject): Result<Task, string> {
  return onPath(data, 1, (path, query) => {
    const attributes = attributesIn(data, ATTRIBUTES);
    if (!attributes.ok) return attributes;
    return asked({ kind: "write-attributes", path, attributes: [...query, ...attributes.value] });
  });
}

/** Attributes as queries: null leaves one alone, an empty text unsets it (`?pmin`). */
function attributesIn(data: JsonObject, names: typeof ATTRIBUTES): Result<string[], string> {
  const attributes: string[] = [];
  for (const name of names) {
    const given = data[name];
    if (given === undefined || given === null) continue;
    const readable = typeof given === "string" ? given : typeof given === "object" ? "?" : String(given);
    if (readable !== "" && !/^-?\d+(\.\d+)?$/.test(readable)) return err(`${name} is not a number`);
    attributes.push(readable === "" ? name : `${name}=${readable}`);
  }
  return ok(attributes);
}

function readExecute(data: JsonObject, encoding: Encoding): Result<Task, string> {
  return onPath(data, 3, (path) => {
    const given = data["args"] ?? "";
    if (typeof given !== "string" && typeof given !== "number") return err("args must be a text");
    const readable = given === "undefined" ? "" : String(given);
    if (encoding === "plain" && !ARGUMENTS.test(readable))
      return err("args are not as LwM2M 1.1 §6.3.5 has them");
    const args = encoding === "hex" ? fromHex(readable) : utf8(readable);
    return args === undefined ? err("args is not hexadecimal") : asked({ kind: "execute", path, args });
  });
}

/** `0`, `1='text'`, `0,2='text'`: digits, each with a quoted text or none (LwM2M 1.1 §6.3.5). */
const ARGUMENTS = /^(?:\d(?:='[!#-&(-[\]-~]*')?(?:,\d(?:='[!#-&(-[\]-~]*')?)*)?$/;

/** Of any bytes: a device may take more as arguments than the text that LwM2M 1.1 §6.3.5 has. */
const fromHex = (given: string): Uint8Array | undefined =>
  /^(?:[0-9a-fA-F]{2})*$/.test(given) ? new Uint8Array(Buffer.from(given, "hex")) : undefined;

/** Content paths begin with an instance (`/0/1`), or leave the choice of it to the device (`1`). */
function readCreate(data: JsonObject, encoding: Encoding, types: Types): Result<Task, string> {
  const name = data["basePath"] === undefined ? "path" : "basePath";
  return onPath(
    data,
    1,
    (path) => {
      if (path.kind !== "object" && path.kind !== "instance") return err("create needs an object");
      const content = data["content"];
      const items = Array.isArray(content) ? (content as readonly Json[]) : [];
      const instanceGiven = path.kind === "instance" || items.some(namesInstance);
      const base = instanceGiven ? path : (path.child(0) as Path);
      const entries = readContent(base, content, encoding, types);
      if (!entries.ok) return entries;
      const create = { kind: "create" as const, path: path.up(1), entries: entries.value, instanceGiven };
      return asked({ ...create, ...formatIn(data) });
    },
    name,
  );
}

const namesInstance = (item: Json): boolean =>
  isJsonObject(item) &&
  typeof item["path"] === "string" &&
  item["path"].split("/").filter(Boolean).length > 1;

/** A null value removes a resource instance (RFC 8790 §3.1). */
function readWriteComposite(data: JsonObject, encoding: Encoding, types: Types): Result<Task, string> {
  const content = data["content"];
  if (!Array.isArray(content) || content.length === 0) return err("content must be a list");
  const items = content as readonly Json[];
  const removals = items.filter((item) => isJsonObject(item) && item["value"] === null);
  const written = readContent(
    Path.ROOT,
    items.filter((item) => !removals.includes(item)),
    encoding,
    types,
  );
  if (!written.ok) return written;
  const entries: Entry[] = [...written.value];
  for (const item of removals) {
    const path = contentPath(Path.ROOT, (item as JsonObject)["path"]);
    if (path === undefined || path.ids.length < 3) return err("a path in content is not a resource");
    entries.push({ path, value: undefined, type: undefined });
  }
  return asked({ kind: "write-composite", entries, ...formatIn(data) });
}

/** Bootstrap-Request Trigger: resource 9 of a Server instance (LwM2M 1.1 §6.1.7.3). */
function readBootstrapRequest(data: JsonObject): Result<Task, string> {
  const given = parsePath(typeof data["path"] === "string" ? data["path"] : "/1/0");
  const trigger = given.ok ? given.value.up(2).child(9) : undefined;
  if (trigger?.object !== 1 || trigger.kind !== "resource")
    return err("path must be a Server instance, as /1/0");
  return asked({ kind: "execute", path: trigger, args: NO_BYTES });
}
