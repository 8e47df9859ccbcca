import { expect, it } from "vitest";
import { Census } from "#core/operate/census.ts";
import { ClientHistories } from "#core/operate/client-histories.ts";
import type { ClientState } from "#core/operate/client-state.ts";
import type { ClientSummary } from "#core/operate/clients.ts";

/** Midnight, so that all steps begin with it. */
const START = Date.UTC(2027, 0, 4);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const PUMP = { gateway: "mqtt-sn", clientId: "pump-7" };

/** One client, looked at once a minute. */
function watched(max = 10) {
  const histories = new ClientHistories(max);
  let round = 0;
  return {
    histories,
    look(at: number, state: ClientState | undefined, heardAt?: number): void {
      round++;
      if (state !== undefined) histories.note({ ...PUMP, heardAt }, state, at, round);
    },
    points: (step: 60 | 900 | 3600, now: number, since = 0) => histories.of(PUMP, step, since, now)!,
  };
}

it("the last hour is kept by the minute, the last day by 15 minutes, the last week by the hour (D-054)", () => {
  const { look, points } = watched();
  const end = START + 8 * 24 * HOUR;
  for (let at = START; at <= end; at += MINUTE) look(at, at < end - 30 * MINUTE ? "asleep" : "overdue");
  expect(points(60, end).states).toEqual([...new Array(29).fill("asleep"), ...new Array(31).fill("overdue")]);
  expect(points(900, end).states).toEqual([...new Array(93).fill("asleep"), ...new Array(3).fill("overdue")]);
  expect(points(3_600, end).states).toEqual([
    ...new Array(166).fill("asleep"),
    ...new Array(2).fill("overdue"),
  ]);
  expect(points(900, end).from).toBe(end - 95 * 15 * MINUTE);
});

it("of several states in a point the one that tells most is kept: overdue before away, asleep and awake", () => {
  const { look, points } = watched();
  const states = ["awake", "asleep", "away", "overdue", "away", "asleep", "awake"] as const;
  const seen = states.map((state, minute) => {
    look(START + minute * MINUTE, state);
    return points(900, START + minute * MINUTE).states.at(-1);
  });
  expect(seen).toEqual(["awake", "asleep", "away", "overdue", "overdue", "overdue", "overdue"]);
  expect(points(60, START + 6 * MINUTE).states.slice(-7)).toEqual(states);
});

it("minutes in which something came from it are marked, however late it is looked at", () => {
  const { look, points } = watched();
  look(START, "asleep", START - 10);
  look(START + 3 * MINUTE, "asleep", START + MINUTE + 1);
  expect(points(60, START + 3 * MINUTE, START - MINUTE)).toEqual({
    from: START - MINUTE,
    states: [null, "asleep", "asleep", "asleep", "asleep"],
    heard: [true, false, true, false, false],
  });
});

it("time in which it was not here is a gap, and so is what was before, and what nobody has looked at since", () => {
  const { look, points } = watched();
  look(START, "awake");
  look(START + MINUTE, "awake");
  look(START + 2 * MINUTE, undefined);
  look(START + 3 * MINUTE, "awake");
  expect(points(60, START + 5 * MINUTE, START - MINUTE).states).toEqual([
    ...[null, "awake", "awake"],
    ...[null, "awake"],
    ...[null, null],
  ]);
});

it("a round of the census that takes minutes leaves no gap, but a process that stood still for longer does", () => {
  const { look, points } = watched();
  look(START, "asleep");
  look(START + 5 * MINUTE, "asleep");
  expect(points(60, START + 5 * MINUTE, START).states).toEqual(new Array(6).fill("asleep"));
  look(START + 16 * MINUTE, "asleep");
  expect(points(60, START + 16 * MINUTE, START + 5 * MINUTE).states).toEqual([
    "asleep",
    ...new Array(10).fill(null),
    "asleep",
  ]);
});

it("a ring that has gone round holds nothing old, and a clock that is set back writes nothing over", () => {
  const { look, points } = watched();
  look(START, "overdue");
  look(START + 90 * MINUTE, "awake");
  expect(points(60, START + 90 * MINUTE).states.filter((state) => state !== null)).toEqual(["awake"]);
  look(START + 30 * MINUTE, "overdue");
  expect(points(60, START + 90 * MINUTE).states.slice(-1)).toEqual(["awake"]);
  expect(points(60, START + 90 * MINUTE).states).not.toContain("overdue");
  expect(points(60, START + 9 * HOUR).states).toEqual(new Array(60).fill(null));
});

it("holds as many clients as it may: who has gone for ten minutes makes room, and who finds none is counted", () => {
  const histories = new ClientHistories(2);
  const note = (clientId: string, at: number) =>
    histories.note({ gateway: "mqtt", clientId, heardAt: undefined }, "awake", at, at / MINUTE);
  const kept = (at: number) =>
    ["a", "b", "c"].filter(
      (clientId) => histories.of({ gateway: "mqtt", clientId }, 60, 0, at) !== undefined,
    );
  note("a", START);
  note("b", START);
  note("c", START);
  expect([kept(START), histories.refused]).toEqual([["a", "b"], 1]);
  const later = START + 11 * MINUTE;
  note("b", later);
  note("c", later);
  expect([kept(later), histories.refused]).toEqual([["b", "c"], 1]);
  // Of whose place it is now, nothing of the one before.
  const states = histories.of({ gateway: "mqtt", clientId: "c" }, 60, 0, later)?.states ?? [];
  expect(states.filter((state) => state !== null)).toEqual(["awake"]);
});

it("takes nothing where no client is, less than 300 bytes a client, and nothing at all with api.histories 0", () => {
  const [histories, none] = [new ClientHistories(50_000), new ClientHistories(0)];
  expect(histories.bytes).toBe(0);
  for (let number = 0; number < 12_800; number++) {
    const client = { gateway: "mqtt-sn", clientId: `pump-${number}`, heardAt: START };
    for (const one of [histories, none]) one.note(client, "awake", START, 1);
  }
  expect(histories.bytes / 12_800).toBeLessThan(300);
  expect([none.bytes, none.refused]).toEqual([0, 0]);
  expect(none.of({ gateway: "mqtt-sn", clientId: "pump-1" }, 60, 0, START)).toBeUndefined();
});

it("the census tells of every client in each of its rounds, some in each step", () => {
  const all = Array.from({ length: 5_000 }, (_, index) => ({
    ...{
      number: index + 1,
      gateway: "mqtt",
      clientId: `c${index}`,
      presence: "connected",
      state: "connected",
    },
    ...{ dueAt: undefined, queued: 0, queuedBytes: 0 },
  })) as unknown as ClientSummary[];
  const told: string[] = [];
  const census = new Census(
    {
      page: (_filter, { after, limit }) => {
        const items = all.slice(after, after + limit);
        return { items, next: after + limit < all.length ? after + limit : undefined };
      },
    },
    { note: ({ clientId }, state, _now, round) => void told.push(`${round} ${clientId} ${state}`) },
  );
  for (let step = 0; step < 20; step++) census.step(START + step);
  expect(told).toHaveLength(10_000);
  expect([told[0], told.at(-1)]).toEqual(["0 c0 awake", "1 c4999 awake"]);
});
