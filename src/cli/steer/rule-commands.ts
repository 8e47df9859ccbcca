/** `isthmus rules ...`, `isthmus connectors ...`. */

import type { Command } from "commander";
import type { Changed } from "../../api/answers/config.ts";
import type { Connector, Reached, Rule, Tested } from "../../api/answers/rules.ts";
import { EXIT } from "../errors.ts";
import { collect } from "./client-commands.ts";
import { patchOf, tellChanges, yamlReader } from "./config-commands.ts";
import { type Steering, type SteeringCommands, UsageError } from "./steering.ts";
import type { Column } from "./table.ts";

const ruleColumns: readonly Column<Rule>[] = [
  { title: "RULE", cell: ({ id }) => id, whole: true },
  { title: "RUNS", cell: ({ enable }) => enable },
  { title: "MATCHED", cell: ({ matched }) => matched, right: true },
  { title: "PASSED", cell: ({ passed }) => passed, right: true },
  { title: "NO RESULT", cell: ({ noResult }) => noResult, right: true },
  { title: "FAILED", cell: ({ failed }) => failed, right: true },
  { title: "A SECOND", cell: ({ rate }) => rate.current, right: true },
  { title: "DESCRIPTION", cell: ({ description }) => description },
];

const connectorColumns: readonly Column<Connector>[] = [
  { title: "CONNECTOR", cell: ({ name }) => name, whole: true },
  { title: "KIND", cell: ({ kind }) => kind },
  { title: "STATE", cell: ({ state }) => state },
  { title: "WAITS", cell: ({ queuing }) => queuing, right: true },
  { title: "OUT", cell: ({ inflight }) => inflight, right: true },
  { title: "SUCCESS", cell: ({ success }) => success, right: true },
  { title: "FAILED", cell: ({ failed }) => failed, right: true },
  { title: "DROPPED", cell: ({ expired, full }) => expired + full, right: true },
  { title: "REASON", cell: ({ reason }) => reason },
];

interface TestOptions {
  readonly sql?: string;
  readonly event?: string;
  readonly topic?: string;
  readonly payload?: string;
  readonly clientId?: string;
  readonly field: readonly string[];
}

/** `name=value`; the value is JSON where it can be read as that. */
export function fieldOf(given: string): readonly [string, unknown] {
  const at = given.indexOf("=");
  const text = given.slice(at + 1);
  try {
    return [given.slice(0, at), JSON.parse(text)];
  } catch {
    return [given.slice(0, at), text];
  }
}

const fieldsOf = ({ topic, payload, clientId, field }: TestOptions): Record<string, unknown> => ({
  ...(topic === undefined ? {} : { topic }),
  ...(payload === undefined ? {} : { payload }),
  ...(clientId === undefined ? {} : { clientid: clientId }),
  ...Object.fromEntries(field.map(fieldOf)),
});

export function addRules(program: Command, commands: SteeringCommands): void {
  const rules = commands.group(program, "rules", "rules: list, show, add, remove, enable, disable, test");
  commands.add(rules, "list", "all rules and what they have done", ["rules list"], async ({ api, rows }) =>
    rows(ruleColumns, await collect(api.pages<Rule>("/rules", {}, 100_000))),
  );
  commands.add(rules, "show <id>", "one rule", [], async ({ api, args, thing }) =>
    thing(await api.ask<object>("GET", `/rules/${encodeURIComponent(args[0]!)}`)),
  );
  commands.add<TestOptions>(
    rules,
    "test [id]",
    "what a rule, or a statement, would make of an event; nothing is done. Ends with 1 when it has no output",
    [`rules test --sql 'SELECT payload.t AS t FROM "t/#"' --topic t/1 --payload '{"t":21}'`],
    async ({ api, args, options, json, thing, io }) => {
      const { sql, event } = options;
      const [id] = args;
      const body = {
        ...(sql === undefined ? {} : { sql }),
        ...(event === undefined ? {} : { event }),
        fields: fieldsOf(options),
      };
      const path = id === undefined ? "/rules/test" : `/rules/${encodeURIComponent(id)}/test`;
      const tested = await api.ask<Tested>("POST", path, { body });
      if (json) thing(tested);
      else io.out(shown(tested));
      return tested.failure === undefined && tested.outputs.length > 0 ? EXIT.ok : EXIT.operator;
    },
    (command) =>
      command
        .option("--sql <statement>", "this statement instead of the rule's")
        .option("--event <name>", "which event, as client_connected; absent: message_publish")
        .option("--topic <topic>", "its topic")
        .option("--payload <text>", "its payload")
        .option("--client-id <id>", "whose it is")
        .option(
          "--field <name=value>",
          "a further field; repeat for more",
          (value: string, before: readonly string[]) => [...before, value],
          [],
        ),
  );
  addRuleChanges(rules, commands);
  addConnectors(program, commands);
}

interface RuleOptions {
  readonly sql?: string;
  readonly description?: string;
  readonly ack?: string;
  readonly action: readonly string[];
  readonly file?: string;
  readonly dryRun?: boolean;
}

export const repeated = (value: string, before: readonly string[]): readonly string[] => [...before, value];

/** Made, or put in the place of the one of that name. */
export async function put(
  steering: Steering<{ readonly dryRun?: boolean }>,
  path: string,
  body: object,
): Promise<void> {
  const query = { dryRun: steering.options.dryRun };
  tellChanges(steering, await steering.api.ask<Changed>("PUT", path, { query, body }));
}

