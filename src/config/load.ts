import { existsSync, readFileSync } from "node:fs";
import type { Path } from "../settings/path.ts";
import { ConfigError, type ConfigProblem } from "../settings/problem.ts";
import { readYaml, type YamlSource } from "../settings/source.ts";
import { checkMeaning } from "./check.ts";
import { environmentOverrides, FILE_VARIABLE, flagOverride, OverriddenValues } from "./overrides.ts";
import { buildSchema, type Config, type ConfigurableModule } from "./schema.ts";
import { soundPart } from "./sound-part.ts";

/** Read when neither `--config` nor `ISTHMUS_CONFIG` names a file, and only if it is there. */
export const DEFAULT_FILE = "isthmus.yaml";

/** Where the configuration comes from. Later sources win: file, environment, `--set`. */
export interface ConfigSources {
  readonly modules: readonly ConfigurableModule[];
  /** `--config`. */
  readonly file?: string | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Each `--set`, as `key.key=value`. */
  readonly set?: readonly string[];
}

export interface LoadedConfig {
  readonly config: Config;
  /** The file that was read, if any. */
  readonly file: string | undefined;
  /** What an operator should know: open doors, rules without effect. */
  readonly warnings: readonly string[];
}

const EMPTY: YamlSource = { values: {}, problems: [], lineOf: () => undefined };

function fileName(sources: ConfigSources): string | undefined {
  const named = sources.file ?? sources.environment?.[FILE_VARIABLE];
  if (named !== undefined && named !== "") return named;
  return existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined;
}

/** What the file says, before anything is laid over it. Throws `ConfigError` where it cannot be read. */
export const readSource = (sources: ConfigSources): YamlSource => readFile(fileName(sources));

function readFile(name: string | undefined): YamlSource {
  if (name === undefined) return EMPTY;
  try {
    return readYaml(readFileSync(name, "utf8"), name);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})`;
    const message = `${name}: ${why}; name another with --config or ${FILE_VARIABLE}`;
    throw new ConfigError([{ key: "", path: [], where: name, message }]);
  }
}

/** Reads, merges and checks the configuration. Throws `ConfigError`, which names every problem that it found. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const file = fileName(sources);
  const yaml = readFile(file);
  return assemble(sources, yaml, file);
}

/** As `loadConfig`, for a text instead of a file; neither environment nor default file are looked at. */
export function loadText(modules: readonly ConfigurableModule[], text: string, name = "text"): LoadedConfig {
  return assemble({ modules }, readYaml(text, name), name);
}

function assemble(sources: ConfigSources, yaml: YamlSource, file: string | undefined): LoadedConfig {
  failOn(yaml.problems);
  const schema = buildSchema(sources.modules);
  const values = new OverriddenValues(schema, yaml.values);
  for (const override of environmentOverrides(sources.environment ?? {})) values.apply(override);
  for (const flag of sources.set ?? []) values.apply(flagOverride(flag));

  const locate = (path: Path): string | undefined => {
    const origin = values.originOf(path);
    if (origin !== undefined) return origin;
    const line = yaml.lineOf(path);
    return line === undefined ? file : `${file}:${line}`;
  };
  const sound = soundPart(schema, values.values, locate);
  const checked =
    sound.config === undefined ? undefined : checkMeaning(sound.config, sources.modules, sound.locate);
  failOn([...values.problems, ...sound.problems, ...(checked?.problems ?? [])]);
  if (sound.config === undefined) throw new TypeError("a configuration without problems has values");
  return { config: sound.config, file, warnings: [...values.warnings, ...(checked?.warnings ?? [])] };
}

function failOn(problems: readonly ConfigProblem[]): void {
  if (problems.length > 0) throw new ConfigError(problems);
}
