import { defineConfig } from "vitest/config";
import { filesOf } from "./support/sets.ts";
import base from "./vitest.config.ts";

/** Connectors, backends and sources of identities with other people's servers: `npm run test:servers`. */
const { projects: _, ...test } = base.test ?? {};

export default defineConfig({ ...base, test: { ...test, include: filesOf("servers"), exclude: [] } });
