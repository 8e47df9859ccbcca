/** Which file the configuration is in, and what it says. */
import { existsSync, readFileSync } from "node:fs";
import { ConfigError } from "../settings/problem.ts";
import { readYaml, type YamlSource } from "../settings/source.ts";
import { FILE_VARIABLE } from "./overrides.ts";
import type { ConfigurableModule } from "./schema.ts";

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

/** The file of a configuration, read once. */
export interface ConfigFile {
  /** None is needed. */
  readonly name: string | undefined;
  readonly yaml: YamlSource;
}

const EMPTY: YamlSource = { values: {}, problems: [], lineOf: () => undefined };

function fileName(sources: Pick<ConfigSources, "file" | "environment">): string | undefined {
  const named = sources.file ?? sources.environment?.[FILE_VARIABLE];
  if (named !== undefined && named !== "") return named;
  return existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined;
}

function readFile(name: string | undefined): YamlSource {
  if (name === undefined) return EMPTY;
  try {
    return readYaml(textOf(readFileSync(name), name), name);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})`;
    throw refused(name, `${why}; name another with --config or ${FILE_VARIABLE}`);
  }
}

const refused = (name: string, why: string): ConfigError =>
  new ConfigError([{ key: "", path: [], where: name, message: `${name}: ${why}` }]);

/** Else an umlaut in a password would be another password, and nobody would know why it is refused. */
function textOf(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw refused(name, "it is not in UTF-8; save it in that encoding");
  }
}

/** What the file says, before anything is laid over it. Throws `ConfigError` where it cannot be read. */
export function readConfigFile(sources: Pick<ConfigSources, "file" | "environment">): ConfigFile {
  const name = fileName(sources);
  return { name, yaml: readFile(name) };
}
