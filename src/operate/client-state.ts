import type { Instant } from "../lib/time.ts";
import type { ClientSummary } from "./clients.ts";

/** overdue: it promised to be heard by a time that has passed; asleep: it said so; away: no connection. */
export const STATES = ["overdue", "asleep", "awake", "away"] as const;
export type ClientState = (typeof STATES)[number];

/** Words of gateways for devices that have said that they sleep. */
const ASLEEP = new Set(["asleep", "sleeping"]);

export function stateOf(
  { dueAt, presence, state }: Pick<ClientSummary, "dueAt" | "presence" | "state">,
  now: Instant | number,
): ClientState {
  if (dueAt !== undefined && dueAt < now) return "overdue";
  if (ASLEEP.has(state)) return "asleep";
  return presence === "connected" ? "awake" : "away";
}
