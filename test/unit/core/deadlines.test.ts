import { describe, expect, it } from "vitest";
import { Deadlines } from "#core/drive/deadlines.ts";
import { CallbackAlarm } from "#core/lib/alarm.ts";
import { type Instant, NEVER } from "#core/lib/time.ts";
import { mulberry32 } from "../../support/random.ts";

const at = (time: number): Instant => time as Instant;

describe("the timer wheel", () => {
  it("fires at the deadline and not before, whatever the distance", () => {
    for (const distance of [0, 1, 31, 32, 33, 1023, 1024, 40_000, 3_600_000, 86_400_000, 400 * 86_400_000]) {
      const start = 1_700_000_000_123;
      const wheel = new Deadlines(at(start));
      const fired: number[] = [];
      wheel.arm(new CallbackAlarm((now) => fired.push(now)), at(start + distance));
      expect(wheel.next()).toBe(start + distance);
      wheel.advance(at(start + distance - 1));
      expect(fired, `${distance}`).toEqual([]);
      wheel.advance(at(start + distance));
      expect(fired, `${distance}`).toEqual([start + distance]);
      expect(wheel.next()).toBe(NEVER);
    }
  });

  it("agrees with a sorted list over thousands of random arms, moves and disarms", () => {
    const random = mulberry32(7);
    for (let round = 0; round < 20; round++) {
      let now = Math.floor(random() * 2 ** 41);
      const wheel = new Deadlines(at(now));
      const expected = new Map<number, number>();
      const alarms = Array.from({ length: 200 }, (_, id) => {
        const alarm = new CallbackAlarm(() => {
          expect(expected.get(id)).toBeLessThanOrEqual(now);
          expected.delete(id);
        });
        return alarm;
      });
      for (let step = 0; step < 400; step++) {
        const id = Math.floor(random() * alarms.length);
        if (random() < 0.2) {
          wheel.disarm(alarms[id]!);
          expected.delete(id);
        } else {
          const due = now + Math.floor(random() ** 6 * 10 ** (1 + Math.floor(random() * 9)));
          wheel.arm(alarms[id]!, at(due));
          expected.set(id, due);
        }
        expect(wheel.armed).toBe(expected.size);
        expect(wheel.next()).toBe(expected.size === 0 ? NEVER : Math.min(...expected.values()));
        if (random() < 0.3) {
          now += Math.floor(random() ** 4 * 10_000_000);
          wheel.advance(at(now));
          for (const [, due] of expected) expect(due).toBeGreaterThan(now);
        }
      }
    }
  });

  it("fires alarms of one millisecond in the order in which they were set", () => {
    const wheel = new Deadlines(at(1000));
    const fired: string[] = [];
    for (const name of ["a", "b", "c"]) wheel.arm(new CallbackAlarm(() => fired.push(name)), at(1500));
    wheel.advance(at(2000));
    expect(fired).toEqual(["a", "b", "c"]);
  });

  it("does not fire an alarm that an earlier one of the same moment disarmed or moved", () => {
    const wheel = new Deadlines(at(1000));
    const fired: string[] = [];
    const second = new CallbackAlarm(() => fired.push("second"));
    const third = new CallbackAlarm(() => fired.push("third"));
    wheel.arm(
      new CallbackAlarm(() => {
        wheel.disarm(second);
        wheel.arm(third, at(3000));
      }),
      at(1500),
    );
    wheel.arm(second, at(1500));
    wheel.arm(third, at(1500));
    wheel.advance(at(2000));
    expect(fired).toEqual([]);
    wheel.advance(at(3000));
    expect(fired).toEqual(["third"]);
  });

  it("lets an alarm that arms itself for now wait for the next call instead of looping for ever", () => {
    const wheel = new Deadlines(at(1000));
    let count = 0;
    const again = new CallbackAlarm((now) => {
      count++;
      wheel.arm(again, now);
    });
    wheel.arm(again, at(1000));
    wheel.advance(at(1000));
    expect(count).toBe(1);
    wheel.advance(at(1000));
    expect(count).toBe(2);
  });

  it("goes on where it was stopped, in order, and is due until then", () => {
    const wheel = new Deadlines(at(1000));
    const fired: string[] = [];
    for (const [name, due] of [
      ["a", 1500],
      ["b", 1500],
      ["c", 1501],
      ["d", 1800],
    ] as const)
      wheel.arm(new CallbackAlarm(() => fired.push(name)), at(due));
    wheel.advance(at(2000), () => false);
    expect(fired).toEqual(["a", "b"]);
    expect(wheel.next()).toBe(1501);
    wheel.arm(new CallbackAlarm(() => fired.push("between")), at(1600));
    let more = 2;
    wheel.advance(at(2000), () => --more > 0);
    expect(fired).toEqual(["a", "b", "c", "between"]);
    wheel.advance(at(2000));
    expect(fired).toEqual(["a", "b", "c", "between", "d"]);
    expect(wheel.next()).toBe(NEVER);
  });
});
