import { hasWildcard } from "#core/bus/topic.ts";
import type { RetainedAnswer } from "#core/contract/answers.ts";
import type { Client } from "#core/contract/client.ts";
import { utf8 } from "#core/lib/bytes.ts";
import type { Instant } from "#core/lib/time.ts";
import { Response } from "../stack/message/codes.ts";
import type { CoapPeer, CoapResponse } from "../stack/site.ts";
import type { Operation } from "./operation.ts";
import { refusalResponse } from "./refusals.ts";
import { preconditionHolds, readResponse } from "./representation.ts";
import type { Waiting } from "./waiting.ts";

export const PRECONDITION = {
  code: Response.PreconditionFailed,
  payload: utf8("the retained value is another"),
};
const NOTHING = { code: Response.NotFound, payload: utf8("no value is retained here") };
const WILDCARD = { code: Response.BadRequest, payload: utf8("a wildcard can only be observed") };

/** Who looks up what is retained: tickets, and what goes on when the answer is there. */
export interface Reading {
  readonly peer: CoapPeer;
  readonly waiting: Waiting;
}

/** Calls `then` with what is retained under the topic of a request, at once or later. */
export function lookUp(
  { peer, waiting }: Reading,
  operation: Operation,
  client: Client,
  now: Instant,
  then: (found: RetainedAnswer, now: Instant) => void,
): void {
  const ticket = peer.ticket();
  const found = client.retained(operation.topic, 1, ticket);
  if (found !== "pending") {
    then(found, now);
    return;
  }
  operation.detach();
  waiting.find(ticket, (late, at) => operation.turn(at, (turn) => then(late, turn)));
}

/** GET: the retained value, or why there is none. `absent` answers for a topic without one. */
export function read(
  reading: Reading,
  operation: Operation,
  client: Client,
  now: Instant,
  then: (response: CoapResponse, now: Instant) => void,
  absent: CoapResponse = NOTHING,
): void {
  if (hasWildcard(operation.topic)) {
    then(WILDCARD, now);
    return;
  }
  lookUp(reading, operation, client, now, (found, at) => then(responseTo(operation, found, at, absent), at));
}

function responseTo(
  { message, anonymous }: Operation,
  found: RetainedAnswer,
  now: Instant,
  absent: CoapResponse,
): CoapResponse {
  if (typeof found === "string") return refusalResponse(found, anonymous);
  const [value] = found;
  if (!preconditionHolds(message, value)) return PRECONDITION;
  return value === undefined ? absent : readResponse(value, message, now);
}
