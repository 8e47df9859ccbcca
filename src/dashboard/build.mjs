/**
 * `npm run build:dashboard`: sources to `dist/dashboard`, in files whose names carry a digest of what is in them, packed
 * once for all browsers. Fails above the budgets.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const OUT = fileURLToPath(new URL("../../dist/dashboard", import.meta.url));

/** In bytes, packed by gzip. */
const BUDGETS = { scripts: 120 * 1024, first: 70 * 1024, styles: 12 * 1024 };

rmSync(OUT, { recursive: true, force: true });
mkdirSync(join(OUT, "assets"), { recursive: true });

const { metafile, outputFiles } = await build({
  absWorkingDir: HERE,
  entryPoints: { start: "start.ts", style: "style/style.css", icon: "icon.svg" },
  outdir: join(OUT, "assets"),
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  loader: { ".svg": "copy" },
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  write: false,
  metafile: true,
  legalComments: "none",
  logLevel: "warning",
});

const sizes = { scripts: 0, first: 0, styles: 0 };
const named = (start, ending) =>
  outputFiles
    .map(({ path }) => basename(path))
    .find((name) => name.startsWith(start) && name.endsWith(ending));
const start = named("start-", ".js");

/** What the page loads before anything is opened: what starts it, the frame, and what that imports at once. */
function firstLoad() {
  const outputs = Object.entries(metafile.outputs);
  const byName = new Map(outputs.map(([path, output]) => [basename(path), output]));
  const [main] = outputs.find(([, { entryPoint }]) => entryPoint === "main.tsx");
  const found = new Set();
  const follow = (name) => {
    if (found.has(name)) return;
    found.add(name);
    for (const { path, kind } of byName.get(name)?.imports ?? []) {
      if (kind === "import-statement") follow(basename(path));
    }
  };
  follow(start);
  follow(basename(main));
  return found;
}

const first = firstLoad();
for (const { path, contents } of outputFiles) {
  writeFileSync(path, contents);
  const packed = gzipSync(contents, { level: 9 });
  writeFileSync(`${path}.gz`, packed);
  writeFileSync(`${path}.br`, brotliCompressSync(contents));
  if (path.endsWith(".css")) sizes.styles += packed.length;
  if (!path.endsWith(".js")) continue;
  sizes.scripts += packed.length;
  if (first.has(basename(path))) sizes.first += packed.length;
}

// Asked for together with the script that needs them, and not after it.
const preloads = [...first]
  .filter((name) => name !== start)
  .map((name) => `<link rel="modulepreload" href="{{base}}/assets/${name}" />`);

const page = readFileSync(join(HERE, "index.html"), "utf8")
  .replaceAll("{{first}}", preloads.join("\n    "))
  .replaceAll("{{start}}", start)
  .replaceAll("{{style}}", named("style-", ".css"))
  .replaceAll("{{icon}}", named("icon-", ".svg"));
writeFileSync(join(OUT, "index.html"), page);
writeFileSync(join(OUT, "sizes.json"), `${JSON.stringify({ budgets: BUDGETS, sizes }, undefined, 2)}\n`);

const kilobytes = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;
for (const [what, size] of Object.entries(sizes)) {
  if (size <= BUDGETS[what]) continue;
  process.stderr.write(
    `dashboard: ${what} are ${kilobytes(size)} packed, over ${kilobytes(BUDGETS[what])}\n`,
  );
  process.exitCode = 1;
}
process.stdout.write(
  `dashboard: ${kilobytes(sizes.scripts)} of scripts (${kilobytes(sizes.first)} first), ${kilobytes(sizes.styles)} of styles, by gzip\n`,
);
