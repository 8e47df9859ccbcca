/** Draws a plot on a canvas; loaded when the first one is seen. */
import uPlot from "uplot";

export interface Line {
  readonly name: string;
  /** A custom property of the style sheet: `--coap`. */
  readonly colour: string;
  readonly dash: readonly number[];
  readonly points: readonly (number | null)[];
}

export interface Drawing {
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly stepped: boolean;
  readonly fromZero: boolean;
  /** Only whole numbers are written at its side. */
  readonly whole: boolean;
  label(value: number): string;
  /** `span`: seconds from the first to the last that is written. */
  time(seconds: number, span: number): string;
}

const HEIGHT = 150;

const WHOLE = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

const styleOf = (element: Element, name: string): string =>
  getComputedStyle(element).getPropertyValue(name).trim();

const synchron = uPlot.sync("page");

/** One cursor goes over all plots of a page. Returns how to give it new points, and how to end it. */
export function draw(to: HTMLElement, drawing: Drawing, onCursor: (index: number | undefined) => void) {
  const text = styleOf(to, "--second");
  const grid = styleOf(to, "--line");
  const stroke = { stroke: grid, width: 1 };
  const plot = new uPlot(
    {
      width: Math.max(160, to.clientWidth),
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, sync: { key: synchron.key }, drag: { x: true, y: false }, points: { size: 6 } },
      scales: { x: { time: true }, y: { range: (_plot, low, high) => range(low, high, drawing.fromZero) } },
      axes: [
        {
          stroke: text,
          grid: stroke,
          ticks: { ...stroke, size: 4 },
          size: 28,
          space: 60,
          values: (_plot, splits) =>
            splits.map((split) => drawing.time(split, (splits.at(-1) ?? 0) - (splits[0] ?? 0))),
          font: "11px system-ui, sans-serif",
        },
        {
          stroke: text,
          grid: stroke,
          ticks: { show: false },
          size: 52,
          ...(drawing.whole ? { incrs: WHOLE } : {}),
          space: 30,
          values: (_plot, splits) => splits.map((split) => drawing.label(split)),
          font: "11px system-ui, sans-serif",
        },
      ],
      series: [
        {},
        ...drawing.lines.map(
          ({ name, colour, dash }): uPlot.Series => ({
            label: name,
            stroke: styleOf(to, colour),
            width: 1.5,
            dash: [...dash],
            spanGaps: false,
            points: { show: false },
            ...(drawing.stepped ? { paths: uPlot.paths.stepped!({ align: 1 }) } : {}),
          }),
        ),
      ],
      hooks: { setCursor: [({ cursor }) => onCursor(cursor.idx ?? undefined)] },
    },
    dataOf(drawing),
    to,
  );
  const resize = new ResizeObserver(() =>
    plot.setSize({ width: Math.max(160, to.clientWidth), height: HEIGHT }),
  );
  resize.observe(to);
  // What nobody sees is not drawn: new points wait until it comes into view.
  let seen = true;
  let waits: Drawing | undefined;
  const view = new IntersectionObserver((entries) => {
    seen = entries.at(-1)?.isIntersecting === true;
    if (seen && waits !== undefined) give(waits);
  });
  view.observe(to);
  const give = (next: Drawing): void => {
    waits = seen ? undefined : next;
    if (seen) plot.setData(dataOf(next));
  };
  return {
    give,
    end(): void {
      view.disconnect();
      resize.disconnect();
      plot.destroy();
    },
  };
}

function range(low: number | null, high: number | null, fromZero: boolean): [number, number] {
  if (low === null || high === null) return [0, 1];
  if (fromZero) return [0, high <= 0 ? 1 : high * 1.1];
  const room = (high - low) * 0.1 || Math.abs(high) * 0.05 || 1;
  return [low - room, high + room];
}

const dataOf = ({ times, lines }: Drawing): uPlot.AlignedData => [
  [...times],
  ...lines.map(({ points }) => [...points]),
];
