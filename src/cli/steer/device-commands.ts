/** `isthmus lwm2m ...`: devices, their objects, and what they can be asked for. */

import type { Command } from "commander";
import type { ClientRow } from "../../api/answers/clients.ts";
import { EXIT } from "../errors.ts";
import { inPath } from "./api-client.ts";
import { collect } from "./client-commands.ts";
import { addFirmware } from "./firmware-command.ts";
import { type Steering, type SteeringCommands, UsageError } from "./steering.ts";
import { ago, type Column } from "./table.ts";

const columns = (now: number): readonly Column<ClientRow>[] => [
  { title: "STATE", cell: ({ state }) => state },
  { title: "ENDPOINT", cell: ({ endpoint, clientId }) => endpoint ?? clientId },
  { title: "PROTOCOL", cell: ({ protocol }) => protocol },
  { title: "ADDRESS", cell: ({ address }) => address },
  { title: "HEARD", cell: ({ heardAt }) => ago(heardAt, now), right: true },
  { title: "REGISTERED UNTIL", cell: ({ dueAt }) => ago(dueAt, now), right: true },
];

interface AskOptions {
  readonly timeout: string;
  readonly wait?: string;
}

interface Result {
  readonly id: string;
  readonly state: string;
  readonly data?: unknown;
  readonly failure?: string;
}

const devicePath = (endpoint: string): { path: string; query: Readonly<Record<string, string>> } => {
  const { part, query } = inPath("device", endpoint);
  return { path: `/devices/lwm2m/${part}`, query };
};

async function ask(steering: Steering<AskOptions>, request: string, parameters: object): Promise<number> {
  const { api, args, options, thing, io, json } = steering;
  const { path, query } = devicePath(args[0]!);
  const { timeout, wait } = options;
  const result = await api.ask<Result>("POST", `${path}/${request}`, {
    query: { ...query, timeout, wait },
    body: parameters,
  });
  thing(result);
  if (result.state !== "waiting") return result.state === "failed" ? EXIT.operator : EXIT.ok;
  if (!json)
    io.error(`isthmus: it waits for the device; ask again with: isthmus lwm2m result ${result.id}\n`);
  return EXIT.waiting;
}

/** As JSON where it is some, so that numbers and booleans arrive as such. */
function typed(text: string): unknown {
  if (/^(true|false|null|-?\d+(\.\d+)?)$/.test(text)) return JSON.parse(text) as unknown;
  return text;
}

function parametersIn(text: string): object {
  try {
    return JSON.parse(text) as object;
  } catch {
    throw new UsageError(`cannot be read as JSON: ${text}`);
  }
}

const withTimeout = (command: Command): Command =>
  command
    .option("--timeout <length>", "how long to wait for the answer", "10s")
    .option("--wait <seconds>", "how long the request may wait for a device that sleeps");

interface Order {
  readonly usage: string;
  readonly description: string;
  parameters(args: readonly string[]): object;
}

const ORDERS: Readonly<Record<string, Order>> = {
  read: {
    usage: "<endpoint> <path>",
    description: "read an object, instance or resource",
    parameters: ([, path]) => ({ path }),
  },
  discover: {
    usage: "<endpoint> <path>",
    description: "ask what there is below a path",
    parameters: ([, path]) => ({ path }),
  },
  write: {
    usage: "<endpoint> <path> <value>",
    description: "write a resource",
    parameters: ([, path, value = ""]) => ({ path, value: typed(value) }),
  },
  execute: {
    usage: "<endpoint> <path> [arguments]",
    description: "execute a resource",
    parameters: ([, path, given]) => ({ path, ...(given === undefined ? {} : { args: given }) }),
  },
  observe: {
    usage: "<endpoint> <path>",
    description: "observe: notifications are published",
    parameters: ([, path]) => ({ path }),
  },
  "cancel-observe": {
    usage: "<endpoint> <path>",
    description: "end an observation",
    parameters: ([, path]) => ({ path }),
  },
  delete: {
    usage: "<endpoint> <path>",
    description: "delete an object instance",
    parameters: ([, path]) => ({ path }),
  },
};

export function addLwm2m(program: Command, commands: SteeringCommands): void {
  const lwm2m = commands.group(
    program,
    "lwm2m",
    "LwM2M devices: list, show, read, write, execute, observe, firmware",
  );
  commands.add<{ limit: string }>(
    lwm2m,
    "list",
    "registered devices",
    ["lwm2m list"],
    async ({ api, options, rows, now }) =>
      rows(
        columns(now),
        await collect(api.pages<ClientRow>("/clients", { gateway: "lwm2m" }, Number(options.limit))),
      ),
    (command) => command.option("-n, --limit <rows>", "rows at most", "100"),
  );
  commands.add(
    lwm2m,
    "show <endpoint>",
    "registration, sleep, what is observed",
    ["lwm2m show meter-1"],
    async ({ api, args, thing }) => {
      const { path, query } = devicePath(args[0]!);
      thing(await api.ask<object>("GET", `${path}/device`, { query }));
    },
  );
  commands.add(
    lwm2m,
    "objects <endpoint>",
    "the object tree with names",
    ["lwm2m objects meter-1"],
    async ({ api, args, thing }) => {
      const { path, query } = devicePath(args[0]!);
      thing(await api.ask<object>("GET", `${path}/objects`, { query }));
    },
  );
  const examples: Readonly<Record<string, readonly string[]>> = {
    read: ["lwm2m read meter-1 /3/0/0"],
    write: ["lwm2m write meter-1 /3303/0/5750 attic"],
    observe: ["lwm2m observe meter-1 /3303/0/5700"],
  };
  for (const [name, { usage, description, parameters }] of Object.entries(ORDERS)) {
    commands.add<AskOptions>(
      lwm2m,
      `${name} ${usage}`,
      description,
      examples[name] ?? [],
      (steering) => ask(steering, name, parameters(steering.args)),
      withTimeout,
    );
  }
  commands.add<AskOptions>(
    lwm2m,
    "request <endpoint> <request> <parameters>",
    "any request that the gateway offers, with its parameters as JSON",
    [`lwm2m request meter-1 read '{"path": "/3/0/1"}'`],
    (steering) => ask(steering, steering.args[1]!, parametersIn(steering.args[2]!)),
    withTimeout,
  );
  commands.add(lwm2m, "result <id>", "what has become of a request", [], async ({ api, args, thing }) =>
    thing(await api.ask<object>("GET", `/devices/lwm2m/requests/${encodeURIComponent(args[0]!)}`)),
  );
  addFirmware(lwm2m, commands);
}
