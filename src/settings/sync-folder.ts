/** A file that is new or renamed is there after a power cut when its folder is on the disk. */
import { closeSync, fsyncSync, openSync } from "node:fs";
import { open } from "node:fs/promises";

/** Not every file system syncs folders, and not every system opens them: those keep names by themselves. */
const NOT_DONE: ReadonlySet<string | undefined> = new Set(["EINVAL", "ENOTSUP", "ENOSYS", "EISDIR", "EPERM"]);

function unlessNotDone(error: unknown): void {
  if (!NOT_DONE.has((error as NodeJS.ErrnoException).code)) throw error;
}

export function syncFolder(path: string): void {
  try {
    const folder = openSync(path, "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  } catch (error) {
    unlessNotDone(error);
  }
}

/** As `syncFolder`, while others go on. */
export async function syncFolderAside(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    unlessNotDone(error);
  }
}
