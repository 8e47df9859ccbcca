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
  /** Stops it once it has printed this, however long that takes. */
  stopAfter(printed: string): Promise<Finished>;
}

export function start(command: string, args: readonly string[]): Running {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  let awaited: string | undefined;
  const stop = (): void => void child.kill("SIGINT");
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
    if (awaited !== undefined && stdout.includes(awaited)) stop();
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
      stop();
      return finished;
    },
    stopAfter: (printed) => {
      awaited = printed;
      if (stdout.includes(printed)) stop();
      return finished;
    },
  };
}

export const run = (command: string, args: readonly string[]): Promise<Finished> =>
  start(command, args).finished;

/** What libcoap prints goes out when it is printed, not when it ends. */
export const startUnbuffered = (command: string, args: readonly string[]): Running =>
  start("stdbuf", ["-o0", command, ...args]);

/** Starts a command and waits until the gateway has one session more than before: it observes, or is connected. */
export async function startSession(
  gateway: TestGateway,
  command: string,
  args: readonly string[],
): Promise<Running> {
  const { sessions } = gateway.composition;
  const before = sessions.connected;
  const running = startUnbuffered(command, args);
  for (let tries = 0; sessions.connected <= before; tries++) {
    if (tries === 6000) throw new Error(`${command} opened no session`);
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
