import type { GatewayHost } from "#core/contract/gateway.ts";
import { CallbackAlarm } from "#core/lib/alarm.ts";
import { after, days, earliest, type Instant, NEVER } from "#core/lib/time.ts";
import { isProperty, Key, type Properties } from "./topic-properties.ts";

const LOOK_AGAIN = days(1);

/** An observation of a topic's data. */
export interface Subscriber {
  /** Its last notification is 4.04. */
  end(): void;
}

/** One topic of the collection; its data is the retained message of the bus topic of the same name. */
export interface CollectionTopic {
  readonly id: string;
  /** Whose topics it belongs to: under another mountpoint it does not exist. */
  readonly mountpoint: string;
  readonly name: string;
  properties: Properties;
  /** Over all peers, in the order in which they came. */
  readonly subscribers: Set<Subscriber>;
}

const placeOf = (mountpoint: string, name: string): string => JSON.stringify([mountpoint, name]);

/** When a topic expires; `NEVER` without a date. A date is seconds since 1970, with a fraction perhaps. */
export function expiryOf(properties: Properties): Instant {
  const date = properties.get(Key.expirationDate);
  return typeof date === "number" ? ((date * 1000) as Instant) : NEVER;
}

/** A topic as the store has it, under its id. */
interface TopicRecord {
  readonly mountpoint: string;
  readonly name: string;
  readonly properties: readonly (readonly [key: number, value: string | number | Uint8Array])[];
}

function isRecord(value: unknown): value is TopicRecord {
  const { mountpoint, name, properties } = (value ?? {}) as Partial<TopicRecord>;
  return (
    typeof mountpoint === "string" &&
    typeof name === "string" &&
    Array.isArray(properties) &&
    properties.every((each: unknown) => Array.isArray(each) && isProperty(each[0], each[1]))
  );
}

/**
 * The topic collection of a gateway, for all its listeners: what each topic is, not what it holds. It outlives the
 * process as the retained messages do.
 */
export class Topics {
  readonly #limit: number;
  readonly #host: Pick<GatewayHost, "alarms" | "shelf" | "clearRetained">;
  readonly #byId = new Map<string, CollectionTopic>();
  readonly #byPlace = new Map<string, CollectionTopic>();
  readonly #alarm = new CallbackAlarm((now) => this.#expire(now));

  constructor(limit: number, host: Pick<GatewayHost, "alarms" | "shelf" | "clearRetained">) {
    this.#limit = limit;
    this.#host = host;
    this.#recall();
  }

  #recall(): void {
    const { shelf, alarms } = this.#host;
    for (const [id, value] of shelf.entries()) {
      if (!isRecord(value)) continue;
      const { mountpoint, name, properties } = value;
      this.#enter(id, mountpoint, name, new Map(properties));
    }
    // What has expired meanwhile goes when the gateway runs.
    if (this.#byId.size > 0) alarms.arm(this.#alarm, 0 as Instant);
  }

  /** Nobody looks after expiry any more. */
  close(): void {
    this.#host.alarms.disarm(this.#alarm);
  }

  get full(): boolean {
    return this.#byId.size >= this.#limit;
  }

  all(mountpoint: string): CollectionTopic[] {
    return [...this.#byId.values()].filter((topic) => topic.mountpoint === mountpoint);
  }

  find(mountpoint: string, id: string): CollectionTopic | undefined {
    const topic = this.#byId.get(id);
    return topic?.mountpoint === mountpoint ? topic : undefined;
  }

  named(mountpoint: string, name: string): CollectionTopic | undefined {
    return this.#byPlace.get(placeOf(mountpoint, name));
  }

  add(id: string, mountpoint: string, name: string, properties: Properties, now: Instant): CollectionTopic {
    const topic = this.#enter(id, mountpoint, name, properties);
    this.#keep(topic);
    this.#arm(expiryOf(properties), now);
    return topic;
  }

  #enter(id: string, mountpoint: string, name: string, properties: Properties): CollectionTopic {
    const topic = { id, mountpoint, name, properties, subscribers: new Set<Subscriber>() };
    this.#byId.set(id, topic);
    this.#byPlace.set(placeOf(mountpoint, name), topic);
    return topic;
  }

  #keep(topic: CollectionTopic): void {
    this.#host.shelf.put(topic.id, (): TopicRecord => {
      const { mountpoint, name, properties } = topic;
      return { mountpoint, name, properties: [...properties] };
    });
  }

  /** Whom a lower limit leaves no place, goes: the last that came. */
  change(topic: CollectionTopic, properties: Properties, now: Instant): void {
    topic.properties = properties;
    this.#keep(topic);
    this.#arm(expiryOf(properties), now);
    const limit = properties.get(Key.maxSubscribers);
    if (typeof limit !== "number") return;
    for (const subscriber of [...topic.subscribers].slice(limit)) subscriber.end();
  }

  remove(topic: CollectionTopic): void {
    this.#byId.delete(topic.id);
    this.#byPlace.delete(placeOf(topic.mountpoint, topic.name));
    this.#host.shelf.remove(topic.id);
  }

  /** A topic that expires goes as if it were deleted: its observers and its data with it. */
  #expire(now: Instant): void {
    let next = NEVER;
    for (const topic of this.#byId.values()) {
      const due = expiryOf(topic.properties);
      if (due > now) {
        if (due < next) next = due;
        continue;
      }
      this.remove(topic);
      for (const subscriber of [...topic.subscribers]) subscriber.end();
      this.#host.clearRetained(topic.mountpoint + topic.name);
    }
    this.#arm(next, now);
  }

  /** Only ever brought forward; a date that is far away is looked at again in between. */
  #arm(due: Instant, now: Instant): void {
    const wanted = due === NEVER ? NEVER : earliest(due, after(now, LOOK_AGAIN));
    if (!this.#alarm.armed ? wanted !== NEVER : wanted < this.#alarm.due)
      this.#host.alarms.arm(this.#alarm, wanted);
  }
}
