/** The Send operation: data that a device reports by itself (LwM2M 1.1 §6.4.6). */

import type { Instant } from "#core/lib/time.ts";
import { Response } from "#gateways/coap/stack/message/codes.ts";
import { Option } from "#gateways/coap/stack/message/options.ts";
import type { CoapRequest } from "#gateways/coap/stack/site.ts";
import { rootName, type Target } from "../commands/requests.ts";
import { ContentFormat, decodeContent } from "../content/formats.ts";
import type { Reporter } from "../messages/reporter.ts";
import { sendReport } from "../messages/reports.ts";
import { type Description, shownContent } from "../messages/shown-value.ts";
import { Path } from "../objects/path.ts";
import { codeOf, isRefused } from "../refusals.ts";
import { gatewayLinks } from "../registration/end-devices.ts";
import type { ObjectList } from "../registration/object-list.ts";
import type { Shared } from "../shared.ts";

/** Formats of a Send; TLV and the single ones cannot name a path (LwM2M 1.1 §6.4.6, 1.2 §6.4.6). */
const FORMATS: readonly number[] = [
  ContentFormat.SenmlJson,
  ContentFormat.SenmlCbor,
  ContentFormat.Lwm2mCbor,
];

/** What of the device that sends is needed. */
export interface Sender {
  readonly registration: { readonly list: ObjectList };
  readonly target: Target;
  readonly description: Description | undefined;
  readonly reporter: Pick<Reporter, "publish">;
}

/** What was sent; a view, valid as long as its request's is. */
export interface Sent {
  readonly format: number | undefined;
  readonly payload: Uint8Array;
}

export const readSend = (request: CoapRequest): Sent => ({
  format: request.message.uint(Option.ContentFormat),
  payload: request.payload,
});

/**
 * A device reports what it has registered (LwM2M 1.1 §6.4.6), a gateway also what its end devices have. Objects count,
 * not instances, which devices often leave out of their lists; a device without any list may report anything.
 */
function mayReport(path: Path, list: ObjectList): boolean {
  if (path.prefix !== "") return gatewayLinks(list).length > 0;
  const object = `/${path.object}`;
  return (
    list.objects.length === 0 || list.objects.some((link) => link === object || link.startsWith(`${object}/`))
  );
}

/** Answered 2.04 once the report is accepted, and kept where it must be. */
export function receiveSend(
  request: CoapRequest,
  { format, payload }: Sent,
  shared: Shared,
  device: Sender | undefined,
  now: Instant,
): void {
  if (device === undefined) {
    request.refuse(Response.NotFound, "not registered");
    return;
  }
  if (format === undefined || !FORMATS.includes(format)) {
    request.refuse(Response.UnsupportedContentFormat, "SenML JSON, SenML CBOR or LwM2M CBOR");
    return;
  }
  const entries = decodeContent(
    format,
    payload,
    Path.ROOT,
    device.target.types,
    rootName(device.target.root),
  );
  if (!entries.ok) {
    request.refuse(Response.BadRequest, entries.error.problem);
    return;
  }
  if (entries.value.length === 0) {
    request.refuse(Response.BadRequest, "no data");
    return;
  }
  const foreign = entries.value.find((entry) => !mayReport(entry.path, device.registration.list));
  if (foreign !== undefined) {
    request.refuse(Response.NotFound, `${foreign.path} is not registered`);
    return;
  }
  shared.counters.sends.value++;
  const report = sendReport(shownContent(entries.value, now / 1000, device.description));
  device.reporter.publish("send", report, now, (answer) => {
    if (isRefused(answer)) request.refuse(codeOf(answer), answer);
    else request.respond({ code: Response.Changed });
  });
}
