import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { topFunctions } from "../../bench/lib/profile.mjs";
import { replaceBlock } from "../../bench/lib/results.mjs";
import { interleave, median } from "../../bench/lib/statistics.mjs";

test("only the block between the marks of a README is replaced", () => {
  const text = "before\n<!-- bench:mqtt -->\nold\n<!-- /bench:mqtt -->\nafter";
  const changed = replaceBlock(text, "bench:mqtt", "new");
  expect(changed).toBe("before\n<!-- bench:mqtt -->\nnew\n<!-- /bench:mqtt -->\nafter");
  expect(replaceBlock(text, "bench:coap", "new")).toBeUndefined();
});

test("the median of an even number of values lies between the middle two", () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([Number.NaN, 5])).toBe(5);
});

test("passes are interleaved and begin with another peer each time", async () => {
  const order: string[] = [];
  const figures = await interleave([{ name: "a" }, { name: "b" }], 3, async (peer, pass) => {
    order.push(peer.name);
    return peer.name === "a" ? { rate: pass } : undefined;
  });
  expect(order.join("")).toBe("abbaab");
  expect([...figures]).toEqual([["a", { rate: 1 }]]);
});

test("a profile is cut to the measured time, and idle time is no part of the shares", () => {
  const call = (functionName: string) => ({ functionName, url: "", lineNumber: 0 });
  const profile = {
    startTime: 1000,
    nodes: [
      { id: 1, callFrame: call("(idle)") },
      { id: 2, callFrame: call("early") },
      { id: 3, callFrame: call("work") },
      { id: 4, callFrame: call("more") },
    ],
    samples: [2, 1, 3, 4, 3],
    // Each delta lies before its sample: early 1000-1100, idle 1100-1200, work 1200-1500, more 1500-1600.
    timeDeltas: [0, 100, 100, 300, 100],
  };
  const folder = mkdtempSync(join(tmpdir(), "isthmus-profile-test-"));
  writeFileSync(join(folder, "a.cpuprofile"), JSON.stringify(profile));
  const { busy, rows } = topFunctions(folder, { from: 1_100_000n });
  expect(busy).toBeCloseTo(0.8);
  expect(rows.map(({ name, share }) => [name, share])).toEqual([
    ["work", 0.75],
    ["more", 0.25],
  ]);
});
