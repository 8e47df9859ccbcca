/** `isthmus rules ...`, `isthmus connectors`. */
import type { Command } from "commander";
import { EXIT } from "../errors.ts";
import { collect } from "./client-commands.ts";
import type { SteeringCommands } from "./steering.ts";
import type { Column } from "./table.ts";

interface RuleRow {
  readonly id: string;
  readonly enable: boolean;
  readonly matched: number;
  readonly passed: number;
  readonly noResult: number;
  readonly failed: number;
  readonly rate: { readonly current: number };
  readonly description: string;
}

interface ConnectorRow {
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly queuing: number;
  readonly inflight: number;
  readonly success: number;
  readonly failed: number;
  readonly expired: number;
  readonly full: number;
  readonly reason?: string;
}

interface Tested {
  readonly outputs: readonly unknown[];
  readonly actions: readonly {
    readonly kind: string;
    readonly to: string;
    readonly parameters: readonly unknown[];
  }[];
  readonly failure?: string;
}

const ruleColumns: readonly Column<RuleRow>[] = [
  { title: "RULE", cell: ({ id }) => id, whole: true },
  { title: "RUNS", cell: ({ enable }) => enable },
  { title: "MATCHED", cell: ({ matched }) => matched, right: true },
  { title: "PASSED", cell: ({ passed }) => passed, right: true },
  { title: "NO RESULT", cell: ({ noResult }) => noResult, right: true },
  { title: "FAILED", cell: ({ failed }) => failed, right: true },
  { title: "A SECOND", cell: ({ rate }) => rate.current, right: true },
  { title: "DESCRIPTION", cell: ({ description }) => description },
];

const connectorColumns: readonly Column<ConnectorRow>[] = [
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
function fieldOf(given: string): readonly [string, unknown] {
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
  const rules = commands.group(program, "rules", "rules: list, show, test");
  commands.add(rules, "list", "all rules and what they have done", ["rules list"], async ({ api, rows }) =>
    rows(ruleColumns, await collect(api.pages<RuleRow>("/rules", {}, 100_000))),
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
  const connectors = commands.group(program, "connectors", "connectors: list");
  commands.add(
    connectors,
    "list",
    "whether sinks are there, and what waits for them",
    ["connectors list"],
    async ({ api, rows }) =>
      rows(connectorColumns, await collect(api.pages<ConnectorRow>("/connectors", {}, 10_000))),
  );
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
