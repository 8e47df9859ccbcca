/** What is observed on one device, and the form in which that outlives its registration. */
import { SmallMap } from "#core/lib/small-map.ts";
import type { Ask } from "#gateways/coap/stack/site.ts";
import { type Operation, observationKey } from "../commands/operation.ts";
import { formatExactJson, isJsonObject, type Json, type JsonObject } from "../content/exact-json.ts";
import { type Path, parseDevicePath, parsePath } from "../objects/path.ts";

export interface Observed {
  readonly operation: Extract<Operation, { kind: "observe" | "observe-composite" }>;
  /** Fields of the command that notifications repeat. */
  readonly echo: JsonObject;
  /** Begun by the setting `observations.auto`. */
  readonly automatic: boolean;
  readonly ask: Ask | undefined;
}

/** One without its path and what the application gave with it. */
const OBSERVATION = 500;
const weightOf = (key: string, { echo }: Observed): number =>
  OBSERVATION + key.length + formatExactJson(echo).length;

/** Observations by key; costs nothing until there is one. */
export class ObservationTable {
  #entries: SmallMap<string, Observed> | undefined = undefined;
  /** Bytes of all that is in it, as the account of memory has them. */
  weight = 0;

  get size(): number {
    return this.#entries?.size ?? 0;
  }

  get(key: string): Observed | undefined {
    return this.#entries?.get(key);
  }

  has(key: string): boolean {
    return this.#entries?.has(key) === true;
  }

  set(key: string, observed: Observed): void {
    this.#entries ??= new SmallMap();
    const former = this.#entries.get(key);
    if (former !== undefined) this.weight -= weightOf(key, former);
    this.weight += weightOf(key, observed);
    this.#entries.set(key, observed);
  }

  delete(key: string): boolean {
    const observed = this.#entries?.get(key);
    if (observed === undefined) return false;
    this.weight -= weightOf(key, observed);
    return this.#entries?.delete(key) === true;
  }

  keys(): string[] {
    return [...(this.#entries?.keys() ?? [])];
  }

  values(): Observed[] {
    return [...(this.#entries?.values() ?? [])];
  }
}

export function observedOf(
  operation: Operation,
  given: Pick<Observed, "echo" | "automatic"> | undefined,
): Omit<Observed, "ask"> | undefined {
  if (operation.kind !== "observe" && operation.kind !== "observe-composite") return undefined;
  return { operation, echo: given?.echo ?? {}, automatic: given?.automatic ?? false };
}

/** JSON of one observation for the session's memo. */
export function rememberedObservation({ operation, echo, automatic }: Observed): JsonObject {
  const single = operation.kind === "observe";
  return {
    paths: (single ? [operation.path] : operation.paths).map((path) => path.toString()),
    query: operation.query,
    accept: operation.accept,
    ...(single ? undefined : { composite: true }),
    echo,
    automatic,
  };
}

/** Reads what `rememberedObservation` wrote; `undefined` when it is of another make. */
export function recalledObservation(json: Json | undefined): Omit<Observed, "ask"> | undefined {
  if (!isJsonObject(json) || !Array.isArray(json["paths"])) return undefined;
  const paths: Path[] = [];
  for (const item of json["paths"] as readonly Json[]) {
    const path = typeof item === "string" ? parseDevicePath(item) : undefined;
    if (path?.ok !== true) return undefined;
    paths.push(path.value);
  }
  const echo = isJsonObject(json["echo"]) ? json["echo"] : {};
  const automatic = json["automatic"] === true;
  const query = Array.isArray(json["query"]) ? (json["query"] as readonly string[]) : [];
  if (json["composite"] === true) {
    return {
      operation: { kind: "observe-composite", paths, query, accept: optional(json["accept"]) },
      echo,
      automatic,
    };
  }
  const [path] = paths;
  if (path === undefined) return undefined;
  return { operation: { kind: "observe", path, query, accept: optional(json["accept"]) }, echo, automatic };
}

const optional = (json: Json | undefined): number | undefined =>
  typeof json === "number" ? json : undefined;

/** Objects that are not observed by themselves: secrets, settings, counters (see `observations.auto`). */
const NOT_AUTOMATIC: ReadonlySet<number> = new Set([0, 1, 2, 4, 5, 6, 7, 9, 15]);

/** What to observe by itself: listed paths as far as the device has their objects, or all it lists. */
export function automaticPaths(auto: boolean | readonly string[], objects: readonly string[]): Path[] {
  if (auto === false) return [];
  const listed = objects.flatMap((text) => {
    const path = parsePath(text);
    return path.ok ? [path.value] : [];
  });
  if (auto === true) return listed.filter((path) => !NOT_AUTOMATIC.has(path.object as number));
  return auto.flatMap((text) => {
    const path = parsePath(text);
    if (!path.ok) return [];
    return listed.some((known) => known.covers(path.value) || path.value.covers(known)) ? [path.value] : [];
  });
}

export const keyOf = (observed: Pick<Observed, "operation">): string =>
  observationKey(observed.operation) as string;
