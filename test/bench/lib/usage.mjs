/** What a process has used, read from /proc (Linux only; elsewhere the figures are left out). */
import { readdirSync, readFileSync } from "node:fs";

/** The kernel's clock tick, USER_HZ: 100 on every Linux that Node runs on. */
const TICK_US = 10_000;

/**
 * CPU time of all threads since start, user and system, in microseconds; NaN when it cannot be read.
 * `schedstat` counts nanoseconds; `stat` ticks of 10 ms, the fallback.
 * @param {number} pid
 */
export function cpuMicros(pid) {
  try {
    let nanos = 0;
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      nanos += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "latin1").split(" ")[0]);
    }
    if (nanos > 0) return nanos / 1000;
  } catch {
    // No schedstat in this kernel.
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK_US;
  } catch {
    return Number.NaN;
  }
}

/**
 * Resident memory in KB; NaN when it cannot be read.
 * @param {number} pid
 */
export function residentKb(pid) {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? Number.NaN);
  } catch {
    return Number.NaN;
  }
}

/**
 * Seconds that a process's loop has waited for a processor so far: a busy machine is not its fault. 0 where the system
 * does not tell.
 * @param {number} pid
 */
export function waitedSeconds(pid) {
  try {
    const [, nanoseconds = "0"] = readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ");
    return Number(nanoseconds) / 1e9;
  } catch {
    return 0;
  }
}
