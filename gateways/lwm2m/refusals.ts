import type { PublishAnswer, Refusal } from "#core/contract/answers.ts";
import { unreachable } from "#core/lib/assert.ts";
import { type Code, Response } from "#gateways/coap/stack/message/codes.ts";

/** The code that says a refusal of the core to a device (LwM2M 1.1 Transport §6.4, tables 6.4.1-1 and 6.4.5-1). */
export function codeOf(refusal: Refusal): Code {
  switch (refusal) {
    case "unauthenticated":
    case "forbidden":
    case "banned":
    case "quota":
      return Response.Forbidden;
    case "malformed":
      return Response.BadRequest;
    case "congested":
      return Response.TooManyRequests;
    case "too-large":
      return Response.RequestEntityTooLarge;
    case "unavailable":
      return Response.ServiceUnavailable;
    default:
      return unreachable(refusal);
  }
}

export const isRefused = (answer: PublishAnswer): answer is Refusal =>
  answer !== "accepted" && answer !== "no-subscribers";
