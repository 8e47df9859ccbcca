/** What an alarm is raised for, and at which marks (operate sheet O-095 to O-097). */
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it, test, vi } from "vitest";
import { watermarks } from "#core/alarms.ts";
import { loadText } from "#core/config/load.ts";
import { MODULES } from "#core/modules.ts";
import { descriptors } from "#core/net/descriptors.ts";
import { newSessionCounters } from "#core/session/counters.ts";

afterEach(() => void vi.restoreAllMocks());

function watched(text = "") {
  const { config } = loadText(MODULES, text);
  const state = { healthy: true, open: true, late: 0 };
  const sessionCounters = newSessionCounters();
  const running = { config, sessionCounters, kept: {} as never, core: { healthy: () => state.healthy } };
  const delay = { count: 1, percentile: () => state.late, reset: () => {} };
  const marks = watermarks(running, () => state.open, delay);
  const measure = (name: string) => marks.find((mark) => mark.name === name)?.measure();
  return { state, sessionCounters, marks, measure };
}

/** Name, severity, high mark, low mark; in the manuals; of EMQX 5's list. */
const TABLE: readonly [
  name: string,
  severity: string,
  high: number,
  low: number,
  manuals: string,
  emqx5: string,
][] = [
  ["high-cpu", "warning", 0.85, 0.68, "CPU 80 % on, 60 % off", "high_cpu_usage"],
  ["high-memory", "warning", 0.9, 0.72, "system memory 70 %", "high_system_memory_usage"],
  ["high-heap", "warning", 0.85, 0.68, "large_heap, one process 5 %", "high_process_memory_usage"],
  ["event-loop-late", "warning", 250, 200, "long_schedule, long_gc", ""],
  ["queues-overflow", "warning", 10, 8, "busy_port", "conn_congestion"],
  ["disk-nearly-full", "critical", 0.95, 0.9, "", ""],
  ["certificate-expiring", "error", -21, -22, "", ""],
  ["store-failing", "critical", 1, 0, "", ""],
  ["listeners-closed", "critical", 1, 0, "", ""],
  ["file-descriptors-short", "critical", 1, 0, "", ""],
  ["clock-stepped", "warning", 1, 0, "", ""],
];

test("what is watched, with its marks as they are without a setting (O-095, O-096, O-097)", () => {
  const found = watched().marks.map(({ name, severity, high, low }) => [name, severity, high, low]);
  expect(found).toEqual(
    TABLE.map(([name, severity, high, low]) => [name, severity, expect.closeTo(high), expect.closeTo(low)]),
  );
});

test("the README lists exactly those, with their severities", () => {
  const readme = readFileSync("src/observe/README.md", "utf8");
  const rows = [...readme.matchAll(/^\| `([a-z-]+)` \| .* \| (warning|error|critical) \|$/gm)];
  expect(rows.map(([, name, severity]) => [name, severity])).toEqual(
    TABLE.map(([name, severity]) => [name, severity]),
  );
});

test("the marks are those of the configuration", () => {
  const { marks } = watched("alarms: { cpu: 0.5, eventLoopDelay: 100, diskFree: 0.2, certificates: 7 }");
  expect(marks.map(({ name, high, low }) => [name, high, low])).toEqual(
    expect.arrayContaining([
      ["high-cpu", 0.5, 0.4],
      ["event-loop-late", 100, 80],
      ["disk-nearly-full", 0.8, expect.closeTo(0.6)],
      ["certificate-expiring", -7, -8],
    ]),
  );
});

describe("a measure", () => {
  it.each(["high-cpu", "high-memory", "high-heap"])("of %s is a part of the whole", (name) => {
    const value = watched().measure(name);
    expect(value).toBeGreaterThanOrEqual(0);
    if (name !== "high-cpu") expect(value).toBeLessThanOrEqual(1);
  });

  it("of the event loop is in milliseconds", () => {
    const { state, measure } = watched();
    state.late = 300e6;
    // 20 ms between two looks are no delay.
    expect(measure("event-loop-late")).toBe(280);
  });

  it("of full queues is how many messages a second were dropped since it was looked at last", () => {
    let now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const { sessionCounters, measure } = watched();
    sessionCounters.droppedFull.value += 200;
    now += 10_000;
    expect(measure("queues-overflow")).toBe(20);
    now += 10_000;
    expect(measure("queues-overflow")).toBe(0);
  });

  it("of what holds or does not is 1 or 0: store, listeners, file descriptors, clock", () => {
    const { state, measure } = watched();
    const all = () =>
      ["store-failing", "listeners-closed", "file-descriptors-short", "clock-stepped"].map(measure);
    expect(all()).toEqual([0, 0, 0, 0]);
    state.healthy = false;
    state.open = false;
    vi.spyOn(descriptors, "short", "get").mockReturnValue(true);
    vi.spyOn(Date, "now").mockReturnValue(Date.now() + 5_000);
    expect(all()).toEqual([1, 1, 1, 1]);
  });

  it("of certificates is not to be had where there are none", () => {
    expect(watched().measure("certificate-expiring")).toBeUndefined();
  });
});
