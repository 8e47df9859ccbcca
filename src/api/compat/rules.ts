/**
 * Rules, actions and resources of EMQ X 4 (O-022 to O-024), which rules, their actions and connectors are here. What
 * the manual names has its names; other kinds have those of the configuration, and parameters are its keys.
 */
import { randomBytes } from "node:crypto";
import type { JsonSchema } from "../../settings/json-schema.ts";
import { changeConfig } from "../change-config.ts";
import { type Call, type Manual, text } from "./call.ts";
import { CODES, ManualError } from "./codes.ts";

type Tree = Readonly<Record<string, unknown>>;

interface Names {
  readonly kind: string;
  /** Of the action, and of the resource that it needs. */
  readonly action: string;
  readonly resource?: string;
  /** Parameters of the action that have another name. */
  readonly parameters?: Readonly<Record<string, string>>;
}

const NAMES: readonly Names[] = [
  { kind: "console", action: "inspect" },
  {
    kind: "republish",
    action: "republish",
    parameters: { target_topic: "topic", target_qos: "qos", payload_tmpl: "payload" },
  },
  {
    kind: "http",
    action: "data_to_webserver",
    resource: "web_hook",
    parameters: { payload_tmpl: "body" },
  },
  { kind: "rabbitmq", action: "data_to_rabbit", resource: "bridge_rabbit" },
  { kind: "kafka", action: "data_to_kafka", resource: "bridge_kafka" },
  { kind: "mqtt", action: "data_to_mqtt_broker", resource: "bridge_mqtt" },
];

const actionName = (kind: string): string => NAMES.find((one) => one.kind === kind)?.action ?? kind;
const resourceName = (kind: string): string => NAMES.find((one) => one.kind === kind)?.resource ?? kind;

const RESOURCE = "$resource";
const ID_BYTES = 4;
const newId = (): string => randomBytes(ID_BYTES).toString("hex");
/** `rule:34476883` is the rule `34476883`. */
const idOf = (given: unknown, prefix: string): string =>
  String(given).startsWith(`${prefix}:`) ? String(given).slice(prefix.length + 1) : String(given);

const kindsOf = (schemas: readonly JsonSchema[]): readonly string[] =>
  schemas.map(({ properties }) => String(properties?.["kind"]?.const));

function listIn(body: Tree, field: string): readonly Tree[] {
  const value = body[field];
  if (value === undefined) throw new ManualError(CODES.missing, `${field} is missing`);
  if (!Array.isArray(value) || value.some((one) => typeof one !== "object" || one === null))
    throw new ManualError(CODES.type, `${field} is no list of objects`);
  return value as readonly Tree[];
}

function treeIn(body: Tree, field: string): Tree {
  const value = body[field] ?? {};
  if (typeof value !== "object" || Array.isArray(value))
    throw new ManualError(CODES.type, `${field} is no object`);
  return value as Tree;
}

/** An action as the configuration has it. */
function meantAction({ ports }: Call, action: Tree): Tree {
  const { name } = action;
  if (typeof name !== "string") throw new ManualError(CODES.missing, "actions.name is missing");
  const kind = NAMES.find((one) => one.action === name)?.kind ?? name;
  if (!kindsOf(ports.rules.actionKinds).includes(kind))
    throw new ManualError(CODES.type, `there is no action ${name}`);
  const renamed = NAMES.find((one) => one.kind === kind)?.parameters ?? {};
  const parameters = Object.entries(treeIn(action, "params")).map(([key, value]) =>
    key === RESOURCE ? ["connector", idOf(value, "resource")] : [renamed[key] ?? key, value],
  );
  // The manual's example gives it parameters of no meaning.
  return kind === "console" ? { kind } : { kind, ...Object.fromEntries(parameters) };
}

