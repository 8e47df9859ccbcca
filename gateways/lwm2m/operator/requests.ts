/** What may be asked of a device, as `data` of the commands in `messages.schema.json` says it. */
import { type TProperties, type TSchema, Type } from "@sinclair/typebox";
import type { DeviceRequest } from "#core/contract/operations.ts";

const CONTENT_MAX = 1000;

const path = Type.String({
  description:
    "Path of the data model, as /3/0/1, or of an end device behind an LwM2M gateway with its prefix in front.",
});
const format = Type.Integer({
  description: "CoAP content format of the body; chosen from what the device offers when absent.",
});
const accept = Type.Integer({
  description: "CoAP content format of the answer; chosen from what the device offers when absent.",
});
const TYPES = [
  ...["String", "Integer", "Unsigned Integer", "Float", "Boolean", "Opaque", "Time", "Objlnk", "Corelnk"],
];
const type = Type.Unsafe<string>({ enum: TYPES });
const value = Type.Unsafe<unknown>({ type: ["string", "number", "boolean", "null"] });
const attribute = Type.Unsafe<unknown>({
  type: ["string", "number", "null"],
  description: "An empty text takes it back; null, or none, leaves it as it is.",
});
const paths = Type.Array(Type.String(), { minItems: 1, maxItems: CONTENT_MAX });
const item = Type.Object({ path: Type.String(), type: Type.Optional(type), value: Type.Optional(value) });
const content = (minItems = 0) => Type.Array(item, { minItems, maxItems: CONTENT_MAX });

const attributes = (...names: string[]): TProperties =>
  Object.fromEntries(names.map((name) => [name, Type.Optional(attribute)]));

const request = (name: string, summary: string, parameters: TSchema): DeviceRequest => ({
  name,
  summary,
  parameters,
});

export const REQUESTS: readonly DeviceRequest[] = [
  request(
    "read",
    "Reads an object, an instance, a resource or a resource instance.",
    Type.Object({ path, accept: Type.Optional(accept) }),
  ),
  request(
    "discover",
    "Asks what there is below a path, and with which attributes.",
    Type.Object({ path, depth: Type.Optional(Type.Integer({ minimum: 0, maximum: 3 })) }),
  ),
  request(
    "write",
    "Writes one value (path and value), or several below a base path (basePath and content).",
    Type.Object({
      path: Type.Optional(path),
      basePath: Type.Optional(path),
      type: Type.Optional(type),
      value: Type.Optional(value),
      content: Type.Optional(content()),
      replace: Type.Optional(
        Type.Boolean({ description: "Of an instance: replace it (PUT) instead of changing it (POST)." }),
      ),
      format: Type.Optional(format),
    }),
  ),
  request(
    "write-attr",
    "Sets or takes back notification attributes.",
    Type.Object({
      path,
      ...attributes("pmin", "pmax", "gt", "lt", "st", "epmin", "epmax", "edge", "con", "hqmax"),
    }),
  ),
  request(
    "execute",
    "Executes a resource.",
    Type.Object({ path, args: Type.Optional(Type.Union([Type.String(), Type.Number()])) }),
  ),
  request(
    "create",
    "Creates an instance of an object.",
    Type.Object({
      path: Type.Optional(path),
      basePath: Type.Optional(path),
      content: Type.Optional(content()),
      format: Type.Optional(format),
    }),
  ),
  request("delete", "Deletes an instance, or a resource instance.", Type.Object({ path })),
  request(
    "observe",
    "Observes a path: notifications come as events.",
    Type.Object({ path, accept: Type.Optional(accept) }),
  ),
  request("cancel-observe", "Ends an observation.", Type.Object({ path })),
  request(
    "read-composite",
    "Reads several paths at once (LwM2M 1.1).",
    Type.Object({ paths, format: Type.Optional(format) }),
  ),
  request(
    "write-composite",
    "Writes several values at once (LwM2M 1.1).",
    Type.Object({ content: content(1), format: Type.Optional(format) }),
  ),
  request(
    "observe-composite",
    "Observes several paths at once (LwM2M 1.1).",
    Type.Object({
      paths,
      format: Type.Optional(format),
      ...attributes("pmin", "pmax", "epmin", "epmax", "con"),
    }),
  ),
  request("cancel-observe-composite", "Ends an observation of several paths.", Type.Object({ paths })),
  request(
    "bootstrap-request",
    "Lets the device bootstrap again (Bootstrap-Request Trigger).",
    Type.Object({ path: Type.Optional(path) }),
  ),
  request(
    "firmware",
    "Updates the firmware: a file of the configured folder is pushed, or the device pulls it from a URI.",
    Type.Object({
      mode: Type.Optional(Type.Unsafe<string>({ enum: ["push", "pull"] })),
      file: Type.Optional(Type.String()),
      uri: Type.Optional(Type.String()),
      update: Type.Optional(Type.Boolean()),
    }),
  ),
];
