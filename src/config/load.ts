import type { Path } from "../settings/path.ts";
import { ConfigError, type ConfigProblem, type Locate } from "../settings/problem.ts";
import { readYaml, type YamlSource } from "../settings/source.ts";
import { checkMeaning } from "./check.ts";
import { type ConfigSources, readConfigFile } from "./file.ts";
import { environmentOverrides, flagOverride, OverriddenValues } from "./overrides.ts";
import { buildSchema, type Config, type ConfigurableModule } from "./schema.ts";
import { soundPart } from "./sound-part.ts";

export interface LoadedConfig {
  readonly config: Config;
  /** The file that was read, if any. */
  readonly file: string | undefined;
  /** Where a value comes from. */
  readonly locate: Locate;
  /** What an operator should know: open doors, rules without effect. */
  readonly warnings: readonly string[];
  /** Where a value was set: a flag, an environment variable, a line of the file; undefined where it was not. */
  originOf(path: Path): string | undefined;
}

/** Reads, merges and checks the configuration. Throws `ConfigError`, which names every problem that it found. */
export function loadConfig(sources: ConfigSources, file = readConfigFile(sources)): LoadedConfig {
  return assemble(sources, file.yaml, file.name);
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
  const warnings = [...values.warnings, ...(checked?.warnings ?? [])];
  const originOf = (path: Path): string | undefined => {
    const line = yaml.lineOf(path);
    return values.originOf(path) ?? (line === undefined ? undefined : `${file}:${line}`);
  };
  return { config: sound.config, file, locate: sound.locate, warnings, originOf };
}

function failOn(problems: readonly ConfigProblem[]): void {
  if (problems.length > 0) throw new ConfigError(problems);
}
