/** Where a value stands in the configuration: keys and list positions. */
export type Path = readonly (string | number)[];

/** `gateways.mqtt.listeners.tcp.port`, `authorization.rules[2].who`. */
export const showPath = (path: Path): string =>
  path
    .map((step, index) => (typeof step === "number" ? `[${step}]` : index === 0 ? step : `.${step}`))
    .join("");

export const isWithin = (path: Path, prefix: Path): boolean =>
  prefix.length <= path.length && prefix.every((step, index) => String(step) === String(path[index]));

/** The value at a path; undefined when there is none. */
export function valueAt(tree: unknown, path: Path): unknown {
  let at = tree;
  for (const step of path) {
    if (typeof at !== "object" || at === null) return undefined;
    at = (at as Record<string, unknown>)[step];
  }
  return at;
}
