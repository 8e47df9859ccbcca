import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestGateway } from "../../support/gateway.ts";

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

/** A foreign command that is running: what it has printed once it ends. */
export interface Running {
  readonly finished: Promise<Finished>;
  stop(): Promise<Finished>;
}

export function start(command: string, args: readonly string[]): Running {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
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
  };
}

export const run = (command: string, args: readonly string[]): Promise<Finished> =>
  start(command, args).finished;

/** Starts a command and waits until the gateway has one session more than before: it observes, or is connected. */
export async function startSession(
  gateway: TestGateway,
  command: string,
  args: readonly string[],
): Promise<Running> {
  const { sessions } = gateway.composition;
  const before = sessions.connected;
  const running = start(command, args);
  for (let tries = 0; sessions.connected <= before; tries++) {
    if (tries === 500) throw new Error(`${command} opened no session`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return running;
}

/** A folder that is gone after the test. */
export async function inFolder<Value>(use: (folder: string) => Promise<Value>): Promise<Value> {
  const folder = mkdtempSync(join(tmpdir(), "coap-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
