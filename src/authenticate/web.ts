/** HTTP as authenticators use it: one answer of a bounded size, no redirects. undici 7 keeps the connections. */
import type { Dispatcher } from "undici";

export interface WebAnswer {
  readonly status: number;
  readonly body: string;
}

export interface WebRequest {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

export class TooLarge extends Error {
  override name = "TooLarge";
}

export interface WebOptions {
  readonly connections: number;
  /** Octets of an answer at most. */
  readonly answerMax: number;
  readonly ca?: Uint8Array | undefined;
}

export class Web {
  readonly #options: WebOptions;
  #agent: Promise<Dispatcher> | undefined = undefined;
  #request: typeof import("undici").request | undefined = undefined;

  constructor(options: WebOptions) {
    this.#options = options;
  }

  async ask({ url, method, headers = {}, body, signal }: WebRequest): Promise<WebAnswer> {
    this.#agent ??= this.#open();
    const dispatcher = await this.#agent;
    const options = { dispatcher, method, headers, signal, ...(body === undefined ? {} : { body }) };
    const answer = await this.#request!(url, options);
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > this.#options.answerMax) {
        answer.body.destroy();
        throw new TooLarge(`an answer of more than ${this.#options.answerMax} octets`);
      }
      chunks.push(chunk);
    }
    return { status: answer.statusCode, body: Buffer.concat(chunks).toString("utf8") };
  }

  close(): void {
    void this.#agent?.then((agent) => agent.close()).catch(() => {});
  }

  async #open(): Promise<Dispatcher> {
    const { Agent, request } = await import("undici");
    const { connections, ca } = this.#options;
    this.#request = request;
    return new Agent({
      connections,
      pipelining: 1,
      ...(ca === undefined ? {} : { connect: { ca: Buffer.from(ca) } }),
    });
  }
}
