/** Reads Easegress's own files: what objects of kind MQTTProxy and Pipeline say, as pipelines and connectors of ours. */
import { readFileSync } from "node:fs";
import { Type } from "@sinclair/typebox";
import { PACKET_TYPES } from "../pipelines/filter.ts";
import { isTree, type Tree } from "../settings/defaults.ts";
import { locate } from "../settings/installation.ts";
import { closed, type JsonSchema } from "../settings/json-schema.ts";
import { choice, flag, integer, NAME_PATTERN, text } from "../settings/kinds.ts";
import { type Path, valueAt } from "../settings/path.ts";
import { type Locate, problem } from "../settings/problem.ts";
import { readYaml, type YamlSource } from "../settings/source.ts";
import { validate } from "../settings/validate.ts";
import type { OverriddenValues } from "./overrides.ts";

const anything = (description: string) => Type.Optional(Type.Unknown({ description }));
const optionalInteger = (description: string) => Type.Optional(integer(0, 2 ** 31 - 1, { description }));
const name = text({ description: "A name.", pattern: NAME_PATTERN });

const limit = Type.Optional(
  Type.Object({
    requestRate: optionalInteger("Packets in a period; 0: as many as come."),
    bytesRate: optionalInteger("Octets in a period; 0: as many as come."),
    timePeriod: optionalInteger("Seconds; 0: one."),
  }),
);

/** Keys of a proxy that have no place in a pipeline, and where the same is said. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  port: "gateways.mqtt.listeners",
  useTLS: "gateways.mqtt.listeners",
  certificate: "tls, or tls of a listener",
  maxAllowedConnection: "limits.connections of a listener",
  topicCacheSize: "nothing: topics need no cache here",
  retryInterval: "nothing: over TCP nothing is sent again on the same connection",
};

const schemaOf = (properties: Parameters<typeof Type.Object>[0]): JsonSchema =>
  closed(JSON.parse(JSON.stringify(Type.Object(properties))) as JsonSchema);

const SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  MQTTProxy: schemaOf({
    kind: Type.Literal("MQTTProxy"),
    name,
    ...Object.fromEntries(Object.keys(ELSEWHERE).map((key) => [key, anything("Set elsewhere.")])),
    connectionLimit: limit,
    clientPublishLimit: limit,
    brokerMode: Type.Optional(flag({ description: "Deliver here as well." })),
    rules: Type.Optional(
      Type.Array(
        Type.Object({
          when: Type.Object({ packetType: choice(PACKET_TYPES, { description: "Packets that it is for." }) }),
          pipeline: text({ description: "Name of a pipeline." }),
        }),
      ),
    ),
  }),
  Pipeline: schemaOf({
    kind: Type.Literal("Pipeline"),
    name,
    protocol: Type.Optional(choice(["MQTT"], { description: "MQTT." })),
    flow: anything("As in pipelines."),
    filters: Type.Array(Type.Object({}, { additionalProperties: true }), { description: "As in pipelines." }),
  }),
};

/** One object of a file. */
interface Found {
  readonly tree: Tree;
  readonly where: (path: Path) => string;
}

const isLimit = (given: unknown): given is Readonly<Record<string, number>> => isTree(given);

/** Lays what the files say over the values, as if it stood in the configuration. */
export function layEasegress(values: OverriddenValues, place: Locate): void {
  const files = valueAt(values.values, ["easegress", "files"]);
  if (!Array.isArray(files)) return;
  const found = files.flatMap((file: unknown, index) =>
    typeof file === "string"
      ? objectsIn(file, values, (says) =>
          values.problems.push(problem(place, { path: ["easegress", "files", index], says })),
        )
      : [],
  );
  const pipelines = new Map(
    found.filter(({ tree }) => tree["kind"] === "Pipeline").map((each) => [String(each.tree["name"]), each]),
  );
  for (const proxy of found.filter(({ tree }) => tree["kind"] === "MQTTProxy"))
    layProxy(proxy, pipelines, values);
}

