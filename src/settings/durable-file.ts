import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { makeFolder } from "./make-folder.ts";
import { syncFolder } from "./sync-folder.ts";

/**
 * What was answered is there after a power cut: written aside, synced, put in place, and the folder synced. Only its
 * owner may read it.
 */
export function writeDurably(path: string, text: string): void {
  const folder = dirname(path);
  makeFolder(folder);
  const aside = `${path}.new`;
  const file = openSync(aside, "w", 0o600);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(aside, path);
  syncFolder(folder);
}
