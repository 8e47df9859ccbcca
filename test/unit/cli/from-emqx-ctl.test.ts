/** The table for who comes from `emqx_ctl` (operate sheet O-060 to O-066). */
import { readFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import { Command } from "commander";
import { expect, test } from "vitest";
import { ROUTES } from "#core/api/routes.ts";
import { addSteering } from "#core/cli/cli.ts";

const [, section = ""] = readFileSync("src/cli/README.md", "utf8").split("### From `emqx_ctl`");
const [prose = "", table = ""] = (section.split("\n## ")[0] ?? "").split("| --- | --- |");
const rows = [...table.matchAll(/^\| (.+) \| (.+) \|$/gm)].map(([, left = "", right = ""]) => ({
  left,
  right,
}));
const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);

function commands(): ReadonlySet<string> {
  const ports = {
    steering: { localFile: async () => "" },
    addUser: async () => {},
    simulate: () => Promise.reject(new Error("not expected")),
    load: () => Promise.reject(new Error("not expected")),
  };
  const io = { input: new PassThrough(), out: () => {}, error: () => {}, signals: process };
  const program = new Command("isthmus");
  addSteering(program, ports, io, () => {});
  const walk = (command: Command, path: string): string[] => [
    path,
    ...command.commands.flatMap((inner) => walk(inner, `${path} ${inner.name()}`)),
  ];
  return new Set(walk(program, "isthmus"));
}

test("names commands and requests that there are", () => {
  const known = new Set([...commands(), ...ROUTES.map(({ method, path }) => `${method} /api/v1${path}`)]);
  expect(rows.length).toBeGreaterThan(15);
  expect(rows.flatMap(({ right }) => quoted(right)).filter((name) => !known.has(name))).toEqual([]);
});

/** O-060, O-061, O-065: what the manuals of EMQ 2, EMQ X 4 and EMQX 5 have. */
const MANUALS = [
  ..."status broker cluster acl clients sessions routes topics subscriptions plugins bridges vm mnesia log".split(
    " ",
  ),
  ..."trace listeners rules rule-actions resources resource-types recon retainer admins mgmt users".split(
    " ",
  ),
  ..."clientid conf observer exclusive traces authz pem_cache data gateway".split(" "),
];

test.each(MANUALS)(
  "%s of the manuals has a row, or is said to be nothing of ours (O-060, O-061, O-064, O-065)",
  (name) => {
    const left = rows.flatMap((row) => quoted(row.left)).map((command) => command.split(" ")[0]);
    expect([...left, ...quoted(prose)]).toContain(name);
  },
);
