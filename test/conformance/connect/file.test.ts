/** Rules whose outputs go to files. */
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addsUp, losesNothingWhenKilled, publishNumbers, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";

describe("a file", () => {
  const site = new SinkSite();
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "isthmus-file-"));
    path = join(folder, "deep", "out.jsonl");
  });
  afterEach(async () => {
    await site.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const linesOf = (file: string) => readFileSync(file, "utf8").split("\n").slice(0, -1);
  const numbersIn = (...files: string[]) =>
    files.flatMap(linesOf).map((line) => JSON.parse(line).n as number);
  const NUMBERS = 'SELECT payload.n AS n FROM "t/#"';

  /** All files of the path, the oldest first. */
  function all(): string[] {
    const numbers = readdirSync(join(folder, "deep"))
      .map((name) => Number(name.slice("out.jsonl.".length)))
      .filter((number) => number > 0)
      .sort((a, b) => a - b);
    return [...numbers.map((number) => `${path}.${number}`), path];
  }

  it("has a line of JSON for each output, in order, whatever a payload has in it", async () => {
    const sink = await site.run({ kind: "file", path }, 'SELECT clientid, payload FROM "t/#"', {});
    const client = await site.connect();
    for (const payload of ["one", "two\nlines", '{"x":1}'])
      await client.publishAsync("t/1", payload, { qos: 1 });
    await until(() => sink.counters.success === 3, "three lines");
    expect(linesOf(path).map((line) => JSON.parse(line))).toEqual([
      { clientid: "c1", payload: "one" },
      { clientid: "c1", payload: "two\nlines" },
      { clientid: "c1", payload: '{"x":1}' },
    ]);
  });

  it("has no line that a payload begins: ends of lines of a template become spaces", async () => {
    const sink = await site.run({ kind: "file", path }, 'SELECT payload FROM "t/#"', {
      line: "${payload}",
    });
    await (await site.connect()).publishAsync("t/1", "a\r\nb", { qos: 1 });
    await until(() => sink.counters.success === 1, "a line");
    expect(linesOf(path)).toEqual(["a b"]);
  });

  it("is another one when it is full, and the oldest go beyond the number that is kept", async () => {
    const connector = { kind: "file", path, batch: { messages: 1 }, rotate: { size: "1KB", keep: 3 } };
    const sink = await site.run(connector, NUMBERS, { line: `{"n":\${n},"pad":"${"x".repeat(80)}"}` });
    await publishNumbers(await site.connect(), 0, 100);
    await until(() => sink.counters.success === 100, "a hundred lines");
    const files = all();
    expect(files).toHaveLength(4);
    const kept = numbersIn(...files);
    expect(kept).toEqual(Array.from({ length: kept.length }, (_, count) => 100 - kept.length + count));
    for (const file of files) expect(readFileSync(file).length).toBeLessThanOrEqual(1024);
    addsUp(sink);
  });

  it("is another one when it is old", async () => {
    const sink = await site.run({ kind: "file", path, rotate: { age: "1s" } }, NUMBERS, {});
    const client = await site.connect();
    await publishNumbers(client, 0, 1);
    await until(() => sink.counters.success === 1, "a line");
    let n = 1;
    await until(async () => {
      await publishNumbers(client, n, ++n);
      return all().length > 1;
    }, "a second file");
    await until(() => sink.counters.success === n, "all lines");
    expect(numbersIn(...all())).toEqual(Array.from({ length: n }, (_, count) => count));
  });

  it("goes on behind its last whole line when a crash has left half of one", async () => {
    path = join(folder, "out.jsonl");
    writeFileSync(path, '{"n":-1}\n{"n":');
    const sink = await site.run({ kind: "file", path }, NUMBERS, {});
    await publishNumbers(await site.connect(), 0, 1);
    await until(() => sink.counters.success === 1, "a line");
    expect(numbersIn(path)).toEqual([-1, 0]);
  });

  it("is begun anew when somebody has moved it away", async () => {
    const sink = await site.run({ kind: "file", path }, NUMBERS, {});
    const client = await site.connect();
    await publishNumbers(client, 0, 1);
    await until(() => sink.counters.success === 1, "a line");
    renameSync(path, `${path}.moved`);
    await publishNumbers(client, 1, 2);
    await until(() => sink.counters.success === 2, "another");
    expect(numbersIn(`${path}.moved`, path)).toEqual([0, 1]);
  });

  it("that has no room is an alarm, and gets everything when it has some", async () => {
    path = join(folder, "out.jsonl");
    symlinkSync("/dev/full", path);
    const sink = await site.run({ kind: "file", path }, NUMBERS, {});
    const client = await site.connect();
    await publishNumbers(client, 0, 20);
    await until(() => sink.reason?.includes("ENOSPC") === true && site.isAway(), "an alarm that says why");
    addsUp(sink);
    rmSync(path);
    await until(() => sink.counters.success === 20, "all are written");
    expect(numbersIn(path)).toEqual(Array.from({ length: 20 }, (_, count) => count));
    await until(() => !site.isAway(), "the alarm is over");
    expect(sink.counters).toMatchObject({ taken: 20, success: 20, failed: 0 });
  });

  it.skipIf(process.platform !== "linux")("is opened where a file system does not sync folders", async () => {
    // Linux's /proc answers EINVAL to that.
    const sink = await site.run({ kind: "file", path: "/proc/self/comm" }, NUMBERS, {});
    await until(() => sink.state !== "connecting", "it was looked for");
    expect(sink.reason).toBeUndefined();
    expect(sink.state).toBe("connected");
  });

  it("has everything that was acknowledged when the gateway is killed", async () => {
    path = join(folder, "out.jsonl");
    symlinkSync("/dev/full", path);
    await losesNothingWhenKilled({
      connector: { kind: "file", path },
      action: {},
      async away() {},
      async back() {
        rmSync(path);
      },
      async has() {
        try {
          return new Set(numbersIn(path));
        } catch {
          return new Set<number>();
        }
      },
    });
  }, 900_000);
});
