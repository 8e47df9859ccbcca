import { describe, expect, it } from "vitest";
import {
  type Cause,
  causesOf,
  outcomeOf,
  sideOf,
  type TraceRow,
  unanswered,
} from "../../../src/dashboard/lib/causes.ts";

let number = 0;
const row = (kind: TraceRow["kind"], rest: Partial<TraceRow> = {}): TraceRow => ({
  ...{ number: ++number, cause: 1, at: number, kind, text: kind },
  ...rest,
});
const causeOf = (...rows: TraceRow[]): Cause => causesOf(rows).get(rows[0]!.cause)!;

/** A PUT of channel 1 that is given to channel 2. */
const put = row("frame", { from: "device", channel: 1, exchange: "a", name: "PUT" });
const message = row("message", { channel: 1, topic: "cmd/x" });
const given = row("delivery", {
  channel: 2,
  client: "pump-7",
  gateway: "mqtt-sn",
  topic: "cmd/x",
  state: "given",
});
const publish = row("frame", { from: "gateway", channel: 2, exchange: "7", expects: true, name: "PUBLISH" });
const puback = row("frame", { from: "device", channel: 2, exchange: "7", name: "PUBACK" });
const done = row("delivery", { ...given, number: ++number, state: "done" });

describe("on the picture of a translation (D-061)", () => {
  it("who has set it off is at the left, and who is given something at the right", () => {
    const cause = causeOf(put, message, given, publish, puback, done);
    expect([put, message, given, publish, puback, done].map((one) => sideOf(one, cause))).toEqual([
      ...["left", "left", "right", "right", "right", "right"],
    ]);
  });

  it("a client that gets what it has sent stands on both sides: its own exchange left, what it is given right", () => {
    const back = row("frame", { from: "gateway", channel: 1, exchange: "b" });
    const acknowledged = row("frame", { from: "gateway", channel: 1, exchange: "a" });
    const cause = causeOf(put, message, back, acknowledged);
    expect([back, acknowledged].map((one) => sideOf(one, cause))).toEqual(["right", "left"]);
  });

  it("what nobody has published is all at the right", () => {
    const ping = row("frame", { from: "device", channel: 2, name: "PINGREQ" });
    expect(sideOf(ping, causeOf(ping))).toBe("right");
  });
});

describe("a frame that asks for an answer (D-063)", () => {
  it("has none so far, until the device answers in the same exchange", () => {
    expect(unanswered(publish, causeOf(put, publish))).toBe(true);
    expect(unanswered(publish, causeOf(put, publish, puback))).toBe(false);
    const other = row("frame", { from: "device", channel: 2, exchange: "8" });
    expect(unanswered(publish, causeOf(put, publish, other))).toBe(true);
    const before = { ...puback, number: publish.number - 1 };
    expect(unanswered(publish, causeOf(put, before, publish))).toBe(true);
  });

  it("is one of the gateway that expects one: others are never without", () => {
    expect(unanswered(put, causeOf(put))).toBe(false);
    expect(unanswered({ ...publish, expects: false }, causeOf(put))).toBe(false);
  });
});

describe("a cause", () => {
  it.each<[string, Partial<TraceRow> & Pick<TraceRow, "kind">]>([
    ["a refusal", { kind: "refusal", refusal: "forbidden" }],
    ["what is sent again", { kind: "frame", again: 1 }],
    ["what is given up", { kind: "delivery", state: "dead" }],
    ["what is dropped", { kind: "delivery", state: "dropped" }],
    ["what is given back", { kind: "delivery", state: "again" }],
    ["what nobody could read", { kind: "stray", why: "malformed" }],
    ["a full queue of somebody", { kind: "routed", dropped: 1 }],
    ["rows that are missing", { kind: "skipped", count: 3 }],
  ])("is trouble with %s in it", (_, { kind, ...rest }) => {
    expect(causeOf(put, row(kind, rest)).trouble).toBe(true);
  });

  it("is none where all went well, also where a message waits", () => {
    const waits = row("delivery", { state: "waits", client: "pump-7" });
    expect(causeOf(put, message, waits, done).trouble).toBe(false);
  });

  it.each<[string, readonly TraceRow[]]>([
    ["1 done", [put, message, given, done]],
    [
      "1 done, 1 waits",
      [
        put,
        message,
        done,
        row("delivery", { client: "lamp", gateway: "mqtt", topic: "cmd/x", state: "waits" }),
      ],
    ],
    ["refused: forbidden", [put, row("refusal", { refusal: "forbidden" })]],
    ["subscribe: accepted", [put, row("step", { what: "subscribe", answer: "accepted" })]],
    ["subscribe: pending", [put, row("step", { what: "subscribe", answer: "pending" })]],
    [
      "subscribe: answered by SUBACK",
      [
        put,
        row("step", { what: "subscribe", answer: "pending" }),
        row("frame", { from: "gateway", name: "SUBACK" }),
      ],
    ],
    ["nobody is subscribed", [put, message, row("routed", { matched: false })]],
    ["is asleep", [put, row("state", { was: "awake", is: "asleep" })]],
    ["", [put]],
  ])("has come to: %s (D-065)", (said, rows) => {
    expect(outcomeOf(causeOf(...rows))).toBe(said);
  });

  it("has its number, and all rows of it in their order", () => {
    const causes = causesOf([put, { ...publish, cause: 2 }, { ...puback, cause: 2 }, message]);
    expect([...causes].map(([cause, { rows }]) => [cause, rows.length])).toEqual([
      [1, 2],
      [2, 2],
    ]);
  });
});
