/** Operations become CoAP requests here and nowhere else (LwM2M 1.1 Transport §6.4, tables 6.4.3-1 to 6.4.4-1). */

import { unreachable } from "#core/lib/assert.ts";
import { type DecodeError, ok, type Result } from "#core/lib/result.ts";
import { Method } from "#gateways/coap/stack/message/codes.ts";
import { Option, type OptionValue, option } from "#gateways/coap/stack/message/options.ts";
import type { OutgoingRequest } from "#gateways/coap/stack/site.ts";
import { ContentFormat, encodeContent } from "../content/formats.ts";
import { encodePathsCbor } from "../content/senml-cbor.ts";
import { encodePathsJson } from "../content/senml-json.ts";
import type { Types } from "../content/value.ts";
import { Path } from "../objects/path.ts";
import {
  acceptFor,
  compositeAcceptFor,
  fetchFormatFor,
  type Offer,
  patchFormatFor,
  writeFormatFor,
} from "./format-choice.ts";
import type { Operation } from "./operation.ts";

/** What of a device matters for its requests. */
export interface Target extends Offer {
  /** Segments of the alternate path; empty for `/` (LwM2M 1.1 §6.4.1). */
  readonly root: readonly string[];
  readonly types: Types;
}

/** `/lwm2m` for names; empty without an alternate path. */
export const rootName = (root: readonly string[]): string => root.map((segment) => `/${segment}`).join("");

export type Request = Result<OutgoingRequest, DecodeError>;

export function requestFor(operation: Operation, target: Target): Request {
  switch (operation.kind) {
    case "read":
      return ok(readRequest(operation, target));
    case "observe":
      return ok({ ...readRequest(operation, target), observe: true });
    case "cancel-observe":
      return ok({ method: Method.GET, path: segments(target, operation.path) });
    case "discover":
      return ok({
        method: Method.GET,
        path: segments(target, operation.path),
        query: operation.query,
        options: [accept(ContentFormat.Link)],
      });
    case "write":
      return writeRequest(operation, target);
    case "write-attributes":
      return ok({ method: Method.PUT, path: segments(target, operation.path), query: operation.attributes });
    case "execute":
      return ok(executeRequest(operation, target));
    case "create":
      return createRequest(operation, target);
    case "delete":
      return ok({ method: Method.DELETE, path: segments(target, operation.path) });
    case "read-composite":
    case "cancel-observe-composite":
      return ok(fetchRequest(operation, target));
    case "observe-composite":
      return ok({ ...fetchRequest(operation, target), observe: true });
    case "write-composite":
      return patchRequest(operation, target);
    default:
      return unreachable(operation);
  }
}

/** The prefix of an end device stands where an alternate path does, below that of the gateway itself. */
const segments = (target: Target, path: Path): string[] => [
  ...target.root,
  ...(path.prefix === "" ? [] : [path.prefix]),
  ...path.ids.map(String),
];
const accept = (format: number): OptionValue => option(Option.Accept, format);
const contentFormat = (format: number): OptionValue => option(Option.ContentFormat, format);

type Of<Kind extends Operation["kind"]> = Extract<Operation, { kind: Kind }>;

function readRequest(operation: Of<"read"> | Of<"observe">, target: Target): OutgoingRequest {
  const { path } = operation;
  const multiple = target.types.multipleOf(path) !== false;
  const wanted = operation.accept ?? acceptFor(path, multiple, target);
  return {
    method: Method.GET,
    path: segments(target, path),
    query: operation.query,
    options: wanted === undefined ? [] : [accept(wanted)],
  };
}

function writeRequest(operation: Of<"write">, target: Target): Request {
  const lifted = goesThroughInstance(operation, target);
  const path = lifted ? operation.path.up(2) : operation.path;
  const format = operation.format ?? writeFormatFor(path, operation.entries, target);
  const payload = encodeContent(format, path, operation.entries, rootName(target.root));
  if (!payload.ok) return payload;
  return ok({
    method: lifted || operation.mode === "update" ? Method.POST : Method.PUT,
    path: segments(target, path),
    query: operation.query,
    options: [contentFormat(format)],
    payload: payload.value,
  });
}

/**
 * A partial update of the instance says it where nothing else does: LwM2M 1.0 has no write of a resource instance, and a
 * POST on a resource is an Execute but for resources with instances in 1.2 (LwM2M 1.2 Transport §6.4.3).
 */
function goesThroughInstance({ path, mode }: Of<"write">, target: Target): boolean {
  if (path.kind === "resource-instance") return mode === "update" || target.version === "1.0";
  if (path.kind !== "resource" || mode === "replace") return false;
  return target.version !== "1.2" || target.types.multipleOf(path) === false;
}

function executeRequest(operation: Of<"execute">, target: Target): OutgoingRequest {
  const request = { method: Method.POST, path: segments(target, operation.path) };
  if (operation.args.length === 0) return request;
  return { ...request, options: [contentFormat(ContentFormat.Text)], payload: operation.args };
}

function createRequest(operation: Of<"create">, target: Target): Request {
  const { path, entries, instanceGiven } = operation;
  const offered = operation.format ?? writeFormatFor(path, entries, target);
  // Only TLV can leave the instance out; names of the other formats are paths (LwM2M 1.1 §7.4).
  const tlv = offered === ContentFormat.Tlv || offered === ContentFormat.OldTlv;
  const format = instanceGiven || tlv ? offered : ContentFormat.Tlv;
  const base = instanceGiven ? path : (path.child(0) as Path);
  const payload = encodeContent(format, base, entries, rootName(target.root));
  if (!payload.ok) return payload;
  return ok({
    method: Method.POST,
    path: segments(target, path),
    options: [contentFormat(format)],
    payload: payload.value,
  });
}

/** Composite operations address the root; the paths are the body (LwM2M 1.1 §6.3.9). */
function fetchRequest(
  operation: Of<"read-composite"> | Of<"observe-composite"> | Of<"cancel-observe-composite">,
  target: Target,
): OutgoingRequest {
  const wanted = "accept" in operation ? operation.accept : undefined;
  // Who is asked to answer in JSON reads it as well, whether it has said so or not.
  const format = wanted === ContentFormat.SenmlJson ? wanted : fetchFormatFor(target);
  const json = format === ContentFormat.SenmlJson || format === ContentFormat.SenmlEtchJson;
  return {
    method: Method.FETCH,
    path: [...target.root],
    query: operation.kind === "observe-composite" ? operation.query : [],
    options: [contentFormat(format), accept(wanted ?? compositeAcceptFor(target))],
    payload: (json ? encodePathsJson : encodePathsCbor)(operation.paths, rootName(target.root)),
  };
}

function patchRequest(operation: Of<"write-composite">, target: Target): Request {
  const format = operation.format ?? patchFormatFor(target);
  const payload = encodeContent(format, Path.ROOT, operation.entries, rootName(target.root));
  if (!payload.ok) return payload;
  return ok({
    method: Method.iPATCH,
    path: [...target.root],
    options: [contentFormat(format)],
    payload: payload.value,
  });
}
