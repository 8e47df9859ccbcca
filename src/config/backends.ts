/** Backends: what EMQ X's persistence plug-ins do, as rules. One section becomes rules by its connector's kind. */
import { type Static, Type } from "@sinclair/typebox";
import { durationSetting } from "../lib/setting.ts";
import { fillDefaults, isTree } from "../settings/defaults.ts";
import { closed, type JsonSchema } from "../settings/json-schema.ts";
import { choice, flag, integer, NAME_PATTERN, text } from "../settings/kinds.ts";
import { type Path, valueAt } from "../settings/path.ts";
import { type Locate, problem } from "../settings/problem.ts";
import { validate } from "../settings/validate.ts";
import { STATEMENTS, type Statements } from "./backend-statements.ts";
import { UnitConversion } from "./convert.ts";
import { layRule, unusableFilter } from "./made-rules.ts";
import type { OverriddenValues } from "./overrides.ts";

const BackendSchema = Type.Object(
  {
    connector: text({ description: "Name of a connector of kind redis, postgres or mysql." }),
    presence: flag({ description: "Write down who is online, and since when.", default: true }),
    subscriptions: flag({
      description: "Subscribe a client that connects to what the database says.",
      default: true,
    }),
    messages: choice(["none", "store", "queue", "pubsub"], {
      description:
        "store: all messages are written down. queue, pubsub: those of QoS 1 and 2, and who subscribes to their topic gets what waits there; queue: an acknowledged message is deleted, whoever it was. pubsub: how far each client has come is written down.",
      default: "none",
    }),
    topic: text({ description: "Of messages and retained messages: topic filter.", default: "#" }),
    retained: choice(["none", "store", "restore"], {
      description:
        "store: the retained message of each topic is written down, and deleted with it. restore: and given to who subscribes to a topic of which the bus has none.",
      default: "none",
    }),
    forget: flag({
      description: "Of pubsub: how far a client has come is forgotten when it unsubscribes.",
      default: false,
    }),
    maximum: integer(1, 10_000, {
      description: "Messages that one subscription brings at most.",
      default: 500,
    }),
    timeRange: durationSetting({
      description:
        "How old messages may be that a subscription brings; in Redis also how long they are kept.",
      default: "2h",
      minimum: "1s",
      maximum: "3650d",
    }),
  },
  { description: "A database that keeps what happens, with the tables and keys of EMQ X's manuals." },
);
export type BackendSettings = Static<typeof BackendSchema>;

export const BackendsSchema = Type.Record(Type.String({ pattern: NAME_PATTERN }), BackendSchema, {
  description: "Backends by name: each becomes rules, which are named <backend>-<what they do>.",
  default: {},
  additionalProperties: false,
});
export type BackendsConfig = Static<typeof BackendsSchema>;

const schema = closed(JSON.parse(JSON.stringify(BackendSchema)) as JsonSchema);

/** Lays the rules of all backends over the values, as if they stood in the configuration. */
export function layBackends(values: OverriddenValues, locate: Locate): void {
  const backends = valueAt(values.values, ["backends"]);
  for (const [name, given] of Object.entries(isTree(backends) ? backends : {})) {
    const settings = soundSettings(given, locate);
    // What is wrong with its form is said with the rest.
    if (settings !== undefined) layBackend(name, settings, values, locate);
  }
}

function soundSettings(given: unknown, locate: Locate): BackendSettings | undefined {
  const filled = fillDefaults(schema, given);
  if (validate(schema, filled, locate).length > 0) return undefined;
  const units = new UnitConversion(locate);
  const converted = units.convert(schema, filled as never) as unknown as BackendSettings;
  return units.problems.length > 0 ? undefined : converted;
}

