import type { Refusal } from "#core/contract/answers.ts";
import { unreachable } from "#core/lib/assert.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { Response } from "../stack/message/codes.ts";
import { Option, option } from "../stack/message/options.ts";
import type { CoapResponse } from "../stack/site.ts";

const refused = (code: CoapResponse["code"], diagnostic: string, retryAfter?: number): CoapResponse => ({
  code,
  payload: utf8(diagnostic),
  ...(retryAfter === undefined ? {} : { options: [option(Option.MaxAge, retryAfter)] }),
});

const UNAUTHENTICATED = refused(Response.Unauthorized, "wrong or missing credentials");
const LOGIN = refused(Response.Unauthorized, "not allowed without credentials");
const FORBIDDEN = refused(Response.Forbidden, "not allowed for this client");
const BANNED = refused(Response.Forbidden, "banned");
const MALFORMED = refused(Response.BadRequest, "not a valid topic, filter or client id");
/** RFC 8516: Max-Age says how long to wait. */
const CONGESTED = refused(Response.TooManyRequests, "too many requests", 1);
const QUOTA = refused(Response.Forbidden, "over a limit of this client");
const TOO_LARGE = refused(Response.RequestEntityTooLarge, "larger than allowed");
/** RFC 7252 §5.9.3.4: Max-Age says when to try again. */
const UNAVAILABLE = refused(Response.ServiceUnavailable, "nothing is accepted at the moment", 5);

/** What the core refuses, in CoAP. `anonymous`: no user name was given, so that giving one may help. */
export function refusalResponse(refusal: Refusal, anonymous: boolean): CoapResponse {
  switch (refusal) {
    case "unauthenticated":
      return UNAUTHENTICATED;
    case "forbidden":
      return anonymous ? LOGIN : FORBIDDEN;
    case "banned":
      return BANNED;
    case "malformed":
      return MALFORMED;
    case "congested":
      return CONGESTED;
    case "quota":
      return QUOTA;
    case "too-large":
      return TOO_LARGE;
    case "unavailable":
      return UNAVAILABLE;
    default:
      return unreachable(refusal);
  }
}
