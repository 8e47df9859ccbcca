import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { Deadline } from "#core/connect/deadline.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

test("the time for a sink is up also when garbage was collected meanwhile", async () => {
  const stop = new AbortController();
  const waiting = Array.from({ length: 20 }, () => aborted(new Deadline(50, stop.signal).signal));
  collect();
  await new Promise((resolve) => setTimeout(resolve, 10));
  collect();
  await Promise.all(waiting);
});

test("who is given up waits no longer, and is not late", async () => {
  const stop = new AbortController();
  const deadline = new Deadline(60_000, stop.signal);
  const waiting = aborted(deadline.signal);
  stop.abort();
  await waiting;
  expect([deadline.late, new Deadline(60_000, stop.signal).signal.aborted]).toEqual([false, true]);
});

test("what was done in time is not aborted later", async () => {
  const stop = new AbortController();
  const deadline = new Deadline(5, stop.signal);
  deadline.end();
  stop.abort();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([deadline.signal.aborted, deadline.late]).toEqual([false, false]);
});
