import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const BIN = fileURLToPath(new URL("../../dist/src/bin.js", import.meta.url));

/** The process sends itself the signal at the moment at which the command begins to load its modules. */
const HOOKS = `export async function resolve(specifier, context, next) {
  if (specifier.endsWith("/main.js")) process.kill(process.pid, "SIGHUP");
  return next(specifier, context);
}`;
const inUrl = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;
const PRELOAD = `import { register } from "node:module"; register(${JSON.stringify(inUrl(HOOKS))});`;

const OFF = { enable: false };

it("a SIGHUP while the modules are loaded does not end the gateway", {
  timeout: 240_000,
}, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-sighup-"));
  context.onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const settings = {
    dataFolder: folder,
    api: { port: 0 },
    gateways: { mqtt: OFF, "mqtt-sn": OFF, coap: OFF, lwm2m: OFF, stomp: OFF },
  };
  const sets = Object.entries(settings).flatMap(([key, value]) => [
    "--set",
    `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  ]);
  const child = spawn(process.execPath, ["--import", inUrl(PRELOAD), BIN, "start", ...sets], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  context.onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  const up = new Promise<void>((resolve) => {
    child.stderr.on("data", (chunk) => {
      said += chunk;
      if (said.includes("Stop with Ctrl+C")) resolve();
    });
  });
  const ended = once(child, "exit").then(([code, signal]) => `ended: ${code} ${signal} ${said}`);
  expect(await Promise.race([up.then(() => "up"), ended])).toBe("up");
});
