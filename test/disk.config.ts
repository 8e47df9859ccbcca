import { defineConfig } from "vitest/config";
import base from "./vitest.config.ts";

/** Real file systems that get full: it takes minutes, and root. */
const { projects: _, ...test } = base.test ?? {};

export default defineConfig({
  ...base,
  test: { ...test, include: ["test/disk/**/*.test.ts"], exclude: [], maxConcurrency: 2 },
});
