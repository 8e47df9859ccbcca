/** The examples of the commands that ask no gateway, run by the built program; and what all commands have in common. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addSteering, type CliPorts } from "#core/cli/cli.ts";
import * as texts from "#core/cli/examples.ts";
import { table } from "#core/cli/steer/table.ts";
import { addStore } from "#core/cli/store-commands.ts";
import { loadText } from "#core/config/load.ts";
import { MODULES } from "#core/modules.ts";
import { runCommand } from "../../support/command.ts";
import { lacks } from "../../support/programs.ts";

const MAIN = fileURLToPath(new URL("../../../dist/src/bin.js", import.meta.url));
const PATIENCE = 120_000;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-help-"));
  writeFileSync(join(folder, "isthmus.yaml"), "log: { level: info }\n");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Lines below `Examples:`, without what explains them. */
const EXAMPLES: readonly string[] = Object.values(texts).flatMap((text) => {
  const [, lines = ""] = text.split("Examples:\n");
  return lines
    .split("\n\n")[0]!
    .split("\n")
    .map((line) => line.trim().split(/ {2,}/)[0]!)
    .filter((line) => line !== "");
});

const ran = (example: string): boolean => !/\bisthmus start\b/.test(example);

/** What stands for the places of an installed gateway. */
const here = (example: string): string =>
  example
    .replaceAll("/etc/isthmus.yaml", "isthmus.yaml")
    .replaceAll("/var/lib/isthmus", "./data")
    .replace("isthmus", `"${process.execPath}" "${MAIN}"`);

