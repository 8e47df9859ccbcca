import { readFileSync } from "node:fs";

/** Kept from clients: for the HTTP port, files of the store and of certificates, and connections to somebody else. */
const RESERVE = 64;
/** How long ago a client was refused for it, at most, while the gateway calls itself short of descriptors. */
const SHORT_MS = 10_000;

/**
 * File descriptors of this process. Without any left the system's library closes newcomers, those of the HTTP port too,
 * and nobody is told. So clients are refused before that, while there is something left to say it with. The kernel gives
 * the lowest number that is free: a high one means that all below are taken, and nothing has to be counted.
 */
export class Descriptors {
  readonly limit: number;
  readonly #last: number;
  #refusedAt = Number.NEGATIVE_INFINITY;

  constructor(limit: number) {
    this.limit = limit;
    this.#last = limit - Math.min(RESERVE, Math.ceil(limit / 4));
  }

  /** A client's connection has this number. False when it has to go. */
  admits(descriptor: number): boolean {
    if (descriptor < this.#last) return true;
    this.#refusedAt = performance.now();
    return false;
  }

  get short(): boolean {
    return performance.now() - this.#refusedAt < SHORT_MS;
  }

  get fix(): string {
    return `${this.limit} file descriptors are too few for so many connections: raise the limit (ulimit -n, LimitNOFILE of systemd, ulimits of a container)`;
  }
}

/** Node raises the soft limit to the hard one at its start. */
function limitOfProcess(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    // Not Linux.
    return Number.POSITIVE_INFINITY;
  }
}

/** Those of this process. */
export const descriptors = new Descriptors(limitOfProcess());
