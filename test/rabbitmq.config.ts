import { defineConfig } from "vitest/config";
import base from "./clusters.config.ts";

/** Clusters that take long to start: `npm run test:rabbitmq`. */
export default defineConfig({
  ...base,
  test: { ...base.test, include: ["test/clusters/*.slow.test.ts"], exclude: [] },
});
