import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { describeError, EXIT, OPERATOR_ERRORS } from "#core/cli/errors.ts";

/** Cells of all table rows of a document. */
const rowsOf = (document: string) =>
  readFileSync(new URL(`../../../${document}`, import.meta.url), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

test("the guide lists exactly the operator errors, with their meaning and a fix", () => {
  const documented = rowsOf("docs/no-answer.md").filter(([code]) => /^`[a-z-]+`$/.test(code ?? ""));
  expect(Object.fromEntries(documented.map(([code, meaning]) => [code?.slice(1, -1), meaning]))).toEqual(
    OPERATOR_ERRORS,
  );
  for (const [, , fix] of documented) expect(fix?.length).toBeGreaterThan(10);
});

test("the README lists exactly the exit codes", () => {
  const codes = rowsOf("src/cli/README.md")
    .map(([code]) => code ?? "")
    .filter((code) => /^\d+$/.test(code));
  expect(codes.map(Number)).toEqual(Object.values(EXIT));
});

test.each([
  ["EADDRINUSE", "listen", "port-in-use"],
  ["EACCES", "listen", "permission-denied"],
  ["EACCES", "mkdir", "data-folder-unusable"],
  ["ENOENT", "open", "file-missing"],
  ["ENOSPC", "write", "disk-full"],
  ["EROFS", "open", "data-folder-unusable"],
  ["EMFILE", "open", "too-many-open-files"],
])("the system's %s at %s is %s, in one line with a fix", (code, syscall, expected) => {
  const error = Object.assign(new Error(`${code}: ${syscall} '/x'`), { code, syscall });
  const described = describeError(error);
  expect(described).toMatchObject({ code: expected, exit: 1 });
  expect(described.lines).toEqual([expect.stringMatching(new RegExp(`^${expected}: .+: .+`))]);
});

test.each([undefined, "text", new Error("plain"), Object.assign(new Error("odd"), { code: "toString" })])(
  "whatever else is thrown is a bug: %s",
  (thrown) => {
    expect(describeError(thrown)).toMatchObject({ code: "internal-error", exit: 70 });
  },
);