/** The same the other way. */
function shownAction({ kind, ...rest }: Tree): object {
  const renamed = Object.entries(NAMES.find((one) => one.kind === kind)?.parameters ?? {});
  const params = Object.entries(rest).map(([key, value]) =>
    key === "connector"
      ? [RESOURCE, `resource:${value}`]
      : [renamed.find(([, own]) => own === key)?.[0] ?? key, value],
  );
  return { name: actionName(String(kind)), params: Object.fromEntries(params) };
}

/** What its FROM names first: an event, or `message.publish` where that is a topic. */
function subjectOf(sql: string): string {
  const [, named = ""] = /\bFROM\s+"([^"]+)"/i.exec(sql) ?? [];
  if (named.startsWith("$events/")) return named.slice("$events/".length).replace(/[/_]/, ".");
  return /^(client|message)\.[a-z]+$/.test(named) ? named : "message.publish";
}

function shownRule({ ports }: Call, id: string): object | undefined {
  const found = ports.rules.rules().find((rule) => rule.id === id);
  if (found === undefined) return undefined;
  const { definition } = ports.config.section(["rules", id]) ?? {};
  const { actions = [] } = (definition ?? {}) as { readonly actions?: readonly Tree[] };
  const sql = String(found["sql"]);
  return {
    id: `rule:${id}`,
    for: subjectOf(sql),
    rawsql: sql,
    actions: actions.map(shownAction),
    enabled: found["enable"],
    description: found["description"],
  };
}

function ruleOf(call: Call): object {
  const found = shownRule(call, idOf(call.params["id"], "rule"));
  if (found === undefined) throw new ManualError(CODES.unknown, `no rule ${call.params["id"]}`);
  return found;
}

const asked = (call: Call) => ({ ...call, header: () => undefined });

async function addRule(call: Call): Promise<object> {
  const value = {
    sql: text(call, "rawsql"),
    actions: listIn(call.body, "actions").map((action) => meantAction(call, action)),
    ...(call.body["description"] === undefined ? {} : { description: text(call, "description") }),
  };
  const id = newId();
  await changeConfig(asked(call), { set: ["rules", id], value }, { object: `rule ${id}`, within: 2 });
  return shownRule(call, id)!;
}

/** Only what was made over the API: what stands in the file would be there again. */
async function remove(call: Call, section: "rules" | "connectors", word: string): Promise<void> {
  const id = idOf(call.params["id"], word);
  const found = call.ports.config.section([section, id]);
  if (found === undefined) throw new ManualError(CODES.unknown, `no ${word} ${id}`);
  if (found.origin !== "api") throw new ManualError(CODES.unknown, `${word} ${id} stands in ${found.origin}`);
  await changeConfig(asked(call), { unset: [section, id] }, { object: `${word} ${id}` });
}

/** A field as a form would ask for it. */
const parameterOf = (name: string, schema: JsonSchema, required: boolean): object => ({
  type: Array.isArray(schema.type) ? schema.type[0] : (schema.type ?? "string"),
  ...(schema.enum === undefined ? {} : { enum: schema.enum }),
  ...(schema.default === undefined ? {} : { default: schema.default }),
  title: name,
  description: schema.description ?? "",
  required,
});

function parametersOf(
  { properties = {}, required = [] }: JsonSchema,
  named: (key: string) => string = (key) => key,
): object {
  const fields = Object.entries(properties).filter(([key]) => key !== "kind");
  return Object.fromEntries(
    fields.map(([key, schema]) => [
      named(key),
      parameterOf(named(key), schema, required.includes(key) && schema.default === undefined),
    ]),
  );
}

const actionsOf = ({ ports }: Call): readonly (Tree & { readonly name: string })[] =>
  ports.rules.actionKinds.map((schema) => {
    const kind = String(schema.properties?.["kind"]?.const);
    const renamed = Object.entries(NAMES.find((one) => one.kind === kind)?.parameters ?? {});
    const named = (key: string): string =>
      key === "connector" ? RESOURCE : (renamed.find(([, own]) => own === key)?.[0] ?? key);
    return {
      name: actionName(kind),
      app: "isthmus",
      for: "$any",
      types: schema.properties?.["connector"] === undefined ? [] : [resourceName(kind)],
      params: parametersOf(schema, named),
      description: schema.description,
    };
  });

