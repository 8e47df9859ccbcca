import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  resolve: { conditions: ["dev"] },
  ssr: { resolve: { conditions: ["dev"] } },
  test: {
    include: ["test/**/*.test.ts"],
    environment: "node",
    pool: "threads",
    testTimeout: 20_000,
    // A quiet run prints what failed and one closing line that any reader can count.
    reporters: ["default"],
  },
});
