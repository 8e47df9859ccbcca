import { type Key, type Store, TABLES, type Table } from "../session/store.ts";
import { deliveryMessage } from "../session/stored-values.ts";
import type { Damage } from "./engine.ts";

export interface Checked {
  /** Records by table. */
  readonly records: ReadonlyMap<Table, number>;
  /** What does not fit together, one line each; nothing in a store that only this gateway has written. */
  readonly problems: readonly string[];
}

/** Problems that are named; the rest is counted. */
const PROBLEMS_MAX = 20;

/** Reads every record and holds what refers to something against it. `unreadable`: what reading them has reported. */
export function checkRecords(store: Pick<Store, "entries">, unreadable: readonly Damage[] = []): Checked {
  const records = new Map<Table, number>();
  const problems: string[] = [];
  let more = 0;
  const report = (problem: string): void => {
    if (problems.length < PROBLEMS_MAX) problems.push(problem);
    else more++;
  };
  const sessions = new Set<number>();
  const messages = new Set<number>();
  const used = new Set<number>();
  const ofSession = (table: Table, key: Key): void => {
    const [session] = key as [number, unknown];
    if (!sessions.has(session)) report(`${table} ${String(key)}: there is no session ${session}`);
  };
  const look: Partial<Record<Table, (key: Key, value: unknown) => void>> = {
    session: (key) => sessions.add(key as number),
    message: (key) => messages.add(key as number),
    subscription: (key) => ofSession("subscription", key),
    inbound: (key) => ofSession("inbound", key),
    queue(key, value) {
      ofSession("queue", key);
      const message = deliveryMessage(value);
      if (message === undefined) return;
      used.add(message);
      if (!messages.has(message)) report(`queue ${String(key)}: there is no message ${message}`);
    },
  };
  // Sessions and messages come before what refers to them.
  const order: readonly Table[] = ["session", "message", ...TABLES];
  for (const table of new Set(order)) {
    let count = 0;
    for (const [key, value] of store.entries(table)) {
      count++;
      look[table]?.(key, value);
    }
    records.set(table, count);
  }
  for (const message of messages) if (!used.has(message)) report(`message ${message}: nobody waits for it`);
  for (const { table, problem } of unreadable)
    report(`${table ?? "file"}: a record cannot be read: ${problem}`);
  const aside = records.get("aside") ?? 0;
  if (aside > 0) report(`${aside} records that could not be read stand aside`);
  if (more > 0) problems.push(`and ${more} more`);
  return { records, problems };
}