const typesOf = ({ ports }: Call): readonly (Tree & { readonly name: string })[] =>
  ports.rules.connectorKinds.map((schema) => ({
    name: resourceName(String(schema.properties?.["kind"]?.const)),
    provider: "isthmus",
    params: parametersOf(schema),
    description: schema.description,
  }));

/** One of a list, by its name. */
function named<Row extends { readonly name: string }>(rows: readonly Row[], name = ""): Row {
  const found = rows.find((row) => row.name === name);
  if (found === undefined) throw new ManualError(CODES.unknown, `there is no ${name}`);
  return found;
}

interface Resource {
  readonly id: string;
  readonly type: string;
  readonly config: Tree;
  readonly description: string;
}

function shownResource({ ports }: Call, id: string): Resource | undefined {
  const section = ports.config.section(["connectors", id]);
  if (section === undefined) return undefined;
  const { kind, ...config } = section.definition as Tree;
  return { id: `resource:${id}`, type: resourceName(String(kind)), config, description: "" };
}

const resourcesOf = (call: Call) =>
  call.ports.rules.connectors().flatMap(({ name }) => shownResource(call, String(name)) ?? []);

async function addResource(call: Call): Promise<object> {
  const type = text(call, "type");
  const kind = NAMES.find((one) => one.resource === type)?.kind ?? type;
  if (!kindsOf(call.ports.rules.connectorKinds).includes(kind))
    throw new ManualError(CODES.type, `there is no type ${type}`);
  const { method, ...config } = treeIn(call.body, "config");
  // It is the action's here, and the same without being said.
  if (method !== undefined && String(method).toUpperCase() !== "POST")
    throw new ManualError(CODES.type, "config.method is POST; another is the parameter method of the action");
  const id = newId();
  await changeConfig(
    asked(call),
    { set: ["connectors", id], value: { kind, ...config } },
    { object: `connector ${id}`, within: 2 },
  );
  return shownResource(call, id)!;
}

export const manualRules: readonly Manual[] = [
  {
    method: "GET",
    path: "rules",
    role: "viewer",
    handle: (call) => call.ports.rules.rules().flatMap(({ id }) => shownRule(call, id) ?? []),
  },
  { method: "POST", path: "rules", role: "administrator", handle: addRule },
  { method: "GET", path: "rules/:id", role: "viewer", handle: ruleOf },
  {
    method: "DELETE",
    path: "rules/:id",
    role: "administrator",
    handle: (call) => remove(call, "rules", "rule"),
  },
  { method: "GET", path: "actions", role: "viewer", handle: actionsOf },
  {
    method: "GET",
    path: "actions/:name",
    role: "viewer",
    handle: (call) => named(actionsOf(call), call.params["name"]),
  },
  { method: "GET", path: "resource_types", role: "viewer", handle: typesOf },
  {
    method: "GET",
    path: "resource_types/:name",
    role: "viewer",
    handle: (call) => named(typesOf(call), call.params["name"]),
  },
  {
    method: "GET",
    path: "resource_types/:name/resources",
    role: "viewer",
    handle: (call) => {
      const { name } = named(typesOf(call), call.params["name"]);
      return resourcesOf(call).filter(({ type }) => type === name);
    },
  },
  { method: "GET", path: "resources", role: "viewer", handle: resourcesOf },
  { method: "POST", path: "resources", role: "administrator", handle: addResource },
  {
    method: "GET",
    path: "resources/:id",
    role: "viewer",
    handle: (call) => {
      const found = shownResource(call, idOf(call.params["id"], "resource"));
      if (found === undefined) throw new ManualError(CODES.unknown, `no resource ${call.params["id"]}`);
      return found;
    },
  },
  {
    method: "DELETE",
    path: "resources/:id",
    role: "administrator",
    handle: (call) => remove(call, "connectors", "resource"),
  },
];
