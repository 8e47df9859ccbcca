/** OpenTSDB, and what takes its data points as it does: HTTP put (opentsdb.net, "HTTP API", /api/put). */
import { type Static, Type } from "@sinclair/typebox";
import { Template, templatesIn } from "../rules/template.ts";
import { asText, isMap, RuleFailure, type Value, type ValueMap } from "../rules/value.ts";
import { flag, text } from "../settings/kinds.ts";
import { type ConnectHost, type Connector, type ConnectorKind, type Item, secretOf } from "./connector.ts";
import { actionSchema, certificateProperties, connectorSchema, secretText } from "./settings.ts";
import { heals, isTaken, MENDED, refusalOf, WebClient } from "./web-client.ts";

const schema = connectorSchema("opentsdb", {
  is: "An OpenTSDB server.",
  // The manual's batch: servers that take no chunked requests have a limit for their size.
  batch: 20,
  own: {
    url: text({
      description: "Where it is.",
      pattern: "^https?://[^?#\\s]+$",
      default: "http://127.0.0.1:4242",
    }),
    headers: Type.Record(Type.String(), secretText("A value"), {
      description: "Sent with every request.",
      default: {},
    }),
    sync: flag({
      description: "The server answers when its storage has the points. false: when it has read them.",
      default: true,
    }),
    ...certificateProperties,
  },
  description: "Data points for OpenTSDB: acknowledged by 2xx.",
});
type Config = Static<typeof schema>;

const action = actionSchema("opentsdb", {
  does: "Put a data point.",
  own: {
    metric: text({ description: "A template.", minLength: 1 }),
    value: text({ description: "A template that gives a number.", minLength: 1 }),
    tags: Type.Unsafe<string | Readonly<Record<string, string>>>({
      type: ["string", "object"],
      description:
        "Templates by the tag's name, or one place that has a map: ${tags}. What is missing is left out; one must be there.",
      additionalProperties: { type: "string" },
    }),
    timestamp: text({ description: "A template: seconds or milliseconds.", default: "${timestamp}" }),
  },
  description: "A data point for OpenTSDB for each output.",
});
type ActionConfig = Static<typeof action>;

/** What names and values of tags may be made of (opentsdb.net, "Metrics and Tags"). */
const NAME = /^[\p{L}\p{Nd}_./-]+$/u;

function nameFrom(what: string, value: Value): string {
  const name = asText(value);
  if (NAME.test(name)) return name;
  throw new RuleFailure(
    `opentsdb: the ${what} '${name.slice(0, 60)}' may have letters, digits and - _ . / only`,
  );
}

function numberFrom(what: string, value: Value): number | string {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  const found = asText(value);
  if (/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(found)) return found;
  throw new RuleFailure(`opentsdb: the ${what} must be a number, not '${found.slice(0, 40)}'`);
}

function compile({ metric, value, tags, timestamp }: ActionConfig) {
  const [name, number, time] = [new Template(metric), new Template(value), new Template(timestamp)];
  const labels = templatesIn(tags);
  return (output: Value): ValueMap => {
    const all = labels(output);
    if (!isMap(all)) throw new RuleFailure("opentsdb: tags must be a map");
    const found = Object.entries(all).filter(
      ([, label]) => label !== undefined && label !== null && label !== "",
    );
    if (found.length === 0) throw new RuleFailure("opentsdb: a data point needs a tag that has a value");
    return {
      metric: nameFrom("metric", name.fill(output)),
      timestamp: Math.floor(Number(numberFrom("timestamp", time.value(output)))),
      value: numberFrom("value", number.value(output)),
      tags: Object.fromEntries(
        found.map(([key, label]) => [nameFrom("name of a tag", key), nameFrom(`tag ${key}`, label)]),
      ),
    };
  };
}

class OpenTsdb implements Connector {
  readonly #web: WebClient;
  readonly #base: string;
  readonly #query: string;
  readonly #headers: Record<string, string>;

  constructor(config: Config, host: ConnectHost) {
    this.#web = new WebClient(config, host);
    this.#base = config.url.replace(/\/$/, "");
    // details: of what is refused it says why.
    this.#query = config.sync ? "details&sync" : "details";
    this.#headers = { "content-type": "application/json" };
    for (const [name, value] of Object.entries(config.headers))
      this.#headers[name.toLowerCase()] = secretOf(value, host);
  }

  /** What fails as a whole is put point by point: one that is there is written over by itself. */
  async send(items: readonly Item[], signal: AbortSignal): Promise<undefined> {
    const body = JSON.stringify(items.map(({ parameters }) => parameters));
    const url = `${this.#base}/api/put?${this.#query}`;
    const answer = await this.#web.ask("POST", url, this.#headers, body, signal);
    const { status } = answer;
    if (!isTaken(answer)) throw refusalOf("server", answer, heals(status) || MENDED.includes(status));
  }

  async check(signal: AbortSignal): Promise<void> {
    const answer = await this.#web.ask("GET", `${this.#base}/api/version`, this.#headers, "", signal);
    // What takes points as OpenTSDB does need not have a version of it.
    if (answer.status >= 500) throw refusalOf("server", answer, true);
  }

  close(): Promise<void> {
    return this.#web.close();
  }
}

export const opentsdb: ConnectorKind<Config, ActionConfig> = {
  kind: "opentsdb",
  schema,
  action,
  libraries: ["undici"],
  open: (config, host) => new OpenTsdb(config, host),
  compile,
};
