import type { ResourceType, Types } from "../content/value.ts";
import type { Path } from "./path.ts";

/** What a server may do with a resource: read, write, both, execute; or nothing (bootstrap only). */
export type Operations = "R" | "W" | "RW" | "E" | "";

export interface ResourceModel {
  readonly id: number;
  readonly name: string;
  readonly operations: Operations;
  readonly multiple: boolean;
  readonly mandatory: boolean;
  /** `undefined` for resources that are executed. */
  readonly type: ResourceType | undefined;
  /** Range or enumeration as the definition writes it: `0..100`, `1-255 bytes`. */
  readonly range: string;
  /** Unit symbol (`V`, `Cel`, `s`); empty when there is none. */
  readonly units: string;
}

export interface ObjectModel {
  readonly id: number;
  readonly name: string;
  readonly urn: string;
  /** Version of the object, `1.0` when the definition names none (LwM2M 1.1 §7.2.2). */
  readonly version: string;
  readonly multiple: boolean;
  readonly mandatory: boolean;
  readonly resources: ReadonlyMap<number, ResourceModel>;
}

/** Versions that a device reported for its objects; of others `impliedVersion` tells. */
export type ObjectVersions = ReadonlyMap<number, string>;

/**
 * Versions of the core objects that a device means which names none (LwM2M 1.2 Appendix E, table E-1; of 1.1 the
 * versions of its own appendix). In 1.0, and of all other objects, that is 1.0.
 */
const CORE: ReadonlyMap<string, ReadonlyMap<number, string>> = new Map([
  [
    "1.1",
    new Map([
      [0, "1.1"],
      [1, "1.1"],
      [3, "1.1"],
      [4, "1.2"],
    ]),
  ],
  [
    "1.2",
    new Map([
      [0, "1.2"],
      [1, "1.2"],
      [2, "1.1"],
      [3, "1.2"],
      [4, "1.3"],
      [5, "1.1"],
      [21, "2.0"],
    ]),
  ],
]);

export const impliedVersion = (object: number, lwm2m: string): string =>
  CORE.get(lwm2m)?.get(object) ?? "1.0";

/**
 * The object definitions of this gateway, several versions of an object side by side. They are read when the first is asked
 * for: a gateway without LwM2M devices does without.
 */
export class Definitions {
  /** The versions of each object, newest first. */
  readonly #known = new Map<number, ObjectModel[]>();
  #read: (() => Iterable<ObjectModel>) | undefined;

  constructor(read?: () => Iterable<ObjectModel>) {
    this.#read = read;
  }

  /** Reads them now, if they are not. */
  load(): void {
    const read = this.#read;
    this.#read = undefined;
    if (read !== undefined) for (const model of read()) this.add(model);
  }

  get #objects(): Map<number, ObjectModel[]> {
    if (this.#read !== undefined) this.load();
    return this.#known;
  }

  /** The later of two definitions of the same object and version wins. */
  add(model: ObjectModel): void {
    const others = this.#objects.get(model.id)?.filter((other) => other.version !== model.version) ?? [];
    this.#objects.set(
      model.id,
      [...others, model].sort((a, b) => compareVersions(b.version, a.version)),
    );
  }

  get size(): number {
    return this.all().length;
  }

  all(): ObjectModel[] {
    return [...this.#objects.values()].flat();
  }

  /**
   * The definition of an object in a version. Where that version is not known the nearest one with the same
   * major number serves, because minor versions only add (LwM2M 1.1 §7.2.2); failing that, the newest.
   */
  object(id: number, version = "1.0"): ObjectModel | undefined {
    const versions = this.#objects.get(id);
    return (
      versions?.find((model) => model.version === version) ??
      versions?.find((model) => sameMajor(model.version, version)) ??
      versions?.[0]
    );
  }

  /** The resource in that version of its object; one that only another version knows means there what it means here. */
  resource(path: Path, version = "1.0"): ResourceModel | undefined {
    const { object, resource } = path;
    if (object === undefined || resource === undefined) return undefined;
    const found = this.object(object, version)?.resources.get(resource);
    if (found !== undefined) return found;
    const others = this.#objects.get(object)?.filter((model) => model.resources.has(resource));
    return (others?.find((model) => sameMajor(model.version, version)) ?? others?.[0])?.resources.get(
      resource,
    );
  }

  /**
   * What content formats ask, for a device of a version of LwM2M with these object versions; ranges only where they
   * are enforced. What versions the objects of an end device have is not known.
   */
  typesFor(versions: ObjectVersions, lwm2m = "1.0", ranges = false): Types {
    const find = (path: Path) => {
      const object = path.object ?? -1;
      const said = path.prefix === "" ? versions.get(object) : undefined;
      return this.resource(path, said ?? impliedVersion(object, lwm2m));
    };
    const types: Types = { typeOf: (path) => find(path)?.type, multipleOf: (path) => find(path)?.multiple };
    return ranges ? { ...types, rangeOf: (path) => find(path)?.range ?? "" } : types;
  }
}

const sameMajor = (one: string, other: string): boolean => one.split(".")[0] === other.split(".")[0];

function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split(".").map(Number);
  const [majorB = 0, minorB = 0] = b.split(".").map(Number);
  return majorA - majorB || minorA - minorB;
}
