import { hasWildcard } from "#core/bus/topic.ts";
import type { Client } from "#core/contract/client.ts";
import { utf8 } from "#core/lib/bytes.ts";
import type { Instant } from "#core/lib/time.ts";
import { Response } from "../stack/message/codes.ts";
import type { CoapResponse } from "../stack/site.ts";
import type { Operation } from "./operation.ts";
import { PRECONDITION } from "./publish.ts";
import { refusalResponse } from "./refusals.ts";
import { preconditionHolds, readResponse } from "./representation.ts";

const NOTHING = { code: Response.NotFound, payload: utf8("no value is retained here") };
const WILDCARD = { code: Response.BadRequest, payload: utf8("a wildcard can only be observed") };

/** GET: the retained value, or why there is none. `absent` answers for a topic without one. */
export function retainedResponse(
  operation: Operation,
  client: Client,
  now: Instant,
  absent: CoapResponse = NOTHING,
): CoapResponse {
  if (hasWildcard(operation.topic)) return WILDCARD;
  const found = client.retained(operation.topic, 1);
  if (typeof found === "string") return refusalResponse(found, operation.anonymous);
  const [value] = found;
  if (!preconditionHolds(operation.message, value)) return PRECONDITION;
  return value === undefined ? absent : readResponse(value, operation.message, now);
}
