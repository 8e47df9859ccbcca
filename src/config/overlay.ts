/** What operators have changed while it ran: values by key, laid over what the file says. */
import { isTree, schemaOfKey, type Tree } from "../settings/defaults.ts";
import { HIDDEN } from "../settings/describe.ts";
import { isInherited } from "../settings/inherited.ts";
import { chosen, type JsonSchema } from "../settings/json-schema.ts";
import { SECRET } from "../settings/kinds.ts";
import { isWithin, type Path, showPath, valueAt } from "../settings/path.ts";
import { ConfigError, type ConfigProblem, problem } from "../settings/problem.ts";
import { schemaAt } from "../settings/validate.ts";
import { formOf } from "./shown-config.ts";

/** Keys only: what is in a list is changed with the list. */
export type OverlayPath = readonly string[];

export interface OverlayValue {
  readonly path: OverlayPath;
  readonly value: unknown;
}

/** Where a value comes from that an operator has changed. */
export const OVERLAY_ORIGIN = "api";

/** Never changed: each change makes another one. */
export class Overlay {
  static readonly NONE = new Overlay([]);
  /** What is around comes before what is in it. */
  readonly values: readonly OverlayValue[];

  private constructor(values: readonly OverlayValue[]) {
    this.values = values;
  }

  /** Takes the place of what was there and in it. */
  with(path: OverlayPath, value: unknown): Overlay {
    const kept = this.without(path).values;
    const all = [...kept, { path, value: withoutNulls(value) }];
    return new Overlay(all.sort((a, b) => a.path.length - b.path.length || (keyOf(a) < keyOf(b) ? -1 : 1)));
  }

  /** Takes back what was changed there and in it. */
  without(path: OverlayPath): Overlay {
    const kept = this.values.filter((each) => !isWithin(each.path, path));
    return kept.length === this.values.length ? this : new Overlay(kept);
  }

  /** What was changed there, also with what is around it. */
  at(path: Path): unknown {
    const around = this.values.findLast((each) => isWithin(path, each.path));
    return around === undefined ? undefined : valueAt(around.value, path.slice(around.path.length));
  }

  /** Something was changed there or in it. */
  touches(path: OverlayPath): boolean {
    return this.values.some((each) => isWithin(each.path, path));
  }

  /** As it lies in its file: one line a key. */
  text(): string {
    const lines = this.values.map((each) => ` ${JSON.stringify(keyOf(each))}: ${JSON.stringify(each.value)}`);
    return lines.length === 0 ? "{}\n" : `{\n${lines.join(",\n")}\n}\n`;
  }

  /** Throws `ConfigError`, which names the file. */
  static read(text: string, file: string): Overlay {
    let found: unknown;
    try {
      found = JSON.parse(text);
    } catch (error) {
      throw unreadable(file, `is no JSON (${(error as Error).message})`);
    }
    if (!isTree(found)) throw unreadable(file, "must hold keys and values");
    let overlay = Overlay.NONE;
    for (const [key, value] of Object.entries(found)) {
      const path = key.split(".");
      const wrong = placeProblem(path);
      if (wrong !== undefined) throw new ConfigError([problem(() => file, { path, says: wrong })]);
      overlay = overlay.with(path, value);
    }
    return overlay;
  }
}

function unreadable(file: string, says: string): ConfigError {
  const message = `${file}: ${says}: mend it, or put it away; it holds what was changed over the API`;
  return new ConfigError([{ key: "", path: [], where: file, message }]);
}

export const keyOf = ({ path }: Pick<OverlayValue, "path">): string => showPath(path);

/** RFC 7396: a member that is null is not there. */
function withoutNulls(value: unknown): unknown {
  if (!isTree(value)) return value;
  const members = Object.entries(value).filter(([, inner]) => inner !== null && inner !== undefined);
  return Object.fromEntries(members.map(([key, inner]) => [key, withoutNulls(inner)]));
}

/** What no operator may change from afar: where all of it lies, and which code runs in this process. */
const CLOSED: readonly (readonly string[])[] = [
  ["dataFolder"],
  ["hooks", "modules"],
  ["gateways", "*", "module"],
];

