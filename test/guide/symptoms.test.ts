/**
 * Every row of docs/no-answer.md that a device can lead to, provoked at the built gateway: the device sees what the row
 * says that it sees, and the log, `/metrics` and `isthmus trace` have what the row says to look at.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LOG_LINES } from "#core/observe/log-lines.ts";
import { lacks } from "../support/programs.ts";
import { until } from "../support/store-process.ts";
import type { Case } from "./symptoms/case.ts";
import { GROUPS } from "./symptoms/groups.ts";
import { type Line, Site } from "./symptoms/site.ts";

const PATIENCE = 180_000;
const PAGE = readFileSync(new URL("../../docs/no-answer.md", import.meta.url), "utf8");

interface Row {
  readonly sees: string;
  readonly looksAt: string;
}

/** Rows of the tables of symptoms, by their first cell; the last table is of errors at the start. */
const ROWS: ReadonlyMap<string, Row> = new Map(
  PAGE.slice(0, PAGE.indexOf("## It does not start"))
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| (you see|---)/.test(line))
    .map((line) => line.split(" | ").map((cell) => cell.replace(/^\| | \|$/g, "")))
    .map(([sees = "", looksAt = ""]) => [sees, { sees, looksAt }]),
);

const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, token]) => token ?? "");

/** What a cell of the second column names: a line with what stands in it, a series that grows, a text of a trace. */
interface Sign {
  readonly event?: string;
  readonly atDebug: boolean;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly series?: string;
  readonly traced?: string;
}

function signsIn(looksAt: string): Sign[] {
  const signs: Sign[] = [];
  for (const part of looksAt.split(/; |, (?=`[a-z-]+`)/)) {
    const tokens = quoted(part);
    const [first] = tokens;
    if (first === undefined) continue;
    const bare = { atDebug: part.includes(" at debug"), fields: [] };
    if (part.startsWith("trace: ")) signs.push({ ...bare, traced: first });
    else if (first.startsWith("isthmus_")) signs.push({ ...bare, series: first });
    else if (first in LOG_LINES) {
      const fields = tokens
        .slice(1)
        .filter((token) => token.includes(": "))
        .map((token): [string, string] => {
          const at = token.indexOf(": ");
          return [token.slice(0, at), token.slice(at + 2)];
        });
      signs.push({ ...bare, event: first, fields });
    }
  }
  return signs;
}

const fits = (line: Line, { event, atDebug, fields }: Sign): boolean =>
  line.event === event &&
  (line.level === "debug") === atDebug &&
  fields.every(([name, value]) => String(line[name]) === value);

/** Series are summed where the sign leaves out their labels. */
const sumOf = (metrics: ReadonlyMap<string, number>, series: string): number =>
  [...metrics]
    .filter(([name]) => name === series || name.startsWith(`${series}{`))
    .reduce((sum, [, value]) => sum + value, 0);

async function provoke(site: Site, { row, play }: Case): Promise<void> {
  const { sees, looksAt } = ROWS.get(row)!;
  const signs = signsIn(looksAt);
  const from = site.lines.length;
  const before = await site.metrics();
  const trace = signs.some(({ traced }) => traced !== undefined) ? await site.trace("mqtt") : undefined;
  const told = (await play(site)).map(String);
  expect(told.toSorted(), "what the device is told").toEqual(
    quoted(sees)
      .filter((token) => !token.includes("/"))
      .toSorted(),
  );
  for (const sign of signs) {
    const shown = async (): Promise<boolean> => {
      if (sign.traced !== undefined) return trace?.printed().includes(sign.traced) === true;
      if (sign.series === undefined) return site.lines.slice(from).some((line) => fits(line, sign));
      return sumOf(await site.metrics(), sign.series) > sumOf(before, sign.series);
    };
    await until(shown, JSON.stringify(sign)).catch((error) => {
      const lines = site.lines.slice(from).map((line) => JSON.stringify(line));
      throw new Error(`not to be seen: ${error.message}\n${lines.join("\n")}\n${trace?.printed() ?? ""}`);
    });
  }
  await trace?.stop();
}

describe("My device gets no answer", () => {
  it("has a row for each case that is played here, and a case for each row", () => {
    const played = GROUPS.flatMap(({ cases }) => cases.map(({ row }) => row));
    expect(played.toSorted()).toEqual([...ROWS.keys()].toSorted());
    expect(played.length).toBeGreaterThan(60);
  });

  describe.each(GROUPS.map((group) => [group.name, group] as const))("%s", (name, group) => {
    const cannot = name === "Before a broker" && lacks("mosquitto");
    let site: Site;
    beforeAll(async () => {
      if (!cannot) site = await Site.start(await group.settings());
    }, PATIENCE);
    afterAll(async () => {
      await site?.stop();
      await group.end?.();
    }, PATIENCE);

    it.skipIf(cannot).each(group.cases.map((each) => [each.row, each] as const))(
      "%s",
      (_, each) => provoke(site, each),
      PATIENCE,
    );
  });
});
