import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Key } from "#core/session/store.ts";
import type { Change } from "#core/store/engine.ts";
import { KIND_NAMES, openEngine } from "#core/store/kinds.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-unwritable-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const put = (key: Key, value: () => unknown): Change => ({ table: "shelf", key, value });
const circle: unknown[] = [];
circle.push(circle);

describe.each(KIND_NAMES)("a store of kind %s", (kind) => {
  it.each([
    ["throws when it is made", () => JSON.parse("{")],
    ["holds a function", () => ({ run: () => 1 })],
    ["holds itself", () => circle],
    ["is a big integer", () => 1n],
  ])(
    "that is given a value which %s keeps the others of that commit, and what stood there",
    async (_what, bad) => {
      const notes: string[] = [];
      const options = {
        folder,
        sync: true,
        sizeMax: 1 << 28,
        note: (sentence: string) => notes.push(sentence),
      };
      const engine = await openEngine(kind, options);
      await engine.commit([put("a", () => "before")]);
      await engine.commit([put("a", bad), put("b", () => 2)]);
      await engine.commit([put("a", bad)]);
      expect(notes.filter((note) => note.includes("shelf a"))).toHaveLength(2);
      await engine.close();
      const again = await openEngine(kind, options);
      expect([...again.entries("shelf")]).toEqual([
        ["a", "before"],
        ["b", 2],
      ]);
      await again.close();
    },
  );
});
