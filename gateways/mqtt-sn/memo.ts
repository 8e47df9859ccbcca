/** What lives as long as the session and not only as long as the channel; JSON, kept where sessions are kept. */
import { type Duration, ZERO } from "#core/lib/time.ts";
import type { MqttSnChannel } from "./channel.ts";
import type { StoredWill } from "./operations/will.ts";
import { Topics } from "./topics.ts";

interface Memo {
  readonly topics: readonly string[];
  readonly clean: boolean;
  readonly will?: { topic: string; qos: 0 | 1 | 2; retain: boolean; payload: string };
  /** Of a sleeper: its sleep time with tolerance, in milliseconds. */
  readonly patience?: number;
}

/** Writes down what a resumed session needs. Not for clean sessions that are awake: those are never resumed. */
export function remember(channel: MqttSnChannel): void {
  const { client, will, state } = channel;
  if (client === undefined) return;
  const asleep = state === "asleep" || state === "awake";
  if (channel.cleanSession && !asleep) return;
  const memo: Memo = {
    topics: channel.topics?.names ?? [],
    clean: channel.cleanSession,
    ...(will === undefined
      ? {}
      : {
          will: {
            topic: will.topic,
            qos: will.qos,
            retain: will.retain,
            payload: Buffer.from(will.payload).toString("base64"),
          },
        }),
    ...(asleep ? { patience: channel.patience } : {}),
  };
  client.remember(memo);
}

/** A sleeper that only ever sleeps costs the store nothing: its next sleep is like the last. */
export function rememberSleep(channel: MqttSnChannel): void {
  if (channel.cleanSession || memoOf(channel)?.patience !== channel.patience) remember(channel);
}

/** Reads it back. Topic ids stay valid, but each is announced again before we use it (MQTT-SN 1.2 §6.5). */
export function recall(channel: MqttSnChannel): void {
  const memo = memoOf(channel);
  if (memo === undefined) return;
  if (memo.topics.length > 0) channel.topics = new Topics(memo.topics);
  channel.will = storedWill(memo);
}

/** Whether the session was left by a sleeper. */
export const isSleepers = (memo: unknown): boolean => asMemo(memo)?.patience !== undefined;

/** How long a sleeper may be silent. */
export const recalledSleep = (channel: MqttSnChannel): Duration =>
  (memoOf(channel)?.patience ?? ZERO) as Duration;

export const recalledClean = (channel: MqttSnChannel): boolean => memoOf(channel)?.clean ?? false;

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

const memoOf = (channel: MqttSnChannel): Memo | undefined => asMemo(channel.client?.memo);