/** Why nothing may be laid over this place. */
export function placeProblem(path: OverlayPath): string | undefined {
  if (path.some((step) => step === "" || isInherited(step))) return "is not a known key";
  const closed = CLOSED.some(
    (place) =>
      place.length <= path.length && place.every((step, index) => step === "*" || step === path[index]),
  );
  return closed
    ? "is not changed over the API: set it in the file, in the environment or by --set"
    : undefined;
}

/** Lays a JSON merge patch (RFC 7396) over it: null takes back what was changed. `current`: what is in force. */
export function mergePatch(overlay: Overlay, schema: JsonSchema, current: Tree, patch: Tree): Overlay {
  let result = overlay;
  const walk = (of: JsonSchema | undefined, at: unknown, value: unknown, path: OverlayPath): void => {
    if (value === null) {
      result = result.without(path);
      return;
    }
    const section = of === undefined ? undefined : chosen(of, at);
    if (!isTree(value) || !isOpen(section, at, value)) {
      result = result.with(path, value);
      return;
    }
    const inside = at as Tree | undefined;
    for (const [key, inner] of Object.entries(value))
      walk(schemaOfKey(section!, key), inside?.[key], inner, [...path, key]);
  };
  for (const [key, value] of Object.entries(patch))
    walk(schemaOfKey(schema, key), current[key], value, [key]);
  return result;
}

/** A section whose keys are changed one by one; else it is changed as a whole. */
function isOpen(section: JsonSchema | undefined, at: unknown, value: Tree): boolean {
  if (section === undefined || section.oneOf !== undefined || section.anyOf !== undefined) return false;
  if (section.properties === undefined && section.patternProperties === undefined) return false;
  if (value["kind"] !== undefined && (!isTree(at) || at["kind"] !== value["kind"])) return false;
  return !Object.keys(value).some((key) => key.includes("."));
}

const REFERENCE = /^(file|env):./;

/** The value with each of its secrets put through `change`, which is told where it is. */
function mapSecrets(
  schema: JsonSchema | undefined,
  value: unknown,
  at: Path,
  change: (secret: unknown, at: Path) => unknown,
): unknown {
  if (schema?.[SECRET] === true) return change(value, at);
  const section = formOf(schema, value);
  if (Array.isArray(value))
    return value.map((item, index) => mapSecrets(section?.items, item, [...at, index], change));
  if (!isTree(value)) return value;
  const members = Object.entries(value).map(([key, inner]) => {
    const of = section === undefined ? undefined : schemaOfKey(section, key);
    return [key, mapSecrets(of, inner, [...at, key], change)];
  });
  return Object.fromEntries(members);
}

/** Somebody has read it, where secrets are hidden, and gives it back: references that were set here stay. */
export const withReferences = (
  schema: JsonSchema,
  overlay: Overlay,
  path: OverlayPath,
  value: unknown,
): unknown =>
  mapSecrets(schemaAt(schema, path, {}), value, path, (secret, at) =>
    secret === HIDDEN ? (overlay.at(at) ?? secret) : secret,
  );

/**
 * Secrets that are written out: what is changed over the API lies in a file, and was in a request. `config`: with the
 * value in it.
 */
export function secretProblems(
  schema: JsonSchema,
  config: Tree,
  { path, value }: OverlayValue,
): ConfigProblem[] {
  const found: ConfigProblem[] = [];
  const referable = path[0] === "connectors" || path[0] === "pipelines";
  mapSecrets(schemaAt(schema, path, config), value, path, (secret, at) => {
    // Nothing is no secret.
    if (secret === "" || (referable && typeof secret === "string" && REFERENCE.test(secret))) return secret;
    const allowed = referable
      ? "file:<path> or env:<name>, which says where it is"
      : "a value in the file, in the environment (ISTHMUS_...) or by --set";
    const says = "is a secret, and is not written here";
    found.push(problem(() => undefined, { path: at, says, value: HIDDEN, allowed }));
    return secret;
  });
  return found;
}
