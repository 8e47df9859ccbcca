import { defineConfig } from "vitest/config";
import base from "./vitest.config.ts";

/** The walks of all gateways with their sessions at a broker, our own; what is left out and why: `before-a-broker.ts`. */
const { projects: _, ...test } = base.test ?? {};

export default defineConfig({
  ...base,
  test: {
    ...test,
    include: ["test/walks/**/*.test.ts"],
    env: { ISTHMUS_TEST_ENGINE: "upstream" },
  },
});
