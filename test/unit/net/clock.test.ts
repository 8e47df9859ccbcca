import { expect, test } from "vitest";
import { systemClock } from "#core/net/clock.ts";
import { Sweep } from "#core/net/sweep.ts";

test("the clock shows the time of day and never runs backwards", () => {
  expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1_000);
  let last = systemClock.now();
  for (let reading = 0; reading < 10_000; reading++) {
    const now = systemClock.now();
    expect(now >= last).toBe(true);
    last = now;
  }
});

test("a sweep ends what is due, and leaves what was taken out or has time", async () => {
  const sweep = new Sweep();
  const ended: string[] = [];
  const item = (name: string, length: number, done: () => void = () => {}) => ({
    expiresAt: performance.now() + length,
    expired: () => {
      ended.push(name);
      done();
    },
  });
  const [later, gone] = [item("later", 60_000), item("gone", 0)];
  sweep.add(later);
  sweep.add(gone);
  sweep.delete(gone);
  await new Promise<void>((resolve) => sweep.add(item("due", 0, resolve)));
  expect(ended).toEqual(["due"]);
  expect(sweep.size).toBe(1);
  sweep.delete(later);
});
