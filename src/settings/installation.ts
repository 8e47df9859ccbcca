import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The folder of this installation: where its `package.json` lies, whether sources or the build are run. */
export const INSTALLATION = findUp(dirname(fileURLToPath(import.meta.url)));

function findUp(folder: string): string {
  return existsSync(join(folder, "package.json")) ? folder : findUp(dirname(folder));
}

/**
 * A file or folder that the configuration names. A relative path counts from the working directory, and where
 * there is no such thing, from the installation, so that what comes along (`xml`) is found from anywhere.
 */
export function locate(path: string): string {
  if (isAbsolute(path) || existsSync(path)) return path;
  const installed = join(INSTALLATION, path);
  return existsSync(installed) ? installed : path;
}

/** Such a file. Throws as `readFileSync` does. */
export const readNamedFile = (path: string): Buffer => readFileSync(locate(path));

/** Whether an optional library is there. */
export function isInstalled(library: string): boolean {
  try {
    createRequire(import.meta.url).resolve(library);
    return true;
  } catch (error) {
    // A package for `import` alone has nothing that `require` resolves, and is there all the same.
    return (error as NodeJS.ErrnoException).code === "ERR_PACKAGE_PATH_NOT_EXPORTED";
  }
}

/** What is imported for a module that the configuration names: a file, or a package as it is found from the working directory. */
export function moduleAddress(module: string): string {
  const isFile = /^\.{0,2}[/\\]/.test(module) || /^[A-Za-z]:\\/.test(module);
  return pathToFileURL(isFile ? resolve(module) : packageFile(module)).href;
}

function packageFile(name: string): string {
  const require = createRequire(join(process.cwd(), "package.json"));
  try {
    return require.resolve(name);
  } catch (error) {
    // `require` does not see what a package offers to `import` alone.
    if ((error as NodeJS.ErrnoException).code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error;
    for (const folder of require.resolve.paths(name) ?? []) {
      const manifest = join(folder, name, "package.json");
      if (!existsSync(manifest)) continue;
      const { exports } = JSON.parse(readFileSync(manifest, "utf8")) as { readonly exports?: Exports };
      const file = importedFile(exports);
      if (file !== undefined) return join(folder, name, file);
    }
    throw error;
  }
}

/** A file, or files by condition. */
type Exports = string | { readonly [condition: string]: Exports } | null | undefined;

/** Conditions that hold for an `import` of the main entry. */
const IMPORTED: readonly string[] = [".", "node", "import", "default", "module-sync"];

/** Of a package's main entry: the first file whose conditions hold for an `import`. */
function importedFile(exports: Exports): string | undefined {
  if (typeof exports === "string") return exports;
  if (typeof exports !== "object" || exports === null) return undefined;
  for (const [condition, inner] of Object.entries(exports)) {
    if (!IMPORTED.includes(condition)) continue;
    const file = importedFile(inner);
    if (file !== undefined) return file;
  }
  return undefined;
}
