/** Rules as the HTTP API sees them. */
import type { Reached, RulesPort, RuleTest, RuleWish } from "./api/ports.ts";
import { timeText } from "./api/schemas.ts";
import { RuleSchema } from "./config/rules-schema.ts";
import { ActionSchema, ConnectorSchema } from "./connect/kinds.ts";
import type { Sink } from "./connect/sink.ts";
import { EVENT_KINDS } from "./rules/event-names.ts";
import { type Rule, RuleError, type RuleSettings } from "./rules/rule.ts";
import type { Tested } from "./rules/rules.ts";
import { RuleFailure, toJson, type Value, type ValueMap } from "./rules/value.ts";
import type { RulesRoom } from "./rules-room.ts";
import { fillDefaults } from "./settings/defaults.ts";
import { closed, type JsonSchema } from "./settings/json-schema.ts";
import { validate } from "./settings/validate.ts";

/** Made when somebody tries a rule. */
let schema: JsonSchema | undefined;
const ruleSchema = (): JsonSchema => {
  schema ??= closed(JSON.parse(JSON.stringify(RuleSchema)) as JsonSchema);
  return schema;
};

export function rulesPort(room: RulesRoom, now: () => number): RulesPort {
  function test(id: string | undefined, wish: RuleWish): RuleTest | undefined {
    const rule = id === undefined ? undefined : room.rules.get(id);
    if (id !== undefined && rule === undefined) return undefined;
    return tried(room, rule, wish);
  }
  return {
    actionKinds: (ActionSchema as JsonSchema).oneOf ?? [],
    connectorKinds: (ConnectorSchema as JsonSchema).oneOf ?? [],
    rules: () => Array.from(room.rules.all, (rule) => rowOf(rule, now())),
    connectors: () => Array.from(room.connectors.all, (sink) => connectorRow(room, sink)),
    reach: (name) => reach(room.connectors.get(name), now),
    test: test as RulesPort["test"],
  };
}

function tried(room: RulesRoom, rule: Rule | undefined, wish: RuleWish): RuleTest {
  const kind = EVENT_KINDS.find((each) => each === (wish.event ?? "message_publish"));
  if (kind === undefined) return { field: "/event", refusal: `is none of ${EVENT_KINDS.join(", ")}` };
  const given = {
    sql: wish.sql ?? rule?.settings.sql,
    actions: wish.actions ?? rule?.settings.actions ?? [],
  };
  const settings = fillDefaults(ruleSchema(), given) as unknown as RuleSettings;
  const [wrong] = validate(ruleSchema(), settings, () => undefined);
  if (wrong !== undefined) return { field: `/${wrong.path.join("/")}`, refusal: wrong.message };
  try {
    return shown(room.test(settings, kind, fieldsOf(wish.fields)));
  } catch (error) {
    if (error instanceof RuleError) return { field: `/${error.at.join("/")}`, refusal: error.message };
    if (error instanceof RuleFailure) return { outputs: [], actions: [], failure: error.message };
    throw error;
  }
}

/** A payload that is given as JSON is what a device would have written. */
function fieldsOf({ payload, ...fields }: RuleWish["fields"]): ValueMap {
  const text = payload === undefined || typeof payload === "string" ? payload : JSON.stringify(payload);
  return {
    topic: "",
    payload: "",
    clientid: "test",
    qos: 1,
    ...fields,
    ...(text === undefined ? {} : { payload: text }),
  } as ValueMap;
}

/** As JSON holds it. */
const plain = (value: Value): unknown => JSON.parse(toJson(value));

const shown = ({ outputs, actions }: Tested): RuleTest => ({
  outputs: outputs.map(plain),
  actions: actions.map(({ kind, to, parameters }) => ({ kind, to, parameters: parameters.map(plain) })),
});

const rowOf = ({ id, settings, counters, rates, actions }: Rule, now: number) => ({
  id,
  enable: settings.enable,
  description: settings.description,
  sql: settings.sql,
  ack: settings.ack,
  ...counters,
  rate: rates.read(now),
  actions: actions.map(({ kind, to, counters: numbers }) => ({ kind, to, ...numbers })),
});

async function reach(sink: Sink | undefined, now: () => number): Promise<Reached | undefined> {
  if (sink === undefined) return undefined;
  const began = now();
  const failure = await sink.reach().then(
    () => undefined,
    (error: unknown) => (error as Error).message,
  );
  const milliseconds = Math.max(0, Math.round(now() - began));
  return failure === undefined
    ? { reached: true, milliseconds }
    : { reached: false, detail: failure, milliseconds };
}

const connectorRow = (room: RulesRoom, sink: Sink) => ({
  name: sink.name,
  kind: room.connectors.kindOf(sink.name) ?? "",
  enable: sink.settings.enable,
  state: sink.state,
  ...(sink.reason === undefined ? {} : { reason: sink.reason }),
  ...(sink.took === undefined ? {} : { tookMilliseconds: Math.round(sink.took) }),
  ...(sink.lastFailure === undefined
    ? {}
    : { lastFailure: { reason: sink.lastFailure.reason, at: timeText(sink.lastFailure.at) } }),
  ...sink.counters,
  inflight: sink.inflight,
  queuing: sink.queuing,
  queuedBytes: sink.queuedBytes,
});
