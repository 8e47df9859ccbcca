import type { Instant } from "#core/lib/time.ts";
import type { JsonObject } from "../content/exact-json.ts";
import type { TopicNames } from "../messages/topics.ts";

/** What happens to a device, as it is said on MQTT (registration, notification, Send, answer, progress), and what is not. */
export interface DeviceEvent {
  readonly endpoint: string;
  readonly kind: keyof TopicNames | "result" | "sleeping" | "awake";
  readonly report: JsonObject;
  readonly at: Instant;
}

/** Tells operators who look on; costs a look at a field while nobody does. */
export class Events {
  readonly #watchers = new Set<(event: DeviceEvent) => void>();
  watched = false;

  /** Returns what ends it. */
  watch(watcher: (event: DeviceEvent) => void): () => void {
    this.#watchers.add(watcher);
    this.watched = true;
    return () => {
      this.#watchers.delete(watcher);
      this.watched = this.#watchers.size > 0;
    };
  }

  tell(event: DeviceEvent): void {
    for (const watcher of this.#watchers) watcher(event);
  }
}
