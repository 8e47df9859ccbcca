import { describe, expect, it } from "vitest";
import { FOREVER, type Instant, milliseconds, seconds, ZERO } from "#core/lib/time.ts";
import { TokenBucket } from "#core/policy/token-bucket.ts";

const at = (ms: number) => (1_000_000 + ms) as Instant;

describe("a token bucket", () => {
  it("gives a burst at once and then its rate", () => {
    const bucket = new TokenBucket(10, 5);
    for (let index = 0; index < 5; index++) expect(bucket.tryTake(1, at(0))).toBe(true);
    expect(bucket.tryTake(1, at(0))).toBe(false);
    expect(bucket.tryTake(1, at(99))).toBe(false);
    expect(bucket.tryTake(1, at(100))).toBe(true);
    expect(bucket.tryTake(1, at(100))).toBe(false);
  });

  it("goes into debt for what has already been read, and says how long to wait", () => {
    const bucket = new TokenBucket(1000, 1000);
    expect(bucket.take(1000, at(0))).toBe(ZERO);
    expect(bucket.take(500, at(0))).toBe(milliseconds(500));
    expect(bucket.take(500, at(0))).toBe(seconds(1));
    expect(bucket.take(0, at(1000))).toBe(ZERO);
  });

  it("lets through no more than burst and rate allow over any time", () => {
    const bucket = new TokenBucket(100, 20);
    let taken = 0;
    for (let ms = 0; ms <= 10_000; ms += 7) while (bucket.tryTake(1, at(ms))) taken++;
    expect(taken).toBeGreaterThanOrEqual(1015);
    expect(taken).toBeLessThanOrEqual(1020);
  });

  it("never keeps more than its burst", () => {
    const bucket = new TokenBucket(10, 10);
    expect(bucket.take(0, at(0))).toBe(ZERO);
    expect(bucket.take(20, at(3_600_000))).toBe(seconds(1));
  });

  it("grants an amount above its burst when it is full, so that nobody waits for ever", () => {
    const bucket = new TokenBucket(10, 10);
    expect(bucket.tryTake(50, at(0))).toBe(true);
    expect(bucket.tryTake(1, at(4_000))).toBe(false);
    expect(bucket.tryTake(1, at(4_100))).toBe(true);
  });

  it("knows no limit at an infinite rate and no grant at a rate of 0", () => {
    const open = new TokenBucket(Number.POSITIVE_INFINITY);
    expect(open.take(1e12, at(0))).toBe(ZERO);
    expect(open.tryTake(1e12, at(0))).toBe(true);
    const shut = new TokenBucket(0);
    expect(shut.tryTake(1, at(0))).toBe(false);
    expect(shut.take(1, at(0))).toBe(FOREVER);
  });

  it("is not confused by a clock that stands still or goes back", () => {
    const bucket = new TokenBucket(10, 1);
    expect(bucket.tryTake(1, at(1000))).toBe(true);
    expect(bucket.tryTake(1, at(0))).toBe(false);
    expect(bucket.until(1, at(0))).toBe(milliseconds(100));
    expect(bucket.tryTake(1, at(1100))).toBe(true);
  });
});
