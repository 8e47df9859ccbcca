import { Message, type MessageProperties, type QoS } from "#core/bus/message.ts";
import type { Instant } from "#core/lib/time.ts";
import type { EventKind } from "#core/rules/event-names.ts";
import { FieldsOfEvent, Published } from "#core/rules/events.ts";
import { compile } from "#core/rules/sql/compile.ts";
import type { Value, ValueMap } from "#core/rules/value.ts";

export const NOW = Date.parse("2024-02-23T15:56:30Z") as Instant;

export interface Said {
  readonly topic?: string;
  readonly payload?: string | Uint8Array | object;
  readonly qos?: QoS;
  readonly retain?: boolean;
  readonly clientId?: string;
  readonly username?: string;
  readonly properties?: MessageProperties;
}

const octets = (payload: string | Uint8Array | object): Uint8Array =>
  payload instanceof Uint8Array
    ? payload
    : new TextEncoder().encode(typeof payload === "string" ? payload : JSON.stringify(payload));

export function published(said: Said = {}): Published {
  const {
    topic = "t/1",
    payload = "",
    qos = 1,
    retain = false,
    clientId = "c1",
    username,
    properties,
  } = said;
  const message = new Message(topic, octets(payload), qos, retain, NOW, properties);
  const by = { gateway: "mqtt", clientId, username, address: "127.0.0.1", port: 53412, protocol: "MQTT 5.0" };
  return new Published(message, by, "isthmus@a", () => "id-1");
}

/** The outputs of a statement run on a published message. */
export const select = (sql: string, said: Said = {}): readonly Value[] => compile(sql).run(published(said));

/** What an expression is worth. */
export const evaluate = (expression: string, said: Said = {}): Value =>
  (select(`SELECT ${expression} AS x FROM "#"`, said)[0] as ValueMap)["x"];

export const onEvent = (sql: string, kind: EventKind, fields: ValueMap): readonly Value[] =>
  compile(sql).run(new FieldsOfEvent(kind, NOW, fields));
