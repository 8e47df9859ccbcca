/** What lives as long as the session and not only as long as the channel; JSON, kept where sessions are kept. */
import { type Duration, ZERO } from "#core/lib/time.ts";
import type { Connection } from "./connection.ts";
import { Topics } from "./topics.ts";
import type { StoredWill } from "./will.ts";

interface Memo {
  readonly topics: readonly string[];
  readonly clean: boolean;
  readonly will?: { topic: string; qos: 0 | 1 | 2; retain: boolean; payload: string };
  /** Of a sleeper: its sleep time with tolerance, in milliseconds. */
  readonly patience?: number;
}

/** Writes down what a resumed session needs. Not for clean sessions that are awake: those are never resumed. */
export function remember(connection: Connection): void {
  const { client, will, sleeps, cleanSession, topics, patience } = connection;
  if (cleanSession && !sleeps) return;
  const memo: Memo = {
    topics: topics.names,
    clean: cleanSession,
    ...(will === undefined ? {} : { will: writtenWill(will) }),
    ...(sleeps ? { patience } : {}),
  };
  client.remember(memo, topics.weight);
}

const writtenWill = ({ topic, qos, retain, payload }: StoredWill) => ({
  topic,
  qos,
  retain,
  payload: Buffer.from(payload).toString("base64"),
});

/** A sleeper that only ever sleeps needs no new memo: its next sleep is like the last. */
export function rememberSleep(connection: Connection): void {
  if (connection.cleanSession || asMemo(connection.client.memo)?.patience !== connection.patience) {
    remember(connection);
  }
}

/** Reads it back. Topic ids stay valid, but each is announced again before we use it (MQTT-SN 1.2 §6.5). */
export function recall(connection: Connection): void {
  const memo = asMemo(connection.client.memo);
  if (memo === undefined) return;
  if (memo.topics.length > 0) connection.topics = new Topics(memo.topics);
  connection.will = storedWill(memo);
}

/** Whether the session was left by a sleeper. */
export const isSleepers = (memo: unknown): boolean => asMemo(memo)?.patience !== undefined;

/** How long a sleeper may be silent, and whether its session began clean. */
export function recalledSleep(memo: unknown): { readonly patience: Duration; readonly clean: boolean } {
  const { patience = ZERO, clean = false } = asMemo(memo) ?? {};
  return { patience: patience as Duration, clean };
}

function storedWill({ will }: Memo): StoredWill | undefined {
  if (will === undefined) return undefined;
  return {
    topic: will.topic,
    qos: will.qos,
    retain: will.retain,
    payload: Uint8Array.from(Buffer.from(will.payload, "base64")),
  };
}

/** The memo is our own writing, but an older version's perhaps. */
function asMemo(value: unknown): Memo | undefined {
  const memo = value as Memo | null | undefined;
  return typeof memo === "object" && memo !== null && Array.isArray(memo.topics) ? memo : undefined;
}
