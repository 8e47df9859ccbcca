import { defineConfig } from "vitest/config";
import base from "./vitest.config.ts";

/** Real file systems that get full: it takes minutes, and root. */
export default defineConfig({
  ...base,
  test: { ...base.test, include: ["test/disk/**/*.test.ts"], exclude: [] },
});
