import { defineConfig } from "vitest/config";
import base from "./vitest.config.ts";

/** The dashboard in a real browser, against the built program: `npm run test:dashboard`. */
const { projects: _, ...test } = base.test ?? {};

export default defineConfig({
  ...base,
  test: {
    ...test,
    include: ["test/dashboard/**/*.test.ts"],
    exclude: [],
    // They wait for much of their time: two cores are kept busy by three.
    maxWorkers: 3,
    // Tests wait for conditions: these end only what would never come, also where a machine has other things to do.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000, interval: 100 } },
  },
});
