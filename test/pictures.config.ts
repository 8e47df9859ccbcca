import { defineConfig } from "vitest/config";
import dashboard from "./dashboard.config.ts";

/** The pictures of README and guide, made anew: `npm run pictures`. */
export default defineConfig({
  ...dashboard,
  test: {
    ...dashboard.test,
    include: ["test/dashboard/guide.pictures.ts"],
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
