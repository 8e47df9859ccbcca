import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AuditLog, type Change, REMEMBERED } from "#core/api/access/audit-log.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-audit-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const change = (object: string, more: Partial<Change> = {}) => ({
  ...{ at: 1, who: "ana", kind: "user", address: "10.0.0.1", action: "PUT /x", object, result: "done" },
  ...more,
});

test("the last 5,000 changes are remembered, the newest first (O-039)", () => {
  const log = new AuditLog(undefined, () => {});
  for (let index = 0; index < REMEMBERED + 10; index++) log.note(change(`${index}`));
  const kept = [...log.recent()].map(({ object }) => object);
  expect([kept.length, kept[0], kept.at(-1)]).toEqual([5_000, "5009", "10"]);
});

test("all are lines of a file for its owner alone, with neither secrets nor endless texts", () => {
  const file = join(folder, "api", "audit.log");
  const log = new AuditLog(file, (error) => expect.fail(error.message));
  const after = { user: "bo", password: "hunter2", nested: [{ pskSecret: "k" }], text: "x".repeat(5_000) };
  log.note(change("user bo", { before: { secret: 1 }, after }));
  const text = readFileSync(file, "utf8");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(text.length).toBeLessThan(2_600);
  expect(text).not.toMatch(/hunter2|"k"/);
  expect(JSON.parse(text)).toMatchObject({ who: "ana", before: { secret: "••••" }, after: { user: "bo" } });
});

test("a file that is full takes turns with seven older ones, and the oldest goes (O-039)", () => {
  const file = join(folder, "audit.log");
  const log = new AuditLog(file, (error) => expect.fail(error.message));
  for (let turn = 0; turn < 9; turn++) {
    writeFileSync(file, Buffer.alloc(16 * 1024 * 1024 + 1, `${turn}`));
    log.note(change(`turn ${turn}`));
  }
  expect(readdirSync(folder).sort()).toEqual([
    "audit.log",
    ...Array.from({ length: 7 }, (_, index) => `audit.log.${index + 1}`),
  ]);
  const first = (name: string) => readFileSync(join(folder, name)).subarray(0, 1).toString();
  expect([first("audit.log.1"), first("audit.log.7")]).toEqual(["8", "2"]);
  expect(readFileSync(file, "utf8")).toContain("turn 8");
});

test("a file that cannot be written is said, and changes go on being remembered", () => {
  const failures: string[] = [];
  writeFileSync(join(folder, "file"), "");
  const log = new AuditLog(join(folder, "file", "audit.log"), ({ message }) => failures.push(message));
  log.note(change("a"));
  expect([failures.length, [...log.recent()].length]).toEqual([1, 1]);
});
