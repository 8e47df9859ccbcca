import { Argument, type Command } from "commander";
import type { ConfigRequest } from "./cli.ts";
import { EXIT } from "./errors.ts";
import { STORE_EXAMPLES } from "./examples.ts";
import { type ProgressIo, withProgress } from "./progress.ts";

/** Is told how many records are done, and of how many; of 0 where that is not known. */
type Counting = (done: number, all: number) => void;

/** The store of a configuration, while no gateway runs on it. Errors carry a code of the operator table. */
export interface StorePorts {
  check(request: ConfigRequest): Promise<{
    readonly records: ReadonlyMap<string, number>;
    readonly problems: readonly string[];
  }>;
  stats(request: ConfigRequest): Promise<{
    readonly records: ReadonlyMap<string, number>;
    readonly size: number;
    readonly used: number;
  }>;
  /** Resolves to the number of records. */
  export(request: ConfigRequest, path: string, counting?: Counting): Promise<number>;
  import(request: ConfigRequest, path: string, counting?: Counting): Promise<number>;
  /** Resolves to the bytes before and after. */
  compact(request: ConfigRequest): Promise<readonly [before: number, after: number]>;
  readonly kinds: readonly string[];
  /** Resolves to the number of records. */
  convert(request: ConfigRequest, to: string): Promise<number>;
}

interface StoreOptions {
  readonly config?: string;
  readonly set: readonly string[];
  readonly data?: string;
  readonly json?: boolean;
}

const requestOf = ({ config, set, data }: StoreOptions): ConfigRequest => ({
  file: config,
  set: data === undefined ? set : [...set, `dataFolder=${data}`],
});

const MEBIBYTE = 1_048_576;
const mebibytes = (bytes: number): string => `${(bytes / MEBIBYTE).toFixed(1)} MiB`;

const table = (records: ReadonlyMap<string, number>): string =>
  [...records].map(([name, count]) => `  ${name.padEnd(14)}${String(count).padStart(12)}\n`).join("");

export interface StoreIo extends ProgressIo {
  out(text: string): void;
}

/** Adds `isthmus store ...`. `withSet` adds `--set` as the other commands have it. */
export function addStore(
  program: Command,
  ports: StorePorts,
  io: StoreIo,
  exit: (code: number) => void,
  withSet: (command: Command) => Command,
): void {
  const store = program
    .command("store")
    .description("look after what is kept in the data folder, while the gateway is stopped")
    .addHelpText("after", STORE_EXAMPLES);
  const command = (name: string, description: string): Command =>
    withSet(store.command(name).description(description))
      .option("-c, --config <file>", "configuration file (default: isthmus.yaml, if it is there)")
      .option("-d, --data <folder>", "the data folder; as --set dataFolder=<folder>")
      .option("--json", "print it as JSON");
  const tell = ({ json }: StoreOptions, found: object, sentence: string): void =>
    io.out(json === true ? `${JSON.stringify(found)}\n` : sentence);

  command("check", "read every record and say what does not fit together").action(
    async (options: StoreOptions) => {
      const { records, problems } = await withProgress(io, "reading every record", () =>
        ports.check(requestOf(options)),
      );
      const count = [...records.values()].reduce((sum, each) => sum + each, 0);
      const verdict = problems.length === 0 ? "all in order" : `${problems.length} problems`;
      tell(
        options,
        { records: Object.fromEntries(records), problems },
        [...problems, `${count} records, ${verdict}`].map((line) => `${line}\n`).join(""),
      );
      if (problems.length > 0) exit(EXIT.operator);
    },
  );
  command("stats", "count records and bytes").action(async (options: StoreOptions) => {
    const { records, size, used } = await ports.stats(requestOf(options));
    tell(
      options,
      { records: Object.fromEntries(records), size, used },
      `${table(records)}  file ${mebibytes(size)}, of which records ${mebibytes(used)}\n`,
    );
  });
  command("export", "write all records to a file, one line of JSON each")
    .argument("<file>", "file to write; only its owner may read it, for it holds what clients sent")
    .action(async (file: string, options: StoreOptions) => {
      const records = await withProgress(io, "records written", ({ count }) =>
        ports.export(requestOf(options), file, count),
      );
      tell(options, { records, file }, `${records} records written to ${file}\n`);
    });
  command("import", "read an export into an empty data folder")
    .argument("<file>", "file that an export has written")
    .action(async (file: string, options: StoreOptions) => {
      const records = await withProgress(io, "records read", ({ count }) =>
        ports.import(requestOf(options), file, count),
      );
      tell(options, { records, file }, `${records} records read from ${file}\n`);
    });
  command("compact", "give space that records no longer need back to the disk").action(
    async (options: StoreOptions) => {
      const [before, after] = await withProgress(io, "compacting", () => ports.compact(requestOf(options)));
      tell(options, { before, after }, `${mebibytes(before)} before, ${mebibytes(after)} now\n`);
    },
  );
  command("convert", "make a store of the other kind of what the data folder holds")
    .addArgument(new Argument("<kind>", "kind to make").choices(ports.kinds))
    .action(async (kind: string, options: StoreOptions) => {
      const records = await withProgress(io, "converting", () => ports.convert(requestOf(options), kind));
      tell(options, { records, kind }, `${records} records, now in a store of the kind ${kind}\n`);
    });
}
