/** `isthmus config ...`: what holds, where it comes from, and changing it while it runs. */

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { Changed, KeyChange, OverlayRow, Setting } from "../../api/answers/config.ts";
import { EXIT } from "../errors.ts";
import { collect } from "./client-commands.ts";
import { type Steering, type SteeringCommands, UsageError } from "./steering.ts";
import type { Column } from "./table.ts";

const written = (value: unknown): string | undefined =>
  value === undefined ? undefined : typeof value === "string" ? value : JSON.stringify(value);

const settingColumns: readonly Column<Setting>[] = [
  { title: "KEY", cell: ({ key }) => key, whole: true },
  { title: "VALUE", cell: ({ value }) => written(value) },
  { title: "FROM", cell: ({ origin }) => origin },
  {
    title: "A CHANGE IS TAKEN",
    cell: ({ live, pending }) => (pending ? "waits for a restart" : live ? "at once" : "at a restart"),
  },
];

const overlayColumns: readonly Column<OverlayRow>[] = [
  { title: "KEY", cell: ({ key }) => key, whole: true },
  { title: "VALUE", cell: ({ value }) => written(value) },
  { title: "WITHOUT IT", cell: ({ beneath }) => written(beneath) },
  { title: "IN FORCE", cell: ({ pending }) => (pending ? "after a restart" : "yes") },
];

const EFFECTS = {
  live: () => "at once",
  listener: (of: string) => `listener ${of} is opened anew`,
  gateway: (of: string) => `gateway ${of} is stopped and started, its clients connect again`,
  restart: () => "at the next start",
};

const changeColumns: readonly Column<KeyChange>[] = [
  { title: "KEY", cell: ({ key }) => key, whole: true },
  { title: "BEFORE", cell: ({ before }) => written(before) },
  { title: "AFTER", cell: ({ after }) => written(after) },
  { title: "EFFECT", cell: ({ effect, of = "" }) => EFFECTS[effect](of), whole: true },
];

/** What has changed, as a table, and what is to be known besides. */
export function tellChanges({ json, thing, rows, io }: Steering<object>, answer: Changed): void {
  if (json) {
    thing(answer);
    return;
  }
  if (answer.changes.length === 0) io.out("nothing is different\n");
  else rows(changeColumns, answer.changes);
  for (const warning of answer.warnings) io.error(`isthmus: ${warning}\n`);
}

/** Reads values as YAML, which JSON is too. */
export async function yamlReader(): Promise<(text: string) => unknown> {
  // It is CommonJS: joined to the bundle it has no names but this one.
  const { default: yaml } = await import("yaml");
  return (text) => {
    try {
      return yaml.parse(text);
    } catch {
      throw new UsageError(`cannot be read as YAML: ${text}`);
    }
  };
}

/** `log.level=debug` as a merge patch. */
export async function patchOf(pairs: readonly string[], file: string | undefined): Promise<object> {
  const read = await yamlReader();
  const patch: Record<string, unknown> = {};
  if (file !== undefined) Object.assign(patch, read(readFileSync(file, "utf8")));
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    if (equals < 1) throw new UsageError(`${pair} is no key=value`);
    let at = patch;
    const steps = pair.slice(0, equals).split(".");
    for (const step of steps.slice(0, -1)) {
      if (typeof at[step] !== "object" || at[step] === null) at[step] = {};
      at = at[step] as Record<string, unknown>;
    }
    at[steps.at(-1)!] = read(pair.slice(equals + 1));
  }
  return patch;
}

interface ChangeOptions {
  readonly file?: string;
}

async function change(steering: Steering<ChangeOptions>, dryRun: boolean): Promise<void> {
  const { api, args, options } = steering;
  if (args.length === 0 && options.file === undefined) throw new UsageError("say what: KEY=VALUE, or --file");
  const body = await patchOf(args, options.file);
  tellChanges(steering, await api.ask<Changed>("PATCH", "/config", { query: { dryRun }, body }));
}

const withFile = (command: Command): Command =>
  command.option("--file <file>", "what to change as YAML or JSON, as it would stand in isthmus.yaml");

export function addConfig(program: Command, commands: SteeringCommands): void {
  const config = commands.group(program, "config", "configuration: show, get, set, unset, diff, try");
  commands.add<{ changed?: boolean }>(
    config,
    "show [text]",
    "every key with its value and where that comes from; only keys and meanings with a text",
    ["config show log", "config show --changed"],
    async ({ api, args, options, rows }) =>
      rows(
        settingColumns,
        await collect(api.pages<Setting>("/config", { key: args[0], changed: options.changed }, 100_000)),
      ),
    (command) => command.option("--changed", "only what is not as by default"),
  );
  commands.add(
    config,
    "get <key>",
    "the value of a key, or of all that is in a section. Ends with 1 where there is none",
    ["config get log.level"],
    async ({ api, args, json, thing, rows, io }) => {
      const key = args[0]!;
      const all = await collect(api.pages<Setting>("/config", { key }, 100_000));
      const found = all.filter((row) => row.key === key || row.key.startsWith(`${key}.`));
      const [only] = found;
      if (only === undefined) {
        io.error(`isthmus: there is no key ${key}\n`);
        return EXIT.operator;
      }
      if (only.key !== key) rows(settingColumns, found);
      else if (json) thing(only);
      else io.out(`${written(only.value) ?? ""}\n`);
      return EXIT.ok;
    },
  );
  commands.add<ChangeOptions>(
    config,
    "try [key=value...]",
    "what a change would do, and whether it can be; nothing is changed",
    ["config try log.level=debug gateways.mqtt.listeners.tcp.port=2883"],
    (steering) => change(steering, true),
    withFile,
  );
  commands.add<ChangeOptions>(
    config,
    "set [key=value...]",
    "change values, all or none; kept over a restart beside the file, which is not written. Values are YAML",
    ["config set log.level=debug", "config set 'bans.list=[{clientId: pump-9}]'"],
    (steering) => change(steering, false),
    withFile,
  );
  commands.add(
    config,
    "diff",
    "what was changed while it ran: values, and what they are without that",
    ["config diff"],
    async ({ api, rows }) =>
      rows(overlayColumns, await collect(api.pages<OverlayRow>("/config/overlay", {}, 100_000))),
  );
  commands.add<{ dryRun?: boolean }>(
    config,
    "unset <key...>",
    "take back what was changed: keys, or all that is in a section",
    ["config unset log.level", "config unset bans"],
    async (steering) => {
      const { api, args, options } = steering;
      const answers: Changed[] = [];
      for (const key of args)
        answers.push(
          await api.ask<Changed>("DELETE", `/config/${encodeURIComponent(key)}`, {
            query: { dryRun: options.dryRun },
          }),
        );
      tellChanges(steering, {
        tried: options.dryRun === true,
        changes: answers.flatMap(({ changes }) => changes),
        warnings: answers.flatMap(({ warnings }) => warnings),
      });
    },
    (command) => command.option("--dry-run", "only say what would change"),
  );
}
