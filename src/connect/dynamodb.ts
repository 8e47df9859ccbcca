/** Amazon DynamoDB, and what speaks its API: an item for each output. Requests are signed by aws4; HTTP is undici's. */
import { type Static, Type } from "@sinclair/typebox";
import type { Request } from "aws4";
import { ActionError } from "../rules/action.ts";
import { type Filled, Template, templatesIn } from "../rules/template.ts";
import { isArray, isMap, RuleFailure, type Value, type ValueMap } from "../rules/value.ts";
import { text } from "../settings/kinds.ts";
import {
  type ConnectHost,
  type Connector,
  type ConnectorKind,
  type Item,
  SinkFailure,
  secretOf,
} from "./connector.ts";
import { placesBy } from "./grouped.ts";
import { actionSchema, certificateProperties, connectorSchema, secretText } from "./settings.ts";
import { heals, isTaken, refusalOf, type WebAnswer, WebClient } from "./web-client.ts";

/** Of one request (docs.aws.amazon.com, "BatchWriteItem"). */
const BATCH_MAX = 25;

const schema = connectorSchema("dynamodb", {
  is: "Amazon DynamoDB, or a service that speaks its API.",
  batch: BATCH_MAX,
  own: {
    region: text({ description: "Region, also in signatures.", default: "us-east-1", minLength: 1 }),
    url: text({
      description: "Where the service is. Empty: Amazon's of that region.",
      pattern: "^(https?://[^/?#\\s]+/?)?$",
      default: "",
    }),
    accessKeyId: secretText("Id of the access key", { minLength: 1 }),
    secretAccessKey: secretText("The access key itself", { minLength: 1 }),
    sessionToken: secretText("Token of a session, with keys that expire. Empty: none", { default: "" }),
    ...certificateProperties,
  },
  description: "Items for DynamoDB: acknowledged when it says that they are written.",
});
type Config = Static<typeof schema>;

const action = actionSchema("dynamodb", {
  does: "Put an item.",
  own: {
    table: text({ description: "A template.", minLength: 1 }),
    item: Type.Unsafe<string | Readonly<Record<string, unknown>>>({
      type: ["string", "object"],
      description:
        "Templates by the attribute's name, also nested: a place alone keeps its type, and what is missing is left out. Or one place that has a map: ${.}. It must have the table's key; an item with the same key is written over.",
      default: "${.}",
    }),
  },
  description: "An item for a DynamoDB table for each output.",
});
type ActionConfig = Static<typeof action>;

/** docs.aws.amazon.com, "Naming rules". */
const TABLE = /^[A-Za-z0-9_.-]{3,255}$/;

function compile({ table, item }: ActionConfig) {
  const where = new Template(table);
  if (where.isConstant && !TABLE.test(table)) throw new ActionError(`'${table}' is no name of a table`);
  const fill: Filled = item === "${.}" ? (output) => output : templatesIn(item);
  return (output: Value): ValueMap => {
    const [name, filled] = [where.fill(output), fill(output)];
    if (!TABLE.test(name)) throw new RuleFailure(`dynamodb: '${name.slice(0, 60)}' is no name of a table`);
    if (!isMap(filled)) throw new RuleFailure("dynamodb: an item must be a map of attributes");
    return { table: name, item: filled };
  };
}

/** docs.aws.amazon.com, "AttributeValue". */
function attributeOf(value: Value): object {
  if (value === null || value === undefined) return { NULL: true };
  if (typeof value === "string") return { S: value };
  if (typeof value === "boolean") return { BOOL: value };
  if (typeof value === "number" || typeof value === "bigint") return { N: String(value) };
  if (value instanceof Uint8Array) return { B: Buffer.from(value).toString("base64") };
  return isArray(value) ? { L: value.map(attributeOf) } : { M: attributesOf(value as ValueMap) };
}

const attributesOf = (map: ValueMap): object =>
  Object.fromEntries(
    Object.entries(map)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, attributeOf(value)]),
  );

/** Two items are the same in whatever order their attributes stand. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );

/** The item is at fault: without its key, too large, twice in a batch. All else an operator can mend, or time. */
const AT_FAULT: readonly string[] = [
  "ValidationException",
  "SerializationException",
  "ItemCollectionSizeLimitExceededException",
];
/** It knows us, and does not let us ask this. */
const FORBIDDEN = "AccessDeniedException";

/** Of an answer, beside the items that come back: they are as long as those that were sent. */
const ANSWER_MAX = 64 * 1024;
/** Of what JSON makes of an octet, at most. */
const ESCAPED = 6;

interface Refusal {
  /** `com.amazonaws.dynamodb.v20120810#ValidationException`. */
  readonly __type?: unknown;
  readonly message?: unknown;
  readonly Message?: unknown;
}

