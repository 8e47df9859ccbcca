/** The command line's side of the HTTP API: where it is, with which key, and what its answers mean for a script. */
import { readFileSync } from "node:fs";

/** Where and as whom, as given on the command line and in the environment. */
export interface Target {
  readonly url: string | undefined;
  /** `id.secret`. */
  readonly key: string | undefined;
  /** What a node on this machine has written for who may read its data folder. */
  readonly localFile: string;
}

/** An answer that is no success, or none at all. */
export class ApiError extends Error {
  readonly code: "api-unreachable" | "api-refused";
  readonly problem: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ApiError["code"], message: string, problem?: Readonly<Record<string, unknown>>) {
    super(message);
    this.code = code;
    this.problem = problem;
  }
}

const DEFAULT_URL = "http://127.0.0.1:18083";
const TIMEOUT_MS = 90_000;

export interface AskOptions {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
}

export interface ApiEvent {
  readonly event: string;
  readonly data: unknown;
}

interface Local {
  readonly url?: string;
  readonly key?: string;
}

function readLocal(path: string): Local {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Local;
  } catch {
    // No node runs on this folder, or it is not ours to read.
    return {};
  }
}

export class ApiClient {
  readonly base: string;
  readonly #key: string | undefined;

  constructor({ url, key, localFile }: Target) {
    const local = url === undefined || key === undefined ? readLocal(localFile) : {};
    this.base = (url ?? local.url ?? DEFAULT_URL).replace(/\/+$/, "");
    // The node's own key is for the node itself.
    this.#key = key ?? (url === undefined ? local.key : undefined);
  }

  /** Throws `ApiError`. */
  async ask<Found>(method: string, path: string, options: AskOptions = {}): Promise<Found> {
    const answer = await this.#send(method, path, options, AbortSignal.timeout(TIMEOUT_MS));
    const text = await answer.text();
    if (!answer.ok) throw refusalOf(answer.status, text);
    const isJson = (answer.headers.get("content-type") ?? "").includes("json");
    return (text === "" ? undefined : isJson ? JSON.parse(text) : text) as Found;
  }

  /** Something that is saved as a file. */
  async download(path: string, query: AskOptions["query"]): Promise<AsyncIterable<Uint8Array>> {
    const answer = await this.#send(
      "GET",
      path,
      query === undefined ? {} : { query },
      AbortSignal.timeout(TIMEOUT_MS),
    );
    if (!answer.ok || answer.body === null) throw refusalOf(answer.status, await answer.text());
    return answer.body as AsyncIterable<Uint8Array>;
  }

  /** All pages of a list, one after the other. */
  async *pages<Row>(
    path: string,
    query: Readonly<Record<string, string | number | boolean | undefined>>,
    rows: number,
  ): AsyncGenerator<Row> {
    let cursor: string | undefined;
    let left = rows;
    do {
      const page = await this.ask<{ items: Row[]; next?: string }>("GET", path, {
        query: { ...query, limit: Math.max(1, Math.min(left, 1_000)), cursor },
      });
      for (const row of page.items.slice(0, left)) yield row;
      left -= page.items.length;
      cursor = page.next;
    } while (cursor !== undefined && left > 0);
  }

  /** Events as they come, until the stream or whoever reads ends. */
  async *events(path: string, query: AskOptions["query"], end: AbortSignal): AsyncGenerator<ApiEvent> {
    yield* await this.follow(path, query, end);
  }

  /** The same; what happens once this has resolved is in it. */
  async follow(
    path: string,
    query: AskOptions["query"],
    end: AbortSignal,
  ): Promise<AsyncGenerator<ApiEvent>> {
    const answer = await this.#send("GET", path, { ...(query === undefined ? {} : { query }) }, end);
    if (!answer.ok || answer.body === null) throw refusalOf(answer.status, await answer.text());
    return this.#eventsIn(answer.body, end);
  }

  async *#eventsIn(body: ReadableStream<Uint8Array>, end: AbortSignal): AsyncGenerator<ApiEvent> {
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for await (const chunk of body) {
        rest += decoder.decode(chunk, { stream: true });
        const blocks = rest.split("\n\n");
        rest = blocks.pop() ?? "";
        for (const block of blocks) {
          const event = /^event: (.*)$/m.exec(block)?.[1];
          const data = /^data: (.*)$/m.exec(block)?.[1];
          if (event !== undefined && data !== undefined) yield { event, data: JSON.parse(data) as unknown };
        }
      }
    } catch (error) {
      if (!end.aborted) throw error;
    }
  }

  async #send(
    method: string,
    path: string,
    { query = {}, body }: AskOptions,
    signal: AbortSignal,
  ): Promise<Response> {
    const given = Object.entries(query).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)] as [string, string]],
    );
    const search = given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
    try {
      return await fetch(`${this.base}/api/v1${path}${search}`, {
        method,
        signal,
        headers: {
          ...(this.#key === undefined ? {} : { authorization: `Bearer ${this.#key}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      const { cause, message } = error as Error & { cause?: { code?: string; message?: string } };
      const why = cause?.code ?? cause?.message ?? message;
      throw new ApiError(
        "api-unreachable",
        `no answer from ${this.base} (${why}): start the gateway, or name it with --url (and its data folder with --data)`,
      );
    }
  }
}

function refusalOf(status: number, text: string): ApiError {
  try {
    const problem = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const {
      code,
      detail,
      title,
      errors = [],
    } = problem as { code?: string; detail?: string; title?: string; errors?: { fix?: string }[] };
    const fix = errors[0]?.fix === undefined ? "" : ` (${errors[0].fix})`;
    return new ApiError("api-refused", `${code ?? status}: ${detail ?? title ?? ""}${fix}`, problem);
  } catch {
    return new ApiError("api-refused", `${status}: ${text.slice(0, 200)}`);
  }
}

/** An id or a topic as one part of a path; one that no path can carry goes by the query. */
export function inPath(
  name: string,
  value: string,
): { readonly part: string; readonly query: Readonly<Record<string, string>> } {
  if (value === "" || value === "." || value === ".." || value === "-")
    return { part: "-", query: { [name]: value } };
  return { part: encodeURIComponent(value), query: {} };
}
