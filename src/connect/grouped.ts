import type { Item } from "./connector.ts";

/** Which places of a batch have each text as this parameter, in their order. */
export function placesBy(items: readonly Item[], parameter: string): ReadonlyMap<string, readonly number[]> {
  const groups = new Map<string, number[]>();
  for (const [place, { parameters }] of items.entries()) {
    const text = String(parameters[parameter]);
    const places = groups.get(text);
    if (places === undefined) groups.set(text, [place]);
    else places.push(place);
  }
  return groups;
}
