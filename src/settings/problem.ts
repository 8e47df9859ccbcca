import { type Path, showPath } from "./path.ts";

/** One thing that is wrong with a configuration. */
export interface ConfigProblem {
  /** Dotted: `gateways.mqtt.listeners.tcp.port`; empty for the file as a whole. */
  readonly key: string;
  /** The same, as keys and list positions. */
  readonly path: Path;
  /** `isthmus.yaml:12`, `environment variable ISTHMUS_…`, `--set …`; absent when it stands nowhere. */
  readonly where?: string | undefined;
  /** The value as found, shortened; `(hidden)` for secrets; absent for missing and unknown keys. */
  readonly value?: string | undefined;
  /** What is allowed, in words. */
  readonly allowed?: string | undefined;
  /** The known key that was probably meant. */
  readonly nearest?: string | undefined;
  /** One line for an operator, `where` included. */
  readonly message: string;
}

/** Says where a path comes from. */
export interface Locate {
  (path: Path): string | undefined;
  /** Where a path stood in what was given, once members of lists were left out of it. */
  readonly original?: (path: Path) => Path;
}

interface Finding {
  readonly path: Path;
  /** What is wrong, without the key: `is not a known key`, `is "x"`. */
  readonly says: string;
  readonly value?: string;
  readonly allowed?: string | undefined;
  readonly nearest?: string | undefined;
}

export function problem(locate: Locate, finding: Finding): ConfigProblem {
  const { says, value, allowed, nearest } = finding;
  const path = locate.original?.(finding.path) ?? finding.path;
  const where = locate(path);
  const key = showPath(path);
  const start = where === undefined ? "" : `${where}: `;
  const subject = key === "" ? "the configuration" : key;
  const meant = nearest === undefined ? "" : `; did you mean "${nearest}"?`;
  const may = allowed === undefined || nearest !== undefined ? "" : `; allowed: ${allowed}`;
  return { key, path, where, value, allowed, nearest, message: `${start}${subject} ${says}${meant}${may}` };
}

/** A configuration that cannot be used; the message has one line for each problem. */
export class ConfigError extends Error {
  override name = "ConfigError";
  /** Stable code of the operator error table. */
  readonly code = "bad-configuration";
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map((each) => each.message).join("\n"));
    this.problems = problems;
  }
}
