/** Messages that wait here for their time, and are this gateway's own until the cluster has acknowledged them. */
import type { Commits } from "../bus/commits.ts";
import { type DelayedJournal, type DelayedLimits, DelayedMessages } from "../bus/delayed.ts";
import type { Message } from "../bus/message.ts";
import type { PublishAnswer } from "../contract/answers.ts";
import { CallbackAlarm } from "../lib/alarm.ts";
import { after, seconds } from "../lib/time.ts";
import type { UpstreamContext } from "./context.ts";
import type { Pool } from "./pool.ts";

/** Until a message is tried again that no server could take. */
const AGAIN = seconds(5);

/** `journal`, `commits`: present when a store keeps what waits. */
export function delayedAtCluster(
  context: UpstreamContext,
  pool: Pool,
  limits: DelayedLimits,
  journal: DelayedJournal | undefined,
  commits: Commits | undefined,
): DelayedMessages {
  const { alarms, clock, memory } = context;
  const publish = (message: Message, taken: () => void): void => {
    const again = (): void => {
      if (message.expiresAt > clock.now()) publish(message, taken);
      else taken();
    };
    const answered = (_: number, answer: PublishAnswer): void => {
      if (answer === "unavailable" || answer === "congested") {
        alarms.arm(new CallbackAlarm(again), after(clock.now(), AGAIN));
        return;
      }
      if (answer !== "accepted" && answer !== "no-subscribers") refused(context, message, answer);
      taken();
    };
    const answer = pool.publish(message.publisher, message, { answered }, 0);
    if (answer !== "pending") answered(0, answer);
  };
  return new DelayedMessages({ alarms, limits, publish, journal, commits, memory });
}

/** Nobody waits for an answer any more: who published it was told long ago that it is accepted. */
function refused({ counters, note }: UpstreamContext, { topic }: Message, answer: PublishAnswer): void {
  counters.refused.value++;
  note({ level: "warn", event: "upstream-delayed-refused", detail: { topic, answer } });
}
