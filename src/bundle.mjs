/**
 * The second step of `npm run build`: what the compiler wrote as a thousand files is joined to some fifty, in its
 * place, because opening and linking each file was most of a start. What the command loads only when it needs it stays
 * in files of its own, and so do packages, but for those that each start loads and that are many small modules.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const OUT = "dist/src";
const CHUNKS = "chunks";

/** The command, and what `exports` of package.json names. */
const ENTRIES = ["commands", "contract/index", "hooks/plugin", "testing/index"];
const JOINED = [
  "@sinclair/typebox",
  "cborg",
  "commander",
  "fast-xml-parser",
  "ipaddr.js",
  "prom-client",
  "ws",
  "yaml",
];
/** Packages of CommonJS that are joined ask for Node's own modules by `require`. */
const REQUIRE =
  'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);';

const { dependencies, optionalDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const apart = Object.keys({ ...dependencies, ...optionalDependencies })
  .filter((name) => !JOINED.includes(name))
  .flatMap((name) => [name, `${name}/*`]);

rmSync(join(ROOT, OUT, CHUNKS), { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: ROOT,
  entryPoints: ENTRIES.map((entry) => `${OUT}/${entry}.js`),
  outdir: OUT,
  outbase: OUT,
  allowOverwrite: true,
  chunkNames: `${CHUNKS}/[name]-[hash]`,
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  external: apart,
  banner: { js: REQUIRE },
  metafile: true,
  // V8 keeps the text of what it has loaded. Names stay, and lines that a stack can name.
  minifyWhitespace: true,
  lineLimit: 120,
  logLevel: "warning",
});

// Who hands on a package's code hands on its licence.
const joined = new Set();
for (const input of Object.keys(metafile.inputs)) {
  const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
  if (folder !== undefined) joined.add(folder);
}
const licences = [];
for (const folder of [...joined].sort()) {
  const { name, version, license } = JSON.parse(readFileSync(join(ROOT, folder, "package.json"), "utf8"));
  const file = (await readdir(join(ROOT, folder))).find((each) => /^licen[cs]e/i.test(each));
  const text =
    file === undefined
      ? "It comes with no text of its licence but this name."
      : readFileSync(join(ROOT, folder, file), "utf8").trim();
  licences.push(`${name} ${version}, ${license}\n\n${text}\n`);
}
writeFileSync(join(ROOT, "dist/licences.txt"), licences.join(`\n${"-".repeat(80)}\n\n`));
