/** `npm run bench -- [suite ...] [--quick] [--only part] ...`: see README.md in this folder. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { parseOptions } from "./lib/options.mjs";
import { notQuiet, watchMachine } from "./lib/quiet.mjs";
import { writeResults } from "./lib/results.mjs";

const folder = new URL("./suites/", import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".mjs"))
  .map((file) => file.slice(0, -".mjs".length))
  .sort();

const options = parseOptions(process.argv.slice(2));
const unknown = options.suites.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`no suite ${unknown.join(", ")}; there are: ${names.join(", ")}`);
  process.exit(2);
}

if (options.copy) {
  for (const name of names) {
    const file = new URL(`./results/${name}.md`, import.meta.url);
    if (existsSync(file)) console.log(writeResults(name, readFileSync(file, "utf8")).join(", "));
  }
  process.exit(0);
}

let failed = false;
for (const name of options.suites.length > 0 ? options.suites : names) {
  const { suite } = await import(new URL(`${name}.mjs`, folder).href);
  if (options.list) {
    console.log(
      `${name}: ${suite.title}\n${suite
        .scenarios()
        .map((/** @type {string} */ s) => `  ${s}`)
        .join("\n")}`,
    );
    continue;
  }
  try {
    const machine = watchMachine();
    const markdown = await suite.run(options);
    console.log(`\n${markdown}`);
    const noise = notQuiet(machine.others());
    if (noise !== undefined) console.error(`${name}: ${noise}`);
    failed ||= options.write && noise !== undefined;
    if (options.write && noise === undefined)
      console.log(`\nwritten: ${writeResults(name, markdown, suite.readmes, suite.plot).join(", ")}`);
  } catch (error) {
    console.error(`suite ${name} failed:`, error);
    failed = true;
  }
}
process.exit(failed ? 1 : 0);
