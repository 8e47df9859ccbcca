import type { ChannelLoop } from "#core/gateway/channel-loop.ts";
import type { PublishAnswer } from "#core/gateway/contract.ts";

/** A store that commits when the test says so. */
export function commitWhenTold() {
  const waiting: (() => void)[] = [];
  let writes = 0;
  return {
    commits: {
      // Every look sees another write, so every QoS 1 and 2 publish has to wait.
      get writes() {
        return writes++;
      },
      await(loop: ChannelLoop, ticket: number, answer: PublishAnswer | 0 | 1 | 2) {
        waiting.push(() => loop.answered(ticket, answer));
      },
      // biome-ignore lint/suspicious/noThenProperty: the method of Commits
      then(run: () => void) {
        waiting.push(run);
      },
    },
    waiting,
    commitAll() {
      for (const commit of waiting.splice(0)) commit();
    },
  };
}