/** `enable`, `disable`, `remove`. */
export function addOrders(
  group: Command,
  commands: SteeringCommands,
  section: string,
  examples: string,
  rests = "let it rest; what waits is kept",
): void {
  for (const [order, says] of [
    ["enable", "let it run"],
    ["disable", rests],
  ] as const) {
    const example = [`${section} ${order} ${examples}`];
    commands.add(group, `${order} <name>`, says, example, async (steering) => {
      const path = `/${section}/${encodeURIComponent(steering.args[0]!)}/${order}`;
      tellChanges(steering, await steering.api.ask<Changed>("POST", path));
    });
  }
  commands.add<{ dryRun?: boolean }>(
    group,
    "remove <name>",
    "end one that was made while it ran; what stands in the file is disabled, or taken out there",
    [],
    async (steering) => {
      const { api, args, options } = steering;
      const path = `/${section}/${encodeURIComponent(args[0]!)}`;
      tellChanges(steering, await api.ask<Changed>("DELETE", path, { query: { dryRun: options.dryRun } }));
    },
    (command) => command.option("--dry-run", "only say what would change"),
  );
}

function addRuleChanges(rules: Command, commands: SteeringCommands): void {
  commands.add<RuleOptions>(
    rules,
    "add <id>",
    "make a rule, or put it in the place of the one of that id; tried before it runs, and kept over a restart",
    [
      `rules add warm --sql 'SELECT payload.t AS t FROM "sensors/#" WHERE payload.t > 30' --action '{kind: republish, topic: alerts}'`,
    ],
    async (steering) => {
      const { args, options } = steering;
      const { sql, description, ack, action, file } = options;
      const read = await yamlReader();
      const body = {
        ...(await patchOf([], file)),
        ...(sql === undefined ? {} : { sql }),
        ...(description === undefined ? {} : { description }),
        ...(ack === undefined ? {} : { ack }),
        ...(action.length === 0 ? {} : { actions: action.map(read) }),
      };
      if (!("sql" in body)) throw new UsageError("say what it is for: --sql, or --file");
      await put(steering, `/rules/${encodeURIComponent(args[0]!)}`, body);
    },
    (command) =>
      command
        .option("--sql <statement>", "what it is for and what it makes of that")
        .option("--description <text>", "for people")
        .option("--ack <when>", "store or after_sink")
        .option("--action <yaml>", "what is done with each output; repeat for more", repeated, [])
        .option("--file <file>", "the rule as YAML or JSON, as it would stand in isthmus.yaml")
        .option("--dry-run", "only try it"),
  );
  addOrders(rules, commands, "rules", "warm");
}

function addConnectors(program: Command, commands: SteeringCommands): void {
  const connectors = commands.group(
    program,
    "connectors",
    "connectors: list, show, add, remove, enable, disable, test",
  );
  commands.add(
    connectors,
    "list",
    "whether sinks are there, and what waits for them",
    ["connectors list"],
    async ({ api, rows }) =>
      rows(connectorColumns, await collect(api.pages<Connector>("/connectors", {}, 10_000))),
  );
  commands.add<{ file?: string; dryRun?: boolean }>(
    connectors,
    "add <name> [key=value...]",
    "make a connector, or put it in the place of the one of that name; secrets are references, file:<path> or env:<name>",
    ["connectors add hook kind=http url=http://127.0.0.1:9000 'headers={authorization: env:PATH}'"],
    async (steering) => {
      const { args, options } = steering;
      const body = await patchOf(args.slice(1), options.file);
      await put(steering, `/connectors/${encodeURIComponent(args[0]!)}`, body);
    },
    (command) =>
      command
        .option("--file <file>", "the connector as YAML or JSON, as it would stand in isthmus.yaml")
        .option("--dry-run", "only try it"),
  );
  commands.add(
    connectors,
    "show <name>",
    "one connector, and how it is configured",
    ["connectors show hook"],
    async ({ api, args, thing }) =>
      thing(await api.ask<object>("GET", `/connectors/${encodeURIComponent(args[0]!)}`)),
  );
  commands.add(
    connectors,
    "test <name>",
    "ask whether its sink is there. Ends with 1 when it is not",
    [],
    async ({ api, args, json, thing, io }) => {
      const answer = await api.ask<Reached>("POST", `/connectors/${encodeURIComponent(args[0]!)}/test`);
      const took = `${answer.milliseconds} ms`;
      if (json) thing(answer);
      else
        io.out(answer.reached ? `it is there (${took})\n` : `it is not there: ${answer.detail} (${took})\n`);
      return answer.reached ? EXIT.ok : EXIT.operator;
    },
  );
  addOrders(connectors, commands, "connectors", "hook");
}

function shown({ outputs, actions, failure }: Tested): string {
  if (failure !== undefined) return `the run fails: ${failure}\n`;
  if (outputs.length === 0) return "no output: the conditions say no\n";
  const lines = outputs.map((output) => `output  ${JSON.stringify(output)}`);
  for (const { kind, to, parameters } of actions)
    for (const each of parameters)
      lines.push(`${kind === to ? kind : `${kind} ${to}`}  ${JSON.stringify(each)}`);
  return `${lines.join("\n")}\n`;
}
