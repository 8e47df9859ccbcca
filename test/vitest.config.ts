import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { ClosingLine } from "./support/closing-line.ts";
import { leftOut } from "./support/sets.ts";

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  resolve: { conditions: ["dev"] },
  ssr: { resolve: { conditions: ["dev"] } },
  test: {
    // What is slow runs by itself: `npm run test:servers`, `test:slow`, `test:disk`, `test:clusters`, `test:dashboard`.
    exclude: ["test/disk/**", "test/clusters/**", "test/dashboard/**", ...leftOut()],
    environment: "node",
    setupFiles: "test/support/nothing-left.ts",
    globalSetup: "test/support/install-programs.ts",
    pool: "threads",
    // Many tests wait for sockets and processes: a machine with two cores is kept busy by two workers, not one.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // Files of one worker share their modules, which hold no state of a test: importing them anew took most of the time.
    isolate: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: "isthmus", include: ["test/**/*.test.ts"] } },
      {
        extends: true,
        test: {
          // The same devices before an engine that is somewhere else (test/support/late-engine.ts).
          name: "late engine",
          include: [
            "test/walks/**/*.test.ts",
            "test/simulation/**/*.test.ts",
            "test/contract/channel.test.ts",
          ],
          // Without gateways.
          exclude: ["test/simulation/store/**", "test/simulation/upstream/**"],
          env: { ISTHMUS_TEST_ENGINE: "late" },
        },
      },
    ],
    reporters: [["default", { summary: false }], new ClosingLine()],
  },
});
