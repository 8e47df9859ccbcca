/** What `isthmus rules test` and the API's try show: outputs, and what each kind of action would be given. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import { checking } from "#core/connect/actions.ts";
import { KINDS } from "#core/connect/kinds.ts";
import { MODULES } from "#core/modules.ts";
import { Rules } from "#core/rules/rules.ts";

const guide = new URL("../../../docs/", import.meta.url);
const pages = [
  "rules.md",
  ...readdirSync(new URL("connectors/", guide)).map((page) => `connectors/${page}`),
].map((page) => readFileSync(new URL(page, guide), "utf8"));
const examples = pages.flatMap((page) =>
  Array.from(page.matchAll(/```yaml(?: file=[^\n]+)?\n([\s\S]*?)```/g), ([, yaml = ""]) => yaml),
);

const rules = new Rules({
  ...{ gate: {} as never, node: "n", now: () => 0, newId: () => "id", failed: () => {} },
});
const EVENT = {
  ...{
    topic: "sensors/7/data",
    clientid: "c1",
    username: "u1",
    qos: 1,
    retain: false,
    id: "0A",
    timestamp: 0,
  },
  payload: JSON.stringify({
    ...{ t: 31.5, room: "hall", location: "hall", internal: 25, count: 1, tags: { host: "serverA" } },
    data: [{ temp: 1, host: "serverA", region: "hangzhou" }],
  }),
};

describe("each kind of connector", () => {
  const shown = new Set<string>();
  it.each(examples.map((yaml) => [/kind: (\w+)/.exec(yaml)?.[1] ?? "", yaml] as const))(
    "%s: the guide's example says what it would be given",
    (_kind, yaml) => {
      const { config } = loadText(MODULES, yaml);
      const action = checking((name) => config.connectors[name]?.kind);
      for (const rule of Object.values(config.rules)) {
        const { outputs, actions } = rules.test(rule, action, "message_publish", EVENT);
        expect(outputs.length).toBeGreaterThan(0);
        for (const { kind, parameters } of actions) {
          expect(parameters).toHaveLength(outputs.length);
          for (const each of parameters) expect(Object.keys(each as object).length).toBeGreaterThan(0);
          shown.add(kind);
        }
      }
    },
  );
  it("has such an example", () => {
    expect(KINDS.map(({ kind }) => kind).filter((kind) => !shown.has(kind))).toEqual([]);
  });
});
