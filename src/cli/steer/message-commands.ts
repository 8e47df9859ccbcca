/** `isthmus publish`, `subscribe`, `retained ...`. */

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { Published, Retained } from "../../api/answers/messages.ts";
import { inPath } from "./api-client.ts";
import { collect } from "./client-commands.ts";
import type { Steering, SteeringCommands } from "./steering.ts";
import { ago, type Column, shown } from "./table.ts";

interface PublishOptions {
  readonly message?: string;
  readonly file?: string;
  readonly qos: string;
  readonly retain?: boolean;
  readonly delay?: string;
  readonly base64?: boolean;
}

async function payloadOf(
  { message, file, base64 }: PublishOptions,
  io: Steering<object>["io"],
): Promise<object> {
  if (message !== undefined) return { payload: message, encoding: base64 === true ? "base64" : "text" };
  const chunks: Buffer[] = [];
  if (file !== undefined && file !== "-") chunks.push(readFileSync(file));
  else for await (const chunk of io.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return { payload: Buffer.concat(chunks).toString("base64"), encoding: "base64" };
}

async function publish({ api, args, options, io, done }: Steering<PublishOptions>): Promise<void> {
  const { qos, retain = false, delay } = options;
  const outcome = await api.ask<Published>("POST", "/publish", {
    body: {
      topic: args[0],
      ...(await payloadOf(options, io)),
      qos: Number(qos),
      retain,
      ...(delay === undefined ? {} : { delay: Number(delay) }),
    },
  });
  done(outcome.detail, outcome);
}

interface Message {
  readonly topic: string;
  readonly payload: string;
  readonly encoding: string;
}

async function subscribe({
  api,
  args,
  options,
  io,
  json,
}: Steering<{ qos: string; count?: string; verbose?: boolean }>): Promise<void> {
  const { qos, count, verbose = false } = options;
  const end = new AbortController();
  const interrupted = io.interrupted();
  interrupted.addEventListener("abort", () => end.abort());
  let left = count === undefined ? Number.POSITIVE_INFINITY : Number(count);
  for await (const { event, data } of api.events(
    "/subscribe",
    { filter: args.join("\n"), qos: Number(qos) },
    end.signal,
  )) {
    if (event === "subscribed" && verbose) io.error(`isthmus: subscribed to ${args.map(shown).join(", ")}\n`);
    if (event !== "message") continue;
    const { topic, payload, encoding } = data as Message;
    if (json) io.out(`${JSON.stringify(data)}\n`);
    else io.out(`${shown(topic)} ${encoding === "base64" ? `base64:${payload}` : shown(payload)}\n`);
    if (--left <= 0) break;
  }
  end.abort();
}

const retainedColumns = (now: number): readonly Column<Retained>[] => [
  { title: "TOPIC", cell: ({ topic }) => topic, whole: true },
  { title: "SINCE", cell: ({ publishedAt }) => ago(publishedAt, now), right: true },
  { title: "FROM", cell: ({ from }) => from },
  { title: "BYTES", cell: ({ bytes }) => bytes, right: true },
  { title: "PAYLOAD", cell: ({ payload }) => payload },
];

export function addMessages(program: Command, commands: SteeringCommands): void {
  commands.add<PublishOptions>(
    program,
    "publish <topic>",
    "publish a message; without --message or --file it comes from standard input",
    [
      "publish room/7/light --message on --qos 1",
      "publish room/7/temp --message 21.5 --retain",
      "publish room/7/light --message off --delay 3600",
    ],
    publish,
    (command) =>
      command
        .option("-m, --message <text>", "what")
        .option("-f, --file <file>", "what, from a file; - for standard input")
        .option("-q, --qos <qos>", "0, 1 or 2", "0")
        .option("-r, --retain", "keep it as the topic's last value")
        .option("--delay <seconds>", "publish it later")
        .option("--base64", "--message is base64"),
  );
  commands.add<{ qos: string; count?: string; verbose?: boolean }>(
    program,
    "subscribe <filters...>",
    "messages as they are published, until Ctrl+C",
    ["subscribe 'room/+/temp' --count 1"],
    subscribe,
    (command) =>
      command
        .option("-q, --qos <qos>", "the highest that is wanted", "0")
        .option("-C, --count <messages>", "end after so many")
        .option("-v, --verbose", "say when it is subscribed"),
  );
  const retained = commands.group(program, "retained", "messages kept for their topics");
  commands.add<{ limit: string }>(
    retained,
    "list [filter]",
    "retained messages, by topic filter",
    ["retained list", "retained list 'room/#'"],
    async ({ api, args, options, rows, now }) => {
      const query = { filter: args[0], payload: 64 };
      rows(
        retainedColumns(now),
        await collect(api.pages<Retained>("/retained", query, Number(options.limit))),
      );
    },
    (command) => command.option("-n, --limit <rows>", "rows at most", "100"),
  );
  commands.add(
    retained,
    "show <topic>",
    "one of them",
    ["retained show room/7/temp"],
    async ({ api, args, thing }) => {
      const { part, query } = inPath("topic", args[0]!);
      thing(await api.ask<object>("GET", `/retained/${part}`, { query }));
    },
  );
  commands.add(
    retained,
    "delete <topic>",
    "clear one",
    ["retained delete room/7/temp"],
    async ({ api, args, done }) => {
      const { part, query } = inPath("topic", args[0]!);
      await api.ask("DELETE", `/retained/${part}`, { query });
      done("cleared");
    },
  );
  commands.add(
    retained,
    "clear <filter>",
    "clear all that match a filter, and say how far it is",
    ["retained clear 'room/9/#'"],
    async ({ api, args, io, done }) => {
      let cleared = 0;
      for (let more = true; more; ) {
        const step = await api.ask<{ cleared: number; more: boolean }>("DELETE", "/retained", {
          query: { filter: args[0] },
        });
        cleared += step.cleared;
        more = step.more;
        if (more && io.progress) io.error(`${cleared} cleared\r`);
      }
      done(`${cleared} cleared`, { cleared });
    },
  );
}
