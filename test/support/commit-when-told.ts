import type { Asker } from "#core/bus/commits.ts";

/** A store that commits when the test says so. */
export function commitWhenTold() {
  const waiting: (() => void)[] = [];
  const failing: (() => void)[] = [];
  let writes = 1;
  return {
    commits: {
      // Every look sees another write, so every QoS 1 and 2 publish has to wait.
      get writes() {
        return writes++;
      },
      await(asker: Asker, ticket: number, answer: "accepted" | "no-subscribers" | 0 | 1 | 2) {
        waiting.push(() => asker.answered(ticket, answer));
        failing.push(() => asker.answered(ticket, "unavailable"));
      },
      whenCommitted(run: (failed: boolean) => void) {
        waiting.push(() => run(false));
        failing.push(() => run(true));
      },
      whenSafe(run: () => void) {
        waiting.push(run);
      },
    },
    waiting,
    /** Publishes and other asks are told that the commit failed; who waits for one that succeeds waits on. */
    failAll() {
      waiting.length = 0;
      for (const fail of failing.splice(0)) fail();
    },
    commitAll() {
      failing.length = 0;
      for (const commit of waiting.splice(0)) commit();
    },
  };
}
