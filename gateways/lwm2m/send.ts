/** The Send operation: data that a device reports by itself (LwM2M 1.1 §6.4.6). */

import type { Instant } from "#core/lib/time.ts";
import { Response } from "#gateways/coap/stack/codes.ts";
import { Option } from "#gateways/coap/stack/options.ts";
import type { CoapRequest } from "#gateways/coap/stack/site.ts";
import { ContentFormat, decodeContent } from "./content/formats.ts";
import type { Device } from "./device.ts";
import { Path } from "./path.ts";
import { codeOf, isRefused } from "./refusals.ts";
import { sendReport } from "./reports.ts";
import { rootName } from "./requests.ts";
import type { Shared } from "./shared.ts";
import { shownContent } from "./shown-value.ts";

/** Formats of a Send; TLV and the single ones cannot name a path (LwM2M 1.1 §6.4.6, 1.2 §6.4.6). */
const FORMATS: readonly number[] = [
  ContentFormat.SenmlJson,
  ContentFormat.SenmlCbor,
  ContentFormat.Lwm2mCbor,
];

/** What was sent; a view, valid as long as its request's is. */
export interface Sent {
  readonly format: number | undefined;
  readonly payload: Uint8Array;
}

export const readSend = (request: CoapRequest): Sent => ({
  format: request.message.uint(Option.ContentFormat),
  payload: request.payload,
});

/** Answered 2.04 once the report is accepted, and kept where it must be. */
export function receiveSend(
  request: CoapRequest,
  { format, payload }: Sent,
  shared: Shared,
  device: Device | undefined,
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
  const entries = decodeContent(format, payload, Path.ROOT, device.types, rootName(device.target.root));
  if (!entries.ok) {
    request.refuse(Response.BadRequest, entries.error.problem);
    return;
  }
  if (entries.value.length === 0) {
    request.refuse(Response.BadRequest, "no data");
    return;
  }
  shared.counters.sends.value++;
  const { definitions, config } = shared;
  const description = config.describeContent
    ? { definitions, versions: device.registration.list.versions }
    : undefined;
  const report = sendReport(shownContent(entries.value, now / 1000, description));
  device.reporter.publish("send", report, now, (answer) => {
    if (isRefused(answer)) request.refuse(codeOf(answer), answer);
    else request.respond({ code: Response.Changed });
  });
}
