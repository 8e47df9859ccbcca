/** HTTP: webhooks, and any service that takes a request for an event. The library is undici 7. */
import { createHmac } from "node:crypto";
import { type Static, Type } from "@sinclair/typebox";
import { VIA } from "../bus/via.ts";
import { ActionError } from "../rules/action.ts";
import { Template } from "../rules/template.ts";
import { asText, octetsOf, RuleFailure, type Value } from "../rules/value.ts";
import { choice, text } from "../settings/kinds.ts";
import { type ConnectHost, type Connector, type ConnectorKind, type Item, secretOf } from "./connector.ts";
import {
  actionSchema,
  certificateProperties,
  connectorSchema,
  contentText,
  secretText,
  templateMap,
} from "./settings.ts";
import { heals, isTaken, refusalOf, WebClient } from "./web-client.ts";

const schema = connectorSchema("http", {
  is: "An HTTP service.",
  batch: 1,
  own: {
    url: text({
      description: "Where the service is; paths of actions are put behind it.",
      pattern: "^https?://[^?#]+$",
    }),
    headers: Type.Record(Type.String(), secretText("A value"), {
      description: "Sent with every request.",
      default: {},
    }),
    signature: Type.Optional(
      Type.Object(
        {
          secret: secretText("Key of the signature; whsec_ and base64, or any text", { minLength: 1 }),
        },
        {
          description:
            "Sign each request as Standard Webhooks does: webhook-id, webhook-timestamp, and webhook-signature with HMAC-SHA256 of both and the body.",
        },
      ),
    ),
    ...certificateProperties,
  },
  description: "Requests to an HTTP service: acknowledged by 2xx.",
});
type Config = Static<typeof schema>;

const action = actionSchema("http", {
  does: "Send a request.",
  own: {
    method: choice(["POST", "PUT", "PATCH", "GET", "DELETE"], { description: "Method.", default: "POST" }),
    path: text({
      description: "Put behind the connector's url; a template, whose values are percent-encoded.",
      default: "",
    }),
    headers: templateMap("Beside those of the connector."),
    body: contentText("${.}"),
  },
  description: "A request to an HTTP service for each output.",
});
type ActionConfig = Static<typeof action>;

/** RFC 9110 §5.1. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const BODILESS: readonly string[] = ["GET", "DELETE"];

/** What a request is. */
interface Parameters {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** Segments that lead elsewhere, in whatever way they are written (URL standard, "double-dot URL path segment"). */
const ELSEWHERE = /(^|\/)(\.|%2e){1,2}(\/|$)/i;

/** What was put together of values stays below the connector's url. */
function within(path: string): string {
  if (ELSEWHERE.test(path)) throw new RuleFailure(`http: the path ${path} would lead elsewhere`);
  return path;
}

function compile({ method, path, headers, body }: ActionConfig) {
  const where = new Template(path).between;
  const lines = Object.entries(headers).map(([name, text]) => {
    if (!HEADER_NAME.test(name)) throw new ActionError(`'${name}' is no name of a header`);
    return [name.toLowerCase(), new Template(text)] as const;
  });
  const content = new Template(body);
  return (output: Value) => {
    const values = where.bind(output);
    const filled = where.texts.map(
      (part, index) =>
        part + (index < values.length ? encodeURIComponent(asText(values[index]).toWellFormed()) : ""),
    );
    return {
      method,
      path: within(filled.join("")),
      headers: Object.fromEntries(lines.map(([name, text]) => [name, headerValue(name, text.fill(output))])),
      body: BODILESS.includes(method) ? "" : content.content(output),
    };
  };
}

function headerValue(name: string, value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what a header must not have
  const [found] = /[\0-\x08\x0a-\x1f\x7f]|[^\0-\xff]/.exec(value) ?? [];
  if (found !== undefined)
    throw new RuleFailure(
      `http: the header ${name} would have ${JSON.stringify(found)}, which no header can`,
    );
  return value;
}

class Http implements Connector {
  readonly #config: Config;
  readonly #host: ConnectHost;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #key: Uint8Array | undefined;
  readonly #web: WebClient;

