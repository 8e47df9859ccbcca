import { expect, it } from "vitest";
import { askedBy } from "#core/authenticate/asked-by.ts";
import { Patience } from "#core/authenticate/patience.ts";
import { seconds } from "#core/lib/time.ts";
import { peerAt } from "../../support/policy.ts";

function setup(waiting: number, timeout = seconds(60)) {
  const patience = new Patience(
    "source",
    { timeout, concurrent: 1, waiting, breaker: { failures: 100, pause: seconds(1) } },
    { now: () => 0 as never, note: () => {} },
  );
  const open: (() => void)[] = [];
  const order: string[] = [];
  const ask = (address: string, name = "n", forgeable = false, applicant = { closed: false }) =>
    patience
      .ask(
        () =>
          new Promise<string>((resolve) => {
            order.push(`${address} ${name}`);
            open.push(() => resolve("known"));
          }),
        askedBy({ clientId: name }, peerAt(address, { forgeable }), applicant),
      )
      .then((asked) => (typeof asked === "object" ? asked.value : asked));
  /** Answers one question after the other until nobody asks any more. */
  const answerAll = async (): Promise<void> => {
    for (let round = 0; round < 100; round++) {
      open.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { ask, answerAll, order };
}

it("addresses take turns before a source, and of one address the names", async () => {
  const { ask, answerAll, order } = setup(100);
  const all = ["a", "a", "a", "b"].map((name) => ask("192.0.2.1", name));
  all.push(ask("192.0.2.2"), ask("192.0.2.3"));
  await answerAll();
  expect(new Set(await Promise.all(all))).toEqual(new Set(["known"]));
  expect(order).toEqual([
    "192.0.2.1 a",
    "192.0.2.1 a",
    "192.0.2.2 n",
    "192.0.2.3 n",
    "192.0.2.1 b",
    "192.0.2.1 a",
  ]);
});

it("a full line gives a place to who has fewer in it, and none to who has most", async () => {
  const { ask, answerAll } = setup(3);
  const flood = Array.from({ length: 6 }, (_, each) => ask("192.0.2.1", `${each}`));
  const innocent = ask("192.0.2.2");
  await answerAll();
  expect(await innocent).toBe("known");
  expect((await Promise.all(flood)).filter((outcome) => outcome === "busy")).toHaveLength(3);
});

it("all whose addresses may be forged have one turn together", async () => {
  const { ask, answerAll, order } = setup(100);
  const forged = Array.from({ length: 10 }, (_, each) => ask(`192.0.2.${each}`, "n", true));
  const innocent = ask("203.0.113.1");
  await answerAll();
  await Promise.all([...forged, innocent]);
  expect(order.indexOf("203.0.113.1 n")).toBeLessThanOrEqual(2);
});

it("who has gone is not asked about, and who has waited for too long is told so", async () => {
  const { ask, answerAll, order } = setup(100, 50 as never);
  const gone = { closed: false };
  const first = ask("192.0.2.1");
  const second = ask("192.0.2.2", "gone", false, gone);
  gone.closed = true;
  await answerAll();
  expect(await Promise.all([first, second])).toEqual(["known", "gone"]);
  const stuck = ask("192.0.2.3");
  const late = ask("192.0.2.4");
  expect(await Promise.all([stuck, late])).toEqual(["away", "busy"]);
  expect(order).toEqual(["192.0.2.1 n", "192.0.2.3 n"]);
});
