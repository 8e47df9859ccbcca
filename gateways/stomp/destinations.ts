import type { StompConfig } from "./config.ts";

/** How a client writes its destinations; one object for each way, so that equal ways are the same object. */
export interface Style {
  /** What was cut off in front, and goes there again. */
  readonly prefix: string;
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
    return this.#levels(destination.slice(this.#prefix(destination).length));
  }

  /** What a SUBSCRIBE to this destination subscribes to, or why it cannot. */
  source(destination: string): Source | string {
    const prefix = this.#prefix(destination);
    const rest = destination.slice(prefix.length);
    const share = SHARE.exec(rest)?.[0] ?? "";
    const filter = toMqttWildcards(this.#levels(rest.slice(share.length)), this.#config.wildcards);
    if (filter === undefined) return "a wildcard stands where it has no meaning";
    const queue = this.#config.queuePrefixes.includes(prefix) && share === "";
    return { filter: `${queue ? "$queue/" : share}${filter}`, style: this.#style(prefix) };
  }

  /** A topic as a destination of that style. */
  format(topic: string, style: Style): string {
    const destination = this.#dotted ? topic.replaceAll("/", ".") : topic;
    return style.prefix === "" ? destination : style.prefix + destination;
  }

  #prefix(destination: string): string {
    for (const prefix of this.#config.topicPrefixes) if (destination.startsWith(prefix)) return prefix;
    for (const prefix of this.#config.queuePrefixes) if (destination.startsWith(prefix)) return prefix;
    return this.#config.leadingSlash === "strip" && destination.startsWith("/") ? "/" : "";
  }

  #levels(path: string): string {
    return this.#dotted ? path.replaceAll(".", "/") : path;
  }

  #style(prefix: string): Style {
    let style = this.#styles.get(prefix);
    if (style === undefined) {
      style = { prefix };
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
