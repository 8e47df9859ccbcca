import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { type LogFormat, type LogLevel, openLog } from "#core/observe/log.ts";

class Lines extends Writable {
  text = "";
  isTTY = false;
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
  get entries(): Record<string, unknown>[] {
    return this.text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}

function open(level: LogLevel = "info", format: LogFormat = "auto", terminal = false) {
  const output = new Lines();
  output.isTTY = terminal;
  return { output, log: openLog({ level, format, output }) };
}

test("away from a terminal each entry is one JSON object a line", () => {
  const { output, log } = open();
  log.info("users-file-reloaded", { gateway: "mqtt", count: 2 });
  expect(output.entries).toEqual([
    {
      level: "info",
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      event: "users-file-reloaded",
      gateway: "mqtt",
      count: 2,
      message: "a users file was read again",
    },
  ]);
});

test("on a terminal, and when asked, an entry is a line for people", () => {
  for (const { output, log } of [open("info", "auto", true), open("info", "pretty")]) {
    log.warn("malformed", { gateway: "mqtt" });
    expect(output.text).toContain("malformed");
    expect(output.text).toContain("mqtt");
    expect(output.text.trimEnd()).not.toContain("\n");
    expect(() => JSON.parse(output.text)).toThrow();
  }
});

test("levels below the chosen one are not written, and it can be changed", () => {
  const { output, log } = open("warn");
  log.info("no", {});
  log.setLevel("debug");
  log.debug("yes", {});
  expect(output.entries.map((entry) => entry["message"])).toEqual(["yes"]);
});

test.each(["password", "Passcode", "keyPassphrase", "clientSecret", "psk", "accessToken", "authorization"])(
  "a value under %s is hidden, also deep inside",
  (name) => {
    for (const format of ["json", "pretty"] as const) {
      const { output, log } = open("info", format);
      log.info("connect", { [name]: "hunter2", deep: { list: [{ [name]: "hunter2" }] } });
      expect(output.text).not.toContain("hunter2");
      expect(output.text).toContain("[hidden]");
    }
  },
);

test("bytes are shown as their number, and an error with its stack", () => {
  const { output, log } = open();
  log.error("bug", { payload: Buffer.from("hunter2"), error: new TypeError("boom") });
  const entry = output.entries[0] as Record<string, unknown>;
  expect(entry).toMatchObject({ payload: "7 bytes", error: { type: "TypeError", message: "boom" } });
  expect((entry["error"] as { stack: string }).stack).toContain("log.test.ts");
});

test("a value that contains itself is cut off", () => {
  const { output, log } = open();
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  log.info("round", { circle });
  expect(output.entries[0]).toMatchObject({ message: "round" });
});
