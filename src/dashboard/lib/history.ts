/** Numbers of the node over time: read once, and carried on by each beat. */
import { useEffect, useState } from "preact/hooks";
import type { Points } from "../../api/answers/node.ts";
import { nodeNow, type Problem, read } from "./api.ts";
import { beat, lastBeat, numbers } from "./live.ts";
import { type History, longer } from "./points.ts";

export interface Span {
  readonly name: string;
  readonly step: 1 | 10 | 60;
  readonly seconds: number;
}
export const SPANS: readonly Span[] = [
  { name: "15 min", step: 1, seconds: 900 },
  { name: "6 h", step: 10, seconds: 21_600 },
  { name: "7 d", step: 60, seconds: 604_800 },
];

function historyOf({ step, from, series }: Points): History {
  const first = Date.parse(from) / 1_000;
  const points = Object.fromEntries(series.map(({ name, mean }) => [name, [...mean]]));
  const length = Math.max(0, ...Object.values(points).map((one) => one.length));
  return { times: Array.from({ length }, (_, index) => first + index * step), points };
}

export function useHistory(span: Span): {
  readonly history: History | undefined;
  readonly problem: Problem | undefined;
  again(): void;
} {
  const [history, setHistory] = useState<History | undefined>(undefined);
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let ended = false;
    const load = (): void => {
      const since = new Date(nodeNow() - span.seconds * 1_000).toISOString();
      read<Points>("/series", { step: span.step, ...(span.step === 1 ? {} : { since }) }).then(
        (answer) => {
          if (ended) return;
          setHistory(historyOf(answer));
          setProblem(undefined);
        },
        (error: Problem) => {
          if (!ended) setProblem(error);
        },
      );
    };
    load();
    let seen = beat.peek();
    const stop = beat.subscribe((now) => {
      if (now === seen || document.hidden) return;
      if (span.step === 1) {
        setHistory((before) =>
          before === undefined ? before : longer(before, lastBeat.peek(), numbers.peek(), span.seconds),
        );
        seen = now;
      } else if (now - seen >= span.step) {
        seen = now;
        load();
      }
    });
    return () => {
      ended = true;
      stop();
    };
  }, [span.name, turn]);
  return { history, problem, again: () => setTurn(turn + 1) };
}
