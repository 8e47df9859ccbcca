/** Whether others used the machine while something was measured (Linux only; elsewhere nobody is suspected). */
import { readFileSync } from "node:fs";

/** Cores that others may use on average: what a machine at rest does by itself. */
const OTHERS_MAX = 0.1;
/** The kernel's clock tick, USER_HZ: 100 on every Linux that Node runs on. */
const TICKS_A_SECOND = 100;

/** Starts to watch. `others()`: cores that others have used on average since then, what a host took away included. */
export function watchMachine() {
  const start = read();
  return {
    others() {
      const now = read();
      if (start === undefined || now === undefined) return 0;
      const ticks = now.all - start.all - (now.ours - start.ours);
      return Math.max(0, ticks / TICKS_A_SECOND) / ((now.at - start.at) / 1000);
    },
  };
}

/** Why these figures are not to be kept; undefined when they may be. @param {number} others */
export const notQuiet = (others) =>
  others > OTHERS_MAX
    ? `others used ${others.toFixed(2)} of a core while this was measured, at most ${OTHERS_MAX} may be: nothing is written`
    : undefined;

/** Time of all processes, and of this one with those of its children that have ended. */
function read() {
  try {
    const [, user = 0, nice = 0, system = 0, , , , , steal = 0] = (
      readFileSync("/proc/stat", "latin1").split("\n")[0] ?? ""
    )
      .split(/\s+/)
      .map(Number);
    const self = readFileSync("/proc/self/stat", "latin1");
    const fields = self.slice(self.lastIndexOf(")") + 2).split(" ");
    const ours = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0);
    return { all: user + nice + system + steal, ours, at: performance.now() };
  } catch {
    return undefined;
  }
}
