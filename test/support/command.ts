/** The command line in this process, with what it writes, on a terminal or in a pipe. */
import { EventEmitter } from "node:events";
import { Readable } from "node:stream";
import { AccountsFile } from "#core/api/access/accounts.ts";
import { Credentials } from "#core/api/access/credentials.ts";
import type { Role } from "#core/api/access/principal.ts";
import { type CliPorts, runCli } from "#core/cli/cli.ts";
import { accountsPath, localKeyPath } from "#core/data-files.ts";
import { Load } from "#core/load/load.ts";
import { Simulation } from "#core/sim/simulation.ts";

export interface CommandRun {
  readonly code: number | null;
  readonly out: string;
  readonly errors: string;
}

export interface CommandSetting {
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Of the node on this machine. */
  readonly dataFolder?: string;
  /** Standard output and standard error are terminals. */
  readonly terminal?: boolean;
  readonly signals?: EventEmitter;
  /** Beside what asks a running gateway. */
  readonly ports?: Partial<CliPorts>;
}

/** `'a b'` is one argument, as for a shell. */
const argumentsOf = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? "");

export async function runCommand(line: string, setting: CommandSetting = {}): Promise<CommandRun> {
  const { environment = {}, input = "", dataFolder = "", terminal = false, signals, ports } = setting;
  let [out, errors] = ["", ""];
  const code = await runCli(
    argumentsOf(line),
    {
      ...({} as CliPorts),
      version: "0",
      store: { kinds: [] } as Partial<CliPorts["store"]> as CliPorts["store"],
      steering: { localFile: async () => localKeyPath({ dataFolder }) },
      simulate: (options) => Simulation.start(options),
      load: (options) => Load.start(options),
      addUser: (_request, name, password, role) =>
        new Credentials(new AccountsFile(accountsPath({ dataFolder }))).addUser(
          name,
          password,
          role as Role,
          Date.now(),
        ),
      ...ports,
    },
    {
      input: Readable.from([input]),
      out: (text) => {
        out += text;
      },
      error: (text) => {
        errors += text;
      },
      signals: signals ?? new EventEmitter(),
      environment,
      terminal,
      progress: terminal,
    },
  );
  return { code, out, errors };
}
