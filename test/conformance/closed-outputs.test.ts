import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, type TestContext } from "vitest";

const BIN = fileURLToPath(new URL("../../dist/src/bin.js", import.meta.url));
const OFF = "{enable: false}";
const TIMEOUT = { timeout: 240_000 };

/** A gateway that is up, as its banner says on standard error. */
async function started(context: TestContext, stdout: "pipe" | number): Promise<ChildProcess> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-outputs-"));
  context.onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const gateways = ["mqtt", "mqtt-sn", "coap", "lwm2m", "stomp"].map((name) => `gateways.${name}=${OFF}`);
  const sets = [`dataFolder=${folder}`, "api.port=0", "log.level=debug", "log.format=json", ...gateways];
  const child = spawn(process.execPath, [BIN, "start", ...sets.flatMap((set) => ["--set", set])], {
    stdio: ["ignore", stdout, "pipe"],
  });
  context.onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  const ended = once(child, "exit").then(([code, signal]) => {
    throw new Error(`ended: ${code} ${signal} ${said}`);
  });
  ended.catch(() => {});
  const up = new Promise<void>((resolve) => {
    child.stderr!.on("data", (chunk) => {
      said += chunk;
      if (said.includes("Stop with Ctrl+C")) resolve();
    });
  });
  await Promise.race([up, ended]);
  return child;
}

/** It reads its configuration again, which it says in the log, and then stops in order. */
async function goesOnAndStops(child: ChildProcess): Promise<void> {
  const exit = once(child, "exit");
  child.kill("SIGHUP");
  child.kill("SIGTERM");
  expect(await exit).toEqual([0, null]);
}

it(
  "SIGUSR1, as some rotations of logs send it, opens no debugger and ends nothing",
  TIMEOUT,
  async (context) => {
    const child = await started(context, "pipe");
    child.stdout!.resume();
    let said = "";
    child.stderr!.on("data", (chunk) => {
      said += chunk;
    });
    child.kill("SIGUSR1");
    await goesOnAndStops(child);
    expect(said).not.toContain("Debugger");
  },
);

it(
  "a log that cannot be written, because its disk is full, does not end the gateway",
  TIMEOUT,
  async (context) => {
    if (!existsSync("/dev/full")) context.skip();
    const full = openSync("/dev/full", "w");
    const child = await started(context, full);
    closeSync(full);
    await goesOnAndStops(child);
  },
);

it("a log that nobody reads any more does not end the gateway", TIMEOUT, async (context) => {
  const child = await started(context, "pipe");
  child.stdout!.destroy();
  await goesOnAndStops(child);
});

it("a standard error that nobody reads any more does not end the gateway", TIMEOUT, async (context) => {
  const child = await started(context, "pipe");
  child.stdout!.resume();
  child.stderr!.destroy();
  await goesOnAndStops(child);
});
