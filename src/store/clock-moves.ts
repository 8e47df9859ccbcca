/**
 * The times in a store are by the clock of the process that wrote them, which takes the date once, when it starts. Where
 * that was wrong (a machine that keeps no time without power starts in 1970, until it has asked the network), sessions,
 * lives and delays would all be over for the next process, or not end for years: they are moved before they are read.
 */
import { after, between, type Duration, type Instant, ZERO } from "../lib/time.ts";
import { ALIVE, BEHIND, CLOCK_STEP } from "../session/durable-state.ts";
import type { Key, StoredValue, Table } from "../session/store.ts";
import {
  type DeliveryRecord,
  type MessageRecord,
  type SessionRecord,
  UNBOUNDED,
} from "../session/stored-values.ts";
import type { Change, Engine } from "./engine.ts";

/** A clock that shows less was never set. */
const UNSET_BEFORE = Date.UTC(2020, 0, 1);

/** What a gateway has remembered of a client, with its times later by so much. */
export type MoveMemo = (gateway: string, memo: unknown, by: Duration) => unknown;

/** By how much the times in a store have to be moved for a process whose clock begins at `now`. */
export function clockMove(engine: Pick<Engine, "entries">, now: Instant): Duration {
  const meta = new Map(engine.entries("meta"));
  const noted = meta.get(BEHIND);
  const behind = typeof noted === "number" ? (noted as Duration) : ZERO;
  const alive = meta.get(ALIVE);
  if (typeof alive !== "number") return behind;
  const untilNow = between(alive as Instant, now);
  // No time passes backwards: the clock was set back since.
  const wentBack = untilNow - behind <= -CLOCK_STEP;
  const unnoted = behind === 0 && alive < UNSET_BEFORE && now >= UNSET_BEFORE;
  return wentBack || unnoted ? untilNow : behind;
}

/** Moves them, all or none; resolves to the length by which. */
export async function followClock(engine: Engine, now: Instant, moveMemo: MoveMemo): Promise<Duration> {
  const by = clockMove(engine, now);
  if (Math.abs(by) < CLOCK_STEP) return ZERO;
  const changes: Change[] = [{ table: "meta", key: BEHIND, value: () => ZERO }];
  for (const [table, move] of Object.entries(movesOf(by, moveMemo)) as [Table, Move][]) {
    for (const [key, value] of engine.entries(table)) {
      const moved = movedBy(move, value, key);
      if (moved !== undefined) changes.push({ table, key, value: () => moved });
    }
  }
  await engine.commit(changes);
  return by;
}

/** A record with its times moved; undefined where it has none. */
type Move = (value: StoredValue, key: Key) => StoredValue;

function movesOf(by: Duration, moveMemo: MoveMemo): Partial<Record<Table, Move>> {
  const later = (at: unknown): unknown => (typeof at === "number" ? after(at as Instant, by) : at);
  const message = (value: StoredValue): MessageRecord | undefined => {
    const [topic, payload, qos, retain, publishedAt, expiresAt, ...rest] = value as MessageRecord;
    if (expiresAt === UNBOUNDED) return undefined;
    return [topic, payload, qos, retain, publishedAt + by, expiresAt + by, ...rest];
  };
  return {
    session(value) {
      const record = value as SessionRecord;
      const { gateway, leftAt, expectedUntil, memo } = record;
      const moved = { leftAt: later(leftAt), expectedUntil: later(expectedUntil) };
      return { ...record, ...moved, memo: moveMemo(gateway, memo, by) };
    },
    message,
    retained: message,
    queue(value) {
      const [content, ...rest] = value as DeliveryRecord;
      const moved = typeof content === "number" ? undefined : message(content);
      return moved && [moved, ...rest];
    },
    delayed(value) {
      const [record, due] = value as [StoredValue, number];
      return [message(record) ?? record, later(due)];
    },
    ban: (value) => ({ ...(value as object), until: later((value as { until: unknown }).until) }),
    meta: (value, key) => (key === ALIVE ? later(value) : undefined),
  };
}

/** What makes no sense stays as it is: whoever reads it next puts it aside. */
function movedBy(move: Move, value: StoredValue, key: Key): StoredValue {
  try {
    return move(value, key);
  } catch {
    return undefined;
  }
}
