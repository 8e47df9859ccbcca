import { expect, test } from "vitest";
import { SessionCensus } from "#core/operate/session-counts.ts";

const session = (durable: boolean, queued: number, ...filters: readonly string[]) => ({
  durable,
  queued,
  subscriptions: new Map(filters.map((filter) => [filter, {}])),
});
const isShared = (filter: string): boolean => filter.startsWith("$share/");

/** Each takes a moment to look at, so that many are more than a slice. */
function* slow(count: number): Generator<ReturnType<typeof session>> {
  for (let number = 0; number < count; number++) {
    for (const end = performance.now() + 1; performance.now() < end; );
    yield session(true, 1, "a");
  }
}

test("counts what sessions are and have", async () => {
  const census = new SessionCensus(
    () => [session(true, 2, "a", "$share/g/a"), session(false, 0), session(true, 3, "b/#")],
    isShared,
  );
  const expected = { persistent: 2, subscribers: 2, subscriptions: 3, shared: 1, queued: 5 };
  expect(await census.count()).toEqual(expected);
  expect(census.counts).toEqual(expected);
});

test("of few the counts are there at once: whoever publishes them waits for nothing", () => {
  const census = new SessionCensus(() => [session(true, 2, "a")], isShared);
  void census.count();
  expect(census.counts.queued).toBe(2);
});

test("lets others have their turn while it counts many, and has the former counts meanwhile", async () => {
  const census = new SessionCensus(() => slow(200), isShared);
  const counting = census.count();
  let turns = 0;
  const other = setInterval(() => {
    turns++;
    expect(census.counts.queued).toBe(0);
  }, 0);
  expect((await counting).queued).toBe(200);
  clearInterval(other);
  expect(turns).toBeGreaterThan(1);
});

test("who asks while it counts is told the same, and who asks later has it counted anew", async () => {
  let walks = 0;
  const census = new SessionCensus(() => {
    walks++;
    return slow(100);
  }, isShared);
  const [one, other] = await Promise.all([census.count(), census.count()]);
  expect([one === other, walks]).toEqual([true, 1]);
  await census.count();
  expect(walks).toBe(2);
});
