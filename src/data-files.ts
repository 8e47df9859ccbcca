/** Where things lie below the data folder that are not the store's. */
import { join } from "node:path";
import type { Config } from "./config/schema.ts";

/** What the API keeps, below the data folder. */
export const apiFolder = ({ dataFolder }: Pick<Config, "dataFolder">): string => join(dataFolder, "api");
export const accountsPath = (config: Pick<Config, "dataFolder">): string =>
  join(apiFolder(config), "accounts.json");
/** The node's own key, for who may read the data folder: the command line on this machine. */
export const localKeyPath = (config: Pick<Config, "dataFolder">): string =>
  join(apiFolder(config), "local.json");
/** Of the store: each worker has one of its own, the first that of a gateway without workers. */
export const storeFolder = ({ dataFolder }: Pick<Config, "dataFolder">, worker = 1): string =>
  worker === 1 ? dataFolder : join(dataFolder, `worker-${worker}`);
/** What operators have changed of the configuration. */
export const overlayPath = (config: Pick<Config, "dataFolder">): string =>
  join(apiFolder(config), "configuration.json");
