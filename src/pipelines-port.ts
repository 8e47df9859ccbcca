/** Pipelines as the HTTP API sees them: what they have done, and what they would make of a packet. */
import type { PipelinesPort, PipelineTest, PipelineWish } from "./api/ports.ts";
import { UnitConversion } from "./config/convert.ts";
import { PipelineSchema } from "./config/pipelines-schema.ts";
import type { Item } from "./connect/connector.ts";
import { readable } from "./connect/connectors.ts";
import type { Instant } from "./lib/time.ts";
import { Context, type Packet, type PacketType } from "./pipelines/filter.ts";
import { Pipeline, PipelineError, type PipelineSettings } from "./pipelines/pipeline.ts";
import type { PipelinesRoom } from "./pipelines-room.ts";
import { octetsOf, toJson, type Value } from "./rules/value.ts";
import { fillDefaults } from "./settings/defaults.ts";
import { closed, type JsonSchema } from "./settings/json-schema.ts";
import { validate } from "./settings/validate.ts";

/** Made when somebody tries a pipeline. */
let schema: JsonSchema | undefined;
const pipelineSchema = (): JsonSchema => {
  schema ??= closed(JSON.parse(JSON.stringify(PipelineSchema)) as JsonSchema);
  return schema;
};

export function pipelinesPort(room: PipelinesRoom, now: () => number): PipelinesPort {
  function test(name: string | undefined, wish: PipelineWish): PipelineTest | undefined {
    if (name === undefined) return triedAs(room, wish, now());
    const settings = room.rows().some((row) => row.name === name)
      ? room.configured.pipelines[name]
      : undefined;
    return settings && tried(room, name, settings, wish.packet, now());
  }
  return { pipelines: () => room.rows(), test: test as PipelinesPort["test"] };
}

const nowhere = () => undefined;

/** With the settings that are given. */
function triedAs(room: PipelinesRoom, { pipeline = {}, packet }: PipelineWish, now: number): PipelineTest {
  const filled = fillDefaults(pipelineSchema(), pipeline);
  const units = new UnitConversion(nowhere);
  const wrong = validate(pipelineSchema(), filled, nowhere);
  const settings = wrong.length > 0 ? undefined : units.convert(pipelineSchema(), filled as never);
  const [first] = [...wrong, ...units.problems];
  if (first !== undefined) return { field: `/pipeline/${first.path.join("/")}`, refusal: first.message };
  return tried(room, "test", settings as unknown as PipelineSettings, packet, now);
}

type Given = PipelineWish["packet"];

/** One of its own, whose limits remember nothing and whose sinks send nothing. */
function tried(
  room: PipelinesRoom,
  name: string,
  settings: PipelineSettings,
  given: Given,
  now: number,
): PipelineTest {
  const filters: { filter: string; result: string }[] = [];
  const sends: { connector: string; parameters: unknown }[] = [];
  const sinkFor = (connector: string) => ({
    full: false,
    take: ({ parameters }: Item) => void sends.push({ connector, parameters: plain(readable(parameters)) }),
  });
  const count = (_: string, filter: string, result: string): void => void filters.push({ filter, result });
  const host = room.hostFor(room.configured, count, sinkFor);
  try {
    const pipeline = new Pipeline(name, settings, host);
    const context = new Context(packetOf(settings.packetType, given), now as Instant);
    const outcome = pipeline.run(context.packet, context);
    const passes = outcome.kind === "pass";
    const holding = () => ({ add: () => () => {} });
    if (passes) for (const parcel of context.parcels) parcel.send(undefined as never, holding);
    return {
      outcome: outcome.kind === "refuse" ? "refused" : "passed",
      ...(outcome.kind === "refuse" ? { refusal: outcome.refusal, reason: outcome.reason } : {}),
      delivered: passes && settings.packetType === "Publish" && settings.brokerMode,
      filters,
      keys: plain(Object.fromEntries(context.keys)) as Record<string, unknown>,
      sends,
    };
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    return { field: `/pipeline/${error.at.join("/")}`, refusal: error.message };
  }
}

/** As JSON holds it. */
const plain = (value: Value): unknown => JSON.parse(toJson(value));

function packetOf(type: PacketType, given: Given): Packet {
  const { topic = "", payload = "", qos = 0, retain = false, gateway = "mqtt", reason } = given;
  const { clientid = "test", username, password, peerhost = "127.0.0.1" } = given;
  const sender = { gateway, clientId: clientid, username, address: peerhost };
  // A payload that is given as JSON is what a device would have written.
  const content = octetsOf(typeof payload === "string" ? payload : JSON.stringify(payload));
  const level = qos as 0 | 1 | 2;
  const message = { topic, payload: content, qos: level, retain, properties: {}, expiry: undefined };
  return {
    type,
    sender,
    ...(password === undefined ? {} : { password: octetsOf(password) }),
    ...(type === "Publish" ? { message } : {}),
    ...(type === "Connect" || type === "Disconnect" ? {} : { topic, qos }),
    ...(reason === undefined ? {} : { reason }),
  };
}
