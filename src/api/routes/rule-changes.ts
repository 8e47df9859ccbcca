/** Rules, connectors and pipelines made, changed and ended while it runs: sections of the configuration, each under its own name. */

import { Type } from "@sinclair/typebox";
import { choice, flag, text } from "../../settings/kinds.ts";
import { Changed } from "../answers/config.ts";
import { Reached } from "../answers/rules.ts";
import { CHANGE_NOTE, changeConfig, changeQuery } from "../change-config.ts";
import type { ConfigSection } from "../ports.ts";
import { Refused } from "../problem.ts";
import { type Asked, type Route, route } from "../route.ts";

const NAME = "^(?!__proto__$)[A-Za-z0-9_-]+$";

const RuleBody = Type.Object({
  enable: Type.Optional(flag({ description: "Run this rule." })),
  description: Type.Optional(text({ description: "For people." })),
  sql: text({ description: "What it is for and what it makes of that.", minLength: 1, maxLength: 65_536 }),
  ack: Type.Optional(choice(["store", "after_sink"], { description: "When publishers are answered." })),
  actions: Type.Optional(
    Type.Array(Type.Record(Type.String(), Type.Unknown()), {
      maxItems: 100,
      description: "What is done with each output, as in the configuration.",
    }),
  ),
});

const ConnectorBody = Type.Record(Type.String({ maxLength: 64 }), Type.Unknown(), {
  description:
    "kind, and the keys of that kind, as in the configuration. Secrets are references: file:<path> or env:<name>; (hidden) for one that is set here already and stays.",
});

const PipelineBody = Type.Record(Type.String({ maxLength: 64 }), Type.Unknown(), {
  description:
    "packetType, filters and what else the configuration has of a pipeline. Secrets are references: file:<path> or env:<name>; (hidden) for one that is set here already and stays.",
});

/** What rules, connectors and pipelines have in common. */
interface Noun {
  /** In the configuration, and in addresses. */
  readonly section: "rules" | "connectors" | "pipelines";
  readonly word: "rule" | "connector" | "pipeline";
  readonly key: "id" | "name";
  readonly body: object;
  readonly example: object;
  readonly wrong: object;
  readonly kept: string;
  /** What resting means, and ending, where there is more to say. */
  readonly rests: string;
  readonly ends: string;
}

const NOUNS: readonly Noun[] = [
  {
    section: "rules",
    word: "rule",
    key: "id",
    body: RuleBody,
    example: { sql: 'SELECT * FROM "t/#"', actions: [{ kind: "console" }] },
    wrong: { sql: "SELECT" },
    kept: "It goes on counting, and what waits for its connectors stays.",
    rests: "",
    ends: "",
  },
  {
    section: "connectors",
    word: "connector",
    key: "name",
    body: ConnectorBody,
    example: { kind: "http", url: "http://127.0.0.1:9000" },
    wrong: { kind: "http", url: "ftp://nowhere" },
    kept: "It is opened anew, and what waits for it stays.",
    rests: ": what is for it waits",
    ends: "; what waits for it is kept for a week, in case it comes back",
  },
  {
    section: "pipelines",
    word: "pipeline",
    key: "name",
    body: PipelineBody,
    example: {
      packetType: "Publish",
      filters: [{ name: "limit", kind: "RateLimiter", requestRate: 100, timePeriod: "1s" }],
    },
    wrong: { packetType: "Publish", filters: [{ name: "x", kind: "MQTTClientAuth" }] },
    kept: "It goes on counting; its limits begin anew. Clients that are there stay, and are asked from their next packet on.",
    rests: ": packets pass without it",
    ends: "",
  },
];

type Path = Readonly<Record<string, string>>;

function found({ ports, path }: Pick<Asked<Path>, "ports" | "path">, noun: Noun): ConfigSection {
  const name = path[noun.key]!;
  const section = ports.config.section([noun.section, name]);
  if (section === undefined) throw new Refused("not-found", `there is no ${noun.word} ${name}`);
  return section;
}

/** Only what was made here can be ended here: what stands in the file would be there again. */
function refuseWhereItStands(section: ConfigSection, { word, section: of }: Noun, name: string): void {
  if (section.origin === "api") return;
  throw new Refused(
    "conflict",
    `${word} ${name} stands in ${section.origin}: take it out there, or disable it; DELETE /api/v1/config/${of}.${name} takes back what was changed of it here`,
  );
}

function routesOf(noun: Noun): Route[] {
  const { section, word, key, example, wrong } = noun;
  const name = Type.String({ pattern: NAME, minLength: 1, maxLength: 64, description: `Of the ${word}.` });
  const params = Type.Object({ [key]: name }) as unknown as { readonly static: Path };
  const address = `/${section}/{${key}}` as const;
  const tag = "rules";
  const none = { path: { [key]: `no-such-${word}` } };
  const object = (path: Path): string => `${word} ${path[key]}`;
  const orders = (["enable", "disable"] as const).map((order) =>
    route({
      method: "POST",
      path: `${address}/${order}`,
      role: "administrator",
      tag,
      summary: order === "enable" ? `Let a ${word} run` : `Let a ${word} rest${noun.rests}`,
      params,
      answer: Changed,
      refusals: [{ code: "not-found", ...none }],
      handle: (asked) => {
        found(asked, noun);
        const set = [section, asked.path[key]!, "enable"];
        return changeConfig(
          asked,
          { set, value: order === "enable" },
          { object: object(asked.path), within: 2 },
        );
      },
    }),
  );
  return [
    route({
      method: "PUT",
      path: address,
      role: "administrator",
      tag,
      summary: `Make a ${word}, or put it in the place of the one of that ${key}`,
      description: `${noun.kept} ${CHANGE_NOTE}`,
      params,
      query: changeQuery,
      body: noun.body as never,
      answer: Changed,
      example: { path: { [key]: `made-${word}` }, query: { dryRun: true }, body: example },
      refusals: [{ code: "invalid-request", path: { [key]: "wrong" }, body: wrong }],
      handle: (asked) =>
        changeConfig(
          asked,
          { set: [section, asked.path[key]!], value: asked.body },
          { ...(asked.query as { dryRun?: boolean }), object: object(asked.path), within: 2 },
        ),
    }),
    route({
      method: "DELETE",
      path: address,
      role: "administrator",
      tag,
      summary: `End a ${word} that was made over the API${noun.ends}`,
      params,
      query: changeQuery,
      answer: Changed,
      refusals: [{ code: "not-found", ...none }],
      handle: (asked) => {
        refuseWhereItStands(found(asked, noun), noun, asked.path[key]!);
        return changeConfig(
          asked,
          { unset: [section, asked.path[key]!] },
          { ...(asked.query as { dryRun?: boolean }), object: object(asked.path), within: 2 },
        );
      },
    }),
    ...orders,
  ];
}

const connectorName = Type.Object({
  name: Type.String({ pattern: NAME, minLength: 1, maxLength: 64, description: "Of the connector." }),
});

export const ruleChangeRoutes = [
  ...NOUNS.flatMap(routesOf),
  route({
    method: "POST",
    path: "/connectors/{name}/test",
    role: "operator",
    tag: "rules",
    summary: "Ask whether the sink of a connector is there; nothing is given to it",
    audited: false,
    params: connectorName,
    answer: Reached,
    refusals: [{ code: "not-found", path: { name: "no-such-connector" } }],
    handle: async ({ ports: { rules }, path }) => {
      const answer = await rules.reach(path.name);
      if (answer === undefined) throw new Refused("not-found", `there is no connector ${path.name}`);
      return answer;
    },
  }),
];
