import { beforeEach, describe, expect, it } from "vitest";
import type { Counter } from "#core/contract/note.ts";
import type { Refused, RefusedTo } from "#core/contract/refused.ts";
import type { Instant } from "#core/lib/time.ts";
import type { Log } from "#core/observe/log.ts";
import { REFUSAL_LIMITS, Refusals } from "#core/observe/refusals.ts";

let lines: Record<string, unknown>[];
let counts: Map<string, Counter>;
const note = (event: string, detail: object): void => void lines.push({ ...detail, event });
const log = { debug: note, info: note, warn: note, error: note, setLevel: () => {} } as unknown as Log;

const make = (limits = {}): Refusals =>
  new Refusals(
    log,
    ({ gateway, what, reason }) => {
      const counter = { value: 0 };
      counts.set(`${gateway} ${what} ${reason}`, counter);
      return counter;
    },
    { ...REFUSAL_LIMITS, ...limits },
  );

const to = (more: Partial<RefusedTo> = {}): RefusedTo => ({
  gateway: "mqtt-sn",
  listener: "udp",
  address: "10.1.4.44",
  port: 40_112,
  clientId: "pump-9",
  username: undefined,
  ...more,
});
const publish = (more: Partial<Refused> = {}): Refused => ({
  what: "publish",
  asked: "secret/x",
  refusal: "forbidden",
  by: () => "authorization.rules 4: deny publish secret/#",
  ...more,
});
const at = (seconds: number): Instant => (1_700_000_000_000 + seconds * 1000) as Instant;

beforeEach(() => {
  lines = [];
  counts = new Map();
});

describe("refusals", () => {
  it("leave a line that says who asked for what, why it was refused, and what decided", () => {
    make().note(to({ username: "ana" }), publish(), at(0));
    expect(lines).toEqual([
      {
        gateway: "mqtt-sn",
        listener: "udp",
        peer: "10.1.4.44:40112",
        client: "pump-9",
        user: "ana",
        what: "publish",
        asked: "secret/x",
        refusal: "forbidden",
        by: "authorization.rules 4: deny publish secret/#",
        event: "refused",
      },
    ]);
  });

  it("of one client leave one line a minute, and the next says how many came in between", () => {
    const refusals = make();
    for (let second = 0; second < 60; second++)
      refusals.note(to(), publish({ asked: `t/${second}` }), at(second));
    expect(lines).toHaveLength(1);
    refusals.note(to({ clientId: "other" }), publish(), at(59));
    expect(lines).toHaveLength(2);
    refusals.note(to(), publish(), at(61));
    expect(lines[2]).toMatchObject({ client: "pump-9", more: 59 });
  });

  it("are all counted, by gateway, what was asked for, and reason", () => {
    const refusals = make();
    for (let times = 0; times < 5; times++) refusals.note(to(), publish(), at(0));
    refusals.note(to({ gateway: "mqtt" }), { what: "connect", refusal: "banned", by: () => "" }, at(0));
    expect(Object.fromEntries([...counts].map(([name, { value }]) => [name, value]))).toEqual({
      "mqtt-sn publish forbidden": 5,
      "mqtt connect banned": 1,
    });
  });

  it("that are the same are one row with a count, the latest first", () => {
    const refusals = make();
    refusals.note(to(), publish(), at(0));
    refusals.note(to({ clientId: "b" }), publish(), at(1));
    refusals.note(to(), publish(), at(9));
    expect([...refusals.rows()]).toMatchObject([
      { clientId: "pump-9", count: 2, first: at(0), last: at(9), by: expect.stringContaining("rules 4") },
      { clientId: "b", count: 1 },
    ]);
  });

  it("look for what decided once for each row, however often it is refused", () => {
    let asked = 0;
    const refusals = make();
    const by = (): string => String(++asked);
    for (let times = 0; times < 100; times++) refusals.note(to(), publish({ by }), at(0));
    expect(asked).toBe(1);
  });

  it("of a scanner neither wash the others out nor fill the log, whatever names it invents", () => {
    const refusals = make({ rows: 50, rowsOfNetwork: 10, linesOfNetwork: 5 });
    refusals.note(to({ address: "10.0.0.1", clientId: "victim" }), publish(), at(0));
    for (let name = 0; name < 1000; name++) {
      refusals.note(to({ address: "203.0.113.9", clientId: `x${name}` }), publish(), at(1));
    }
    expect([...refusals.rows()].map(({ clientId }) => clientId)).toContain("victim");
    expect(refusals.size).toBe(11);
    expect(lines).toHaveLength(6);
    refusals.note(to({ clientId: "later" }), publish(), at(70));
    expect(lines[6]).toEqual({ refused: 995, event: "more-refused" });
  });

  it("keep no more than so many rows, and no longer names than so", () => {
    const refusals = make({ rows: 50 });
    for (let name = 0; name < 200; name++) {
      refusals.note(
        to({ address: `10.0.${name}.1`, clientId: `${name}`.padEnd(1000, "x") }),
        publish(),
        at(name),
      );
    }
    refusals.note(to(), publish({ asked: "t/".repeat(30_000) }), at(300));
    const rows = [...refusals.rows()];
    expect(rows.length).toBe(50);
    expect(
      Math.max(...rows.map((row) => (row.clientId?.length ?? 0) + (row.asked?.length ?? 0))),
    ).toBeLessThan(600);
  });
});
