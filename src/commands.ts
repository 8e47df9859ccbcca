/** The command line of this process. What a command works with is loaded when it is used: most need nothing of a gateway. */
import { runCli } from "./cli/cli.ts";
import { localKeyPath } from "./data-files.ts";
import { KIND_NAMES } from "./store/kinds.ts";
import { version } from "./version.ts";
import { workerOf } from "./workers/worker.ts";

const gateway = () => import("./main.ts");

// `isthmus --help | head` closes the pipe early, and the disk under a file may be full.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});

process.exitCode = await (workerOf(process.env) === undefined ? command() : work());
// Whatever timer or socket a library may still hold: a stop is a stop.
process.exit();

/** What a supervisor starts. */
async function work(): Promise<number> {
  return (await import("./work.ts")).work();
}

function command(): Promise<number> {
  return runCli(
    process.argv.slice(2),
    {
      version,
      start: async (request) => (await gateway()).start(request),
      checkConfig: async (request) => (await gateway()).check(request),
      hashPassword: async (password, kind) =>
        (await import("./authenticate/password-hash.ts")).hashPassword(password, kind),
      store: {
        check: async (request) => (await gateway()).store.check(request),
        stats: async (request) => (await gateway()).store.stats(request),
        export: async (...asked) => (await gateway()).store.export(...asked),
        import: async (...asked) => (await gateway()).store.import(...asked),
        compact: async (request) => (await gateway()).store.compact(request),
        kinds: KIND_NAMES,
        convert: async (request, to) => (await gateway()).store.convert(request, to),
      },
      steering: {
        localFile: async ({ file, set }) => {
          const { dataFolderOf } = await import("./config/data-folder.ts");
          return localKeyPath({ dataFolder: dataFolderOf({ file, set, environment: process.env }) });
        },
      },
      addUser: async (...user) => (await gateway()).addUser(...user),
      simulate: async (options) => (await import("./sim/simulation.ts")).Simulation.start(options),
      load: async (options) => (await import("./load/load.ts")).Load.start(options),
    },
    {
      input: process.stdin,
      terminal: process.stdout.isTTY === true,
      progress: process.stderr.isTTY === true,
      environment: process.env,
      out: (text) => process.stdout.write(text),
      error: (text) => process.stderr.write(text),
      signals: process,
    },
  );
}
