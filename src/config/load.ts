import { type Path, valueAt } from "../settings/path.ts";
import { ConfigError, type ConfigProblem, type Locate } from "../settings/problem.ts";
import { readYaml, type YamlSource } from "../settings/source.ts";
import { layBackends } from "./backends.ts";
import { checkMeaning } from "./check.ts";
import { layEasegress } from "./easegress.ts";
import { type ConfigSources, readConfigFile } from "./file.ts";
import { OVERLAY_ORIGIN, type Overlay } from "./overlay.ts";
import { environmentOverrides, flagOverride, OverriddenValues } from "./overrides.ts";
import { buildSchema, type Config, type ConfigurableModule } from "./schema.ts";
import { soundPart } from "./sound-part.ts";
import { layWebhooks } from "./webhooks.ts";

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
  /** The line of the file on which something stands, whatever is laid over it; undefined where nothing does. */
  standsBeneath(path: Path): string | undefined;
}

/** Reads, merges and checks the configuration. Throws `ConfigError`, which names every problem that it found. */
export function loadConfig(sources: Sources, file = readConfigFile(sources)): LoadedConfig {
  return assemble(sources, file.yaml, file.name);
}

/** As `loadConfig`, for a text instead of a file; neither environment nor default file are looked at. */
export function loadText(
  modules: readonly ConfigurableModule[],
  text: string,
  name = "text",
  overlay?: LaidOver,
): LoadedConfig {
  return assemble({ modules, overlay }, readYaml(text, name), name);
}

/** What operators have changed, and the file that it lies in. */
export interface LaidOver {
  readonly file: string;
  readonly overlay: Overlay;
}

interface Sources extends ConfigSources {
  readonly overlay?: LaidOver | undefined;
}

function assemble(sources: Sources, yaml: YamlSource, file: string | undefined): LoadedConfig {
  failOn(yaml.problems);
  const schema = buildSchema(sources.modules);
  const values = new OverriddenValues(schema, yaml.values);
  const { overlay } = sources;
  for (const { path, value } of overlay?.overlay.values ?? [])
    values.lay(path, value, OVERLAY_ORIGIN, overlay!.file);
  for (const override of environmentOverrides(sources.environment ?? {})) values.apply(override);
  for (const flag of sources.set ?? []) values.apply(flagOverride(flag));

  const locate = (path: Path): string | undefined => {
    const where = values.whereIs(path);
    if (where !== undefined) return where;
    const line = yaml.lineOf(path);
    return line === undefined ? file : `${file}:${line}`;
  };
  layEasegress(values, locate);
  layBackends(values, locate);
  layWebhooks(values, locate);
  const sound = soundPart(schema, values.values, locate);
  const checked =
    sound.config === undefined ? undefined : checkMeaning(sound.config, sources.modules, sound.locate);
  const problems = [...values.problems, ...sound.problems, ...(checked?.problems ?? [])];
  if (problems.length > 0 && sound.config !== undefined)
    throw new UnsoundConfig(problems, { config: sound.config, locate: sound.locate });
  failOn(problems);
  if (sound.config === undefined) throw new TypeError("a configuration without problems has values");
  const warnings = [...values.warnings, ...(checked?.warnings ?? [])];
  const originOf = (path: Path): string | undefined => {
    const line = yaml.lineOf(path);
    return values.originOf(path) ?? (line === undefined ? undefined : `${file}:${line}`);
  };
  const standsBeneath = (path: Path): string | undefined =>
    valueAt(yaml.values, path) === undefined ? undefined : `${file}:${yaml.lineOf(path)}`;
  return { config: sound.config, file, locate: sound.locate, warnings, originOf, standsBeneath };
}

/** Of a configuration that cannot be used, what is right in it: its files can be looked at all the same. */
export class UnsoundConfig extends ConfigError {
  readonly sound: Pick<LoadedConfig, "config" | "locate">;

  constructor(problems: readonly ConfigProblem[], sound: Pick<LoadedConfig, "config" | "locate">) {
    super(problems);
    this.sound = sound;
  }
}

function failOn(problems: readonly ConfigProblem[]): void {
  if (problems.length > 0) throw new ConfigError(problems);
}
