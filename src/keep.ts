import type { Config } from "./config/schema.ts";
import { storeFolder } from "./data-files.ts";
import { inSeconds } from "./lib/time.ts";
import { systemClock } from "./net/clock.ts";
import type { Log } from "./observe/log.ts";
import type { AnyGatewayModule } from "./plans.ts";
import type { MoveMemo } from "./store/clock-moves.ts";
import { type OpenedStore, openStore } from "./store/open.ts";
import type { Worker } from "./workers/worker.ts";

/** Opens the store, if the configuration wants one. What was acknowledged before is in it. */
export async function keep(
  config: Config,
  modules: readonly AnyGatewayModule[],
  log: Log,
  worker: Worker | undefined,
): Promise<OpenedStore | undefined> {
  const { engine, ...options } = config.store;
  if (engine === "memory") return undefined;
  const moveMemo: MoveMemo = (gateway, memo, by) =>
    modules.find(({ name }) => name === gateway)?.moved?.(memo, by) ?? memo;
  const clock = { now: systemClock.now(), moveMemo };
  return openStore(
    { ...options, engine, folder: storeFolder(config, worker?.number), clock },
    {
      failure(failure) {
        if (failure === undefined) log.warn("store-works-again", {});
        else log.error("store-failed", { error: failure });
      },
      damaged: ({ table, problem }) => log.error("record-unreadable", { table, problem }),
      moved: (by) => log.warn("clock-was-set", { seconds: inSeconds(by) }),
      note: (sentence) => log.warn("data-folder-rights", {}, sentence),
    },
  );
}
