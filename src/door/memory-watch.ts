import type { Burden, Memory } from "../lib/memory.ts";
import type { Attendance } from "../session/attendance.ts";
import type { Core } from "./core.ts";
import type { Doors } from "./doors.ts";

const EVENTS = ["memory-free", "memory-scarce", "memory-refusing", "memory-full"] as const;
/** What is ended brings the account down to this share of its limit: not every newcomer ends one. */
const ROOM = 0.75;
/** Who holds less than this part of the limit is not why it is full, and stays, though ending others has not helped yet. */
const PART = 1 / 10_000;
/** Below this share it is over. */
const OVER = 0.6;

/** Somebody who makes us hold a lot, and how that ends. */
interface Holder {
  readonly bytes: number;
  end(): void;
}

const heldBy = (attendance: Attendance | undefined): number =>
  attendance === undefined ? 0 : attendance.queuedBytes + attendance.subscriptions.weight;

/** Says once when memory becomes scarce, and ends the worst when it is full. */
export class MemoryWatch {
  readonly #core: Core;
  readonly #doors: Doors;
  readonly #memory: Memory;
  #ending = false;

  constructor(core: Core, doors: Doors) {
    this.#core = core;
    this.#doors = doors;
    this.#memory = core.memory;
  }

  check(): void {
    // Ending one makes it send its last words.
    if (this.#ending) return;
    this.#ending = true;
    try {
      this.#say();
      if (this.#memory.crowded) this.#endStrangers();
      if (this.#memory.full) this.#endWorst();
    } finally {
      this.#ending = false;
    }
  }

  #say(): void {
    const memory = this.#memory;
    const level = memory.full ? 3 : memory.refuses ? 2 : memory.scarce ? 1 : 0;
    if (
      level <= memory.alarm &&
      (level > 0 || memory.alarm === 0 || memory.held > memory.limits.total * OVER)
    )
      return;
    memory.alarm = level;
    const detail = {
      held: memory.held,
      limit: memory.limits.total,
      fix: "raise memory.total where the machine has more; isthmus_memory_bytes shows what is held",
    };
    this.#core.note("", { level: level === 0 ? "info" : "warn", event: EVENTS[level]!, detail });
  }

  #endStrangers(): void {
    const memory = this.#memory;
    const strangers: Burden[] = [];
    for (const burden of memory.burdens) if (burden.stranger) strangers.push(burden);
    this.#core.note("", {
      level: "warn",
      event: "memory-strangers",
      detail: { held: memory.strangers, connections: strangers.length },
    });
    this.#end(strangers, () => memory.strangers <= memory.limits.beforeLogin * ROOM);
  }

  #endWorst(): void {
    const memory = this.#memory;
    const holders: Holder[] = [...memory.burdens];
    for (const door of this.#doors) {
      for (const loop of door.loops) {
        for (const client of loop.clients()) {
          const { attendance } = client.session;
          const bytes = heldBy(attendance);
          if (attendance === undefined || bytes === 0) continue;
          holders.push({
            bytes,
            end: () => {
              loop.stop("overload");
              this.#drop(attendance);
            },
          });
        }
      }
    }
    for (const attendance of this.#core.engine.absent()) {
      const bytes = heldBy(attendance);
      if (bytes > 0) holders.push({ bytes, end: () => this.#drop(attendance) });
    }
    const least = memory.limits.total * PART;
    const worst = holders.filter(({ bytes }) => bytes >= least);
    this.#end(worst, () => memory.held <= memory.limits.total * ROOM);
  }

  #end(holders: Holder[], enough: () => boolean): void {
    holders.sort((a, b) => b.bytes - a.bytes);
    for (const holder of holders) {
      if (enough()) return;
      this.#core.counters.memoryEnded.value++;
      holder.end();
    }
  }

  /** The session stays, without what waits in it. */
  #drop(attendance: Attendance): void {
    this.#core.engine.relieve?.(attendance);
  }
}
