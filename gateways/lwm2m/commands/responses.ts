/** Answers of a device become the `data` of response and notify messages here. */

import { own, text } from "#core/lib/bytes.ts";
import { formatCode, isError, Response } from "#gateways/coap/stack/message/codes.ts";
import { Option } from "#gateways/coap/stack/message/options.ts";
import type { IncomingResponse } from "#gateways/coap/stack/site.ts";
import type { Json, JsonObject } from "../content/exact-json.ts";
import { ContentFormat, decodeContent } from "../content/formats.ts";
import type { Entry } from "../content/value.ts";
import { Path } from "../objects/path.ts";
import { splitLinks } from "../registration/object-list.ts";
import { type Operation, requestPath } from "./operation.ts";
import { rootName, type Target } from "./requests.ts";

/** Names of codes, in the words of RFC 7252 §12.1.2. */
const CODE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(Response).map(([name, code]) => [
    code,
    name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase(),
  ]),
);
export const codeName = (code: number): string => CODE_NAMES.get(code) ?? formatCode(code);

export interface Answer {
  readonly code: number;
  readonly entries?: readonly Entry[] | undefined;
  /** Raw links of a discover. */
  readonly links?: readonly string[] | undefined;
  /** The instance that a create made, as the device named it. */
  readonly location?: string | undefined;
  /** Why a code is ours and not the device's, or what the device said about its error. */
  readonly reason?: string | undefined;
}

/** What a response means under its operation; never keeps a view of it. */
export function answerOf(operation: Operation, response: IncomingResponse, target: Target): Answer {
  const { code, payload } = response;
  if (isError(code)) return { code, reason: diagnostic(payload) };
  switch (operation.kind) {
    case "discover":
      return linksOf(code, payload);
    case "read":
    case "observe":
      return contentOf(response, operation.path, target);
    case "read-composite":
    case "observe-composite":
      return contentOf(response, Path.ROOT, target);
    case "cancel-observe":
      return cancelledAnswer(response, operation.path, target);
    case "cancel-observe-composite":
      return cancelledAnswer(response, Path.ROOT, target);
    case "create":
      return { code, location: response.message.strings(Option.LocationPath)?.join("/") };
    case "write":
    case "write-composite":
      return writtenAnswer(code, payload);
    case "write-attributes":
    case "execute":
    case "delete":
      return { code };
  }
}

/** Some devices answer with a value, as RFC 7641 §3.6 has it, and some with none: either has ended the observation. */
const cancelledAnswer = (response: IncomingResponse, base: Path, target: Target): Answer =>
  response.payload.length === 0 ? { code: response.code } : contentOf(response, base, target);

/** Some devices answer a write like a read: with content it was taken, without it was not. */
function writtenAnswer(code: number, payload: Uint8Array): Answer {
  if (code !== Response.Content) return { code };
  return { code: payload.length > 0 ? Response.Changed : Response.MethodNotAllowed };
}

function linksOf(code: number, payload: Uint8Array): Answer {
  const readable = text(payload);
  if (readable === undefined) return { code: Response.BadRequest, reason: "the links are not UTF-8" };
  return { code, links: splitLinks(readable) };
}

function contentOf(response: IncomingResponse, base: Path, target: Target): Answer {
  const { code, payload } = response;
  if (code !== Response.Content) return { code };
  const format = response.message.uint(Option.ContentFormat);
  if (payload.length === 0 && format === undefined && base.ids.length < 3) return { code, entries: [] };
  const wide = base.ids.length === 0 ? (format ?? ContentFormat.SenmlCbor) : format;
  const entries = decodeContent(wide, payload, base, target.types, rootName(target.root));
  if (entries.ok) return { code, entries: entries.value.map(kept) };
  return { code: Response.BadRequest, reason: `${entries.error.clause}: ${entries.error.problem}` };
}

const kept = (entry: Entry): Entry =>
  entry.value instanceof Uint8Array ? { ...entry, value: own(entry.value) } : entry;

/** Diagnostic payload of an error (RFC 7252 §5.5.2), cut to what a message may show. */
function diagnostic(payload: Uint8Array): string | undefined {
  const readable = payload.length === 0 ? undefined : text(payload.subarray(0, 256));
  return readable === undefined || readable === "" ? undefined : readable;
}

/** `data` of a response or notify message; content already in its JSON form. */
export function answerData(
  operation: Operation,
  answer: Answer,
  content: readonly Json[] | undefined,
): JsonObject {
  return {
    reqPath: requestPath(operation),
    code: formatCode(answer.code),
    codeMsg: codeName(answer.code),
    ...(content === undefined ? undefined : { content }),
    ...(answer.location === undefined || answer.location === ""
      ? undefined
      : { location: `/${answer.location}` }),
    ...(answer.reason === undefined ? undefined : { reason: answer.reason }),
  };
}
