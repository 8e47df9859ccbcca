import { Argument, type Command } from "commander";
import type { ConfigRequest } from "./cli.ts";
import { EXIT } from "./errors.ts";
import { STORE_EXAMPLES } from "./examples.ts";

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
  export(request: ConfigRequest, path: string): Promise<number>;
  import(request: ConfigRequest, path: string): Promise<number>;
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
}

const requestOf = ({ config, set, data }: StoreOptions): ConfigRequest => ({
  file: config,
  set: data === undefined ? set : [...set, `dataFolder=${data}`],
});

const MEBIBYTE = 1_048_576;
const mebibytes = (bytes: number): string => `${(bytes / MEBIBYTE).toFixed(1)} MiB`;

const table = (records: ReadonlyMap<string, number>): string =>
  [...records].map(([name, count]) => `  ${name.padEnd(14)}${String(count).padStart(12)}\n`).join("");

/** Adds `isthmus store ...`. `option` adds `--set` as the other commands have it. */
export function addStore(
  program: Command,
  ports: StorePorts,
  out: (text: string) => void,
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
      .option("-d, --data <folder>", "the data folder; as --set dataFolder=<folder>");

  command("check", "read every record and say what does not fit together").action(
    async (options: StoreOptions) => {
      const { records, problems } = await ports.check(requestOf(options));
      for (const problem of problems) out(`${problem}\n`);
      const count = [...records.values()].reduce((sum, each) => sum + each, 0);
      out(
        problems.length === 0
          ? `${count} records, all in order\n`
          : `${count} records, ${problems.length} problems\n`,
      );
      if (problems.length > 0) exit(EXIT.operator);
    },
  );
  command("stats", "count records and bytes").action(async (options: StoreOptions) => {
    const { records, size, used } = await ports.stats(requestOf(options));
    out(`${table(records)}  file ${mebibytes(size)}, of which records ${mebibytes(used)}\n`);
  });
  command("export", "write all records to a file, one line of JSON each")
    .argument("<file>", "file to write; only its owner may read it, for it holds what clients sent")
    .action(async (file: string, options: StoreOptions) => {
      out(`${await ports.export(requestOf(options), file)} records written to ${file}\n`);
    });
  command("import", "read an export into an empty data folder")
    .argument("<file>", "file that an export has written")
    .action(async (file: string, options: StoreOptions) => {
      out(`${await ports.import(requestOf(options), file)} records read from ${file}\n`);
    });
  command("compact", "give space that records no longer need back to the disk").action(
    async (options: StoreOptions) => {
      const [before, after] = await ports.compact(requestOf(options));
      out(`${mebibytes(before)} before, ${mebibytes(after)} now\n`);
    },
  );
  command("convert", "make a store of the other kind of what the data folder holds")
    .addArgument(new Argument("<kind>", "kind to make").choices(ports.kinds))
    .action(async (kind: string, options: StoreOptions) => {
      out(`${await ports.convert(requestOf(options), kind)} records, now in a store of the kind ${kind}\n`);
    });
}
