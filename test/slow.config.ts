import { defineConfig } from "vitest/config";
import { filesOf } from "./support/sets.ts";
import base from "./vitest.config.ts";

/** The built gateway in real time: `npm run test:slow`. */
const { projects: _, ...test } = base.test ?? {};

export default defineConfig({ ...base, test: { ...test, include: filesOf("slow"), exclude: [] } });
