import { Command, CommanderError, Option } from "commander";
import { type BannerFacts, banner } from "./banner.ts";
import { describeError, EXIT } from "./errors.ts";
import { CHECK_EXAMPLES, EXAMPLES, HASH_EXAMPLES, START_EXAMPLES } from "./examples.ts";
import { readSecret, type SecretInput } from "./read-secret.ts";
import { type RunningGateway, runUntilStopped, type SignalSource, startAndReload } from "./signals.ts";
import { addAccess } from "./steer/access-commands.ts";
import { addBackup } from "./steer/backup-commands.ts";
import { addBench, type StartLoad } from "./steer/bench-command.ts";
import { addClients, addSubscriptions } from "./steer/client-commands.ts";
import { addCompletion } from "./steer/completion.ts";
import { addConfig } from "./steer/config-commands.ts";
import { addLwm2m } from "./steer/device-commands.ts";
import { addLogins } from "./steer/login-commands.ts";
import { addSlowSubscriptions } from "./steer/measure-commands.ts";
import { addMessages } from "./steer/message-commands.ts";
import { addNode } from "./steer/node-commands.ts";
import { addPipelines } from "./steer/pipeline-commands.ts";
import { addRules } from "./steer/rule-commands.ts";
import { addSimulator, type StartSimulation } from "./steer/sim-command.ts";
import { SteeringCommands, type SteeringIo, type SteeringPorts, UsageError } from "./steer/steering.ts";
import { addTrace } from "./steer/trace-commands.ts";
import { addTrouble } from "./steer/trouble-commands.ts";
import { addStore, type StorePorts } from "./store-commands.ts";

/** Where the configuration comes from, as given on the command line. */
export interface ConfigRequest {
  readonly file: string | undefined;
  /** `key.key=value`, in the order given. */
  readonly set: readonly string[];
}

export type HashKind = "scrypt" | "sha256" | "scram-sha-256" | "scram-sha-512";

/** What the commands do; the composition root provides it. Errors with a code of the operator table are shown so. */
export interface CliPorts {
  readonly version: string;
  start(request: ConfigRequest): Promise<RunningGateway & { readonly banner: BannerFacts }>;
  /** Rejects when the configuration cannot be used. */
  checkConfig(request: ConfigRequest): Promise<{
    readonly file: string | undefined;
    readonly warnings: readonly string[];
  }>;
  hashPassword(password: string, kind: HashKind): Promise<string>;
  readonly store: StorePorts;
  readonly steering: SteeringPorts;
  readonly simulate: StartSimulation;
  readonly load: StartLoad;
  addUser(request: ConfigRequest, name: string, password: string, role: string): Promise<void>;
}

/** The terminal and the process, or a test. */
export interface CliIo {
  readonly input: SecretInput;
  out(text: string): void;
  error(text: string): void;
  readonly signals: SignalSource;
  /** Standard output is a terminal: colours. */
  readonly terminal?: boolean;
  /** Standard error is one: it is said how far what takes long is. */
  readonly progress?: boolean;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

interface StartOptions {
  readonly config?: string;
  readonly set: readonly string[];
  readonly data?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
}

/** Runs one command. Resolves to the exit code; a `start` resolves when the gateway has stopped. */
export async function runCli(args: readonly string[], ports: CliPorts, io: CliIo): Promise<number> {
  let exit: number = EXIT.ok;
  const program = describeProgram(ports, io, (code) => {
    exit = code;
  });
  try {
    await program.parseAsync(args.length === 0 ? ["--help"] : [...args], { from: "user" });
    return exit;
  } catch (error) {
    // Help and version end that way too, with code 0; Commander has written its message already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    return report(error, io);
  }
}

function report(error: unknown, io: CliIo): number {
  const { lines, exit } = describeError(error);
  io.error(lines.map((line) => `isthmus: ${line}\n`).join(""));
  return exit;
}

const collect = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value];
const setOption = (): Option =>
  new Option("--set <key=value>", "override one value of the configuration; repeat for more")
    .argParser(collect)
    .default([], "none");

function describeProgram(ports: CliPorts, io: CliIo, exit: (code: number) => void): Command {
  const program = new Command("isthmus")
    .description("A gateway between MQTT, MQTT-SN, CoAP, LwM2M and STOMP devices on one MQTT bus.")
    .version(ports.version, "-v, --version", "print the version")
    .helpOption("-h, --help", "show this, or the help of a command")
    .showSuggestionAfterError()
    .showHelpAfterError("(isthmus --help shows what there is)")
    .addHelpText("after", EXAMPLES)
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.error(text) })
    .exitOverride();
  addStart(program, ports, io, exit);
  addCheckConfig(program, ports, io);
  addHashPassword(program, ports, io, exit);
  const withSet = (command: Command): Command => command.addOption(setOption());
  addStore(program, ports.store, io, exit, withSet);
  addSteering(program, ports, io, exit);
  return program;
}

