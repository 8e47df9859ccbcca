/** Where a node of this machine keeps what it keeps: this one key, without reading all the others. */
import { type ConfigFile, type ConfigSources, readConfigFile } from "./file.ts";
import { environmentOverrides, flagOverride, type Override, plain } from "./overrides.ts";

export const DATA_FOLDER = "./data";

const isIt = ({ steps }: Override): boolean => steps.length === 1 && plain(steps[0] ?? "") === "datafolder";

/** As `loadConfig` would find it. A file that is wrong elsewhere is no matter; one that is missing throws `ConfigError`. */
export function dataFolderOf(sources: Omit<ConfigSources, "modules">, file?: ConfigFile): string {
  const overrides = [
    ...environmentOverrides(sources.environment ?? {}),
    ...(sources.set ?? []).map((flag) => flagOverride(flag)),
  ];
  const given = overrides.findLast(isIt)?.value;
  if (given !== undefined && given !== "") return given;
  const { dataFolder } = (file ?? readConfigFile(sources)).yaml.values;
  return typeof dataFolder === "string" && dataFolder !== "" ? dataFolder : DATA_FOLDER;
}
