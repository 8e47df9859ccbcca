/** Reads server-sent events of the API as they come. */
import { until } from "./store-process.ts";

export interface SentEvent {
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into by tests
  readonly data: any;
}

export async function* eventsOf(answer: Response): AsyncGenerator<SentEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of answer.body!) {
    rest += decoder.decode(chunk as Uint8Array, { stream: true });
    const blocks = rest.split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = /^event: (.*)$/m.exec(block)?.[1];
      if (event !== undefined) yield { event, data: JSON.parse(/^data: (.*)$/m.exec(block)![1]!) };
    }
  }
}

export class EventReader {
  /** All that have come and were not taken. */
  readonly seen: SentEvent[] = [];
  readonly #end: AbortController;
  readonly #read: Promise<void>;

  private constructor(answer: Response, end: AbortController) {
    this.#end = end;
    this.#read = this.#readAll(answer).catch((error: unknown) => {
      if (!end.signal.aborted) throw error;
    });
  }

  /** Resolves once the stream is open: nothing that happens from then on is missed. */
  static async open(url: string, key: string): Promise<EventReader> {
    const end = new AbortController();
    const answer = await fetch(url, { headers: { authorization: `Bearer ${key}` }, signal: end.signal });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    return new EventReader(answer, end);
  }

  /** Takes the first that fits, when it has come. */
  async next(fits: (event: SentEvent) => boolean, length = 60_000): Promise<SentEvent> {
    await until(() => this.seen.some(fits), "no such event", length);
    return this.seen.splice(this.seen.findIndex(fits), 1)[0]!;
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#read;
  }

  async #readAll(answer: Response): Promise<void> {
    for await (const event of eventsOf(answer)) this.seen.push(event);
  }
}
