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

  constructor(options: WebOptions) {
    this.#options = options;
  }

  /**
   * By `dispatch`, which is the least of undici's ways to ask: a login costs half of what it does with a stream for its
   * answer, and thousands may come at once.
   */
  async ask(request: WebRequest): Promise<WebAnswer> {
    this.#agent ??= this.#open();
    const agent = await this.#agent;
    return new Promise((resolve, reject) => {
      const { url, method, headers = {}, body, signal } = request;
      const { origin, pathname, search } = new URL(url);
      const answer = new Answer(this.#options.answerMax, signal, resolve, reject);
      const path = `${pathname}${search}`;
      agent.dispatch({ origin, path, method, headers: { ...headers }, body: body ?? null }, answer);
    });
  }

  close(): void {
    void this.#agent?.then((agent) => agent.close()).catch(() => {});
  }

  async #open(): Promise<Dispatcher> {
    const { Agent } = await import("undici");
    const { connections, ca } = this.#options;
    return new Agent({
      connections,
      pipelining: 1,
      ...(ca === undefined ? {} : { connect: { ca: Buffer.from(ca) } }),
    });
  }
}

/** Gathers one answer. */
class Answer implements Dispatcher.DispatchHandler {
  readonly #max: number;
  readonly #signal: AbortSignal;
  readonly #resolve: (answer: WebAnswer) => void;
  readonly #reject: (error: Error) => void;
  readonly #chunks: Buffer[] = [];
  #length = 0;
  #status = 0;
  #abort: (() => void) | undefined = undefined;

  constructor(
    max: number,
    signal: AbortSignal,
    resolve: (answer: WebAnswer) => void,
    reject: (error: Error) => void,
  ) {
    this.#max = max;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    const abort = (): void => controller.abort(new Error("no answer in time"));
    if (this.#signal.aborted) {
      abort();
      return;
    }
    this.#abort = abort;
    this.#signal.addEventListener("abort", abort, { once: true });
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#length += chunk.length;
    if (this.#length > this.#max) {
      controller.abort(new TooLarge(`an answer of more than ${this.#max} octets`));
      return;
    }
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    this.#over();
    this.#resolve({ status: this.#status, body: Buffer.concat(this.#chunks).toString("utf8") });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#over();
    this.#reject(error);
  }

  #over(): void {
    if (this.#abort !== undefined) this.#signal.removeEventListener("abort", this.#abort);
  }
}
