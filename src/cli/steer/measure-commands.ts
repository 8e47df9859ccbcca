/** `isthmus topics count|uncount|reset|metrics` and `isthmus subscriptions slow`. */
import type { Command } from "commander";
import { inPath } from "./api-client.ts";
import { collect } from "./client-commands.ts";
import type { SteeringCommands } from "./steering.ts";
import { ago, type Column } from "./table.ts";

type ByQos = readonly [number, number, number];
type Ways = Readonly<Record<"in" | "out" | "dropped", ByQos>>;

interface Metric {
  readonly filter: string;
  readonly since: string;
  readonly messages: Ways;
  readonly rates: Ways;
}

const sum = (counts: ByQos): number => counts.reduce((total, count) => total + count, 0);
const rate = (counts: ByQos): string => sum(counts).toFixed(1);

const metricColumns = (now: number): readonly Column<Metric>[] => [
  { title: "FILTER", cell: ({ filter }) => filter, whole: true },
  { title: "SINCE", cell: ({ since }) => ago(since, now), right: true },
  { title: "IN", cell: ({ messages }) => sum(messages.in), right: true },
  { title: "OUT", cell: ({ messages }) => sum(messages.out), right: true },
  { title: "DROPPED", cell: ({ messages }) => sum(messages.dropped), right: true },
  { title: "IN/S", cell: ({ rates }) => rate(rates.in), right: true },
  { title: "OUT/S", cell: ({ rates }) => rate(rates.out), right: true },
  { title: "DROPPED/S", cell: ({ rates }) => rate(rates.dropped), right: true },
];

interface Slow {
  readonly gateway: string;
  readonly clientId: string;
  readonly topic: string;
  readonly longest: number;
  readonly last: number;
  readonly times: number;
  readonly at: string;
}

const slowColumns = (now: number): readonly Column<Slow>[] => [
  { title: "LONGEST MS", cell: ({ longest }) => longest, right: true },
  { title: "LAST MS", cell: ({ last }) => last, right: true },
  { title: "TIMES", cell: ({ times }) => times, right: true },
  { title: "WHEN", cell: ({ at }) => ago(at, now), right: true },
  { title: "CLIENT", cell: ({ clientId }) => clientId },
  { title: "GATEWAY", cell: ({ gateway }) => gateway },
  { title: "TOPIC", cell: ({ topic }) => topic, whole: true },
];

/** What is asked of one filter. */
const CHANGES = [
  ["count", "PUT", "", "count the messages of a topic filter from now on", "are counted"],
  ["reset", "POST", "/reset", "count its messages anew", "are counted anew"],
  ["uncount", "DELETE", "", "count its messages no more", "are counted no more"],
] as const;

export function addTopicMetrics(topics: Command, commands: SteeringCommands): void {
  const [count, ...others] = CHANGES;
  const add = ([name, method, end, description, outcome]: (typeof CHANGES)[number]): void =>
    commands.add(
      topics,
      `${name} <filter>`,
      description,
      [`topics ${name} room/#`],
      async ({ api, args, done }) => {
        const { part, query } = inPath("filter", args[0]!);
        await api.ask(method, `/topic-metrics/${part}${end}`, { query });
        done(`messages of ${args[0]} ${outcome}`);
      },
    );
  add(count);
  commands.add(
    topics,
    "metrics",
    "messages of the filters that are counted, and how many a second",
    ["topics metrics"],
    async ({ api, rows, now }) =>
      rows(metricColumns(now), await collect(api.pages<Metric>("/topic-metrics", {}, 1_000))),
  );
  others.forEach(add);
}

export function addSlowSubscriptions(subscriptions: Command, commands: SteeringCommands): void {
  commands.add<{ clear?: boolean }>(
    subscriptions,
    "slow",
    "who gets messages late, the slowest first, while slowSubscriptions.enable is true",
    ["subscriptions slow", "subscriptions slow --clear"],
    async ({ api, options: { clear }, rows, now, done }) => {
      if (clear !== true) {
        rows(slowColumns(now), await collect(api.pages<Slow>("/slow-subscriptions", {}, 1_000)));
        return;
      }
      await api.ask("DELETE", "/slow-subscriptions");
      done("forgotten");
    },
    (command) => command.option("--clear", "forget them"),
  );
}
