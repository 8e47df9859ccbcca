import { after, type Duration, type Instant, minutes } from "../lib/time.ts";

const QUIET_TIME: Duration = minutes(10);
const REMEMBERED_MAX = 1000;

/** A device with a wrong key tries again and again: the log says so once in a while, the metrics each time. */
export class FailureLog {
  readonly #seen = new Map<string, Instant>();

  isNew(what: string, now: Instant): boolean {
    const before = this.#seen.get(what);
    if (before !== undefined && after(before, QUIET_TIME) > now) return false;
    this.#seen.delete(what);
    if (this.#seen.size >= REMEMBERED_MAX) {
      for (const oldest of this.#seen.keys()) {
        this.#seen.delete(oldest);
        break;
      }
    }
    this.#seen.set(what, now);
    return true;
  }
}
