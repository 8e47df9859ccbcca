import type { StompConfig } from "./config.ts";

/** How a client writes its destinations; one object for each way, so that equal ways are the same object. */
export interface Style {
  /** What was cut off in front, and goes there again. */
  readonly prefix: string;
  /** What queues have in front of their topics, and destinations have not. */
  readonly topicPrefix: string;
}

/** A destination of SUBSCRIBE. */
export interface Source {
  /** Topic filter, `$share/...` and `$queue/...` included. */
  readonly filter: string;
  readonly style: Style;
}

type Dialect = StompConfig["destinations"]["wildcards"];

/** `$share/<group>/`, which is no part of the destination proper. */
const SHARE = /^\$share\/[^/]*\//;

const SEPARATORS = /[./]/;
const EACH_SEPARATOR = /[./]/g;
const swapped = (separator: string): string => (separator === "." ? "/" : ".");

/** Translates destinations into topics and back, as the configuration says. */
export class Destinations {
  readonly #config: StompConfig["destinations"];
  readonly #styles = new Map<string, Style>();
  /** Nothing in front and no other separator: destinations are topics. */
  readonly #dotted: boolean;

  constructor(config: StompConfig["destinations"]) {
    this.#config = config;
    this.#dotted = config.separator === ".";
  }

  /** The topic that a SEND to this destination publishes to. */
  topic(destination: string): string {
    const prefix = this.#prefix(destination);
    const topic = this.#levels(destination.slice(prefix.length));
    return topic === "" || !this.#isQueue(prefix) ? topic : this.#config.queueTopicPrefix + topic;
  }

  /** What a SUBSCRIBE to this destination subscribes to, or why it cannot. */
  source(destination: string): Source | string {
    const prefix = this.#prefix(destination);
    const rest = destination.slice(prefix.length);
    const share = SHARE.exec(rest)?.[0] ?? "";
    const filter = toMqttWildcards(this.#levels(rest.slice(share.length)), this.#config.wildcards);
    if (filter === undefined) return "a wildcard stands where it has no meaning";
    const style = this.#style(prefix);
    if (!this.#isQueue(prefix)) return { filter: `${share}${filter}`, style };
    return { filter: `${share === "" ? "$queue/" : share}${style.topicPrefix}${filter}`, style };
  }

  /** A topic as a destination of that style. */
  format(topic: string, style: Style): string {
    const { topicPrefix } = style;
    const name = topic.startsWith(topicPrefix) ? topic.slice(topicPrefix.length) : topic;
    const destination = this.#levels(name);
    return style.prefix === "" ? destination : style.prefix + destination;
  }

  #isQueue(prefix: string): boolean {
    return this.#config.queuePrefixes.includes(prefix);
  }

  #prefix(destination: string): string {
    for (const prefix of this.#config.topicPrefixes) if (destination.startsWith(prefix)) return prefix;
    for (const prefix of this.#config.queuePrefixes) if (destination.startsWith(prefix)) return prefix;
    return this.#config.leadingSlash === "strip" && destination.startsWith("/") ? "/" : "";
  }

  /**
   * With the dot as separator a slash is a character like any other, and in a topic it is the other way round: they
   * change places, so that each destination has a topic of its own and comes back as it was.
   */
  #levels(path: string): string {
    return this.#dotted && SEPARATORS.test(path) ? path.replace(EACH_SEPARATOR, swapped) : path;
  }

  #style(prefix: string): Style {
    let style = this.#styles.get(prefix);
    if (style === undefined) {
      style = { prefix, topicPrefix: this.#isQueue(prefix) ? this.#config.queueTopicPrefix : "" };
      this.#styles.set(prefix, style);
    }
    return style;
  }
}

/** Undefined when a character would become a wildcard that the client did not mean. */
function toMqttWildcards(path: string, dialect: Dialect): string | undefined {
  if (dialect === "mqtt") return path;
  const all = dialect === "amqp" ? "#" : ">";
  const levels = path.split("/");
  for (const [index, level] of levels.entries()) {
    if (level === "*") levels[index] = "+";
    else if (level === all) {
      if (index !== levels.length - 1) return undefined;
      levels[index] = "#";
    } else if (level.includes("+") || level.includes("#")) return undefined;
  }
  return levels.join("/");
}
