/** Filters that give packets to connectors, as rules' actions do: kept, tried again, acknowledged as the connector is. */
import { type Static, Type } from "@sinclair/typebox";
import type { Holding, Parcel } from "../bus/errand.ts";
import { isCircle, lineOf, marksOf } from "../bus/via.ts";
import type { Filling, Item } from "../connect/connector.ts";
import { kindOf } from "../connect/kinds.ts";
import type { Sink } from "../connect/sink.ts";
import { ActionError } from "../rules/action.ts";
import { TemplateError } from "../rules/template.ts";
import { asText, isMap, RuleFailure, toJson, type Value, type ValueMap } from "../rules/value.ts";
import { choice, text } from "../settings/kinds.ts";
import type { Context, Failed, Filter } from "./filter.ts";
import { FilterError, filterProperties } from "./settings.ts";

const sinkProperties = {
  connector: text({ description: "Name of the connector that it leads to.", minLength: 1 }),
  ack: choice(["store", "after_sink"], {
    description:
      "When who publishes at QoS 1 or 2 is answered. store: when it is kept on disk. after_sink: when the sink has acknowledged it, or it is dead-lettered.",
    default: "store",
  }),
};

const key = (what: string) => text({ description: `Key of the context that has ${what}.`, default: "" });

export const kafkaSchema = Type.Object(
  {
    kind: Type.Literal("Kafka", { description: "Send a record to Kafka." }),
    ...filterProperties,
    ...sinkProperties,
    topic: Type.Object(
      {
        default: text({
          description:
            "Topic where the context has none. Empty: the MQTT topic, its slashes as points, since Kafka's names have none.",
          default: "",
        }),
      },
      { description: "Where records go." },
    ),
    mqtt: Type.Object(
      {
        topicKey: key("the topic"),
        headerKey: key("a map of headers, beside clientID, username and mqttTopic"),
        payloadKey: key("the record's value, in place of the payload"),
      },
      { description: "What filters before this one have made." },
    ),
  },
  { description: "SendFailed where it is no record: Kafka would not have such a topic." },
);
export type KafkaSettings = Static<typeof kafkaSchema>;

export const httpSchema = Type.Object(
  {
    kind: Type.Literal("HTTP", { description: "Send a request." }),
    ...filterProperties,
    ...sinkProperties,
    method: choice(["POST", "PUT", "PATCH"], { description: "Method.", default: "POST" }),
    path: text({
      description: "Put behind the connector's url; a template as those of rules: /${clientid}.",
      default: "",
    }),
    mqtt: Type.Object(
      {
        headerKey: key("a map of headers"),
        payloadKey: key("the body, in place of the payload"),
      },
      { description: "What filters before this one have made." },
    ),
  },
  { description: "SendFailed where it is no request." },
);
export type HttpSettings = Static<typeof httpSchema>;

export const SEND_FAILED = "SendFailed";
/** Of a message that had to wait, as a will has, and whose connector was taken away meanwhile. */
export const SINK_GONE = "SinkGone";
/** It had been here before, and has come back from another gateway: it is not sent again. */
export const CAME_BACK = "CameBack";

/** Which filter of which pipeline it is, and what it needs. */
export interface SinkHost {
  readonly pipeline: string;
  readonly place: number;
  /** Kind of a connector that is configured. */
  kindOf(connector: string): string | undefined;
  sink(connector: string): Pick<Sink, "take" | "full"> | undefined;
  newId(): string;
  /** A secret in place, or where it is. Throws where it is not there. */
  secret(value: string): string;
  /** By which it knows again what it has sent to another gateway. */
  mark(pipeline: string): string;
  /** Something was not sent, and nobody waits to be told. */
  lost(result: string): void;
}

interface Sending {
  readonly kind: string;
  readonly connector: string;
  readonly ack: "store" | "after_sink";
  parameters(context: Context): ValueMap;
}

/** The payload of a PUBLISH; of other packets what they are, as JSON. */
function contentOf({ packet, keys, fields }: Context, payloadKey: string): Value {
  const made = payloadKey === "" ? undefined : keys.get(payloadKey);
  return made ?? packet.message?.payload ?? toJson(fields);
}

function headersOf({ keys }: Context, headerKey: string): Record<string, string> {
  const made = headerKey === "" ? undefined : keys.get(headerKey);
  if (!isMap(made)) return {};
  return Object.fromEntries(Object.entries(made).map(([name, value]) => [name, asText(value)]));
}

