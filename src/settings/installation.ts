import { existsSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";

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
