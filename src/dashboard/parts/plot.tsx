/** Plots: lines over time with a legend that tells last, least and most, and the same as a table. */
import { useEffect, useRef, useState } from "preact/hooks";
import { clock, moment } from "../lib/format.ts";
import { theme } from "../lib/kept.ts";
import { type Line, last, most, strongest } from "../lib/points.ts";
import { plain } from "../lib/visible.ts";
import { Button } from "./basic.tsx";
import type { Drawing } from "./drawing.ts";

const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 2], [8, 2, 2, 2], [1, 3], [12, 4]];
const COLOURS = ["--mqtt", "--mqtt-sn", "--coap", "--lwm2m", "--stomp", "--second"];
/** Colour and dash of what has a colour of its own everywhere. */
const OWN: Readonly<Record<string, number>> = { mqtt: 0, "mqtt-sn": 1, coap: 2, lwm2m: 3, stomp: 4 };
const STATES: Readonly<Record<string, string>> = {
  awake: "--ok",
  asleep: "--asleep",
  overdue: "--bad",
  away: "--second",
};

/** For a page that will plot as soon as it has something to plot. */
export const loadDrawing = (): Promise<typeof import("./drawing.ts")> => import("./drawing.ts");

interface PlotProps {
  readonly title: string;
  /** Seconds since the epoch. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly label: (value: number) => string;
  readonly stepped?: boolean;
  readonly fromZero?: boolean;
  readonly whole?: boolean;
}

export function Plot({
  title,
  times,
  lines: all,
  label,
  stepped = false,
  fromZero = true,
  whole = false,
}: PlotProps) {
  const element = useRef<HTMLDivElement>(null);
  const drawn = useRef<{ give(next: Drawing): void; end(): void } | undefined>(undefined);
  const [at, setAt] = useState<number | undefined>(undefined);
  const [table, setTable] = useState(false);
  const lines = strongest(all);
  const styled = lines.map((line, index) => {
    const place = OWN[line.name] ?? index;
    return {
      ...line,
      colour: STATES[line.name] ?? COLOURS[place % COLOURS.length]!,
      dash: DASHES[place % DASHES.length]!,
    };
  });
  const drawing: Drawing = {
    times,
    lines: styled,
    stepped,
    fromZero,
    whole,
    label,
    time: (seconds, span) =>
      span > 86_400
        ? moment(seconds * 1_000).slice(5, 10)
        : clock(seconds * 1_000).slice(0, span < 300 ? 8 : 5),
  };
  const latest = useRef(drawing);
  latest.current = drawing;
  const shape = `${lines.map(({ name }) => name).join()} ${theme.value} ${table}`;
  useEffect(() => {
    if (table) return;
    let ended = false;
    void loadDrawing().then(({ draw }) => {
      if (!ended && element.current !== null) drawn.current = draw(element.current, latest.current, setAt);
    });
    return () => {
      ended = true;
      drawn.current?.end();
      drawn.current = undefined;
    };
  }, [shape]);
  useEffect(() => drawn.current?.give(drawing), [times, lines.map(({ points }) => points.at(-1)).join()]);
  const valueAt = (points: readonly (number | null)[]): number | undefined =>
    at === undefined ? last(points) : (points[at] ?? undefined);
  return (
    <figure class="plot">
      {table ? (
        <PlotTable title={title} times={times} lines={lines} label={label} />
      ) : (
        <div
          ref={element}
          class="canvas"
          role="img"
          aria-label={`${plain(title)}: ${lines.map(({ name, points }) => `${name} ${said(last(points), label)}`).join(", ")}`}
        />
      )}
      <figcaption>
        {styled.map(({ name, points, colour, dash }) => (
          <span class="key" key={name}>
            <svg width="18" height="8" aria-hidden="true" class={`stroke-of${colour}`}>
              <line x1="0" y1="4" x2="18" y2="4" stroke-dasharray={dash.join(" ")} />
            </svg>
            {name} <b>{said(valueAt(points), label)}</b>
            <span class="second"> most {said(most(points), label)}</span>
          </span>
        ))}
        <Button small kind="quiet" onClick={() => setTable(!table)}>
          {table ? "as a plot" : "as a table"}
        </Button>
      </figcaption>
    </figure>
  );
}

const said = (value: number | undefined, label: (value: number) => string): string =>
  value === undefined ? "–" : label(value);

const ROWS = 60;

const PlotTable = ({
  title,
  times,
  lines,
  label,
}: Pick<PlotProps, "title" | "times" | "lines" | "label">) => (
  <section class="table short" aria-label={`${plain(title)} as a table`}>
    <table>
      <caption class="unseen">
        {title}, the last {ROWS} points
      </caption>
      <thead>
        <tr>
          <th scope="col">Time</th>
          {lines.map(({ name }) => (
            <th scope="col" class="numeric">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {times
          .slice(-ROWS)
          .toReversed()
          .map((time, back) => {
            const index = times.length - 1 - back;
            return (
              <tr key={time}>
                <td>{clock(time * 1_000)}</td>
                {lines.map(({ name, points }) => (
                  <td class="numeric" key={name} data-title={name}>
                    {said(points[index] ?? undefined, label)}
                  </td>
                ))}
              </tr>
            );
          })}
      </tbody>
    </table>
  </section>
);