const shell = (line: string, env: object = {}): { code: number; out: string; errors: string } => {
  try {
    const out = execFileSync("sh", ["-c", line], {
      cwd: folder,
      env: { ...process.env, PASSWORD: "a sentence that nobody has", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    return { code: 0, out: String(out), errors: "" };
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: Buffer; stderr: Buffer };
    return { code: status, out: String(stdout), errors: String(stderr) };
  }
};

/** Every listener on a port that is free. */
function free(): readonly string[] {
  const { gateways } = loadText(MODULES, "").config;
  return Object.entries(gateways).flatMap(([gateway, { listeners }]) =>
    Object.keys(listeners).map((name) => `gateways.${gateway}.listeners.${name}.port=0`),
  );
}

/** Resolves to what it said when it runs; it is ended then, and its exit code must be 0. */
function started(example: string): Promise<string> {
  const sets = ["api.port=0", ...free()].map((set) => `--set ${set}`).join(" ");
  const data = mkdtempSync(join(folder, "start-"));
  const own = example.includes("--data") ? "" : `--data "${data}"`;
  return new Promise((resolve, reject) => {
    const child: ChildProcess = spawn("sh", ["-c", `exec ${here(example)} ${sets} ${own}`], { cwd: folder });
    let said = "";
    child.stderr!.on("data", (chunk) => {
      const before = said.includes("Stop with Ctrl");
      said += chunk;
      // Once: a second signal ends it at once.
      if (!before && said.includes("Stop with Ctrl")) child.kill("SIGTERM");
    });
    child.once("close", (code) => (code === 0 ? resolve(said) : reject(new Error(`${code}: ${said}`))));
  });
}

/** One of them leaves a data folder for the examples that look after one. */
describe("the examples of start", () => {
  test.each(EXAMPLES.filter((example) => !ran(example)))(
    "%s: it runs until it is told to stop, and ends with 0",
    async (example) => {
      expect(await started(example)).toContain("listening");
    },
    PATIENCE,
  );
});

/** Those that are to fail, and with what. */
const WRONG: Readonly<Record<string, RegExp>> = {
  "isthmus check-config /etc/isthmus.yaml --set log.level=loud": /trace, debug, info/,
};

describe("the other examples, in the order in which they stand there", () => {
  test(
    "each ends as its text says",
    () => {
      const failed: string[] = [];
      for (const example of EXAMPLES.filter(ran)) {
        const given = example.startsWith("isthmus hash-password")
          ? `printf secret | ${here(example)}`
          : here(example);
        const { code, out, errors } = shell(given);
        const wrong = WRONG[example];
        const well = wrong === undefined ? code === 0 && out !== "" : code === 1 && wrong.test(errors);
        if (!well) failed.push(`${example}: ${code} ${errors}${out}`);
      }
      expect(failed).toEqual([]);
      expect(existsSync(join(folder, "backup.jsonl"))).toBe(true);
    },
    PATIENCE,
  );
});

/** All that there are, with the words that lead to each. */
function commandsOf(program: Command, before = ""): readonly (readonly [name: string, command: Command])[] {
  return program.commands.flatMap((command) => {
    const name = `${before} ${command.name()}`.trim();
    return command.commands.length > 0 ? commandsOf(command, name) : [[name, command] as const];
  });
}

describe("every command", () => {
  const program = new Command();
  const io = { input: new PassThrough(), out: () => {}, error: () => {}, signals: process };
  addStore(
    program,
    { kinds: ["log"] } as unknown as CliPorts["store"],
    io,
    () => {},
    (command) => command,
  );
  addSteering(program, {} as CliPorts, io, () => {});
  // What shells read, and nothing else.
  const all = commandsOf(program).filter(([name]) => name !== "completion");

  test.each(all)("%s has --json, and a description", (_name, command) => {
    expect(command.options.map(({ long }) => long)).toContain("--json");
    expect(command.description()).not.toBe("");
  });

  test(
    "with --json says one value of JSON: check of a configuration, and what is done with a store",
    async () => {
      const valid = shell(`${here("isthmus check-config --json")}`);
      expect(JSON.parse(valid.out)).toMatchObject({ valid: true, file: "isthmus.yaml" });
      const ports = {
        store: {
          kinds: ["log"],
          check: async () => ({ records: new Map([["session", 2]]), problems: ["session 1: odd"] }),
          stats: async () => ({ records: new Map([["session", 2]]), size: 10, used: 5 }),
          export: async () => 7,
          import: async () => 8,
          compact: async () => [10, 5] as const,
          convert: async () => 9,
        },
      } as Partial<CliPorts>;
      const ask = async (line: string) => {
        const { code, out } = await runCommand(`store ${line} --json`, { ports });
        return [code, JSON.parse(out)];
      };
      expect(await ask("check")).toEqual([1, { records: { session: 2 }, problems: ["session 1: odd"] }]);
      expect(await ask("stats")).toEqual([0, { records: { session: 2 }, size: 10, used: 5 }]);
      expect(await ask("export f")).toEqual([0, { records: 7, file: "f" }]);
      expect(await ask("import f")).toEqual([0, { records: 8, file: "f" }]);
      expect(await ask("compact")).toEqual([0, { before: 10, after: 5 }]);
      expect(await ask("convert log")).toEqual([0, { records: 9, kind: "log" }]);
    },
    PATIENCE,
  );
});

test("a state is coloured on a terminal, and in a pipe it is the word alone", () => {
  const columns = [{ title: "STATE", cell: ({ state }: { readonly state: string }) => state }];
  const rows = [{ state: "overdue" }, { state: "away" }];
  expect(table(columns, rows, true)).toBe("STATE\n\u001b[31moverdue\u001b[0m\naway\n");
  expect(table(columns, rows, false)).toBe("STATE\noverdue\naway\n");
});

describe("how far something is", () => {
  const ports = {
    store: {
      kinds: ["log"],
      export: async (_request: unknown, _path: string, counting?: (done: number, all: number) => void) => {
        counting?.(500, 1_000);
        // It is shown twice a second.
        await new Promise((resolve) => setTimeout(resolve, 1_200));
        return 1_000;
      },
    },
  } as unknown as Partial<CliPorts>;

  test("is one line of a terminal, which is gone at the end", async () => {
    const { errors, out } = await runCommand("store export f", { ports, terminal: true });
    const clear = "\r\u001b[2K";
    expect(errors.startsWith(`${clear}records written`)).toBe(true);
    expect(errors).toContain(`${clear}records written: 500 of 1000, 50 %`);
    expect(errors.endsWith(clear)).toBe(true);
    expect(out).toBe("1000 records written to f\n");
  });

  test("is not said in a pipe", async () => {
    expect(await runCommand("store export f", { ports })).toMatchObject({ errors: "", code: 0 });
  });

  test.skipIf(lacks("script"))(
    "is said by the built program on a pseudo-terminal, and its output stays as it is",
    () => {
      const record = join(folder, "typescript");
      const line = `${here("isthmus store export again.jsonl --data ./data")}`;
      shell(`script -q -e -c '${line.replaceAll("'", `'\\''`)}' "${record}"`);
      const seen = readFileSync(record, "utf8");
      expect(seen).toContain("\u001b[2Krecords written");
      expect(seen).toMatch(/\d+ records written to again\.jsonl/);
      expect(shell(line.replace("again", "once-more")).out).not.toContain("\u001b");
    },
    PATIENCE,
  );
});
