/** States of a client over time, as stretches of one state each. */
import type { ClientHistory } from "../../api/answers/clients.ts";

export interface Stretch {
  /** null: the client was not here, or the node did not run. */
  readonly state: ClientHistory["states"][number];
  /** In milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
}

/** Neighbours in the same state are one. */
export function stretchesOf({
  step,
  from,
  states,
}: Pick<ClientHistory, "step" | "from" | "states">): Stretch[] {
  const first = Date.parse(from);
  const found: Stretch[] = [];
  for (const [index, state] of states.entries()) {
    const [begin, to] = [first + index * step * 1_000, first + (index + 1) * step * 1_000];
    const last = found.at(-1);
    if (last?.state === state) found[found.length - 1] = { ...last, to };
    else found.push({ state, from: begin, to });
  }
  return found;
}

/** How long it was in this state. */
export const lengthIn = (stretches: readonly Stretch[], state: Stretch["state"]): number =>
  stretches.reduce((sum, one) => (one.state === state ? sum + one.to - one.from : sum), 0);
