import { expect, test } from "vitest";
import type { Instant } from "#core/lib/time.ts";
import type { Log } from "#core/observe/log.ts";
import { Metrics } from "#core/observe/metrics.ts";
import { NoteBook } from "#core/observe/notes.ts";

type Entry = readonly [level: string, event: string, detail: unknown];

function open() {
  const entries: Entry[] = [];
  const metrics = new Metrics({ process: false });
  const write = (level: string) => (event: string, detail: unknown) =>
    void entries.push([level, event, detail]);
  const log: Log = {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    setLevel: () => {},
  };
  const count = metrics.family("notes", "Events that protocol code noted", ["gateway", "event"]);
  return { entries, metrics, book: new NoteBook(log, count) };
}

test("a note is logged at its level with who it is about, and counted", async () => {
  const { entries, metrics, book } = open();
  const note = { level: "warn", event: "malformed-packet", detail: { clause: "[MQTT-2.2.2-2]" } } as const;
  book.write("mqtt", note, 1000 as Instant, { peer: "192.0.2.7:4660", client: "sensor" });
  const detail = { gateway: "mqtt", peer: "192.0.2.7:4660", client: "sensor", clause: "[MQTT-2.2.2-2]" };
  expect(entries).toEqual([["warn", "malformed-packet", detail]]);
  expect(await metrics.text()).toContain('isthmus_notes_total{gateway="mqtt",event="malformed-packet"} 1');
});

test("a flood of one event is counted in full, logged in part and summed up later", async () => {
  const { entries, metrics, book } = open();
  for (let count = 0; count < 1000; count++)
    book.write("coap", { level: "info", event: "reset" }, 0 as Instant);
  book.write("coap", { level: "info", event: "other-event" }, 0 as Instant);
  expect(entries.filter(([, event]) => event === "reset").length).toBe(20);
  expect(entries.filter(([, event]) => event === "other-event").length).toBe(1);
  book.write("coap", { level: "info", event: "reset" }, 10_000 as Instant);
  expect(entries.at(-2)).toEqual([
    "info",
    "more-not-shown",
    { gateway: "coap", of: "reset", suppressed: 980 },
  ]);
  expect(await metrics.text()).toContain('isthmus_notes_total{gateway="coap",event="reset"} 1001');
});

test("more kinds of events than can be told apart are counted together", async () => {
  const { metrics, book } = open();
  for (let kind = 0; kind < 1500; kind++) {
    book.write("coap", { level: "debug", event: `kind-${kind}` }, 0 as Instant);
  }
  const text = await metrics.text();
  expect(text).toContain('event="kind-999"} 1');
  expect(text).toContain('isthmus_notes_total{gateway="coap",event="other"} 500');
});