function objectsIn(file: string, values: OverriddenValues, report: (says: string) => void): readonly Found[] {
  const wrong = (says: string): readonly Found[] => {
    report(says);
    return [];
  };
  let content: string;
  try {
    content = readFileSync(locate(file), "utf8");
  } catch (error) {
    return wrong(`is "${file}", which cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
  return documentsOf(content).flatMap((document): readonly Found[] => {
    let yaml: YamlSource;
    try {
      yaml = readYaml(document, file);
    } catch (error) {
      return wrong(`is "${file}", which is no YAML that can be used: ${(error as Error).message}`);
    }
    values.problems.push(...yaml.problems);
    const tree = yaml.values;
    if (yaml.problems.length > 0 || Object.keys(tree).length === 0) return [];
    const line = (path: Path): string => `${file}:${yaml.lineOf(path) ?? yaml.lineOf(["name"]) ?? 1}`;
    const schema = SCHEMAS[String(tree["kind"])];
    if (schema === undefined) {
      const says = `is ${JSON.stringify(tree["kind"] ?? null)}`;
      const allowed = Object.keys(SCHEMAS).join(", ");
      values.problems.push(problem(line, { path: ["kind"], says, allowed }));
      return [];
    }
    const problems = validate(schema, tree, line);
    values.problems.push(...problems);
    return problems.length > 0 ? [] : [{ tree, where: line }];
  });
}

/** Each with as many empty lines before it as there are in the file, so that its lines have their numbers. */
function documentsOf(content: string): readonly string[] {
  const documents: string[] = [];
  let lines: string[] = [];
  for (const [number, line] of content.split("\n").entries()) {
    if (/^---(\s|$)/.test(line)) {
      documents.push(lines.join("\n"));
      lines = Array.from({ length: number + 1 }, () => "");
    } else lines.push(line);
  }
  return [...documents, lines.join("\n")].filter((document) => document.trim() !== "");
}

function layProxy(proxy: Found, pipelines: ReadonlyMap<string, Found>, values: OverriddenValues): void {
  const { tree, where } = proxy;
  const proxyName = String(tree["name"]);
  for (const [key, place] of Object.entries(ELSEWHERE))
    if (key in tree) values.warnings.push(`${where([key])}: ${key} is passed over: here it is ${place}.`);
  const limits = [
    ["connectionLimit", "Connect", "all"],
    ["clientPublishLimit", "Publish", "client"],
  ] as const;
  for (const [key, packetType, per] of limits) {
    const given = tree[key];
    if (!isLimit(given)) continue;
    const filter = { name: "limit", kind: "RateLimiter", per, ...ratesOf(given) };
    layPipeline(values, `${proxyName}-${key}`, { packetType, filters: [filter] }, () => where([key]));
  }
  const rules = (tree["rules"] ?? []) as readonly {
    readonly when: { readonly packetType: string };
    readonly pipeline: string;
  }[];
  for (const [index, { when, pipeline }] of rules.entries()) {
    const found = pipelines.get(pipeline);
    if (found === undefined) {
      const path: Path = ["rules", index, "pipeline"];
      const known = [...pipelines.keys()].join(", ");
      values.problems.push(
        problem(where, { path, says: `is "${pipeline}"`, allowed: `a pipeline: ${known}` }),
      );
      continue;
    }
    // One that is for several packet types is several here.
    const used = rules.findIndex((other) => other.pipeline === pipeline) < index;
    const own = used ? `${pipeline}-${when.packetType}` : pipeline;
    const { packetType } = when;
    const brokerMode = packetType === "Publish" ? tree["brokerMode"] === true : undefined;
    const filters = (found.tree["filters"] as readonly Tree[]).map((filter) =>
      ownFilter(filter, own, found, values),
    );
    const { flow } = found.tree;
    const laid = {
      packetType,
      ...(brokerMode === undefined ? {} : { brokerMode }),
      ...(flow === undefined || flow === null ? {} : { flow }),
      filters,
    };
    layPipeline(values, own, laid, found.where);
  }
}

function ratesOf({ requestRate = 0, bytesRate = 0, timePeriod = 0 }: Readonly<Record<string, number>>): Tree {
  return {
    ...(requestRate === 0 ? {} : { requestRate }),
    ...(bytesRate === 0 ? {} : { bytesRate }),
    timePeriod: timePeriod === 0 ? "1s" : `${timePeriod}s`,
  };
}

function layPipeline(values: OverriddenValues, own: string, tree: Tree, where: Found["where"]): void {
  const path = ["pipelines", own];
  if (valueAt(values.values, path) !== undefined) {
    const says = "is there already: expected a name that no other pipeline has";
    values.problems.push(problem(() => where([]), { path, says }));
    return;
  }
  values.lay(path, tree, where([]), where);
}

/** Newer versions of Easegress call it so. */
const KAFKA: readonly unknown[] = ["Kafka", "KafkaMQTT", "KafkaBackend"];

/** A list of brokers becomes a connector of its own. */
function ownFilter(filter: Tree, pipeline: string, { where }: Found, values: OverriddenValues): Tree {
  const { kind, backend, ...rest } = filter;
  if (!KAFKA.includes(kind)) return filter;
  if (backend === undefined) return { ...filter, kind: "Kafka" };
  const connector = `${pipeline}-${String(filter["name"])}`;
  const path = ["connectors", connector];
  const there = valueAt(values.values, path);
  // TLS and its like are ours to say.
  const own = { kind: "kafka", brokers: backend, ...(isTree(there) ? there : {}) };
  values.lay(path, own, where([]), where);
  return { ...rest, kind: "Kafka", connector };
}
