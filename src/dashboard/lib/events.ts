/** Server-sent events by `fetch`, which says what an `EventSource` hides: the status, and why it ended. */
import { Problem, type Query, request } from "./api.ts";

export interface SentEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: unknown;
}

function parsed(block: string): SentEvent | undefined {
  let event = "message";
  let id: string | undefined;
  let data = "";
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    if (at <= 0) continue;
    const [name, value] = [line.slice(0, at), line.slice(at + 1).replace(/^ /, "")];
    if (name === "event") event = value;
    else if (name === "id") id = value;
    else if (name === "data") data += value;
  }
  return data === "" ? undefined : { event, id, data: JSON.parse(data) as unknown };
}

export interface Following {
  readonly query?: Query;
  readonly lastId?: string | undefined;
  readonly signal: AbortSignal;
  /** Is called with all that has come in one piece, and for signs of life with nothing. */
  heard(events: readonly SentEvent[]): void;
}

/** Until it ends; throws `Problem`. */
export async function follow(path: string, { query, lastId, signal, heard }: Following): Promise<void> {
  const headers = {
    accept: "text/event-stream",
    ...(lastId === undefined ? {} : { "last-event-id": lastId }),
  };
  const answer = await request("GET", path, { query, signal, headers });
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split("\n\n");
    rest = blocks.pop() ?? "";
    heard(blocks.flatMap((block) => parsed(block) ?? []));
  }
}

const RETRY_MS = 2_000;

/**
 * The same again and again, from where it was: begins anew 2 s after the connection broke, until `signal` ends it. `broken`
 * is told why it did. Throws the `Problem` with which the node refuses it.
 */
export async function keepFollowing(
  path: string,
  { heard, ...following }: Following,
  broken: (problem: Problem) => void,
): Promise<void> {
  const { signal } = following;
  let { lastId } = following;
  while (!signal.aborted) {
    try {
      await follow(path, {
        ...following,
        lastId,
        heard(events) {
          lastId = events.findLast(({ id }) => id !== undefined)?.id ?? lastId;
          heard(events);
        },
      });
    } catch (error) {
      if (signal.aborted) return;
      const problem =
        error instanceof Problem
          ? error
          : new Problem(0, { title: "The connection broke", code: "no-answer", detail: String(error) });
      if (problem.status >= 400 && problem.status < 500) throw problem;
      broken(problem);
    }
    if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
