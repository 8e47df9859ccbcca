import { expect, test } from "vitest";
import { buildSchema } from "#core/config/schema.ts";
import { MODULES } from "#core/modules.ts";
import { fillDefaults, isTree, type Tree } from "#core/settings/defaults.ts";
import { deviating } from "#core/settings/deviating.ts";
import { validate } from "#core/settings/validate.ts";
import { fc } from "../../support/property.ts";

const schema = buildSchema(MODULES);
const defaults = fillDefaults(schema, {}) as Tree;

/** Every place of a tree, sections too. */
const placesOf = (tree: Tree, path: readonly string[] = []): string[][] =>
  Object.entries(tree).flatMap(([key, value]) => [
    [...path, key],
    ...(isTree(value) ? placesOf(value, [...path, key]) : []),
  ]);
const PLACES = placesOf(defaults);

function changed(path: readonly string[], key: string | undefined, value: unknown): Tree {
  const tree = structuredClone(defaults);
  let at = tree;
  for (const step of path.slice(0, -1)) at = at[step] as Tree;
  const last = path.at(-1) as string;
  const inner = at[last];
  if (key !== undefined && isTree(inner)) inner[key] = value;
  else at[last] = value;
  return tree;
}

const value = fc.oneof(
  fc.constantFrom(true, 0, -1, 7.5, "", "10s", "auto", "unlimited", null, [], {}, ["x"], { port: 1 }),
  fc.constantFrom({ transport: "udp", port: 5 }, { transport: "nonsense" }, { kind: "http" }),
);

test("the defaults pass the whole schema, and need no look", () => {
  expect(validate(schema, defaults, () => undefined)).toEqual([]);
  expect(deviating(schema, defaults, defaults)).toBeUndefined();
});

test("looking only where a configuration is not the default finds what looking everywhere finds", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(fc.constantFrom(...PLACES), fc.option(fc.constantFrom("new", "No-1", "a b")), value),
        {
          minLength: 1,
          maxLength: 1,
        },
      ),
      ([change]) => {
        const [path, key, given] = change!;
        const tree = fillDefaults(schema, changed(path, key ?? undefined, given));
        const everywhere = validate(schema, tree, () => undefined);
        expect(validate(schema, tree, () => undefined, defaults)).toEqual(everywhere);
      },
    ),
    { numRuns: 150 },
  );
});

test("thousands of rules are checked by one schema, and each that is wrong is named", () => {
  const rule = (sql: unknown) => ({ sql, actions: [{ kind: "console" }] });
  const rules = Object.fromEntries(
    Array.from({ length: 3_000 }, (_, n) => [`r${n}`, rule('SELECT * FROM "t"')]),
  );
  const good = fillDefaults(schema, { rules });
  expect(validate(schema, good, () => undefined, defaults)).toEqual([]);
  const bad = fillDefaults(schema, { rules: { ...rules, r7: rule(7) } });
  const problems = validate(schema, bad, () => undefined, defaults);
  expect(problems.map(({ path }) => path.join("."))).toEqual(["rules.r7.sql"]);
});
