/** Numbers over time, as plots and sums take them; null where none is known. */

export interface History {
  /** Seconds since the epoch. */
  readonly times: readonly number[];
  readonly points: Readonly<Record<string, readonly (number | null)[]>>;
}

export interface Line {
  readonly name: string;
  readonly points: readonly (number | null)[];
}

/** One second more, the oldest goes. */
export function longer(
  { times, points }: History,
  at: number,
  values: Readonly<Record<string, number>>,
  kept: number,
): History {
  const time = Math.floor(at / 1_000);
  const before = times.at(-1) ?? 0;
  if (time <= before) return { times, points };
  // A pause is a gap and no straight line.
  const gap = before > 0 && time - before > 3 ? [before + 1] : [];
  const added = [...gap, time];
  const from = Math.max(0, times.length + added.length - kept);
  return {
    times: [...times.slice(from), ...added],
    points: Object.fromEntries(
      Object.keys(points).map((name) => [
        name,
        [...points[name]!.slice(from), ...gap.map(() => null), values[name] ?? null],
      ]),
    ),
  };
}

/** How often in the window, by the end of the name. */
export function sums(
  history: History | undefined,
  start: string,
  without: readonly string[] = [],
): readonly (readonly [string, number])[] {
  if (history === undefined) return [];
  const step =
    history.times.length > 1 ? Math.min(60, Math.max(1, history.times[1]! - history.times[0]!)) : 1;
  return Object.entries(history.points)
    .filter(([name]) => name.startsWith(start))
    .map(([name, points]): [string, number] => [
      name.slice(start.length),
      points.reduce<number>((sum, point) => sum + (point ?? 0), 0) * step,
    ])
    .filter(([name, sum]) => sum >= 0.5 && !without.includes(name))
    .sort(([, a], [, b]) => b - a);
}

const LINES = 6;

/** The six with most of it, and the others as one. */
export function strongest(lines: readonly Line[]): readonly Line[] {
  if (lines.length <= LINES) return lines;
  const sum = ({ points }: Line): number => points.reduce<number>((all, point) => all + (point ?? 0), 0);
  const sorted = [...lines].sort((a, b) => sum(b) - sum(a));
  const rest = sorted.slice(LINES - 1);
  const points = rest[0]!.points.map((_, index) =>
    rest.reduce<number | null>((all, line) => {
      const point = line.points[index] ?? null;
      return point === null ? all : (all ?? 0) + point;
    }, null),
  );
  return [...sorted.slice(0, LINES - 1), { name: "others", points }];
}

export function last(points: readonly (number | null)[]): number | undefined {
  for (let index = points.length - 1; index >= 0; index--) {
    const point = points[index];
    if (point !== null && point !== undefined) return point;
  }
  return undefined;
}

export function most(points: readonly (number | null)[]): number | undefined {
  let highest: number | undefined;
  for (const point of points)
    if (point !== null && (highest === undefined || point > highest)) highest = point;
  return highest;
}