  constructor(config: Config, host: ConnectHost) {
    this.#config = config;
    this.#host = host;
    this.#headers = Object.fromEntries(
      Object.entries(config.headers).map(([name, value]) => [name.toLowerCase(), secretOf(value, host)]),
    );
    this.#key = config.signature && keyOf(secretOf(config.signature.secret, host));
    this.#web = new WebClient(config, host);
  }

  async send(items: readonly Item[], signal: AbortSignal): Promise<undefined> {
    const groups = items.length === 1 ? [items] : sameRequests(items);
    for (const group of groups) await this.#ask(group, signal);
  }

  /** One request for all of them. */
  async #ask(items: readonly Item[], signal: AbortSignal): Promise<void> {
    const request = together(items);
    const { method, path, body } = request;
    const headers = this.#allHeaders(request, idOf(items), items[0]!.via);
    const answer = await this.#web.ask(method, this.#config.url + path, headers, body, signal);
    if (!isTaken(answer)) throw refusalOf("service", answer, heals(answer.status));
  }

  #allHeaders({ headers, body }: Parameters, id: string, via: string | undefined): Record<string, string> {
    return {
      ...(body.length === 0 ? {} : { "content-type": contentType(body) }),
      "idempotency-key": id,
      ...(via === undefined ? {} : { [VIA]: via }),
      ...{ ...this.#headers, ...headers, ...this.#signed(id, body) },
    };
  }

  /** Standard Webhooks 1.0: a receiver knows from whom it is, and that it is not an old one sent again. */
  #signed(id: string, body: string | Uint8Array): Record<string, string> {
    if (this.#key === undefined) return {};
    const time = String(Math.floor(this.#host.now() / 1000));
    const hmac = createHmac("sha256", this.#key).update(`${id}.${time}.`).update(octetsOf(body));
    return {
      "webhook-id": id,
      "webhook-timestamp": time,
      "webhook-signature": `v1,${hmac.digest("base64")}`,
    };
  }

  /** Nothing is asked of a service that may take every request for an event: it is there when it lets us connect. */
  async check(signal: AbortSignal): Promise<void> {
    await this.#web.ask("HEAD", this.#config.url, { ...this.#headers }, "", signal);
  }

  close(): Promise<void> {
    return this.#web.close();
  }
}

const keyOf = (secret: string): Uint8Array =>
  secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : octetsOf(secret);

const contentType = (body: string | Uint8Array): string =>
  typeof body !== "string"
    ? "application/octet-stream"
    : /^\s*[[{"]/.test(body)
      ? "application/json"
      : "text/plain; charset=utf-8";

/** Requests that differ in their bodies only, in their order. */
function sameRequests(items: readonly Item[]): readonly (readonly Item[])[] {
  const groups: Item[][] = [];
  let former = "";
  for (const item of items) {
    const { method, path, headers } = item.parameters as unknown as Parameters;
    const key = JSON.stringify([method, path, headers, item.via]);
    if (key === former && !BODILESS.includes(method)) groups.at(-1)!.push(item);
    else groups.push([item]);
    former = key;
  }
  return groups;
}

/** A JSON array of what are JSON texts by themselves. */
function together(items: readonly Item[]): Parameters {
  const first = items[0]!.parameters as unknown as Parameters;
  if (items.length === 1 || BODILESS.includes(first.method)) return first;
  return { ...first, body: `[${items.map(({ parameters }) => asText(parameters["body"])).join(",")}]` };
}

const idOf = (items: readonly Item[]): string =>
  items.length === 1 ? items[0]!.id : `${items[0]!.id}+${items.length - 1}`;

export const http: ConnectorKind<Config, ActionConfig> = {
  kind: "http",
  schema,
  action,
  saysVia: true,
  libraries: ["undici"],
  open: (config, host) => new Http(config, host),
  compile,
};
