import { beforeEach, describe, expect, it } from "vitest";
import { hours, type Instant } from "#core/lib/time.ts";
import { OperatorAlarms, type Watermark, watch } from "#core/observe/alarms.ts";
import type { Log } from "#core/observe/log.ts";

let now: number;
let lines: [level: string, text: string, detail: object][];
let told: string[];
let alarms: OperatorAlarms;

const at =
  (level: string) =>
  (event: string, detail: object, sentence = event): void =>
    void lines.push([level, sentence, detail]);
const log = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } as unknown as Log;

beforeEach(() => {
  now = 1_700_000_000_000;
  lines = [];
  told = [];
  alarms = new OperatorAlarms(log, () => now as Instant);
  alarms.listen((event, { name }) => told.push(`${event} ${name}`));
});

const full = (details = {}) =>
  ({ severity: "warning", message: "the disk is nearly full", details }) as const;

describe("an alarm", () => {
  it("is said once while it holds, and keeps the latest details and the time when it began", () => {
    alarms.raise("disk", full({ free: 4 }));
    now += 60_000;
    alarms.raise("disk", full({ free: 3 }));
    expect(told).toEqual(["raised disk"]);
    expect(lines).toEqual([
      ["warn", "the disk is nearly full", { alarm: "disk", severity: "warning", free: 4 }],
    ]);
    expect(alarms.active).toMatchObject([{ name: "disk", raisedAt: now - 60_000, details: { free: 3 } }]);
  });

  it("goes into the history when it is over, and is told of then", () => {
    alarms.raise("disk", full());
    now += 1000;
    alarms.clear("disk");
    alarms.clear("disk");
    expect(told).toEqual(["raised disk", "cleared disk"]);
    expect([alarms.active, alarms.history]).toMatchObject([[], [{ name: "disk", clearedAt: now }]]);
  });

  it("that somebody has dismissed comes again only after its condition has been over", () => {
    alarms.raise("disk", full());
    expect(alarms.dismiss("disk", "ana")).toBe(true);
    alarms.raise("disk", full());
    expect(alarms.active).toEqual([]);
    expect(alarms.history).toMatchObject([{ clearedBy: "ana" }]);
    alarms.clear("disk");
    alarms.raise("disk", full());
    expect(alarms.active).toHaveLength(1);
    expect(alarms.dismiss("no such", "ana")).toBe(false);
  });

  it("is forgotten a day after it was over, and the oldest of more than 1,000 before", () => {
    for (let index = 0; index < 1_100; index++) {
      alarms.raise(`a${index}`, full());
      alarms.clear(`a${index}`);
    }
    expect([alarms.history.length, alarms.history[0]?.name, alarms.history.at(-1)?.name]).toEqual([
      1_000,
      "a1099",
      "a100",
    ]);
    now += hours(24) + 1;
    expect(alarms.history).toEqual([]);
  });
});

describe("a watermark", () => {
  let value: number | undefined;
  const mark: Watermark = {
    name: "cpu",
    severity: "warning",
    message: "busy",
    measure: () => value,
    high: 80,
    low: 60,
  };
  const look = (measured: number | undefined): string[] => {
    value = measured;
    watch(alarms, [mark]);
    return alarms.active.map(({ name }) => name);
  };

  it("raises at its high mark and clears at its low one, and between them leaves things as they are", () => {
    expect([79, 80, 70, 61, 60, 70].map(look)).toEqual([[], ["cpu"], ["cpu"], ["cpu"], [], []]);
  });

  it("whose measure is not to be had, or fails, changes nothing", () => {
    look(90);
    expect(look(undefined)).toEqual(["cpu"]);
    watch(alarms, [{ ...mark, measure: () => expect.fail("broken") as never }]);
    expect(alarms.active).toHaveLength(1);
  });
});
