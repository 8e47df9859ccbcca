#!/usr/bin/env node
import { compose } from "./compose.ts";
import { loadConfig } from "./config/load.ts";
import { MODULES } from "./modules.ts";
import { openLog } from "./observe/log.ts";

const set = process.argv.flatMap((argument, index, all) =>
  argument === "--set" ? [all[index + 1] ?? ""] : [],
);
const { config } = loadConfig({ modules: MODULES, environment: process.env, set });
const running = compose(config, MODULES, openLog(config.log));
await running.open();
for (const { gateway, name, listening } of running.lifecycle.listeners) {
  console.log(`${gateway} ${name} ${listening.transport} ${listening.address}:${listening.port}`);
}
process.on("SIGTERM", () => void running.stop().then(() => process.exit(0)));
process.on("SIGINT", () => void running.stop().then(() => process.exit(0)));
