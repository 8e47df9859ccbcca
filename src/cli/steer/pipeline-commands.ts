/** `isthmus pipelines ...`. */
import type { Command } from "commander";
import { EXIT } from "../errors.ts";
import { collect } from "./client-commands.ts";
import { patchOf, yamlReader } from "./config-commands.ts";
import { addOrders, fieldOf, put, repeated } from "./rule-commands.ts";
import type { SteeringCommands } from "./steering.ts";
import { UsageError } from "./steering.ts";
import type { Column } from "./table.ts";

interface FilterRow {
  readonly name: string;
  readonly kind: string;
  readonly passed: number;
  readonly results: Readonly<Record<string, number>>;
}

interface PipelineRow {
  readonly name: string;
  readonly enable: boolean;
  readonly packetType: string;
  readonly gateways?: readonly string[];
  readonly filters: readonly FilterRow[];
}

const resultsOf = ({ results }: FilterRow): string =>
  Object.entries(results)
    .map(([result, count]) => `${result} ${count}`)
    .join(", ");

interface FilterLine {
  readonly pipeline: PipelineRow;
  readonly filter: FilterRow;
  /** The first of its pipeline. */
  readonly first: boolean;
}

/** A line a filter; what they have in common stands on the first. */
const columns: readonly Column<FilterLine>[] = [
  { title: "PIPELINE", cell: ({ pipeline, first }) => (first ? pipeline.name : ""), whole: true },
  { title: "RUNS", cell: ({ pipeline, first }) => (first ? pipeline.enable : "") },
  { title: "PACKETS", cell: ({ pipeline, first }) => (first ? pipeline.packetType : "") },
  {
    title: "GATEWAYS",
    cell: ({ pipeline, first }) => (first ? (pipeline.gateways ?? ["all"]).join(" ") : ""),
  },
  { title: "FILTER", cell: ({ filter }) => filter.name },
  { title: "KIND", cell: ({ filter }) => filter.kind },
  { title: "PASSED", cell: ({ filter }) => filter.passed, right: true },
  { title: "ENDED WITH", cell: ({ filter }) => resultsOf(filter) },
];

const linesOf = (pipeline: PipelineRow): readonly FilterLine[] =>
  pipeline.filters.map((filter, place) => ({ pipeline, filter, first: place === 0 }));

interface Tested {
  readonly outcome: string;
  readonly refusal?: string;
  readonly reason?: string;
  readonly delivered: boolean;
  readonly filters: readonly { readonly filter: string; readonly result: string }[];
  readonly keys: Readonly<Record<string, unknown>>;
  readonly sends: readonly { readonly connector: string; readonly parameters: unknown }[];
}

function shown({ outcome, refusal, reason, delivered, filters, keys, sends }: Tested): string {
  const lines = [
    ...filters.map(({ filter, result }) => `filter  ${filter}: ${result}`),
    ...Object.entries(keys).map(([key, value]) => `key     ${key} = ${JSON.stringify(value)}`),
    ...sends.map(({ connector, parameters }) => `sends   ${connector}  ${JSON.stringify(parameters)}`),
    `${outcome}${refusal === undefined ? "" : `, ${refusal}: ${reason}`}${delivered ? ", and delivered here" : ""}`,
  ];
  return `${lines.join("\n")}\n`;
}

interface TestOptions {
  readonly file?: string;
  readonly topic?: string;
  readonly payload?: string;
  readonly clientId?: string;
  readonly field: readonly string[];
}

export function addPipelines(program: Command, commands: SteeringCommands): void {
  const pipelines = commands.group(
    program,
    "pipelines",
    "pipelines: list, show, add, remove, enable, disable, test",
  );
  commands.add(
    pipelines,
    "list",
    "all pipelines in their order, and what their filters came to",
    ["pipelines list"],
    async ({ api, rows }) =>
      rows(columns, (await collect(api.pages<PipelineRow>("/pipelines", {}, 10_000))).flatMap(linesOf)),
  );
  commands.add(pipelines, "show <name>", "one pipeline, and how it is configured", [], async (steering) =>
    steering.thing(
      await steering.api.ask<object>("GET", `/pipelines/${encodeURIComponent(steering.args[0]!)}`),
    ),
  );
  commands.add<{ packetType?: string; filter: readonly string[]; file?: string; dryRun?: boolean }>(
    pipelines,
    "add <name>",
    "make a pipeline, or put it in the place of the one of that name; tried before it runs, and kept over a restart",
    [
      `pipelines add calm --packet-type Publish --filter '{name: limit, kind: RateLimiter, requestRate: 100, timePeriod: 1s}'`,
    ],
    async (steering) => {
      const { args, options } = steering;
      const { packetType, filter, file } = options;
      const read = await yamlReader();
      const body = {
        ...(await patchOf([], file)),
        ...(packetType === undefined ? {} : { packetType }),
        ...(filter.length === 0 ? {} : { filters: filter.map(read) }),
      };
      if (!("packetType" in body)) throw new UsageError("say what it is for: --packet-type, or --file");
      await put(steering, `/pipelines/${encodeURIComponent(args[0]!)}`, body);
    },
    (command) =>
      command
        .option("--packet-type <type>", "Connect, Publish, Subscribe, Unsubscribe or Disconnect")
        .option("--filter <yaml>", "what is asked; repeat for more", repeated, [])
        .option("--file <file>", "the pipeline as YAML or JSON, as it would stand in isthmus.yaml")
        .option("--dry-run", "only try it"),
  );
  addTest(pipelines, commands);
  addOrders(pipelines, commands, "pipelines", "calm", "let packets pass without it");
}

function addTest(pipelines: Command, commands: SteeringCommands): void {
  commands.add<TestOptions>(
    pipelines,
    "test [name]",
    "what a pipeline would make of a packet; nothing is sent. Ends with 1 when it refuses",
    [],
    async ({ api, args, options, json, thing, io }) => {
      const { file, topic, payload, clientId, field } = options;
      const [name] = args;
      if (name === undefined && file === undefined) throw new UsageError("say which: a name, or --file");
      const packet = {
        ...(topic === undefined ? {} : { topic }),
        ...(payload === undefined ? {} : { payload }),
        ...(clientId === undefined ? {} : { clientid: clientId }),
        ...Object.fromEntries(field.map(fieldOf)),
      };
      const [path, body] =
        name === undefined
          ? ["/pipelines/test", { pipeline: await patchOf([], file), packet }]
          : [`/pipelines/${encodeURIComponent(name)}/test`, { packet }];
      const tested = await api.ask<Tested>("POST", path, { body });
      if (json) thing(tested);
      else io.out(shown(tested));
      return tested.outcome === "passed" ? EXIT.ok : EXIT.operator;
    },
    (command) =>
      command
        .option("--file <file>", "a pipeline as YAML or JSON that is not there yet")
        .option("--topic <topic>", "topic, or topic filter of a SUBSCRIBE")
        .option("--payload <text>", "its payload")
        .option("--client-id <id>", "whose it is")
        .option("--field <name=value>", "qos, retain, username, password, gateway, peerhost", repeated, []),
  );
}
