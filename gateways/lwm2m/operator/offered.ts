/** LwM2M's operations in the words that all gateways share (`src/contract/operations.ts`). */
import { Type } from "@sinclair/typebox";
import type {
  Asked,
  DeviceEvent,
  DeviceView,
  GatewayOperations,
  RequestResult,
} from "#core/contract/operations.ts";
import { type JsonObject, textsIn } from "../content/exact-json.ts";
import type { DeviceOperations, OperationResult } from "./operations.ts";
import { REQUESTS } from "./requests.ts";

export const DeviceDescription = Type.Object({
  endpoint: Type.String(),
  clientId: Type.String(),
  registrationId: Type.String(),
  state: Type.Unsafe<string>({ enum: ["awake", "sleeping", "away"] }),
  registeredAt: Type.Optional(Type.Number()),
  lastUpdate: Type.Number(),
  expiresAt: Type.Number(),
  peer: Type.Object({
    transport: Type.String(),
    address: Type.String(),
    port: Type.Number(),
    identity: Type.Optional(Type.String()),
  }),
  lifetime: Type.Number({ description: "In seconds." }),
  version: Type.String(),
  binding: Type.String(),
  queueMode: Type.Boolean(),
  rootPath: Type.String(),
  formats: Type.Array(Type.Integer()),
  objects: Type.Array(Type.String()),
  attributes: Type.Record(Type.String(), Type.String()),
  waiting: Type.Integer({ description: "Requests that wait for their turn or for the device to wake." }),
  observed: Type.Array(Type.String()),
});

const objects = Type.Array(
  Type.Object({
    id: Type.Integer(),
    version: Type.String(),
    instances: Type.Array(Type.Integer()),
    definition: Type.Optional(Type.Object({}, { additionalProperties: true })),
    resources: Type.Array(Type.Object({}, { additionalProperties: true })),
  }),
);

export class OfferedOperations implements GatewayOperations {
  readonly views: readonly DeviceView[];
  readonly requests = REQUESTS;
  readonly #operations: DeviceOperations;

  constructor(operations: DeviceOperations) {
    this.#operations = operations;
    this.views = [
      {
        name: "device",
        summary: "Registration, sleep and what is observed.",
        schema: DeviceDescription,
        of: (endpoint, now) => operations.device(endpoint, now),
      },
      {
        name: "objects",
        summary: "The object tree, with the names of the definitions.",
        schema: objects,
        of: (endpoint) => operations.objects(endpoint),
      },
    ];
  }

  ask(endpoint: string, request: string, parameters: object, wait?: number): Asked {
    const mheaders = wait === undefined ? {} : { mheaders: { ttl: wait } };
    const command = { msgType: request, data: parameters as JsonObject, ...mheaders };
    const asked = this.#operations.ask(endpoint, command);
    if (asked.ok || asked.refusal !== "unknown-endpoint") return asked as Asked;
    return { ok: false, refusal: "unknown-device", reason: asked.reason };
  }

  result(id: string): RequestResult | undefined {
    const result = this.#operations.result(id);
    return result === undefined ? undefined : resultOf(result);
  }

  watch(watcher: (event: DeviceEvent) => void): () => void {
    return this.#operations.watch(({ endpoint, kind, report, at }) =>
      watcher({ device: endpoint, kind, report: textsIn(report), at }),
    );
  }
}

const resultOf = ({ id, endpoint, msgType, ...rest }: OperationResult): RequestResult => ({
  ...{ id, device: endpoint, request: msgType, state: rest.state, failure: rest.failure },
  data: rest.data === undefined ? undefined : textsIn(rest.data),
  since: rest.since,
  until: rest.until,
});
