import { defineConfig } from "vitest/config";
import base from "./vitest.config.ts";

/** Real clusters of other people's servers: `npm run test:clusters`. */
const { projects: _, ...test } = base.test ?? {};

export default defineConfig({
  ...base,
  test: {
    ...test,
    include: ["test/clusters/*.test.ts"],
    exclude: ["test/clusters/*.slow.test.ts"],
    maxWorkers: 1,
  },
});
