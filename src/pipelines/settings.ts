import { NAME_PATTERN, text } from "../settings/kinds.ts";

/** Keys that all filters have. */
export const filterProperties = {
  name: text({ description: "What the flow and counters call it.", pattern: NAME_PATTERN }),
};

/** A filter that cannot work as configured. */
export class FilterError extends Error {
  override readonly name = "FilterError";
  /** Keys below the filter. */
  readonly at: readonly (string | number)[];

  constructor(at: readonly (string | number)[], says: string) {
    super(says);
    this.at = at;
  }
}
