import { Message } from "#core/bus/message.ts";
import type { PublishAnswer } from "#core/contract/answers.ts";
import type { Client } from "#core/contract/client.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { FOREVER, type Instant } from "#core/lib/time.ts";
import type { CoapConfig } from "../config.ts";
import { Response } from "../stack/message/codes.ts";
import { Option } from "../stack/message/options.ts";
import { type CoapPeer, type CoapResponse, respondWith } from "../stack/site.ts";
import type { Operation } from "./operation.ts";
import { refusalResponse } from "./refusals.ts";
import { preconditionHolds, propertiesOf } from "./representation.ts";
import type { Waiting } from "./waiting.ts";

const CHANGED = respondWith(Response.Changed);
const CREATED = respondWith(Response.Created);
const DELETED = respondWith(Response.Deleted);
const UNKNOWN_FORMAT = {
  code: Response.UnsupportedContentFormat,
  payload: utf8("no media type has this number"),
};
export const PRECONDITION = {
  code: Response.PreconditionFailed,
  payload: utf8("the retained value is another"),
};

export interface Publishing {
  readonly config: CoapConfig;
  readonly peer: CoapPeer;
  readonly waiting: Waiting;
}

/** PUT and POST: one message to the topic. `success` overrides the answer of older forms. */
export function publish(
  { config, peer, waiting }: Publishing,
  operation: Operation,
  client: Client,
  now: Instant,
  success?: CoapResponse,
): void {
  const { query, request, topic } = operation;
  const userProperties = config.publish.userProperties ? query.userProperties : undefined;
  const properties = propertiesOf(operation.message.uint(Option.ContentFormat), userProperties);
  if (properties === "unknown") {
    request.respond(UNKNOWN_FORMAT);
    return;
  }
  if (!allowsChange(operation, client)) {
    request.respond(PRECONDITION);
    return;
  }
  const retain = query.retain ?? config.publish.retain;
  const done = success ?? (retain && creates(operation, client) ? CREATED : CHANGED);
  const qos = operation.qos(config.publish.qos);
  const expiry = query.expiry ?? FOREVER;
  send(new Message(topic, operation.payload, qos, retain, now, properties, expiry), done);

  function send(message: Message, response: CoapResponse): void {
    const ticket = peer.ticket();
    const answer = client.publish(message, ticket);
    if (answer === "pending") {
      waiting.answer(ticket, (late, at) =>
        operation.turn(at, () => finish(operation, late as PublishAnswer, response)),
      );
    } else finish(operation, answer, response);
  }
}

/** DELETE: an empty retained message, which clears what was retained [MQTT-3.3.1-6]. */
export function clearRetained(
  { peer, waiting, config }: Publishing,
  operation: Operation,
  client: Client,
  now: Instant,
): void {
  if (!allowsChange(operation, client)) {
    operation.request.respond(PRECONDITION);
    return;
  }
  const qos = operation.qos(config.publish.qos);
  const ticket = peer.ticket();
  const answer = client.publish(new Message(operation.topic, new Uint8Array(0), qos, true, now), ticket);
  if (answer === "pending") {
    waiting.answer(ticket, (late, at) =>
      operation.turn(at, () => finish(operation, late as PublishAnswer, DELETED)),
    );
  } else finish(operation, answer, DELETED);
}

function finish(operation: Operation, answer: PublishAnswer, success: CoapResponse): void {
  const accepted = answer === "accepted" || answer === "no-subscribers";
  operation.request.respond(accepted ? success : refusalResponse(answer, operation.anonymous));
}

/** A retained topic that did not exist is created (RFC 7252 §5.8.3); who may not read cannot tell. */
function creates(operation: Operation, client: Client): boolean {
  if (operation.payload.length === 0) return false;
  const found = client.retained(operation.topic, 1);
  return typeof found !== "string" && found.length === 0;
}

function allowsChange({ message, topic }: Operation, client: Client): boolean {
  if (!message.has(Option.IfMatch) && !message.has(Option.IfNoneMatch)) return true;
  const found = client.retained(topic, 1);
  return preconditionHolds(message, typeof found === "string" ? undefined : found[0]);
}
