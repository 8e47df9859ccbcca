/**
 * Where the process has one core, the thread that serves clients shares it with those that help it: V8's, which compile and
 * collect, and libuv's, which write files and hash passwords. Each of them may keep it waiting for as long as it is served at
 * once, so they give way (`npm run bench -- churn`).
 */
import { readdirSync } from "node:fs";
import { availableParallelism, getPriority, platform, setPriority } from "node:os";

/** By so much (nice(2)): they have a quarter of the core where all want the whole of it. */
const GIVE_WAY = 5;
const LOWEST = 19;

/** On Linux a thread has a priority of its own, and the number of the process is that of its first thread. */
export function serveFirst(): void {
  if (platform() !== "linux" || availableParallelism() > 1) return;
  const priority = Math.min(getPriority() + GIVE_WAY, LOWEST);
  for (const thread of threads()) if (thread !== process.pid) setPriorityOf(thread, priority);
}

function threads(): number[] {
  try {
    return readdirSync("/proc/self/task").map(Number);
  } catch {
    // No /proc here: they stay as they are.
    return [];
  }
}

function setPriorityOf(thread: number, priority: number): void {
  try {
    setPriority(thread, priority);
  } catch {
    // It has ended meanwhile.
  }
}
