import { expect, it } from "vitest";
import { Series, type Source } from "#core/operate/series.ts";

const START = 1_800_000_000_000;

function counting(kind: Source["kind"] = "rate") {
  const cell = { value: 0 };
  const series = new Series([{ name: "in.mqtt", kind, unit: "messages", read: () => cell.value }]);
  return { cell, series };
}

it("a rate is how much a sum has grown in each second, and nothing before the first look", () => {
  const { cell, series } = counting();
  cell.value = 1_000;
  series.look(START);
  expect(series.latest()).toEqual({});
  for (let second = 1; second <= 3; second++) {
    cell.value += second * 10;
    series.look(START + second * 1_000);
  }
  const { from, series: found } = series.points(undefined, 1, 0);
  expect(from).toBe(START + 1_000);
  expect(found[0]?.mean).toEqual([10, 20, 30]);
});

it("seconds that nobody looked at are gaps, and not zeros or what was there before", () => {
  const { cell, series } = counting("level");
  cell.value = 7;
  series.look(START);
  series.look(START + 4_000);
  expect(series.points(undefined, 1, 0).series[0]?.mean).toEqual([7, null, null, null, 7]);
  // A whole turn of the ring later nothing of it is left.
  series.look(START + 2_000_000);
  expect(series.points(undefined, 1, 0).series[0]?.mean.filter((value) => value !== null)).toEqual([7]);
});

it("a look that comes a second late stands for the second that it has missed", () => {
  const { cell, series } = counting();
  series.look(START);
  cell.value = 10;
  series.look(START + 1_000);
  cell.value = 30;
  series.look(START + 3_100);
  expect(series.points(undefined, 1, 0).series[0]?.mean).toEqual([10, 9.524, 9.524]);
});

it("coarser points hold the mean and the highest of their seconds", () => {
  const { cell, series } = counting("level");
  for (let second = 0; second < 20; second++) {
    cell.value = second;
    series.look(START + second * 1_000);
  }
  const [found] = series.points(["in.mqtt"], 10, 0).series;
  expect(found?.mean).toEqual([4.5, 14.5]);
  expect(found?.max).toEqual([9, 19]);
});

it("keeps 15 minutes by the second, and a clock that is set back writes nothing over", () => {
  const { cell, series } = counting("level");
  for (let second = 0; second < 1_000; second++) {
    cell.value = second;
    series.look(START + second * 1_000);
  }
  expect(series.points(undefined, 1, 0).series[0]?.mean).toHaveLength(900);
  cell.value = -1;
  series.look(START);
  expect(series.points(undefined, 1, 0).series[0]?.mean).not.toContain(-1);
  expect(series.points(undefined, 1, START + 990_000).series[0]?.mean).toHaveLength(10);
});

it("tells whoever watches of each look, until they watch no more", () => {
  const { series } = counting("level");
  const heard: number[] = [];
  const stop = series.watch((at) => heard.push(at));
  series.look(START);
  stop();
  series.look(START + 1_000);
  expect(heard).toEqual([START]);
});

it("takes room as it fills: an hour of it is small, and a week no more than what is kept (D-100)", () => {
  const { series } = counting("level");
  expect(series.bytes).toBe(0);
  for (let second = 0; second < 3_600; second++) series.look(START + second * 1_000);
  const hour = series.bytes;
  expect(hour).toBeLessThan(8 * 1_024);
  for (let day = 0; day < 9; day++) series.look(START + day * 86_400_000);
  expect(series.bytes).toBe(4 * (900 + 2 * 2_160 + 2 * 10_080));
});

it("what was noted while there was little room is still there when the ring has grown, and when it has gone round", () => {
  const { cell, series } = counting("level");
  for (let second = 0; second < 1_000; second++) {
    cell.value = second;
    series.look(START + second * 1_000);
    const { from, series: found } = series.points(undefined, 1, 0);
    const first = Math.max(0, second - 899);
    expect(from).toBe(START + first * 1_000);
    expect(found[0]?.mean.at(0)).toBe(first);
    expect(found[0]?.mean.at(-1)).toBe(second);
  }
});
