import { type Instant, inSeconds } from "#core/lib/time.ts";
import { Key, type Properties } from "./topic-properties.ts";

/** One topic of the collection; its data is the retained message of the bus topic of the same name. */
export interface CollectionTopic {
  readonly id: string;
  readonly name: string;
  properties: Properties;
  /** Observations of its data, over all peers. */
  subscribers: number;
}

/** The topic collection of a gateway, for all its listeners: what each topic is, not what it holds. */
export class Topics {
  readonly #limit: number;
  readonly #byId = new Map<string, CollectionTopic>();
  readonly #byName = new Map<string, CollectionTopic>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get full(): boolean {
    return this.#byId.size >= this.#limit;
  }

  /** Topics that have not expired. */
  all(now: Instant): CollectionTopic[] {
    return [...this.#byId.values()].filter((topic) => !this.#expired(topic, now));
  }

  find(id: string, now: Instant): CollectionTopic | undefined {
    const topic = this.#byId.get(id);
    return topic === undefined || this.#expired(topic, now) ? undefined : topic;
  }

  named(name: string, now: Instant): CollectionTopic | undefined {
    const topic = this.#byName.get(name);
    return topic === undefined || this.#expired(topic, now) ? undefined : topic;
  }

  add(id: string, name: string, properties: Properties): CollectionTopic {
    const topic = { id, name, properties, subscribers: 0 };
    this.#byId.set(id, topic);
    this.#byName.set(name, topic);
    return topic;
  }

  remove(topic: CollectionTopic): void {
    this.#byId.delete(topic.id);
    if (this.#byName.get(topic.name) === topic) this.#byName.delete(topic.name);
  }

  #expired(topic: CollectionTopic, now: Instant): boolean {
    const date = topic.properties.get(Key.expirationDate);
    if (typeof date !== "number" || date > inSeconds(now as never)) return false;
    this.remove(topic);
    return true;
  }
}
