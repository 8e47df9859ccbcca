/** Requests of connectors that speak HTTP. The library is undici 7. */
import type { Dispatcher } from "undici";
import { type ConnectHost, connectionFailure, SinkFailure } from "./connector.ts";
import { filesOf, type TlsFiles } from "./settings.ts";

/** Settings of the connector that say how. */
export interface WebSettings {
  readonly concurrency: number;
  readonly timeout: number;
  readonly verify: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface WebAnswer {
  readonly status: number;
  /** Milliseconds. */
  readonly retryAfter: number;
  /** How its body begins, in one line. */
  readonly said: string;
  /** Its body, where that was asked for. */
  readonly body: string;
}

export class WebClient {
  readonly #settings: WebSettings;
  readonly #host: ConnectHost;
  readonly #files: TlsFiles<Buffer>;
  #agent: Promise<Dispatcher> | undefined = undefined;
  #request: typeof import("undici").request | undefined = undefined;

  constructor(settings: WebSettings, host: ConnectHost) {
    this.#settings = settings;
    this.#host = host;
    this.#files = filesOf(settings, host);
  }

  /** `most`: the body is wanted, and may have so many octets. */
  async ask(
    method: string,
    url: string,
    headers: Record<string, string>,
    body: string | Uint8Array,
    signal: AbortSignal,
    most = 0,
  ): Promise<WebAnswer> {
    this.#agent ??= this.#open();
    const dispatcher = await this.#agent;
    const content = body.length === 0 ? {} : { body: typeof body === "string" ? body : Buffer.from(body) };
    const options = { dispatcher, method: method as Dispatcher.HttpMethod, headers, signal, ...content };
    try {
      const answer = await this.#request!(url, options);
      const [said, whole] = most === 0 ? [await beginning(answer.body), ""] : await all(answer.body, most);
      return {
        status: answer.statusCode,
        retryAfter: pauseOf(answer.headers["retry-after"], this.#host.now()),
        ...{ said, body: whole },
      };
    } catch (error) {
      throw failureOf(error);
    }
  }

  async close(): Promise<void> {
    const agent = await this.#agent?.catch(() => undefined);
    await agent?.destroy();
  }

  async #open(): Promise<Dispatcher> {
    const { Agent, request } = await import("undici");
    const { concurrency, verify, timeout } = this.#settings;
    this.#request = request;
    return new Agent({
      connections: concurrency,
      pipelining: 1,
      headersTimeout: timeout,
      bodyTimeout: timeout,
      connect: {
        timeout,
        rejectUnauthorized: verify,
        ...this.#files,
      },
    });
  }
}

const AWAY = /^UND_ERR_(CONNECT_TIMEOUT|HEADERS_TIMEOUT|BODY_TIMEOUT|SOCKET|CLOSED|DESTROYED)$/;
/** What answers there is no HTTP service, or none that keeps to its limits. */
const RUBBISH = /^UND_ERR_(HEADERS_OVERFLOW|RES_CONTENT_LENGTH_MISMATCH)$/;

function failureOf(error: unknown): unknown {
  if (error instanceof SinkFailure) return error;
  const { name, code = "", message } = error as Error & { readonly code?: string };
  if (name === "HTTPParserError" || RUBBISH.test(code))
    return new SinkFailure(`it answers with what is no HTTP: ${message}`, false);
  return AWAY.test(code) ? new SinkFailure(message, true) : (connectionFailure(error) ?? error);
}

export const isTaken = ({ status }: WebAnswer): boolean => status >= 200 && status < 300;

/** `who` has answered with what is no success. */
export const refusalOf = (
  who: string,
  { status, said, retryAfter }: WebAnswer,
  again: boolean,
): SinkFailure =>
  new SinkFailure(`the ${who} answers ${status}${said === "" ? "" : `: ${said}`}`, again, retryAfter);

/** Later it may be otherwise: too busy, not now, its own trouble. */
export const heals = (status: number): boolean => status >= 500 || [408, 423, 425, 429].includes(status);

/** Of databases, what an operator mends: who we are, and a database that is not there yet. */
export const MENDED: readonly number[] = [401, 403, 404];

/** Seconds, or a date (RFC 9110 §10.2.3). */
function pauseOf(header: string | string[] | undefined, now: number): number {
  if (typeof header !== "string") return 0;
  const pause = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(pause) ? 0 : Math.max(0, Math.min(pause, PAUSE_MAX));
}

/** However long a service asks to be left alone. */
const PAUSE_MAX = 3_600_000;
const SAID_MAX = 200;
/** Of an answer that nobody reads. */
const ANSWER_MAX = 64 * 1024;

/** For the log; the rest is read so that the connection can be used again, or not at all. */
async function beginning(body: Dispatcher.ResponseData["body"]): Promise<string> {
  let said = "";
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (said.length < SAID_MAX) said += chunk.toString("utf8");
    if (length > ANSWER_MAX) break;
  }
  return inOneLine(said);
}

const inOneLine = (said: string): string => said.slice(0, SAID_MAX).replaceAll(/\s+/g, " ").trim();

async function all(body: Dispatcher.ResponseData["body"], most: number): Promise<[string, string]> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > most) throw new SinkFailure("it answers without an end", true);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  return [inOneLine(text), text];
}
