import { existsSync, mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";

const OWNER_ONLY = 0o700;

/**
 * A folder, with those around it, for its owner alone if nothing else is said; what is there stays as it is. Throws what
 * the system says. Node's recursive `mkdir` would try for ever where a folder takes none, and says ENOENT, as /proc does.
 */
export function makeFolder(path: string, mode = OWNER_ONLY): void {
  const missing: string[] = [];
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.push(at);
  for (const folder of missing.reverse()) {
    try {
      mkdirSync(folder, { mode });
    } catch (error) {
      // Somebody else was faster.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}
