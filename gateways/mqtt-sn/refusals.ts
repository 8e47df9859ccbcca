import type { Refusal } from "#core/contract/answers.ts";
import { unreachable } from "#core/lib/assert.ts";
import * as p from "./packets.ts";

/** CONNACK and SUBACK. Only 0 to 3 exist in 1.2 (§5.3.10): "congestion" says try again, "not supported" that it is of no use. */
export function refusalCode(refusal: Refusal): p.ReturnCode {
  switch (refusal) {
    case "congested":
    case "unavailable":
    case "quota":
      return p.CONGESTION;
    case "unauthenticated":
    case "forbidden":
    case "banned":
    case "malformed":
    case "too-large":
      return p.NOT_SUPPORTED;
    default:
      return unreachable(refusal);
  }
}
