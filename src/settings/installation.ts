import { existsSync } from "node:fs";
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
  const path = isFile ? resolve(module) : createRequire(join(process.cwd(), "package.json")).resolve(module);
  return pathToFileURL(path).href;
}
