import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

/** A foreign command that is running: what it prints, and how to wait for a line of it. */
export interface Running {
  readonly finished: Promise<Finished>;
  stop(): Promise<Finished>;
  /** Resolves when stdout holds the text. */
  saw(text: string, within?: number): Promise<void>;
}

export function start(command: string, args: readonly string[]): Running {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  const watchers = new Set<() => void>();
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
    for (const each of watchers) each();
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const finished = new Promise<Finished>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ stdout, stderr, code }));
  });
  return {
    finished,
    stop: () => {
      child.kill("SIGINT");
      return finished;
    },
    saw: (text, within = 5000) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(
          () => reject(new Error(`${command} did not print ${text}: ${stdout}${stderr}`)),
          within,
        );
        const look = (): void => {
          if (!stdout.includes(text)) return;
          clearTimeout(late);
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
        look();
      }),
  };
}

export const run = (command: string, args: readonly string[]): Promise<Finished> =>
  start(command, args).finished;

/** A folder that is gone after the test. */
export async function inFolder<Value>(use: (folder: string) => Promise<Value>): Promise<Value> {
  const folder = mkdtempSync(join(tmpdir(), "coap-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
