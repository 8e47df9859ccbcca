import { Message } from "#core/bus/message.ts";
import type { PublishAnswer, RetainedAnswer } from "#core/contract/answers.ts";
import type { Client } from "#core/contract/client.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { FOREVER, type Instant } from "#core/lib/time.ts";
import type { CoapConfig } from "../config.ts";
import { Response } from "../stack/message/codes.ts";
import { Option } from "../stack/message/options.ts";
import { type CoapResponse, respondWith } from "../stack/site.ts";
import type { Operation } from "./operation.ts";
import { lookUp, PRECONDITION, type Reading } from "./read.ts";
import { refusalResponse } from "./refusals.ts";
import { preconditionHolds, propertiesOf } from "./representation.ts";

const CHANGED = respondWith(Response.Changed);
const CREATED = respondWith(Response.Created);
const DELETED = respondWith(Response.Deleted);
const UNKNOWN_FORMAT = {
  code: Response.UnsupportedContentFormat,
  payload: utf8("no media type has this number"),
};

export interface Publishing extends Reading {
  readonly config: CoapConfig;
}

/** PUT and POST: one message to the topic. `success` overrides the answer of older forms. */
export function publish(
  publishing: Publishing,
  operation: Operation,
  client: Client,
  now: Instant,
  success?: CoapResponse,
): void {
  const { config } = publishing;
  const { query, request } = operation;
  const userProperties = config.publish.userProperties ? query.userProperties : undefined;
  const properties = propertiesOf(operation.message.uint(Option.ContentFormat), userProperties);
  if (properties === "unknown") {
    request.respond(UNKNOWN_FORMAT);
    return;
  }
  const retain = query.retain ?? config.publish.retain;
  const mayCreate = success === undefined && retain && operation.payload.length > 0;
  const send = (done: CoapResponse, at: Instant): void => {
    const { topic, payload } = operation;
    const qos = operation.qos(config.publish.qos);
    const message = new Message(topic, payload, qos, retain, at, properties, query.expiry ?? FOREVER);
    submit(publishing, operation, client, message, done);
  };
  if (!mayCreate && !isConditional(operation)) {
    send(success ?? CHANGED, now);
    return;
  }
  lookUp(publishing, operation, client, now, (found, at) => {
    if (!allowsChange(operation, found)) request.respond(PRECONDITION);
    // A retained topic that did not exist is created (RFC 7252 §5.8.3); who may not read cannot tell.
    else send(success ?? (mayCreate && found.length === 0 ? CREATED : CHANGED), at);
  });
}

/** DELETE: an empty retained message, which clears what was retained [MQTT-3.3.1-6]. */
export function clearRetained(
  publishing: Publishing,
  operation: Operation,
  client: Client,
  now: Instant,
): void {
  const send = (at: Instant): void => {
    const qos = operation.qos(publishing.config.publish.qos);
    const message = new Message(operation.topic, new Uint8Array(0), qos, true, at);
    submit(publishing, operation, client, message, DELETED);
  };
  if (!isConditional(operation)) {
    send(now);
    return;
  }
  lookUp(publishing, operation, client, now, (found, at) => {
    if (allowsChange(operation, found)) send(at);
    else operation.request.respond(PRECONDITION);
  });
}

function submit(
  { peer, waiting }: Publishing,
  operation: Operation,
  client: Client,
  message: Message,
  success: CoapResponse,
): void {
  const ticket = peer.ticket();
  const answer = client.publish(message, ticket);
  if (answer === "pending") {
    waiting.answer(ticket, (late, at) =>
      operation.turn(at, () => finish(operation, late as PublishAnswer, success)),
    );
  } else finish(operation, answer, success);
}

function finish(operation: Operation, answer: PublishAnswer, success: CoapResponse): void {
  const accepted = answer === "accepted" || answer === "no-subscribers";
  operation.request.respond(accepted ? success : refusalResponse(answer, operation.anonymous));
}

const isConditional = ({ message }: Operation): boolean =>
  message.has(Option.IfNoneMatch) || message.has(Option.IfMatch);

const allowsChange = ({ message }: Operation, found: RetainedAnswer): boolean =>
  preconditionHolds(message, typeof found === "string" ? undefined : found[0]);
