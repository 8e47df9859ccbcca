import { after, type Instant } from "../lib/time.ts";
import type { Ban, FlappingSettings } from "./settings.ts";

/**
 * Counts how often a client comes and goes. Client id and address are watched together, so that a stranger who
 * uses a device's id from elsewhere does not get that device banned.
 */
export class Flapping {
  readonly #settings: FlappingSettings;
  /** In order of the first disconnect, so that the oldest is found at once. */
  readonly #watched = new Map<string, { since: Instant; count: number }>();

  constructor(settings: FlappingSettings) {
    this.#settings = settings;
  }

  get watched(): number {
    return this.#watched.size;
  }

  /** The ban that this disconnect leads to, if any. */
  disconnected(clientId: string, address: string, now: Instant): Ban | undefined {
    const { enable, threshold, window, ban } = this.#settings;
    if (!enable) return undefined;
    this.#forget(now);
    const key = `${clientId}\n${address}`;
    const seen = this.#watched.get(key) ?? this.#watch(key, now);
    seen.count++;
    if (seen.count < threshold) return undefined;
    this.#watched.delete(key);
    const reason = `connected and disconnected ${threshold} times within ${window / 1000} s`;
    return { clientId, address, until: after(now, ban), reason };
  }

  #watch(key: string, now: Instant): { since: Instant; count: number } {
    const seen = { since: now, count: 0 };
    if (this.#watched.size >= this.#settings.clients) {
      const oldest = this.#watched.keys().next();
      if (oldest.done !== true) this.#watched.delete(oldest.value);
    }
    this.#watched.set(key, seen);
    return seen;
  }

  #forget(now: Instant): void {
    for (const [key, seen] of this.#watched) {
      if (after(seen.since, this.#settings.window) > now) return;
      this.#watched.delete(key);
    }
  }
}
