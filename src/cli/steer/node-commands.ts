/** `isthmus status`, `gateways`, `listeners`, `topics`, `changes`. */

import type { Command } from "commander";
import type { Change } from "../../api/answers/changes.ts";
import type { Gateway, Listener } from "../../api/answers/gateways.ts";
import type { Check, Node } from "../../api/answers/node.ts";
import type { Filter } from "../../api/answers/topics.ts";
import { EXIT } from "../errors.ts";
import { collect } from "./client-commands.ts";
import { addTopicMetrics } from "./measure-commands.ts";
import type { Steering, SteeringCommands } from "./steering.ts";
import { ago, type Column } from "./table.ts";

const checkColumns: readonly Column<Check>[] = [
  { title: "QUESTION", cell: ({ name }) => name },
  { title: "WELL", cell: ({ ok }) => ok },
  { title: "DETAIL", cell: ({ detail }) => detail, whole: true },
];

const gatewayColumns: readonly Column<Gateway>[] = [
  { title: "GATEWAY", cell: ({ name }) => name },
  { title: "RUNNING", cell: ({ running }) => running },
  { title: "CLIENTS", cell: ({ connections }) => connections, right: true },
  {
    title: "LISTENERS",
    cell: ({ listeners }) => `${listeners.filter(({ open }) => open).length} of ${listeners.length} open`,
  },
];

const listenerColumns: readonly Column<Listener>[] = [
  { title: "GATEWAY", cell: ({ gateway }) => gateway },
  { title: "LISTENER", cell: ({ name }) => name },
  { title: "TRANSPORT", cell: ({ transport }) => transport },
  { title: "ADDRESS", cell: ({ address }) => address },
  { title: "PORT", cell: ({ port }) => port, right: true },
  { title: "OPEN", cell: ({ open }) => open },
  { title: "CONNECTIONS", cell: ({ connections }) => connections, right: true },
];

async function status({ api, json, thing, rows, io }: Steering<object>): Promise<number> {
  const [node, checks] = await Promise.all([
    api.ask<Node>("GET", "/node"),
    api.ask<Check[]>("GET", "/health"),
  ]);
  if (json) thing({ ...node, health: checks });
  else {
    thing({ node: node.name, version: node.version, uptime: `${node.uptime} s`, ...node.numbers });
    io.out("\n");
    rows(checkColumns, checks);
  }
  return checks.every(({ ok }) => ok) ? EXIT.ok : EXIT.operator;
}

export function addNode(program: Command, commands: SteeringCommands): void {
  commands.add(
    program,
    "status",
    "whether the node is well; exit code 1 when something is not",
    ["status", "status --json"],
    status,
  );
  const gateways = commands.group(program, "gateways", "gateways: list, start, stop, restart");
  commands.add(gateways, "list", "all gateways", ["gateways list"], async ({ api, rows }) =>
    rows(gatewayColumns, await api.ask<Gateway[]>("GET", "/gateways")),
  );
  for (const order of ["start", "stop", "restart"]) {
    commands.add(
      gateways,
      `${order} <gateway>`,
      order === "restart"
        ? "stop and start it: options that a reload cannot change take effect"
        : `${order} it`,
      order === "restart" ? ["gateways restart stomp"] : [],
      async ({ api, args, done }) => {
        const gateway = await api.ask<Gateway>("POST", `/gateways/${encodeURIComponent(args[0]!)}/${order}`);
        done(`gateway ${gateway.name} ${gateway.running ? "runs" : "has stopped"}`, { gateway });
      },
    );
  }
  const listeners = commands.group(program, "listeners", "listeners: list, open, close");
  commands.add(listeners, "list", "listeners of all gateways", ["listeners list"], async ({ api, rows }) =>
    rows(listenerColumns, await api.ask<Listener[]>("GET", "/listeners")),
  );
  for (const order of ["close", "open"]) {
    commands.add(
      listeners,
      `${order} <gateway> <listener>`,
      order === "close" ? "close it; its clients hear goodbye" : "open it",
      [`listeners ${order} mqtt ws`],
      async ({ api, args, done }) => {
        const [gateway = "", name = ""] = args.map(encodeURIComponent);
        const listener = await api.ask<Listener>("POST", `/gateways/${gateway}/listeners/${name}/${order}`);
        done(`listener ${listener.gateway}.${listener.name} is ${listener.open ? "open" : "closed"}`, {
          listener,
        });
      },
    );
  }
  addTopics(program, commands);
  addChanges(program, commands);
}

const topicColumns: readonly Column<Filter>[] = [
  { title: "FILTER", cell: ({ filter }) => filter, whole: true },
  { title: "SUBSCRIBERS", cell: ({ subscribers }) => subscribers, right: true },
  { title: "GROUPS", cell: ({ groups }) => groups.join(", ") },
];

function addTopics(program: Command, commands: SteeringCommands): void {
  const topics = commands.group(program, "topics", "topic filters that somebody is subscribed to");
  commands.add<{ topic?: string; limit: string }>(
    topics,
    "list",
    "all filters, or those that match a topic",
    ["topics list", "topics list --topic room/7/temp"],
    async ({ api, options: { topic, limit }, rows }) =>
      rows(topicColumns, await collect(api.pages<Filter>("/topics", { topic }, Number(limit)))),
    (command) =>
      command
        .option("-t, --topic <topic>", "filters that match this topic")
        .option("-n, --limit <rows>", "rows at most", "100"),
  );
  addTopicMetrics(topics, commands);
}

const changeColumns = (now: number): readonly Column<Change>[] => [
  { title: "WHEN", cell: ({ at }) => ago(at, now), right: true },
  { title: "WHO", cell: ({ who }) => who },
  { title: "OBJECT", cell: ({ object }) => object },
  { title: "ACTION", cell: ({ action }) => action, whole: true },
  { title: "RESULT", cell: ({ result }) => result },
];

function addChanges(program: Command, commands: SteeringCommands): void {
  commands.add<{ object?: string; who?: string; limit: string }>(
    program,
    "changes",
    "what was changed, by whom, newest first",
    ["changes", "changes --limit 5"],
    async ({ api, options: { object, who, limit }, rows, now }) =>
      rows(changeColumns(now), await collect(api.pages<Change>("/changes", { object, who }, Number(limit)))),
    (command) =>
      command
        .option("--object <text>", "only what is about this: 'client mqtt/pump-7'")
        .option("--who <name>", "only what this user or key did")
        .option("-n, --limit <rows>", "rows at most", "50"),
  );
}
