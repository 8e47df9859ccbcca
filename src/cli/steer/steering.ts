/** What all commands that ask a running gateway have in common. */
import { type Command, Option } from "commander";
import type { ConfigRequest } from "../cli.ts";
import { EXIT } from "../errors.ts";
import { ApiClient } from "./api-client.ts";
import { type Column, facts, table } from "./table.ts";

export interface SteeringPorts {
  /** Where a node with this configuration writes the key for this machine. */
  localFile(request: ConfigRequest): Promise<string>;
}

export interface SteeringIo {
  out(text: string): void;
  error(text: string): void;
  readonly terminal: boolean;
  /** Standard error is a terminal. */
  readonly progress: boolean;
  /** Aborted by Ctrl+C. */
  readonly interrupted: () => AbortSignal;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdin: AsyncIterable<Uint8Array | string>;
}

interface CommonOptions {
  readonly url?: string;
  readonly key?: string;
  readonly json?: boolean;
  readonly config?: string;
  readonly data?: string;
}

/** What a command works with. */
export interface Steering<Options> {
  readonly api: ApiClient;
  readonly options: Options & CommonOptions;
  readonly args: readonly string[];
  readonly io: SteeringIo;
  readonly json: boolean;
  readonly now: number;
  /** Rows as a table, or as JSON. */
  rows<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): void;
  /** One thing, below each other, or as JSON. */
  thing(value: object): void;
  /** A sentence, or as JSON `{ done: true }` with what more there is. */
  done(sentence: string, more?: object): void;
}

/** What was typed cannot be meant: said in a line, without asking the gateway. */
export class UsageError extends Error {}

type Run<Options> = (steering: Steering<Options>) => Promise<unknown>;

export class SteeringCommands {
  readonly #ports: SteeringPorts;
  readonly #io: SteeringIo;
  readonly #exit: (code: number) => void;
  /** What the help texts say. */
  readonly examples: string[] = [];

  constructor(ports: SteeringPorts, io: SteeringIo, exit: (code: number) => void) {
    this.#ports = ports;
    this.#io = io;
    this.#exit = exit;
  }

  group(program: Command, name: string, description: string): Command {
    return program.command(name).description(description);
  }

  /** `usage`: name and arguments. `examples`: each is run by a test. */
  add<Options = object>(
    to: Command,
    usage: string,
    description: string,
    examples: readonly string[],
    run: Run<Options>,
    describe: (command: Command) => Command = (command) => command,
  ): void {
    const command = describe(to.command(usage).description(description))
      .addOption(new Option("--json", "print what the API answers"))
      .addOption(new Option("--url <url>", "address of the API (also ISTHMUS_URL)"))
      .addOption(new Option("--key <id.secret>", "API key (also ISTHMUS_KEY)"))
      .addOption(new Option("-c, --config <file>", "configuration of the node on this machine"))
      .addOption(new Option("-d, --data <folder>", "its data folder"));
    this.examples.push(...examples);
    if (examples.length > 0) {
      command.addHelpText(
        "after",
        `\nExamples:\n${examples.map((example) => `  isthmus ${example}`).join("\n")}`,
      );
    }
    command.action(async (...given: unknown[]) => {
      const options = given.at(-2) as Options & CommonOptions;
      const args = given
        .slice(0, -2)
        .flat()
        .filter((arg) => arg !== undefined) as string[];
      const code = await run(await this.#steering(options, args)).catch((error: unknown) => {
        if (!(error instanceof UsageError)) throw error;
        this.#io.error(`isthmus: ${error.message}\n`);
        return EXIT.usage;
      });
      if (typeof code === "number") this.#exit(code);
    });
  }

  async #steering<Options>(
    options: Options & CommonOptions,
    args: readonly string[],
  ): Promise<Steering<Options>> {
    const io = this.#io;
    const { environment } = io;
    const url = options.url ?? environment["ISTHMUS_URL"];
    const key = options.key ?? environment["ISTHMUS_KEY"];
    const { config, data } = options;
    const request = { file: config, set: data === undefined ? [] : [`dataFolder=${data}`] };
    const api = new ApiClient({
      url,
      key,
      localFile: url !== undefined && key !== undefined ? "" : await this.#ports.localFile(request),
    });
    const json = options.json === true;
    const print = (value: unknown): void =>
      io.out(`${JSON.stringify(value, undefined, io.terminal ? 2 : 0)}\n`);
    return {
      ...{ api, options, args, io, json, now: Date.now() },
      rows: (columns, rows) => (json ? print(rows) : io.out(table(columns, rows, io.terminal))),
      thing: (value) => (json ? print(value) : io.out(facts(value))),
      done: (sentence, more = {}) => (json ? print({ done: true, ...more }) : io.out(`${sentence}\n`)),
    };
  }
}
