import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { type RunningGateway, runUntilStopped } from "#core/cli/signals.ts";
import { FOREVER, milliseconds } from "#core/lib/time.ts";

const gateway = (changes: Partial<RunningGateway>): RunningGateway => ({
  stop: () => Promise.resolve(),
  stopTimeout: milliseconds(1_000),
  ...changes,
});

test("a stop that takes longer than its time is ended by force", async () => {
  const signals = new EventEmitter();
  const lines: string[] = [];
  const hanging = gateway({ stop: () => new Promise(() => {}), stopTimeout: milliseconds(20) });
  const ended = runUntilStopped(hanging, signals, (line) => lines.push(line));
  signals.emit("SIGTERM", "SIGTERM");
  expect(await ended).toBe(3);
  expect(lines.at(-1)).toContain("not stopped in time");
});

test("a stop that fails says why and is not an orderly end", async () => {
  const signals = new EventEmitter();
  const lines: string[] = [];
  const failing = gateway({
    stop: () => Promise.reject(Object.assign(new Error("write"), { code: "ENOSPC" })),
  });
  const ended = runUntilStopped(failing, signals, (line) => lines.push(line));
  signals.emit("SIGTERM", "SIGTERM");
  expect(await ended).toBe(3);
  expect(lines.at(-1)).toContain("disk-full");
});

test("SIGHUP reloads where that is possible, and stops elsewhere", async () => {
  const signals = new EventEmitter();
  let reloads = 0;
  const reloading = runUntilStopped(gateway({ reload: () => reloads++ }), signals, () => {});
  signals.emit("SIGHUP", "SIGHUP");
  signals.emit("SIGHUP", "SIGHUP");
  expect(reloads).toBe(2);
  signals.emit("SIGTERM", "SIGTERM");
  expect(await reloading).toBe(0);
  const plain = runUntilStopped(gateway({}), signals, () => {});
  signals.emit("SIGHUP", "SIGHUP");
  expect(await plain).toBe(0);
});

test("a failure while running is one line, stops the rest in order, exit code 1", async () => {
  let stopped = false;
  const lines: string[] = [];
  const failed = Promise.resolve(Object.assign(new Error("write: no space left"), { code: "ENOSPC" }));
  const stop = async () => {
    stopped = true;
  };
  expect(
    await runUntilStopped(gateway({ failed, stop }), new EventEmitter(), (line) => lines.push(line)),
  ).toBe(1);
  expect(stopped).toBe(true);
  expect(lines).toEqual([expect.stringMatching(/^disk-full: .*free some space/)]);
});

test("a stop that may take for ever is not cut short", async () => {
  const signals = new EventEmitter();
  const slow = gateway({
    stop: () => new Promise((resolve) => setTimeout(resolve, 20)),
    stopTimeout: FOREVER,
  });
  const ended = runUntilStopped(slow, signals, () => {});
  signals.emit("SIGTERM", "SIGTERM");
  expect(await ended).toBe(0);
});
