/** The data folder: made, or found fit for use. What lies in it is nobody's but its owner's to read. */
import { accessSync, chmodSync, constants, existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "../settings/make-folder.ts";
import { StoreError } from "./store-error.ts";

const OTHERS = 0o077;

/** Files that engines and their lock make. */
const OWN_FILE =
  /^(api|lock(\.\d+)?|isthmus\.mdb(-lock|\.compact(-lock)?)?|\d+\.log(\.new)?|converting|former)$/;

/** Throws `StoreError` when there is no such folder. */
export function requireFolder(folder: string): void {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found?.isDirectory()) return;
  const what = found === undefined ? "there is no such folder" : "this is a file, not a folder";
  throw new StoreError("data-folder-unusable", `${folder}: ${what}; name the data folder with --data`);
}

/** Throws `StoreError`, which says what to do. */
export function prepareFolder(folder: string, note: (sentence: string) => void): void {
  try {
    makeFolder(folder);
    requireFolder(folder);
    accessSync(folder, constants.R_OK | constants.W_OK);
  } catch (error) {
    throw StoreError.of(error, folder);
  }
  if (process.platform !== "win32") keepPrivate(folder, note);
}

/** Retained messages, wills and queues are other people's secrets. What lay open before is closed, and said. */
function keepPrivate(folder: string, note: (sentence: string) => void): void {
  const names = readdirSync(folder);
  const open = names.filter((name) => OWN_FILE.test(name) && isOpen(join(folder, name)));
  // A folder that holds other things is somebody's for other purposes.
  const ours = names.every((name) => OWN_FILE.test(name));
  if (ours && isOpen(folder)) close(folder, note);
  for (const name of open) close(join(folder, name), note);
}

/** A file that was made since, whatever the umask is. */
export function closeToOthers(path: string): void {
  if (process.platform !== "win32" && existsSync(path) && isOpen(path)) chmodSync(path, closed(path));
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;
const isOpen = (path: string): boolean => (modeOf(path) & OTHERS) !== 0;
/** What its owner may not do stays so. */
const closed = (path: string): number => modeOf(path) & ~OTHERS;
const octal = (mode: number): string => mode.toString(8).padStart(4, "0");

function close(path: string, note: (sentence: string) => void): void {
  const was = octal(modeOf(path));
  const fit = closed(path);
  try {
    chmodSync(path, fit);
    note(`${path} could be read by others (${was}); only its owner may now`);
  } catch {
    note(`${path} can be read by others (${was}), and is not ours to close: chmod ${octal(fit)} it`);
  }
}
