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
    maxWorkers: 2,
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
