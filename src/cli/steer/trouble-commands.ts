/** `isthmus alarms ...` and `isthmus refusals`. */

import { type Command, Option } from "commander";
import type { Alarm } from "../../api/answers/alarms.ts";
import type { Refusal } from "../../api/answers/refusals.ts";
import { collect } from "./client-commands.ts";
import type { SteeringCommands } from "./steering.ts";
import { ago, type Column } from "./table.ts";

const alarmColumns = (now: number): readonly Column<Alarm>[] => [
  { title: "ALARM", cell: ({ name }) => name, whole: true },
  { title: "SEVERITY", cell: ({ severity }) => severity },
  { title: "RAISED", cell: ({ raisedAt }) => ago(raisedAt, now), right: true },
  { title: "CLEARED", cell: ({ clearedAt }) => ago(clearedAt, now), right: true },
  { title: "MESSAGE", cell: ({ message }) => message, whole: true },
];

const refusalColumns = (now: number): readonly Column<Refusal>[] => [
  { title: "WHEN", cell: ({ last }) => ago(last, now), right: true },
  { title: "TIMES", cell: ({ count }) => count, right: true },
  { title: "GATEWAY", cell: ({ gateway }) => gateway },
  { title: "CLIENT", cell: ({ client }) => client },
  { title: "ADDRESS", cell: ({ address, port }) => `${address}:${port}` },
  { title: "ASKED TO", cell: ({ what, asked }) => (asked === undefined ? what : `${what} ${asked}`) },
  { title: "WHY", cell: ({ refusal }) => refusal },
  { title: "BY", cell: ({ by }) => by, whole: true },
];

export function addTrouble(program: Command, commands: SteeringCommands): void {
  const alarms = commands.group(program, "alarms", "what an operator has to know now");
  commands.add<{ cleared?: boolean }>(
    alarms,
    "list",
    "alarms that are raised, or those that are over",
    ["alarms list", "alarms list --cleared"],
    async ({ api, options: { cleared }, rows, now }) =>
      rows(
        alarmColumns(now),
        await collect(api.pages<Alarm>("/alarms", { state: cleared === true ? "cleared" : "raised" }, 1_000)),
      ),
    (command) => command.option("--cleared", "those of the last 24 hours that are over"),
  );
  commands.add(
    alarms,
    "clear <name>",
    "clear one by hand; it comes again when its condition has been over in between",
    [],
    async ({ api, args, done }) => {
      await api.ask("DELETE", `/alarms/${encodeURIComponent(args[0]!)}`);
      done(`alarm ${args[0]} is cleared`);
    },
  );
  commands.add(alarms, "forget", "forget those that are over", ["alarms forget"], async ({ api, done }) => {
    await api.ask("DELETE", "/alarms");
    done("forgotten");
  });
  commands.add<{ gateway?: string; client?: string; address?: string; why?: string; limit: string }>(
    program,
    "refusals",
    "what was refused to whom, and by which rule, the latest first",
    ["refusals", "refusals --client pump-7 --why forbidden"],
    async ({ api, options: { gateway, client, address, why, limit }, rows, now }) => {
      const query = { gateway, client, address, refusal: why, limit: Number(limit) };
      const { items } = await api.ask<{ items: Refusal[] }>("GET", "/refusals", { query });
      rows(refusalColumns(now), items);
    },
    (command) =>
      command
        .option("-g, --gateway <name>", "of this gateway")
        .option("--client <id>", "client id that was claimed")
        .option("-a, --address <address>", "IP address")
        .addOption(
          new Option("--why <refusal>", "why").choices(
            "unauthenticated forbidden banned malformed congested quota too-large unavailable".split(" "),
          ),
        )
        .option("-n, --limit <rows>", "rows at most", "50"),
  );
}
