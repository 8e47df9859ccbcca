import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dataFolderOf } from "#core/config/data-folder.ts";
import { loadConfig } from "#core/config/load.ts";
import { MODULES } from "#core/modules.ts";
import { fc } from "../../support/property.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-data-folder-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const maybe = (values: readonly string[]) => fc.option(fc.constantFrom(...values), { nil: undefined });

test("the data folder that a command looks in is the one that a node with the same file, environment and flags has", () => {
  const text = maybe([
    "dataFolder: /a\n",
    "log: { level: debug }\n",
    "dataFolder: /a\nlog: { level: debug }\n",
    "",
  ]);
  const variable = maybe(["/b", "./c"]);
  const flag = maybe(["dataFolder=/d", "data-folder=/e", "log.level=warn"]);
  fc.assert(
    fc.property(text, variable, flag, (says, inEnvironment, given) => {
      const file = join(folder, "isthmus.yaml");
      if (says !== undefined) writeFileSync(file, says);
      const sources = {
        file: says === undefined ? undefined : file,
        environment: inEnvironment === undefined ? {} : { ISTHMUS_DATAFOLDER: inEnvironment },
        set: given === undefined ? [] : [given],
      };
      expect(dataFolderOf(sources)).toBe(loadConfig({ modules: MODULES, ...sources }).config.dataFolder);
    }),
  );
});

test("a file that is not there is said, not passed over", () => {
  expect(() => dataFolderOf({ file: join(folder, "none.yaml") })).toThrow("there is no such file");
});
