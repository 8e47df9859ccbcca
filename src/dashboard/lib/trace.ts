/** A trace as its rows come. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "./api.ts";
import type { TraceRow } from "./causes.ts";
import { keepFollowing, type SentEvent } from "./events.ts";
import { shown } from "./shown.ts";

export interface Following {
  readonly rows: readonly TraceRow[];
  readonly problem: Problem | undefined;
  readonly ended: boolean;
  /** Rows that were too many for this page, and went. */
  readonly gone: number;
}

const ROWS = 5_000;
const GATHER_MS = 250;

const NOTHING: Following = { rows: [], problem: undefined, ended: false, gone: 0 };

/** Rows as they come, gathered for four paints a second; while nobody looks they wait in the node. */
export function useTrace(id: string | undefined): Following {
  const [state, setState] = useState<Following>(NOTHING);
  const place = useRef<{ lastId: string | undefined; over: boolean }>({ lastId: undefined, over: false });
  const looked = shown.value;
  useEffect(() => {
    setState(NOTHING);
    place.current = { lastId: undefined, over: false };
  }, [id]);
  useEffect(() => {
    const here = place.current;
    if (id === undefined || !looked || here.over) return;
    const abort = new AbortController();
    let fresh: TraceRow[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const paint = (): void => {
      timer = undefined;
      const added = fresh;
      fresh = [];
      setState(({ rows, gone }) => {
        const all = [...rows, ...added];
        const cut = Math.max(0, all.length - ROWS);
        const kept = cut === 0 ? all : all.slice(cut);
        return { rows: kept, problem: undefined, ended: here.over, gone: gone + cut };
      });
    };
    const failed = (problem: Problem): void => setState((before) => ({ ...before, problem }));
    const following = {
      signal: abort.signal,
      lastId: here.lastId,
      heard(events: readonly SentEvent[]): void {
        for (const { event, data, id: number } of events) {
          if (event === "row") {
            fresh.push(data as TraceRow);
            here.lastId = number;
          } else if (event === "ended") here.over = true;
        }
        if (events.length > 0) timer ??= setTimeout(paint, GATHER_MS);
        if (here.over) abort.abort();
      },
    };
    keepFollowing(`/traces/${encodeURIComponent(id)}/events`, following, failed).catch(failed);
    return () => {
      abort.abort();
      clearTimeout(timer);
      // They are not sent again.
      if (timer !== undefined) paint();
    };
  }, [id, looked]);
  return state;
}