const nameIn = ({ __type }: Refusal): string =>
  typeof __type === "string" ? __type.replace(/^.*#/, "") : "";

/** What is no JSON is undefined. */
function objectIn({ body }: WebAnswer): object | undefined {
  try {
    const found: unknown = JSON.parse(body);
    return typeof found === "object" && found !== null ? found : undefined;
  } catch {
    return undefined;
  }
}

function refused(answer: WebAnswer): SinkFailure {
  const refusal: Refusal = objectIn(answer) ?? {};
  const name = nameIn(refusal);
  if (name === "") return refusalOf("service", answer, heals(answer.status));
  const says = refusal.message ?? refusal.Message;
  return new SinkFailure(
    `${name}: ${typeof says === "string" ? says : answer.status}`,
    !AT_FAULT.includes(name),
    answer.retryAfter,
  );
}

/** Why what comes behind something of its table that is tried again is not given before it. */
const BEHIND = new SinkFailure("one before it is tried again", true);

class DynamoDb implements Connector {
  readonly #web: WebClient;
  readonly #host: ConnectHost;
  readonly #config: Config;
  readonly #url: URL;
  readonly #credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  #sign: ((request: Request, credentials: object) => Request) | undefined = undefined;

  constructor(config: Config, host: ConnectHost) {
    const { region, url, accessKeyId, secretAccessKey, sessionToken } = config;
    this.#web = new WebClient(config, host);
    this.#host = host;
    this.#config = config;
    this.#url = new URL(url === "" ? `https://dynamodb.${region}.amazonaws.com` : url);
    this.#credentials = {
      accessKeyId: secretOf(accessKeyId, host),
      secretAccessKey: secretOf(secretAccessKey, host),
      ...(sessionToken === "" ? {} : { sessionToken: secretOf(sessionToken, host) }),
    };
  }

  /** Tables know nothing of each other: one that fails does not hold up the rest of the batch. */
  async send(items: readonly Item[], signal: AbortSignal): Promise<readonly (SinkFailure | undefined)[]> {
    const results: (SinkFailure | undefined)[] = new Array(items.length).fill(undefined);
    for (const [table, places] of placesBy(items, "table")) {
      for (let from = 0; from < places.length; from += BATCH_MAX) {
        const some = places.slice(from, from + BATCH_MAX);
        await this.#put(table, items, some, results, signal);
        // The key of a later one may be the same: it must not be written before.
        if (!some.some((place) => results[place]?.heals === true)) continue;
        for (const place of places.slice(from + BATCH_MAX)) results[place] = BEHIND;
        break;
      }
    }
    return results;
  }

  /** Of what is refused as a whole, each by itself shows which one is at fault. */
  async #put(
    table: string,
    items: readonly Item[],
    places: readonly number[],
    results: (SinkFailure | undefined)[],
    signal: AbortSignal,
  ): Promise<void> {
    const puts = places.map((place) => attributesOf(items[place]!.parameters["item"] as ValueMap));
    const back = await this.#write(table, puts, signal);
    if (back instanceof SinkFailure && !back.heals && places.length > 1) {
      for (const [index, place] of places.entries()) {
        await this.#put(table, items, [place], results, signal);
        if (results[place]?.heals !== true) continue;
        for (const behind of places.slice(index + 1)) results[behind] = BEHIND;
        return;
      }
      return;
    }
    for (const [index, place] of places.entries())
      results[place] = back instanceof SinkFailure ? back : back(puts[index]!);
  }

  /** What became of all of them, or of each. */
  async #write(
    table: string,
    puts: readonly object[],
    signal: AbortSignal,
  ): Promise<SinkFailure | ((put: object) => SinkFailure | undefined)> {
    const body = JSON.stringify({
      RequestItems: { [table]: puts.map((Item) => ({ PutRequest: { Item } })) },
    });
    const answer = await this.#ask("BatchWriteItem", body, signal);
    if (!isTaken(answer)) return refused(answer);
    const found = objectIn(answer) as { UnprocessedItems?: Record<string, unknown> } | undefined;
    if (found === undefined)
      return new SinkFailure(`it answers with what is no DynamoDB: ${answer.said}`, true);
    const left = found.UnprocessedItems?.[table];
    if (left === undefined || (Array.isArray(left) && left.length === 0)) return () => undefined;
    const busy = new SinkFailure("DynamoDB has no capacity for it now", true);
    const unwritten = new Set(
      (Array.isArray(left) ? left : []).map((each) => canonical(each?.PutRequest?.Item)),
    );
    // One that nobody knows again may be any of them: all are put once more, which changes nothing.
    const sent = new Set(puts.map(canonical));
    if ([...unwritten].some((each) => !sent.has(each)) || unwritten.size === 0) return busy;
    return (put) => (unwritten.has(canonical(put)) ? busy : undefined);
  }

  async check(signal: AbortSignal): Promise<void> {
    const answer = await this.#ask("ListTables", '{"Limit":1}', signal);
    if (isTaken(answer) && objectIn(answer) !== undefined) return;
    // Who may write tables need not be let list them.
    if (nameIn(objectIn(answer) ?? {}) === FORBIDDEN) return;
    throw refused(answer);
  }

  async #ask(operation: string, body: string, signal: AbortSignal): Promise<WebAnswer> {
    this.#sign ??= (await import("aws4")).default.sign;
    const { host, href } = this.#url;
    const { headers } = this.#sign(
      {
        ...{ service: "dynamodb", region: this.#config.region, method: "POST", host, path: "/", body },
        headers: {
          "Content-Type": "application/x-amz-json-1.0",
          "X-Amz-Target": `DynamoDB_20120810.${operation}`,
          "X-Amz-Date": basicFormat(this.#host.now()),
        },
      },
      this.#credentials,
    );
    const most = ANSWER_MAX + ESCAPED * body.length;
    return this.#web.ask("POST", href, headers as Record<string, string>, body, signal, most);
  }

  close(): Promise<void> {
    return this.#web.close();
  }
}

/** ISO 8601 without what separates: 20260102T030405Z. */
const basicFormat = (time: number): string => new Date(time).toISOString().replaceAll(/[-:]|\.\d+/g, "");

export const dynamodb: ConnectorKind<Config, ActionConfig> = {
  kind: "dynamodb",
  schema,
  action,
  libraries: ["undici", "aws4"],
  open: (config, host) => new DynamoDb(config, host),
  compile,
};
