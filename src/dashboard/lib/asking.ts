/** What a part of a page shows comes from the API: read once, again with each beat that it wants, and never half. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Problem, type Query, read } from "./api.ts";
import { beat, liveness } from "./live.ts";

export interface Asked<Data> {
  /** Of the last answer, also while the next is on its way. */
  readonly data: Data | undefined;
  readonly problem: Problem | undefined;
  readonly loading: boolean;
  again(): void;
}

/** While somebody selects text nothing may move. */
const selecting = (): boolean => document.getSelection()?.isCollapsed === false;

/** So many seconds an answer is waited for, before it is asked for again: a node that is slow would never be heard. */
const PATIENCE = 30;

interface State<Data> {
  readonly key: string;
  readonly loading: boolean;
  readonly data?: Data;
  readonly problem?: Problem;
}

/**
 * `path` undefined: nothing is asked. `every`: seconds after which it is read again. `stays`: of lists that are sorted,
 * filtered and paged, what was there until the answer to another query is.
 */
export function useAsk<Data>(
  path: string | undefined,
  query: Query = {},
  every?: number,
  stays = false,
): Asked<Data> {
  const key = `${path} ${JSON.stringify(query)}`;
  const [state, setState] = useState<State<Data>>({ key, loading: true });
  const running = useRef<AbortController | undefined>(undefined);
  const last = useRef(0);
  const load = useCallback(async (): Promise<void> => {
    if (path === undefined) return;
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    last.current = beat.peek();
    try {
      const data = await read<Data>(path, query, own.signal);
      if (running.current !== own) return;
      running.current = undefined;
      setState({ key, data, loading: false });
    } catch (error) {
      if (running.current !== own || own.signal.aborted) return;
      running.current = undefined;
      const problem =
        error instanceof Problem
          ? error
          : new Problem(0, { title: "The dashboard failed", detail: String(error) });
      setState((before) => ({
        ...before,
        key,
        problem,
        loading: false,
        data: before.key === key ? before.data : undefined,
      }));
    }
  }, [key]);
  useEffect(() => {
    setState((before) => ({ ...before, loading: true }));
    void load();
    return () => running.current?.abort();
  }, [key]);
  // Who had to sign in again gets what was refused meanwhile.
  const refused = state.problem?.status === 401;
  useEffect(() => {
    if ((every === undefined && !refused) || path === undefined) return;
    return beat.subscribe((now) => {
      const after = running.current === undefined ? (refused ? 1 : (every ?? 1)) : PATIENCE;
      if (now - last.current < after || liveness.peek().is !== "live" || document.hidden || selecting())
        return;
      void load();
    });
  }, [key, every, refused]);
  const current = state.key === key;
  return {
    data: current || stays ? state.data : undefined,
    problem: current ? state.problem : undefined,
    loading: !current || state.loading,
    again: () => void load(),
  };
}
