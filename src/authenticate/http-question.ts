/** One question to an HTTP service: where its placeholders go, and how it is sent. */
import { type Static, Type } from "@sinclair/typebox";
import type { Peer } from "../contract/peer.ts";
import { choice, SECRET, text } from "../settings/kinds.ts";
import { asFormValue, asText, LoginTemplate, type Subject } from "./template.ts";
import type { Web, WebAnswer } from "./web.ts";

export const httpQuestionProperties = {
  method: choice(["post", "get"], { description: "How the service is asked.", default: "post" }),
  url: text({ description: "Address of the service, with placeholders.", pattern: "^https?://" }),
  format: choice(["json", "form"], {
    description: "post: what the body is; EMQ X 4 sent forms. get: the parameters go into the query.",
    default: "json",
  }),
  headers: Type.Record(Type.String(), text({ description: "A value.", [SECRET]: true }), {
    description: "Headers beside content-type.",
    default: {},
  }),
  caFile: Type.Optional(text({ description: "Certificates that the service's is signed with, as PEM." })),
};
const Properties = Type.Object(httpQuestionProperties);
type Settings = Pick<Static<typeof Properties>, "method" | "format" | "headers">;

export class HttpQuestion {
  readonly #settings: Settings;
  readonly #web: Web;
  readonly #url: LoginTemplate;
  readonly #parameters: readonly (readonly [name: string, template: LoginTemplate])[];

  constructor(
    settings: Settings,
    url: string,
    parameters: Readonly<Record<string, string>>,
    web: Web,
    name: string,
  ) {
    this.#settings = settings;
    this.#web = web;
    this.#url = new LoginTemplate(url, name);
    this.#parameters = Object.entries(parameters).map(([key, value]) => [
      key,
      new LoginTemplate(value, name),
    ]);
  }

  /** Undefined where a value is missing, or is one that nobody could have. */
  async ask(subject: Subject, peer: Peer, signal: AbortSignal): Promise<WebAnswer | undefined> {
    const { method, format, headers } = this.#settings;
    const form = method === "get" || format === "form";
    const address = this.#url.fill(subject, peer, asFormValue);
    const fields: [string, string][] = [];
    for (const [name, template] of this.#parameters) {
      const value = template.fill(subject, peer, form ? asFormValue : asText);
      if (value === undefined) return undefined;
      fields.push([name, value]);
    }
    if (address === undefined) return undefined;
    const encoded = fields.map(([name, value]) => `${encodeURIComponent(name)}=${value}`).join("&");
    if (method === "get") {
      const joined = encoded === "" ? address : `${address}${address.includes("?") ? "&" : "?"}${encoded}`;
      return this.#web.ask({ url: joined, method: "GET", headers, signal });
    }
    const type = form ? "application/x-www-form-urlencoded" : "application/json";
    const body = form ? encoded : JSON.stringify(Object.fromEntries(fields));
    return this.#web.ask({
      url: address,
      method: "POST",
      headers: { ...headers, "content-type": type },
      body,
      signal,
    });
  }
}