/** What asks a running gateway, over its HTTP API. */
export function addSteering(
  program: Command,
  ports: Pick<CliPorts, "steering" | "addUser" | "simulate" | "load">,
  io: CliIo,
  exit: (code: number) => void,
): SteeringCommands {
  const steeringIo: SteeringIo = {
    out: (text) => io.out(text),
    error: (text) => io.error(text),
    terminal: io.terminal === true,
    progress: io.progress === true,
    environment: io.environment ?? {},
    stdin: io.input,
    interrupted: () => interruption(io.signals),
  };
  const commands = new SteeringCommands(ports.steering, steeringIo, exit);
  addNode(program, commands);
  addClients(program, commands);
  addSlowSubscriptions(addSubscriptions(program, commands), commands);
  addMessages(program, commands);
  addRules(program, commands);
  addPipelines(program, commands);
  addConfig(program, commands);
  addLwm2m(program, commands);
  const readPassword = async (): Promise<string> => {
    const password = await readSecret(io.input, (prompt) => io.error(prompt));
    if (password === "") throw new UsageError("no password given: type one, or pipe it in");
    return password;
  };
  addAccess(program, commands, {
    addUser: (request, name, password, role) => ports.addUser(request, name, password, role),
    readPassword,
  });
  addLogins(program, commands, readPassword);
  addTrace(program, commands);
  addTrouble(program, commands);
  addBackup(program, commands);
  addSimulator(program, commands, ports.simulate);
  addBench(program, commands, ports.load);
  addCompletion(program, (text) => io.out(text));
  return commands;
}

/** The first Ctrl+C ends what is watched. */
function interruption(signals: SignalSource): AbortSignal {
  const end = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) signals.on(signal, () => end.abort());
  return end.signal;
}

function addStart(program: Command, ports: CliPorts, io: CliIo, exit: (code: number) => void): void {
  program
    .command("start")
    .description("run the gateway until it is told to stop (Ctrl+C, SIGTERM)")
    .option("-c, --config <file>", "configuration file (default: isthmus.yaml, if it is there)")
    .addOption(setOption())
    .option("-d, --data <folder>", "folder for what is kept; as --set dataFolder=<folder>")
    .option("--log-level <level>", "trace, debug, info, warn, error or fatal; as --set log.level=<level>")
    .option("--log-format <format>", "auto, pretty or json; as --set log.format=<format>")
    .addHelpText("after", START_EXAMPLES)
    .action(async (options: StartOptions) => {
      const running = await startAndReload(() => ports.start(configRequest(options)), io.signals);
      // Whoever reads that it runs may stop it at once.
      const stopped = runUntilStopped(running, io.signals, (line) => io.error(`isthmus: ${line}\n`));
      io.error(banner(running.banner));
      exit(await stopped);
    });
}

function configRequest(options: StartOptions): ConfigRequest {
  const { config, set, data, logLevel, logFormat } = options;
  const own = [
    ...(data === undefined ? [] : [`dataFolder=${data}`]),
    ...(logLevel === undefined ? [] : [`log.level=${logLevel}`]),
    ...(logFormat === undefined ? [] : [`log.format=${logFormat}`]),
  ];
  return { file: config, set: [...set, ...own] };
}

interface CheckOptions {
  readonly set: readonly string[];
  readonly json?: boolean;
}

function addCheckConfig(program: Command, ports: CliPorts, io: CliIo): void {
  program
    .command("check-config")
    .description("check a configuration without starting anything")
    .argument("[file]", "configuration file (default: isthmus.yaml, if it is there)")
    .addOption(setOption())
    .option("--json", "print it as JSON")
    .addHelpText("after", CHECK_EXAMPLES)
    .action(async (given: string | undefined, options: CheckOptions) => {
      const { file, warnings } = await ports.checkConfig({ file: given, set: options.set });
      if (options.json === true) {
        io.out(`${JSON.stringify({ valid: true, ...(file === undefined ? {} : { file }), warnings })}\n`);
        return;
      }
      for (const warning of warnings) io.error(`warning: ${warning}\n`);
      io.out(`${file ?? "the built-in configuration"} is valid\n`);
    });
}

function addHashPassword(program: Command, ports: CliPorts, io: CliIo, exit: (code: number) => void): void {
  program
    .command("hash-password")
    .description("read a password from the terminal or a pipe and print its hash for a users file")
    .addOption(
      new Option(
        "--kind <kind>",
        "scrypt resists guessing; sha256 is fast to check; scram-sha-256 and scram-sha-512 are for `scram`",
      )
        .choices(["scrypt", "sha256", "scram-sha-256", "scram-sha-512"])
        .default("scrypt"),
    )
    .addHelpText("after", HASH_EXAMPLES)
    .action(async (options: { readonly kind: HashKind }) => {
      const password = await readSecret(io.input, (prompt) => io.error(prompt));
      if (password === "") {
        io.error("isthmus: no password given: type one, or pipe it in\n");
        exit(EXIT.usage);
        return;
      }
      io.out(`${await ports.hashPassword(password, options.kind)}\n`);
    });
}
