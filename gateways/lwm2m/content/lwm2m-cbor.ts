/**
 * application/vnd.oma.lwm2m+cbor, content format 11544 (LwM2M 1.2 §7.4.8): maps keyed by identifiers, one
 * level a map; a key may also be an array of several levels, which shortens a lonely branch.
 */
import { type DecodeError, decodeError, err, ok, type Result } from "#core/lib/result.ts";
import { Path, parseDevicePath } from "../objects/path.ts";
import { scalarOf, writeScalar } from "./cbor.ts";
import { type Cbor, decodeCbor } from "./cbor-codec.ts";
import { CborWriter } from "./cbor-writer.ts";
import { refine } from "./refine.ts";
import type { Entry, Types } from "./value.ts";

const CLAUSE = "LwM2M 1.2 §7.4.8";

/** Of an end device keys begin with its prefix (LwM2M Gateway 1.1 §9), which may be left out where `base` has it. */
export function decodeLwm2mCbor(bytes: Uint8Array, base: Path, types: Types): Result<Entry[], DecodeError> {
  const cbor = decodeCbor(bytes);
  if (!cbor.ok) return cbor;
  if (!(cbor.value instanceof Map)) return decodeError(CLAUSE, 0, "not a map");
  const entries: Entry[] = [];
  const failure = collect(cbor.value, Path.ROOT.behind(base.prefix), types, entries);
  return failure === undefined ? ok(entries) : err(failure);
}

function collect(
  members: ReadonlyMap<Cbor, Cbor>,
  parent: Path,
  types: Types,
  entries: Entry[],
): DecodeError | undefined {
  for (const [key, member] of members) {
    const path = pathOf(key, parent);
    if (path === undefined) return problem(`a key below ${parent} is no identifier`);
    const failure =
      member instanceof Map ? collect(member, path, types, entries) : leaf(member, path, types, entries);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

function pathOf(key: Cbor, parent: Path): Path | undefined {
  const levels: readonly Cbor[] = Array.isArray(key) ? key : [key];
  const [first, ...rest] = levels;
  if (typeof first === "string") {
    const path = parent.ids.length === 0 ? parseDevicePath(`/${first}`) : undefined;
    return path?.ok === true && path.value.prefix === first ? below(path.value, rest) : undefined;
  }
  return levels.length === 0 ? undefined : below(parent, levels);
}

function below(parent: Path, levels: readonly Cbor[]): Path | undefined {
  let path: Path | undefined = parent;
  for (const id of levels) path = typeof id === "number" ? path?.child(id) : undefined;
  return path;
}

function leaf(member: Cbor, path: Path, types: Types, entries: Entry[]): DecodeError | undefined {
  const value = member === null ? undefined : scalarOf(member, types.typeOf(path));
  if (value === undefined && member !== null) return problem(`${path} is not a single value`);
  const entry = refine(CLAUSE, 0, path, value, types, undefined);
  if (!entry.ok) return entry.error;
  entries.push(entry.value);
  return undefined;
}

const problem = (what: string): DecodeError => ({ clause: CLAUSE, at: 0, problem: what });

type Tree = Map<number | string, Tree | Entry>;

export function encodeLwm2mCbor(entries: readonly Entry[]): Uint8Array {
  const root: Tree = new Map();
  for (const entry of entries) insert(root, entry);
  const writer = new CborWriter();
  write(writer, root);
  return writer.bytes();
}

/** Of two entries where one lies below the other the later wins, as in every other format. */
function insert(root: Tree, entry: Entry): void {
  let tree = root;
  const { ids, prefix } = entry.path;
  for (const id of [...(prefix === "" ? [] : [prefix]), ...ids.slice(0, -1)]) {
    let next = tree.get(id);
    if (!(next instanceof Map)) {
      next = new Map();
      tree.set(id, next);
    }
    tree = next;
  }
  tree.set(ids[ids.length - 1] as number, entry);
}

function write(writer: CborWriter, tree: Tree): void {
  writer.map(tree.size);
  for (const [id, branch] of tree) {
    if (typeof id === "string") writer.text(id);
    else writer.integer(id);
    if (branch instanceof Map) write(writer, branch);
    else writeScalar(writer, branch);
  }
}
