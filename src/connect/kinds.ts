/** The one list of connectors. */
import { type TUnsafe, Type } from "@sinclair/typebox";
import type { ActionSettings } from "../rules/action.ts";
import { byKind } from "../settings/json-schema.ts";
import { cassandra } from "./cassandra.ts";
import type { ConnectorKind, ConnectorSettings } from "./connector.ts";
import { dynamodb } from "./dynamodb.ts";
import { file } from "./file.ts";
import { http } from "./http.ts";
import { influxdb } from "./influxdb.ts";
import { kafka } from "./kafka.ts";
import { mongodb } from "./mongodb.ts";
import { mqtt } from "./mqtt.ts";
import { mysql } from "./mysql.ts";
import { nats } from "./nats.ts";
import { opentsdb } from "./opentsdb.ts";
import { postgres } from "./postgres.ts";
import { pulsar } from "./pulsar.ts";
import { rabbitmq } from "./rabbitmq.ts";
import { redis } from "./redis.ts";
import { CONSOLE_ACTION, REPUBLISH_ACTION } from "./rule-actions.ts";
import type { CommonSettings } from "./settings.ts";

/** Each kind takes the configuration that its own schema has passed. */
// biome-ignore lint/suspicious/noExplicitAny: kinds of different configuration types stand in one list
export const KINDS: readonly ConnectorKind<any, any>[] = [
  http,
  postgres,
  mysql,
  mqtt,
  redis,
  kafka,
  rabbitmq,
  nats,
  influxdb,
  opentsdb,
  mongodb,
  cassandra,
  dynamodb,
  pulsar,
  file,
];

export const kindOf = (kind: string) => KINDS.find((each) => each.kind === kind);

export type ConfiguredConnector = ConnectorSettings & CommonSettings;

export const ConnectorSchema: TUnsafe<ConfiguredConnector> = Type.Unsafe<ConfiguredConnector>({
  type: "object",
  description: "Where messages go; its kind says which keys it has.",
  required: ["kind"],
  oneOf: KINDS.map(({ schema }) => schema),
  ...byKind,
});

export const ActionSchema: TUnsafe<ActionSettings> = Type.Unsafe<ActionSettings>({
  type: "object",
  description: "What is done with each output; its kind says which keys it has.",
  required: ["kind"],
  oneOf: [REPUBLISH_ACTION, CONSOLE_ACTION, ...KINDS.map(({ action }) => action)],
  ...byKind,
});
