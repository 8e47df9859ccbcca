/** `isthmus trace` and `isthmus traces ...`: what happens to a client's messages, on both sides of a translation. */

import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Trace } from "../../api/answers/traces.ts";
import { ApiError } from "./api-client.ts";
import { collect } from "./client-commands.ts";
import { type Steering, type SteeringCommands, UsageError } from "./steering.ts";
import { ago, type Column, shown } from "./table.ts";

interface Row {
  readonly number: number;
  readonly cause: number;
  readonly at: number;
  readonly kind: string;
  readonly text: string;
  readonly direction?: string;
}

interface TraceOptions {
  readonly topic?: string;
  readonly address?: string;
  readonly gateway?: string;
  readonly seconds?: number;
  readonly rows?: number;
  readonly cause?: number;
  readonly kind?: readonly string[];
  readonly write?: string;
  readonly keep?: boolean;
}

const whole = (text: string): number => {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new InvalidArgumentError("a number above 0");
};

/** By the ending of a file's name. */
const FORMATS: Readonly<Record<string, string>> = { pcapng: "pcapng", jsonl: "json", txt: "text" };

function formatOf(file: string): string {
  const format = FORMATS[file.slice(file.lastIndexOf(".") + 1)];
  if (format !== undefined) return format;
  throw new InvalidArgumentError("a name that ends with .pcapng (for Wireshark), .jsonl or .txt");
}

const named = (file: string): string => {
  formatOf(file);
  return file;
};

/** Colours of a terminal: devices' frames, the bus, and what has gone wrong. */
const COLOURS: Readonly<Record<string, string>> = {
  message: "36",
  routed: "36",
  refusal: "31",
  skipped: "31",
  delivery: "33",
  state: "35",
};

function lineOf({ cause, at, kind, text }: Row, coloured: boolean): string {
  const time = new Date(at).toISOString().slice(11, 23);
  const colour = coloured ? COLOURS[kind] : undefined;
  const sentence = colour === undefined ? shown(text) : `\u001b[${colour}m${shown(text)}\u001b[0m`;
  return `${(cause === 0 ? "" : String(cause)).padStart(6)}  ${time}  ${sentence}\n`;
}

async function trace(steering: Steering<TraceOptions>): Promise<void> {
  const { api, args, options, io, json } = steering;
  const { topic, address, gateway, seconds, rows, write, keep = false } = options;
  const [client] = args;
  const wish = { client, topic, address, gateway, seconds, rows };
  if ([client, topic, address, gateway].every((condition) => condition === undefined))
    throw new UsageError("say what to follow: a client id, --topic, --address or --gateway");
  const interrupted = io.interrupted();
  const { id } = await api.ask<Trace>("POST", "/traces", { body: wish });
  if (!json) io.error(`trace ${id}; end it with Ctrl+C\n`);
  try {
    await follow(steering, id, interrupted);
    if (write !== undefined) {
      await save(steering, id, write);
      io.error(`written to ${write}\n`);
    }
  } finally {
    await api.ask(keep ? "POST" : "DELETE", keep ? `/traces/${id}/stop` : `/traces/${id}`);
  }
}

async function follow(
  { api, options, io, json }: Steering<TraceOptions>,
  id: string,
  interrupted: AbortSignal,
): Promise<void> {
  const { cause, kind } = options;
  for await (const { event, data } of api.events(`/traces/${id}/events`, {}, interrupted)) {
    if (event === "ended") {
      const { reason } = data as { reason: string };
      if (!json) io.error(`the trace has ended: ${reason}\n`);
      return;
    }
    const row = data as Row;
    if (event !== "row" || (cause !== undefined && row.cause !== cause)) continue;
    if (kind !== undefined && !kind.includes(row.kind)) continue;
    io.out(json ? `${JSON.stringify(row)}\n` : lineOf(row, io.terminal));
  }
}

async function save({ api }: Pick<Steering<object>, "api">, id: string, file: string): Promise<void> {
  const body = await api.download(`/traces/${id}/capture`, { format: formatOf(file) });
  await pipeline(Readable.from(body), createWriteStream(file, { mode: 0o600 }));
}

const columns = (now: number): readonly Column<Trace>[] => [
  { title: "ID", cell: ({ id }) => id, whole: true },
  { title: "FOLLOWS", cell: ({ name }) => name },
  { title: "RUNS", cell: ({ running }) => running },
  { title: "ROWS", cell: ({ rows }) => rows, right: true },
  { title: "STARTED", cell: ({ startedAt }) => ago(startedAt, now), right: true },
  { title: "BY", cell: ({ owner }) => owner },
];

export function addTrace(program: Command, commands: SteeringCommands): void {
  commands.add<TraceOptions>(
    program,
    "trace [client]",
    "what happens to the messages of a client, a topic filter, an address or a gateway, as it happens, until Ctrl+C",
    [
      "trace pump-7 --seconds 1 --keep",
      "trace --topic 'room/#' --gateway mqtt --seconds 1",
      "trace --address 127.0.0.0/8 --seconds 1 --write pump-7.pcapng",
    ],
    trace,
    (command) =>
      command
        .option("-t, --topic <filter>", "messages of this topic filter")
        .option("-a, --address <range>", "devices of this address or range")
        .option("-g, --gateway <name>", "clients of this gateway")
        .addOption(
          new Option("-s, --seconds <count>", "end after so long (600; at most 3600)").argParser(whole),
        )
        .addOption(
          new Option("-n, --rows <count>", "end after so many rows (5000; at most 50000)").argParser(whole),
        )
        .addOption(new Option("--cause <number>", "show only what follows from one frame").argParser(whole))
        .addOption(
          new Option("--kind <kinds...>", "show only such rows").choices(
            "frame stray message routed delivery step state timer closed refusal skipped".split(" "),
          ),
        )
        .addOption(
          new Option(
            "-w, --write <file>",
            "write it to a file too: .pcapng for Wireshark, .jsonl, .txt",
          ).argParser(named),
        )
        .option("--keep", "let the node keep the rows when it has ended (isthmus traces)"),
  );
  const traces = commands.group(program, "traces", "traces that run and that have ended");
  commands.add(traces, "list", "all of them", ["traces list"], async ({ api, rows, now }) =>
    rows(columns(now), await collect(api.pages<Trace>("/traces", {}, 100))),
  );
  commands.add(
    traces,
    "export <id> <file>",
    "write one to a file: .pcapng for Wireshark, .jsonl, .txt",
    ["traces export t1 pump-7.pcapng"],
    async (steering) => {
      const [id = "", file = ""] = steering.args;
      try {
        await save(steering, encodeURIComponent(id), file);
      } catch (error) {
        if (!(error instanceof InvalidArgumentError)) throw error;
        throw new ApiError("api-refused", `${file}: ${error.message}`);
      }
      steering.done(`trace ${id} is in ${file}`, { file });
    },
  );
  commands.add(
    traces,
    "stop <id>",
    "stop one; its rows stay",
    ["traces stop t1"],
    async ({ api, args, done }) => {
      const { rows } = await api.ask<Trace>("POST", `/traces/${encodeURIComponent(args[0]!)}/stop`);
      done(`trace ${args[0]} has stopped with ${rows} rows`, { rows });
    },
  );
  commands.add(
    traces,
    "delete <id>",
    "stop one and forget its rows",
    ["traces delete t1"],
    async ({ api, args, done }) => {
      await api.ask("DELETE", `/traces/${encodeURIComponent(args[0]!)}`);
      done(`trace ${args[0]} is forgotten`);
    },
  );
}
