/** The storm of reconnects after a loss, at the limits of the default configuration (src/upstream/ten-million-devices.md). */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { run, STORM } from "./reconnect-storm.ts";
import { outcomeOf, ROWS, row } from "./rows.ts";

describe("the storm of reconnects", () => {
  it.each(ROWS)("%s: everybody is back, and no gateway begins more than it may", (_what, change) => {
    const storm = { ...STORM, ...change };
    const outcome = outcomeOf(change);
    expect(Number.isFinite(outcome.all)).toBe(true);
    // A tenth of a second's worth may begin at once (connect-budget.ts).
    expect(outcome.peak).toBeLessThanOrEqual(storm.gateways * storm.budget.rate * 1.1 + storm.gateways);
  });

  it("has the numbers that the page tells", () => {
    const page = readFileSync(
      new URL("../../../src/upstream/ten-million-devices.md", import.meta.url),
      "utf8",
    );
    for (const [what, change] of ROWS) expect(page).toContain(row(what, outcomeOf(change)));
  });

  it("does not grow with the number of gateways and servers, as long as both grow", () => {
    const small = run({ ...STORM, gateways: 2, servers: 2, sessionsOfGateway: 4_000 });
    const large = run({ ...STORM, gateways: 6, servers: 6, sessionsOfGateway: 4_000 });
    expect(large.all / small.all).toBeLessThan(1.5);
  });

  it("is as long as the sessions of a gateway at its connect rate, where servers are not what is slow", () => {
    const { all } = run({ ...STORM, serverRate: 100_000, sessionsOfGateway: 20_000, gateways: 1 });
    expect(all).toBeGreaterThan(19);
    expect(all).toBeLessThan(25);
  });
});