function layBackend(name: string, settings: BackendSettings, values: OverriddenValues, locate: Locate): void {
  const path: Path = ["backends", name];
  const { connector, topic } = settings;
  const wrong = (key: string, value: string, allowed: string): void => {
    values.problems.push(problem(locate, { path: [...path, key], says: `is "${value}"`, value, allowed }));
  };
  const place = ["connectors", connector];
  const kind = valueAt(values.values, [...place, "kind"]);
  const statements =
    typeof kind === "string" && Object.hasOwn(STATEMENTS, kind) ? STATEMENTS[kind] : undefined;
  if (statements === undefined) {
    wrong("connector", connector, `a connector of kind ${Object.keys(STATEMENTS).join(", ")}`);
    return;
  }
  const cluster = valueAt(values.values, [...place, "cluster"]);
  if (Array.isArray(cluster) && cluster.length > 0) {
    wrong("connector", connector, "a Redis server that is no cluster: a lookup reads several keys at once");
    return;
  }
  const filterProblem = unusableFilter(topic);
  if (filterProblem !== undefined) {
    wrong("topic", topic, `a topic filter (this one has: ${filterProblem})`);
    return;
  }
  const order = valueAt(values.values, [...place, "order"]);
  if (order === undefined)
    values.lay([...place, "order"], "all", `backends.${name}`, locate(path) ?? `backends.${name}`);
  else if (order !== "all")
    values.problems.push(
      problem(locate, {
        path: [...place, "order"],
        says: `is "${String(order)}"`,
        allowed: `all, for backends.${name}: what a client acknowledges is deleted behind being written`,
      }),
    );
  for (const [what, rule] of rulesOf(settings, statements(settings))) {
    const actions = rule.statements.map((statement) => ({
      ...{ kind, connector, [kind === "redis" ? "command" : "sql"]: statement },
      ...(rule.rows === undefined ? {} : { rows: rule.rows }),
    }));
    layRule(values, locate, ["backends", name], what, { sql: rule.sql, actions });
  }
}

interface Made {
  readonly sql: string;
  readonly statements: readonly string[];
  readonly rows?: "subscribe" | "deliver" | "retained";
}

/** Times in seconds, and retain as a number: SQL of rules makes them, since templates compute nothing. */
const FIELDS = "*, timestamp div 1000 AS ts, CASE WHEN retain = true THEN 1 ELSE 0 END AS retained";
/** A message that was published before has expired. */
const stale = (timeRange: number): string => `timestamp - ${timeRange} AS stale`;

function* rulesOf(
  { presence, subscriptions, messages, topic, retained, forget, timeRange }: BackendSettings,
  statements: Statements,
): Generator<readonly [what: string, Made]> {
  const event = (kind: string, where = ""): string =>
    `SELECT *, timestamp div 1000 AS ts FROM "$events/${kind}"${where === "" ? "" : ` WHERE ${where}`}`;
  const published = (where: string): string =>
    `SELECT ${FIELDS}, ${stale(timeRange)} FROM "${topic}" WHERE ${where}`;
  const within = `topic =~ '${topic}'`;
  if (presence) {
    yield ["online", { sql: event("client_connected"), statements: statements.online }];
    // Who takes over is online.
    const gone = event("client_disconnected", "not (reason = 'takenover' or reason = 'discarded')");
    yield ["offline", { sql: gone, statements: statements.offline }];
  }
  if (subscriptions)
    yield [
      "subscribe",
      { sql: event("client_connected"), statements: statements.subscriptions, rows: "subscribe" },
    ];
  if (messages !== "none") {
    const kept = published(messages === "store" ? "qos >= 0" : "qos > 0");
    yield ["publish", { sql: kept, statements: statements.publish }];
  }
  if (messages === "queue" || messages === "pubsub") {
    const { fetch, acked, unsubscribed } = statements[messages];
    yield ["fetch", { sql: event("session_subscribed", within), statements: fetch, rows: "deliver" }];
    yield ["acked", { sql: event("message_acked", within), statements: acked }];
    if (forget && unsubscribed.length > 0)
      yield ["forget", { sql: event("session_unsubscribed", within), statements: unsubscribed }];
  }
  if (retained !== "none") {
    const isEmpty = "bytesize(payload) = 0";
    yield ["retain", { sql: published(`retain = true and not (${isEmpty})`), statements: statements.retain }];
    yield ["unretain", { sql: published(`retain = true and ${isEmpty}`), statements: statements.unretain }];
  }
  if (retained === "restore") {
    const asked = event("session_subscribed", within);
    yield ["restore", { sql: asked, statements: statements.restore, rows: "retained" }];
  }
}
