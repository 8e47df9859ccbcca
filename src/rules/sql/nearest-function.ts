import { nearest } from "../../settings/nearest.ts";
import { FUNCTIONS } from "../functions/functions.ts";

/** The function that was probably meant, as the end of a sentence. */
export function nearestFunction(name: string): string {
  const meant = nearest(name, Object.keys(FUNCTIONS));
  return meant === undefined ? "" : `: expected perhaps ${meant}`;
}
