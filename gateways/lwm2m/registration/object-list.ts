/**
 * The object list of a registration (LwM2M 1.1 §6.2.1, RFC 6690), read with tolerance: devices in the field
 * leave out brackets, mix separators, add unknown attributes and empty links, and a device lost over a stray
 * character helps nobody. What cannot be an object is left out and counted.
 */

import { text } from "#core/lib/bytes.ts";
import { parseLinks } from "#gateways/coap/stack/message/link-format.ts";
import { type Path, parsePath } from "../objects/path.ts";

export interface ObjectList {
  /** Alternate path of all objects, with its slash and without one at the end; `/` when there is none. */
  readonly root: string;
  /** `ct` of the root link, or of any link when only others carry it. */
  readonly formats: readonly number[];
  /** Paths of objects and instances in the order of the list. */
  readonly objects: readonly string[];
  readonly versions: ReadonlyMap<number, string>;
  /** Links that are neither root nor object. */
  readonly unknown: number;
}

/** Links in one registration; a list beyond it is refused. */
const LINKS_MAX = 2000;

/** Longer lists than this, in bytes, are not worth keeping. */
const SHARED_LENGTH_MAX = 4096;

/** Lists that were seen before: the devices of a fleet have few between them, and share them in memory. */
export class ObjectLists {
  readonly #max: number;
  readonly #known = new Map<string, ObjectList>();

  constructor(max: number) {
    this.#max = max;
  }

  read(payload: Uint8Array): ObjectList | undefined {
    if (payload.length > SHARED_LENGTH_MAX) return parseObjectList(payload);
    const key = Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString("latin1");
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const list = parseObjectList(payload);
    if (list === undefined) return undefined;
    // Firmware versions come and go: starting anew now and then forgets what nobody sends any more.
    if (this.#known.size >= this.#max) this.#known.clear();
    this.#known.set(key, list);
    return list;
  }
}

/** The list as link format, from which `parseObjectList` makes the same one. */
export function formatObjectList({ root, formats, objects, versions }: ObjectList): string {
  const ct = formats.length === 0 ? "" : `;ct="${formats.join(" ")}"`;
  const prefix = root === "/" ? "" : root;
  const said = new Set<number>();
  const links = objects.map((path) => {
    const object = Number(path.split("/", 2)[1]);
    const version = said.has(object) ? undefined : versions.get(object);
    said.add(object);
    return `<${prefix}${path}>${version === undefined ? "" : `;ver="${version}"`}`;
  });
  return [`<${root}>;rt="oma.lwm2m"${ct}`, ...links].join();
}

type Attributes = Readonly<Record<string, string | number | true>>;
interface Target {
  readonly target: string;
  readonly attributes: Attributes;
}

/** `undefined` when the payload is not text at all, or names too many objects. */
export function parseObjectList(payload: Uint8Array): ObjectList | undefined {
  const links = (parseLinks(payload) as readonly Partial<Target>[] | undefined) ?? salvage(payload);
  if (links === undefined || links.length > LINKS_MAX) return undefined;
  const targets = links.map((link) => ({ target: link.target ?? "", attributes: link.attributes ?? {} }));
  const rootLink = targets.find((link) => attribute(link, "rt")?.split(" ").includes("oma.lwm2m"));
  const root = rootLink === undefined ? "/" : normalRoot(rootLink.target);
  const ct = attribute(rootLink, "ct") ?? targets.map((link) => attribute(link, "ct")).find(Boolean);
  const objects = new Set<string>();
  const versions = new Map<number, string>();
  let unknown = 0;
  for (const link of targets) {
    if (link === rootLink) continue;
    const path = objectPath(link.target, root);
    if (path === undefined) {
      unknown++;
      continue;
    }
    objects.add(path.toString());
    const version = attribute(link, "ver");
    if (version !== undefined && /^\d+\.\d+$/.test(version)) versions.set(path.object as number, version);
  }
  return { root, formats: numbers(ct), objects: [...objects], versions, unknown };
}

const attribute = (link: Target | undefined, name: string): string | undefined => {
  const value = link?.attributes[name];
  return value === undefined || value === true ? undefined : String(value);
};

const numbers = (list: string | undefined): number[] =>
  (list ?? "").split(/[\s,]+/).flatMap((word) => (/^\d{1,5}$/.test(word) ? [Number(word)] : []));

function normalRoot(target: string): string {
  const bare = target.replace(/^\/+|\/+$/g, "");
  return bare === "" ? "/" : `/${bare}`;
}

/** The object or instance that a link names below the root; devices also leave the root out. */
function objectPath(target: string, root: string): Path | undefined {
  const slashed = target.startsWith("/") ? target : `/${target}`;
  const below = root !== "/" && slashed.startsWith(`${root}/`) ? slashed.slice(root.length) : slashed;
  const path = parsePath(below);
  if (!path.ok || path.value.ids.length === 0) return undefined;
  return path.value.up(2);
}

/** A list that is not link format: whatever between separators looks like a path. */
function salvage(payload: Uint8Array): Partial<Target>[] | undefined {
  const readable = text(payload);
  if (readable === undefined) return undefined;
  return readable
    .split(/[,;\s]+/)
    .map((part) => part.replace(/[<>]/g, ""))
    .filter((part) => /^\/?\d/.test(part))
    .map((target) => ({ target }));
}

/** Each link of a list as the device wrote it; commas in quotes do not separate. */
export function splitLinks(readable: string): string[] {
  const links: string[] = [];
  let start = 0;
  let quoted = false;
  for (let at = 0; at <= readable.length; at++) {
    const character = readable[at];
    if (character === '"') quoted = !quoted;
    if (at < readable.length && (character !== "," || quoted)) continue;
    const link = readable.slice(start, at).trim();
    if (link !== "") links.push(link);
    start = at + 1;
  }
  return links;
}
