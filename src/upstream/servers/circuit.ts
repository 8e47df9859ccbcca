import { after, between, type Duration, type Instant, milliseconds, NEVER } from "../../lib/time.ts";
import type { HealthSettings } from "./settings.ts";

/**
 * Whether a server is well, from what happens to sessions and checks. `closed`: it gets its share. `open`: it failed, and
 * nobody is sent there. `half-open`: one is sent there to try.
 */
export type CircuitState = "closed" | "half-open" | "open";

/** How much of its share a server gets at once when it is well again. */
const FIRST_SHARE = 0.1;

export class Circuit {
  readonly #settings: HealthSettings;
  readonly #random: () => number;
  #failures = 0;
  #successes = 0;
  #openings = 0;
  #state: CircuitState = "closed";
  /** While open: from when on one may try. */
  #until: Instant = NEVER;
  /** One has been sent there to try. */
  #trial = false;
  /** When it was well again; undefined when it always was. */
  #recovered: Instant | undefined = undefined;
  lastFailure: string | undefined = undefined;

  constructor(settings: HealthSettings, random: () => number) {
    this.#settings = settings;
    this.#random = random;
  }

  state(now: Instant): CircuitState {
    // With checks of its own it is they that try.
    if (this.#state === "open" && this.#settings.check === "none" && now >= this.#until) return "half-open";
    return this.#state;
  }

  /** What it gets of its weight: nothing while it is open, little by little when it has come back. */
  share(now: Instant): number {
    if (this.#state !== "closed") return 0;
    const { slowStart } = this.#settings;
    if (this.#recovered === undefined || slowStart === 0) return 1;
    const since = between(this.#recovered, now);
    return since >= slowStart ? 1 : Math.max(FIRST_SHARE, since / slowStart);
  }

  /** Somebody is sent there to try: until that is known, nobody else is. */
  trying(now: Instant): void {
    this.#trial = true;
    this.#until = after(now, this.#settings.retry.longest);
  }

  /** A session was let in, or a check went well. True when it is well again by that. */
  succeeded(now: Instant, byCheck: boolean): boolean {
    this.#failures = 0;
    if (this.#state === "closed") return false;
    if (byCheck && ++this.#successes < this.#settings.successes) return false;
    this.#state = "closed";
    this.#trial = false;
    this.#successes = 0;
    this.#openings = 0;
    this.#recovered = now;
    this.lastFailure = undefined;
    return true;
  }

  /** True when nobody is sent there any more because of that. */
  failed(now: Instant, detail: string): boolean {
    this.lastFailure = detail;
    this.#successes = 0;
    if (this.#state === "open") {
      // Others may have failed with the first: only who was sent to try says something new.
      if (this.#trial) this.#wait(now);
      return false;
    }
    if (++this.#failures < this.#settings.failures) return false;
    this.#state = "open";
    this.#wait(now);
    return true;
  }

  /** Twice as long each time, of which half is chance: gateways shall not come back together. */
  #wait(now: Instant): void {
    this.#trial = false;
    const { first, longest } = this.#settings.retry;
    const length = Math.min(longest, first * 2 ** this.#openings);
    this.#openings = Math.min(this.#openings + 1, 30);
    this.#until = after(now, milliseconds(length / 2 + (this.#random() * length) / 2) as Duration);
  }
}
