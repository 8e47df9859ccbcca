import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { ClosingLine } from "./support/closing-line.ts";

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  resolve: { conditions: ["dev"] },
  ssr: { resolve: { conditions: ["dev"] } },
  test: {
    include: ["test/**/*.test.ts"],
    // Real file systems that get full: `npm run test:disk`.
    exclude: ["test/disk/**"],
    environment: "node",
    globalSetup: "test/support/install-programs.ts",
    pool: "threads",
    // Files of one worker share their modules, which hold no state of a test: importing them anew took most of the time.
    isolate: false,
    testTimeout: 20_000,
    reporters: [["default", { summary: false }], new ClosingLine()],
  },
});
