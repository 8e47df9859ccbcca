import { afterEach, describe, expect, test } from "vitest";
import { Descriptor, sockaddrOf } from "#core/net/system/descriptor.ts";
import { systemCalls, type Watching } from "#core/net/system/system-calls.ts";

const calls = systemCalls();
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe.skipIf(calls instanceof Error)("a descriptor that is watched", () => {
  if (calls instanceof Error) return;
  const open: Descriptor[] = [];
  let watching: Watching | undefined;
  afterEach(() => {
    watching?.close();
    for (const descriptor of open.splice(0)) descriptor.close();
  });

  /** Something can be read from it. */
  function readable(): Descriptor {
    const descriptor = Descriptor.open(calls as Exclude<typeof calls, Error>, false);
    open.push(descriptor);
    descriptor.bind("127.0.0.1", 0, {});
    const own = sockaddrOf("127.0.0.1", descriptor.name().port);
    descriptor.calls.connect(descriptor.number, own, own.length);
    descriptor.calls.send(descriptor.number, Uint8Array.of(1), 1, 0);
    return descriptor;
  }

  test("is told of once in a turn of the event loop, and again in the next one while there is something", async () => {
    let told = 0;
    watching = calls.watch(readable().number, () => told++);
    while (told < 5) {
      const before = told;
      await turn();
      expect(told - before).toBeLessThanOrEqual(1);
    }
  });

  test("is told of once, though it is asked for again and there is something", async () => {
    const { number } = readable();
    let told = 0;
    watching = calls.watch(number, () => {
      told++;
      for (let asked = 0; asked < 3; asked++) watching?.again();
    });
    while (told < 5) {
      const before = told;
      await turn();
      expect(told - before).toBeLessThanOrEqual(1);
    }
  });

  test("is told of no more once it is closed, though that was put off already", async () => {
    let told = 0;
    const { number } = readable();
    await turn();
    // Both run behind the same look of the event loop at what is ready, this one first.
    setImmediate(() => watching?.close());
    watching = calls.watch(number, () => told++);
    for (let turns = 0; turns < 5; turns++) await turn();
    expect(told).toBe(0);
  });
});
