/** What lives as long as the session and not only as long as the channel; JSON, kept where sessions are kept. */
import { after, between, type Duration, FOREVER, type Instant } from "#core/lib/time.ts";
import type { MqttSnChannel } from "./channel.ts";
import type { StoredWill } from "./operations/will.ts";
import { Topics } from "./topics.ts";

interface Memo {
  readonly topics: string[];
  readonly will?: { topic: string; qos: 0 | 1 | 2; retain: boolean; payload: string };
  /** Sleep time with its tolerance in milliseconds, and when the device counts as lost (Unix time). */
  readonly sleep?: { patience: number; lostAt: number };
  readonly clean: boolean;
}

/** Writes down what a resumed session needs. Not for clean sessions that are awake: those end with the channel. */
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
    ...(asleep && channel.patience !== FOREVER
      ? { sleep: { patience: channel.patience, lostAt: after(channel.heardAt, channel.patience) } }
      : {}),
  };
  client.remember(memo);
}

/** Reads it back. Topic ids stay valid, but each is announced again before we use it (MQTT-SN 1.2 §6.5). */
export function recall(channel: MqttSnChannel): void {
  const memo = memoOf(channel);
  if (memo === undefined) return;
  if (memo.topics.length > 0) channel.topics = new Topics([...memo.topics]);
  channel.will = storedWill(memo);
}

/** Sleep time, when the session was left by a sleeper that is not overdue. */
export function recalledSleep(channel: MqttSnChannel, now: Instant): Duration | undefined {
  const sleep = memoOf(channel)?.sleep;
  if (sleep === undefined || between(now, sleep.lostAt as Instant) < 0) return undefined;
  return sleep.patience as Duration;
}

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
function memoOf(channel: MqttSnChannel): Memo | undefined {
  const memo = channel.client?.memo as Memo | null | undefined;
  return typeof memo === "object" && memo !== null && Array.isArray(memo.topics) ? memo : undefined;
}
