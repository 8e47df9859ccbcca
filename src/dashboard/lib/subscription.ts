/** Messages as they are published, by filters of the user: gathered for four paints a second, the oldest go. */
import { useEffect, useState } from "preact/hooks";
import { Problem } from "./api.ts";
import { follow } from "./events.ts";

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
  const [hold] = useState({ on: false });
  hold.on = held;
  useEffect(() => {
    if (key === "") {
      setState(NONE);
      return;
    }
    setState({ ...NONE, state: "opening" });
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
    follow("/subscribe", {
      query: { filter: key, rate: RATE, payload: 4_096, qos },
      signal: abort.signal,
      heard(events) {
        for (const { event, data } of events) {
          if (event === "subscribed") setState((before) => ({ ...before, state: "open" }));
          if (event === "dropped") all += (data as { events: number }).events;
          if (event !== "message") continue;
          const message = data as Omit<Arrived, "number" | "at">;
          all += 1 + (message.missed ?? 0);
          shown++;
          if (fresh.length < most) fresh.push({ ...message, number: ++numbers, at: message.publishedAt });
        }
      },
    }).then(
      () => setState((before) => ({ ...before, state: "ended" })),
      (error: unknown) => {
        if (abort.signal.aborted) return;
        const problem =
          error instanceof Problem
            ? error
            : new Problem(0, {
                title: "The subscription broke",
                detail: "The connection to the node ended.",
              });
        setState((before) => ({ ...before, problem, state: "ended" }));
      },
    );
    return () => {
      abort.abort();
      clearInterval(paint);
      clearInterval(count);
    };
  }, [key, qos]);
  return state;
}
