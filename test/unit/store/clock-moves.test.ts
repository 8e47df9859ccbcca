import { describe, expect, it } from "vitest";
import { Message } from "#core/bus/message.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { after, type Duration, days, hours, type Instant, minutes, seconds } from "#core/lib/time.ts";
import { ALIVE, BEHIND } from "#core/session/durable-state.ts";
import { clockMove, followClock } from "#core/store/clock-moves.ts";
import { Life } from "../../support/durable-life.ts";
import { MemoryEngine } from "../../support/memory-engine.ts";

const NOW = Date.UTC(2026, 10, 30) as Instant;
/** A machine without a clock of its own, a minute after it was switched on. */
const UNSET = minutes(1) as number as Instant;
const MINUTE = minutes(1);

const text = ({ message }: Delivery): string => new TextDecoder().decode(message.payload);
const asItWas = (_: string, memo: unknown): unknown => memo;

const put = (engine: MemoryEngine, key: string, value: unknown): Promise<void> =>
  engine.commit([{ table: "meta", key, value: () => value }]);

/** A process whose clock begins at `start`, and the next one's, which begins at `next`. */
async function across(
  start: Instant,
  next: Instant,
  { behind }: { behind?: number } = {},
): Promise<{ life: Life; engine: MemoryEngine; moved: Duration }> {
  const engine = new MemoryEngine();
  const life = new Life(engine, start);
  const session = life.open("away", days(1));
  life.sessions.subscribe(session, "t/#", { qos: 1 });
  life.connect(session);
  const { now } = life;
  life.publish("kept/hour", "retained", { retain: true, expiry: hours(1) });
  life.publish("kept/ever", "retained", { retain: true });
  life.sessions.leave(session, "lost", life.now);
  life.publish("t/hour", "queued", { expiry: hours(1) });
  const late = new Message("t/late", new TextEncoder().encode("delayed"), 1, false, now);
  life.gate.delayed.add(late, after(now, minutes(30)));
  await life.commit();
  await put(engine, ALIVE, now);
  if (behind !== undefined) await put(engine, BEHIND, behind);
  const moved = await followClock(engine, next, asItWas);
  return { life: new Life(engine, next), engine, moved };
}

/** Everything is there, and has as long as it had. */
function expectWhole(life: Life): void {
  const { sessions, bus, gate } = life;
  expect(sessions.get("mqtt", "away")).toMatchObject({ queued: 1 });
  expect(bus.retainedMessages.count).toBe(2);
  expect(gate.delayed.waiting).toBe(1);
  life.advance((hours(1) / 2 - MINUTE) as Duration);
  expect(sessions.get("mqtt", "away")).toMatchObject({ queued: 1 });
  life.advance((2 * MINUTE) as Duration);
  expect(sessions.get("mqtt", "away")).toMatchObject({ queued: 2 });
  const got = life.connect(life.open("away", days(1)));
  expect(got.map(text)).toEqual(["queued", "delayed"]);
  const [queued] = got;
  expect(queued!.message.expiresAt - life.now).toBeGreaterThan(hours(1) / 2 - 3 * MINUTE);
  expect(queued!.message.expiresAt - life.now).toBeLessThanOrEqual(hours(1) / 2);
}

describe("what a process has kept by a wrong clock", () => {
  it("is there for the next one, where the date was never set before that", async () => {
    const { life, moved } = await across(UNSET, NOW);
    expect(moved).toBe(NOW - UNSET);
    expectWhole(life);
  });

  it("is there where the date was set while it ran", async () => {
    const behind = days(3);
    const { life, moved, engine } = await across(NOW, (NOW + days(3)) as Instant, { behind });
    expect(moved).toBe(behind);
    expect(new Map(engine.entries("meta")).get(BEHIND)).toBe(0);
    expectWhole(life);
  });

  it("ends in its time where the clock is set back, and not years later", async () => {
    const { life, moved } = await across(NOW, UNSET);
    expect(moved).toBe(UNSET - NOW);
    expectWhole(life);
    life.sessions.leave(life.sessions.get("mqtt", "away")!, "lost", life.now);
    life.advance(days(2));
    expect(life.sessions.count).toBe(0);
  });

  it("is over when its time is, where the clock was right", async () => {
    const { life, moved } = await across(NOW, (NOW + days(2)) as Instant);
    expect(moved).toBe(0);
    expect(life.sessions.count).toBe(0);
    expect(life.bus.retainedMessages.count).toBe(1);
  });

  it("is moved back to 1970, and again to the date that is noted then", async () => {
    const { engine } = await across(NOW, UNSET);
    await put(engine, BEHIND, NOW - UNSET);
    await followClock(engine, (NOW + seconds(5)) as Instant, asItWas);
    expectWhole(new Life(engine, NOW));
  });
});

describe("a clock that differs by little", () => {
  it.each([
    ["is no reason to move anything", 500, 0],
    ["and was slower than the next one's, neither", -500, 0],
  ])("%s", async (_, later, expected) => {
    const { moved } = await across(NOW, (NOW + later) as Instant);
    expect(moved).toBe(expected);
  });
});

describe("a store", () => {
  it("that no client was ever connected to says by itself how far the clock was behind", async () => {
    const engine = new MemoryEngine();
    expect(clockMove(engine, NOW)).toBe(0);
    await put(engine, BEHIND, days(1));
    expect(clockMove(engine, NOW)).toBe(days(1));
  });

  it("with a record that makes no sense is moved but for that", async () => {
    const engine = new MemoryEngine();
    await engine.commit([
      { table: "session", key: 1, value: () => null },
      { table: "queue", key: [1, 1], value: () => 7 },
      { table: "ban", key: "b", value: () => ({ clientId: "b", until: UNSET + hours(1) }) },
      { table: "ban", key: "c", value: () => ({ clientId: "c", until: Number.POSITIVE_INFINITY }) },
    ]);
    await put(engine, ALIVE, UNSET);
    await followClock(engine, NOW, asItWas);
    const bans = [...engine.entries("ban")].map(([, ban]) => (ban as { until: number }).until);
    expect(bans).toEqual([NOW + hours(1), Number.POSITIVE_INFINITY]);
    expect([...engine.entries("session")]).toEqual([[1, null]]);
  });
});