/** What an action of a rule would make of it. Throws `FilterError`. */
function filling(kind: string, connector: string, action: object, host: SinkHost): Filling {
  const configured = host.kindOf(connector);
  if (configured !== kind) {
    const says =
      configured === undefined ? "is no connector" : `is a connector of kind ${configured}: expected ${kind}`;
    throw new FilterError(["connector"], `"${connector}" ${says}`);
  }
  try {
    return kindOf(kind)!.compile({ kind, connector, ...action } as never);
  } catch (error) {
    if (!(error instanceof ActionError || error instanceof TemplateError)) throw error;
    throw new FilterError([], error.message);
  }
}
const RECORD = { topic: "${topic}", key: "${clientid}", value: "${payload}", headers: {}, partition: "" };
const BODY = "${content}";

/** Throws `FilterError`. */
export function kafka({ connector, ack, topic, mqtt }: KafkaSettings, host: SinkHost): Filter {
  const fill = filling("kafka", connector, RECORD, host);
  const parameters = (context: Context): ValueMap => {
    const { sender, topic: mqttTopic = "" } = context.packet;
    const made = mqtt.topicKey === "" ? undefined : context.keys.get(mqtt.topicKey);
    const to = made ?? (topic.default === "" ? mqttTopic : topic.default);
    const payload = contentOf(context, mqtt.payloadKey);
    const { clientId, username = "" } = sender;
    const headers = { clientID: clientId, username, mqttTopic, ...headersOf(context, mqtt.headerKey) };
    return { ...fill({ topic: to, clientid: clientId, payload }), headers };
  };
  return sending({ kind: "kafka", connector, ack, parameters }, host);
}

/** What a header cannot hold (RFC 9110 §5.5): a header's name as it may be, and a value in one line. */
const headerName = (name: string): string =>
  name.replaceAll(/[^!#$%&'*+.^_`|~0-9A-Za-z-]/g, "-").toLowerCase();
const headerValue = (value: string): string => encodeURI(value.toWellFormed());

/** Throws `FilterError`. */
export function http({ connector, ack, method, path, mqtt }: HttpSettings, host: SinkHost): Filter {
  const fill = filling("http", connector, { method, path, headers: {}, body: BODY }, host);
  const parameters = (context: Context): ValueMap => {
    const content = contentOf(context, mqtt.payloadKey);
    const headers = Object.entries(headersOf(context, mqtt.headerKey));
    return {
      ...fill({ ...context.values, content }),
      headers: Object.fromEntries(headers.map(([name, value]) => [headerName(name), headerValue(value)])),
    };
  };
  return sending({ kind: "http", connector, ack, parameters }, host);
}

function sending({ kind, connector, ack, parameters }: Sending, host: SinkHost): Filter {
  const { pipeline, place, sink, newId, lost } = host;
  const mark = kindOf(kind)!.saysVia === true ? host.mark(pipeline) : undefined;
  const give = (item: Item, done?: () => void): void => {
    const to = sink(connector);
    if (to !== undefined) to.take(item, done);
    else {
      lost(SINK_GONE);
      done?.();
    }
  };
  const itemOf = (context: Context, marks: readonly string[]): Item => {
    const { sender } = context.packet;
    return {
      id: `${newId()}-${pipeline}-${place}`,
      rule: `pipeline:${pipeline}`,
      place,
      client: `${sender.gateway}:${sender.clientId}`,
      at: context.now,
      parameters: parameters(context),
      via: mark === undefined ? undefined : lineOf([...marks, mark]),
    };
  };
  const parcelOf = (item: Item): Parcel => ({
    get full() {
      return sink(connector)?.full === true;
    },
    send(_message: unknown, holding: Holding) {
      give(item, ack === "after_sink" ? holding().add() : undefined);
    },
  });
  return {
    handle(context): Failed | undefined {
      const marks = marksOf(context.packet.message?.properties);
      if (mark !== undefined && isCircle(marks, mark)) {
        lost(CAME_BACK);
        return undefined;
      }
      try {
        const item = itemOf(context, marks);
        // A message is sent when it passes the gate, which answers when it is kept; what else happens has nobody who waits.
        if (context.packet.message !== undefined) context.parcels.push(parcelOf(item));
        else give(item);
        return undefined;
      } catch (error) {
        if (!(error instanceof RuleFailure)) throw error;
        return { result: SEND_FAILED, refusal: "malformed", reason: error.message };
      }
    },
  };
}
