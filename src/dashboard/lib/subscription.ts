/** Messages as they are published, by filters of the user: gathered for four paints a second, the oldest go. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "./api.ts";
import { keepFollowing, type SentEvent } from "./events.ts";
import { shown } from "./shown.ts";

export interface Arrived {
  readonly number: number;
  readonly at: number;
  readonly topic: string;
  readonly payload: string;
  readonly encoding: string;
  readonly bytes: number;
  readonly qos: number;
  readonly retain: boolean;
  readonly from: string;
  readonly publishedAt: number;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly missed?: number;
}

export interface Subscription {
  readonly rows: readonly Arrived[];
  /** Of the last second, those that are not shown counted too. */
  readonly rate: number;
  /** Of how many one is shown. */
  readonly oneIn: number;
  readonly problem: Problem | undefined;
  readonly state: "off" | "opening" | "open" | "ended";
}

const ROWS = 1_000;
const RATE = 50;
const GATHER_MS = 250;
const NONE: Subscription = { rows: [], rate: 0, oneIn: 1, problem: undefined, state: "off" };

let numbers = 0;

/** `filters` empty: nothing is asked for. While `held` what comes is counted and not shown. */
export function useSubscription(
  filters: readonly string[],
  { held = false, rows: most = ROWS, qos = 0 } = {},
): Subscription {
  const [state, setState] = useState<Subscription>(NONE);
  const key = filters.join("\n");
  const last = useRef("");
  const looked = shown.value;
  const [hold] = useState({ on: false });
  hold.on = held;
  useEffect(() => {
    if (key === "") {
      setState(NONE);
      return;
    }
    if (!looked) {
      setState((before) => ({ ...before, rate: 0, state: "ended" }));
      return;
    }
    const same = last.current === key;
    last.current = key;
    setState((before) => ({ ...NONE, rows: same ? before.rows : [], state: "opening" }));
    const abort = new AbortController();
    let fresh: Arrived[] = [];
    let shown = 0;
    let all = 0;
    const paint = setInterval(() => {
      if (fresh.length === 0 || hold.on) return;
      const added = fresh;
      fresh = [];
      setState((before) => ({ ...before, rows: [...added.toReversed(), ...before.rows].slice(0, most) }));
    }, GATHER_MS);
    const count = setInterval(() => {
      const [rate, oneIn] = [all, shown === 0 ? 1 : Math.max(1, Math.round(all / shown))];
      all = 0;
      shown = 0;
      setState((before) =>
        before.rate === rate && before.oneIn === oneIn ? before : { ...before, rate, oneIn },
      );
    }, 1_000);
    const failed = (problem: Problem): void => setState((before) => ({ ...before, problem, state: "ended" }));
    const following = {
      query: { filter: key, rate: RATE, payload: 4_096, qos },
      signal: abort.signal,
      heard(events: readonly SentEvent[]): void {
        for (const { event, data } of events) {
          if (event === "subscribed")
            setState((before) => ({ ...before, problem: undefined, state: "open" }));
          if (event === "dropped") all += (data as { events: number }).events;
          if (event !== "message") continue;
          const message = data as Omit<Arrived, "number" | "at">;
          all += 1 + (message.missed ?? 0);
          shown++;
          if (fresh.length < most) fresh.push({ ...message, number: ++numbers, at: message.publishedAt });
        }
      },
    };
    keepFollowing("/subscribe", following, failed).catch(failed);
    return () => {
      abort.abort();
      clearInterval(paint);
      clearInterval(count);
    };
  }, [key, qos, looked]);
  return state;
}
