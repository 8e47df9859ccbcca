import type { Message } from "../bus/message.ts";
import type { Instant } from "../lib/time.ts";

/** The last message of a topic. */
export interface LastMessage {
  readonly at: Instant;
  readonly qos: number;
  readonly retain: boolean;
  /** Its beginning. */
  readonly payload: Uint8Array;
  readonly bytes: number;
  readonly publisher: string;
}

export interface TopicRow {
  /** Name of the level, and the topic that ends with it. */
  readonly level: string;
  readonly topic: string;
  /** Topics below it with messages of their own. */
  readonly below: number;
  /** Messages since they are counted. */
  readonly messages: number;
  readonly last: LastMessage | undefined;
}

/** Where messages pass by. */
export interface Passage {
  /** Returns what ends it. */
  look(looker: { saw(message: Message): void }): () => void;
}

interface Options {
  /** Topics at most. */
  readonly max: number;
  /** Retained messages, to begin with. */
  retained(): Iterable<Message>;
}

/** Deeper topics are left out: no tree that people open goes so far down. */
const DEPTH_MAX = 32;
/** Levels that may be kept for each topic, so that deep ones take no more room than others. */
const LEVELS_A_TOPIC = 8;
/** Bytes of a payload that are kept. */
const PAYLOAD_MAX = 512;
/** Nobody has asked for so long: all is forgotten. */
const IDLE_MS = 600_000;

class Level {
  readonly next = new Map<string, Level>();
  below = 0;
  messages = 0;
  last: LastMessage | undefined = undefined;
}

/**
 * Topics by levels, with their last messages. It looks only while somebody asks, and costs a look at a field else; what
 * it shows is what is retained, and what has come since it began to look.
 */
export class TopicDirectory {
  readonly #passage: Passage;
  readonly #options: Options;
  readonly #seeing = { saw: (message: Message): void => this.#saw(message) };
  #stop = (): void => {};
  #root = new Level();
  #levels = 0;
  #asked = 0;
  count = 0;
  /** Since when it looks; undefined while it does not. */
  since: number | undefined = undefined;
  /** Topics that found no room. */
  left = 0;

  constructor(passage: Passage, options: Options) {
    this.#passage = passage;
    this.#options = options;
  }

  /** Called now and then: ends looking when nobody asks any more. */
  rest(now: number): void {
    if (this.since === undefined || now - this.#asked < IDLE_MS) return;
    this.#stop();
    this.since = undefined;
    this.#root = new Level();
    this.#levels = 0;
    this.count = 0;
    this.left = 0;
  }

  #look(now: number): void {
    this.#asked = now;
    if (this.since !== undefined) return;
    this.since = now;
    this.#stop = this.#passage.look(this.#seeing);
    for (const message of this.#options.retained()) {
      if (this.count >= this.#options.max) break;
      this.#enter(message, 0);
    }
  }

  #saw(message: Message): void {
    // Without a payload it takes a retained message back [MQTT-3.3.1-6].
    if (message.retain && message.payload.length === 0) return;
    this.#enter(message, 1);
  }

  #enter(message: Message, counted: number): void {
    const { topic, payload, qos, retain, publishedAt, publisher } = message;
    const path: Level[] = [this.#root];
    let at = this.#root;
    let known = true;
    const names = topic.split("/", DEPTH_MAX + 1);
    if (names.length > DEPTH_MAX) {
      this.left++;
      return;
    }
    for (const name of names) {
      let next = at.next.get(name);
      if (next === undefined) {
        if (this.count >= this.#options.max || this.#levels >= this.#options.max * LEVELS_A_TOPIC) {
          this.left++;
          return;
        }
        next = new Level();
        this.#levels++;
        at.next.set(name, next);
        known = false;
      }
      at = next;
      path.push(at);
    }
    if (!known || at.last === undefined) {
      if (this.count >= this.#options.max) {
        this.left++;
        return;
      }
      this.count++;
      for (let above = 0; above < path.length - 1; above++) path[above]!.below++;
    }
    at.messages += counted;
    at.last = {
      at: publishedAt,
      qos,
      retain,
      payload: payload.slice(0, PAYLOAD_MAX),
      bytes: payload.length,
      publisher,
    };
  }

  #find(topic: string | undefined): Level | undefined {
    if (topic === undefined) return this.#root;
    let at: Level | undefined = this.#root;
    for (const name of topic.split("/")) {
      at = at.next.get(name);
      if (at === undefined) return undefined;
    }
    return at;
  }

  /** The levels below a topic (of all where it is absent) whose names begin so, in their order, behind `after`. */
  children(
    topic: string | undefined,
    { now, after, prefix, limit }: { now: number; after: string | undefined; prefix: string; limit: number },
  ): { readonly items: readonly TopicRow[]; readonly next: string | undefined } {
    this.#look(now);
    const names = [...(this.#find(topic)?.next.keys() ?? [])]
      .filter((name) => name.startsWith(prefix) && (after === undefined || name > after))
      .sort();
    const found = names.slice(0, limit);
    return {
      items: found.map((name) => this.#row(topic === undefined ? name : `${topic}/${name}`, name)),
      next: names.length > found.length ? found.at(-1) : undefined,
    };
  }

  /** One topic; undefined where nothing was seen. */
  at(topic: string, now: number): TopicRow | undefined {
    this.#look(now);
    const level = this.#find(topic);
    return level === undefined ? undefined : this.#row(topic, topic.slice(topic.lastIndexOf("/") + 1));
  }

  #row(topic: string, level: string): TopicRow {
    const { below, messages, last } = this.#find(topic)!;
    return { level, topic, below, messages, last };
  }
}
