/** Where a process has one core, by the kernel's own numbers. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { lacks } from "../support/programs.ts";

const BIN = fileURLToPath(new URL("../../dist/src/bin.js", import.meta.url));
const OFF = ["mqtt-sn", "coap", "lwm2m", "stomp", "tcp"].map((name) => `gateways.${name}.enable=false`);

/** nice(2) of the first thread, and of all others, once listeners are open. */
async function prioritiesOn(cores: string): Promise<{ first: number; others: Set<number> }> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-cores-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const sets = [
    ...[`dataFolder=${folder}`, "api.enable=false", ...OFF],
    ...["gateways.mqtt.listeners.tcp.port=0", "gateways.mqtt.listeners.ws.enable=false"],
  ].flatMap((set) => ["--set", set]);
  const child = spawn("taskset", ["-c", cores, process.execPath, BIN, "start", ...sets], {
    stdio: ["ignore", "ignore", "pipe"],
    cwd: folder,
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  for await (const chunk of child.stderr) {
    said += chunk;
    if (said.includes("Stop with Ctrl+C")) break;
  }
  const priorityOf = (thread: string): number => {
    const stat = readFileSync(`/proc/${child.pid}/task/${thread}/stat`, "latin1");
    // proc(5): nice is field 19; the second one is a name in brackets.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
  };
  const threads = readdirSync(`/proc/${child.pid}/task`);
  const others = threads.filter((thread) => thread !== String(child.pid)).map(priorityOf);
  return { first: priorityOf(String(child.pid)), others: new Set(others) };
}

describe.skipIf(lacks("taskset"))("the thread that serves clients", () => {
  it("comes before those that help it where they share one core", async () => {
    const { first, others } = await prioritiesOn("0");
    expect([...others]).toEqual([first + 5]);
  });

  it.skipIf(availableParallelism() < 2)("is one of them where there are several cores", async () => {
    const { first, others } = await prioritiesOn("0,1");
    expect([...others]).toEqual([first]);
  });
});
