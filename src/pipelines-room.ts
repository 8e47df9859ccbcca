/** Pipelines of a running process: made from the configuration as hooks behind its modules, and made anew at a reload. */
import { Marks } from "./bus/via.ts";
import type { Config } from "./config/schema.ts";
import { secretOf } from "./connect/connector.ts";
import type { Core } from "./door/core.ts";
import { HooksOfAll } from "./hooks/hooks.ts";
import { type HooksHost, Plugged, type PluggedSettings } from "./hooks/plugged.ts";
import { seconds } from "./lib/time.ts";
import type { Metrics } from "./observe/metrics.ts";
import { hookOf } from "./pipelines/hook.ts";
import { KINDS } from "./pipelines/kinds.ts";
import { Pipeline, PipelineError, type PipelineHost, type PipelineSettings } from "./pipelines/pipeline.ts";
import { eventIds } from "./rules/ids.ts";
import { readNamedFile } from "./settings/installation.ts";
import { ConfigError, type ConfigProblem, problem } from "./settings/problem.ts";

export interface PipelinesRoomParts {
  readonly core: Core;
  readonly metrics: Metrics;
  readonly sink: PipelineHost["sink"];
  /** Modules of one's own, which are asked before. */
  readonly modules: readonly Plugged[];
  readonly host: HooksHost;
}

interface Running {
  readonly settings: PipelineSettings;
  readonly plugged: Plugged;
}

/** What a filter came to. */
export interface FilterRow {
  readonly name: string;
  readonly kind: string;
  readonly passed: number;
  /** By what else it may end with. */
  readonly results: Readonly<Record<string, number>>;
}

export interface PipelineRow {
  readonly name: string;
  readonly enable: boolean;
  readonly description: string;
  readonly packetType: PipelineSettings["packetType"];
  readonly gateways?: readonly string[] | undefined;
  readonly brokerMode: boolean;
  readonly filters: readonly FilterRow[];
}

const secret = (value: string): string =>
  secretOf(value, {
    readFile: readNamedFile,
    environment: (name) => process.env[name],
  });

type Configured = Pick<Config, "pipelines" | "connectors">;

const kindsIn =
  ({ connectors }: Configured): PipelineHost["kindOf"] =>
  (name) =>
    Object.hasOwn(connectors, name) ? connectors[name]!.kind : undefined;

/** Opens all on trial, with what lies in files. */
export function tryPipelines(config: Configured): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const host = {
    ...{ now: () => 0 as never, newId: () => "", mark: () => "", count: () => {}, sink: () => undefined },
    ...{ secret, kindOf: kindsIn(config) },
  };
  for (const [name, settings] of Object.entries(config.pipelines))
    opened(name, settings, host, (found) => problems.push(found));
  return problems;
}

function opened(
  name: string,
  settings: PipelineSettings,
  host: PipelineHost,
  report: (problem: ConfigProblem) => void,
): Pipeline | undefined {
  try {
    return new Pipeline(name, settings, host);
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    report(problem(() => undefined, { path: ["pipelines", name, ...error.at], says: error.message }));
    return undefined;
  }
}

export class PipelinesRoom {
  readonly hooks: HooksOfAll;
  readonly #parts: PipelinesRoomParts;
  readonly #counter: ReturnType<Metrics["family"]>;
  readonly #newId: () => string;
  readonly #marks: Marks;
  #running: ReadonlyMap<string, Running> = new Map();
  #config: Configured = { pipelines: {}, connectors: {} };

  /** Throws `ConfigError`. */
  constructor(config: Configured, parts: PipelinesRoomParts) {
    this.#parts = parts;
    const { core, metrics, modules, host } = parts;
    const help = "What filters of pipelines came to";
    this.#counter = metrics.family("pipeline_filters", help, ["pipeline", "filter", "result"]);
    this.#newId = eventIds(() => core.now, core.random);
    this.#marks = new Marks(core.random);
    this.hooks = new HooksOfAll(modules, host.room);
    this.prepare(config)();
  }

  readonly try = tryPipelines;

  /** Opens what is new. What has not changed goes on as it is, with what its limits remember. Throws `ConfigError`. */
  prepare(config: Configured): () => void {
    const problems: ConfigProblem[] = [];
    const running = new Map<string, Running>();
    const host = this.hostFor(config, (pipeline, filter, result) => {
      this.#counter({ pipeline, filter, result }).value++;
    });
    for (const [name, settings] of Object.entries(config.pipelines)) {
      const former = this.#running.get(name);
      if (former !== undefined && JSON.stringify(former.settings) === JSON.stringify(settings)) {
        running.set(name, former);
        continue;
      }
      const pipeline = opened(name, settings, host, (found) => problems.push(found));
      if (pipeline !== undefined) running.set(name, { settings, plugged: this.#plugged(pipeline) });
    }
    if (problems.length > 0) throw new ConfigError(problems);
    return () => {
      this.#running = running;
      this.#config = config;
      const own = Array.from(running.values()).filter(({ settings }) => settings.enable);
      this.hooks.update([...this.#parts.modules, ...own.map(({ plugged }) => plugged)]);
    };
  }

  /** What a pipeline needs, also one that is tried. */
  hostFor(config: Configured, count: PipelineHost["count"], sink = this.#parts.sink): PipelineHost {
    const { core } = this.#parts;
    const mark = (pipeline: string): string => this.#marks.of(pipeline);
    return { now: () => core.now, newId: this.#newId, mark, kindOf: kindsIn(config), sink, secret, count };
  }

  #plugged(pipeline: Pipeline): Plugged {
    const { name, settings } = pipeline;
    const asHook: PluggedSettings = {
      name: `pipeline:${name}`,
      gateways: settings.gateways,
      onError: "refuse",
      // It answers at once.
      timeLimit: seconds(1),
    };
    return new Plugged(hookOf(pipeline), asHook, this.#parts.host);
  }

  get configured(): Configured {
    return this.#config;
  }

  rows(): readonly PipelineRow[] {
    return Array.from(this.#running, ([name, { settings }]) => ({
      name,
      ...{ enable: settings.enable, description: settings.description, packetType: settings.packetType },
      ...(settings.gateways === undefined ? {} : { gateways: settings.gateways }),
      brokerMode: settings.brokerMode,
      filters: settings.filters.map((filter) => this.#filterRow(name, filter)),
    }));
  }

  #filterRow(pipeline: string, { name: filter, kind }: PipelineSettings["filters"][number]): FilterRow {
    const count = (result: string): number => this.#counter({ pipeline, filter, result }).value;
    const results = KINDS[kind]!.results.map((result) => [result, count(result)] as const);
    return { name: filter, kind, passed: count("passed"), results: Object.fromEntries(results) };
  }
}
