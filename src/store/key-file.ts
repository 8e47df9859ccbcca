import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { makeFolder } from "../settings/make-folder.ts";

const LENGTH = 32;
const OTHERS = 0o077;

/** A key of this machine's own: read, or made where there is none. Nobody but its owner may look at it. */
export function openKeyFile(path: string): Uint8Array {
  make(path);
  // Copied in, or made by hand: what it protects is worth no less for that.
  if ((statSync(path).mode & OTHERS) !== 0) chmodSync(path, 0o600);
  const key = readFileSync(path);
  if (key.length !== LENGTH) {
    throw new Error(
      `${path} is no key of ${LENGTH} octets: put the right file there, or remove it to get a new one`,
    );
  }
  return new Uint8Array(key);
}

function make(path: string): void {
  makeFolder(dirname(path));
  let file: number;
  try {
    file = openSync(path, "wx", 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return;
    throw error;
  }
  writeSync(file, randomBytes(LENGTH));
  fsyncSync(file);
  closeSync(file);
}
