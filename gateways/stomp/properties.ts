/** Headers of SEND to the properties of a message, and properties to headers of MESSAGE. */
import { Message, type MessageProperties, type QoS } from "#core/bus/message.ts";
import { topicNameProblem } from "#core/bus/topic.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { text, utf8 } from "#core/lib/bytes.ts";
import { type Duration, FOREVER, type Instant, NEVER } from "#core/lib/time.ts";
import type { Content, HeaderLine } from "./codec/encoder.ts";
import type { Frame } from "./codec/frame.ts";
import type { Destinations, Style } from "./destinations.ts";
import { Header, type HeaderName, isReservedInMessage } from "./frames.ts";
import { type Problem, problem } from "./problem.ts";

/** A SEND as a message. An `expires` that has passed gives a message that has expired. */
export function messageOf(
  frame: Frame,
  topic: string,
  destinations: Destinations,
  defaultQos: QoS,
  now: Instant,
): Message | Problem {
  const qos = qosOf(frame, defaultQos);
  if (typeof qos === "object") return qos;
  const retain = flagOf(frame, "retain");
  if (typeof retain === "object") return retain;
  const expiry = expiryOf(frame, now);
  if (typeof expiry === "object") return expiry;
  const properties = propertiesOf(frame, destinations);
  if (properties !== undefined && "message" in properties) return properties;
  return new Message(topic, frame.body(), qos, retain ?? false, now, properties, expiry);
}

/** `qos` counts, then `persistent`; and a receipt wants an answer that means something. */
function qosOf(frame: Frame, fallback: QoS): QoS | Problem {
  const asked = frame.digits(Header.qos);
  if (asked !== undefined) {
    return asked === 0 || asked === 1 || asked === 2 ? asked : problem("bad header qos", "qos is 0, 1 or 2.");
  }
  const persistent = flagOf(frame, "persistent");
  if (typeof persistent === "object") return persistent;
  if (persistent === false) return 0;
  return fallback === 0 && (persistent === true || frame.has(Header.receipt)) ? 1 : fallback;
}

/** A header that is true or false in any spelling (Python's is `True`), or undefined when it is not there. */
export function flagOf(frame: Frame, name: HeaderName): boolean | undefined | Problem {
  const value = frame.text(Header[name])?.toLowerCase();
  if (value === undefined) return undefined;
  if (value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  return problem(`bad header ${name}`, `${name} is true or false.`);
}

/** `expires` is the end as milliseconds since 1970 (ActiveMQ), `expiration` a time to live (RabbitMQ). */
function expiryOf(frame: Frame, now: Instant): Duration | Problem {
  const expires = frame.digits(Header.expires) ?? 0;
  const expiration = frame.digits(Header.expiration);
  if (expires < 0) return problem("bad header expires", "expires is milliseconds since 1970, or 0.");
  if (expiration !== undefined && expiration < 0) {
    return problem("bad header expiration", "expiration is a time to live in milliseconds.");
  }
  if (expires > 0) return Math.max(0, expires - now) as Duration;
  return expiration === undefined ? FOREVER : (expiration as Duration);
}

function propertiesOf(frame: Frame, destinations: Destinations): MessageProperties | undefined | Problem {
  const userProperties = frame.userHeaders();
  const contentType = frame.text(Header["content-type"]);
  const replyTo = frame.text(Header["reply-to"]);
  const responseTopic = replyTo === undefined ? undefined : destinations.topic(replyTo);
  if (responseTopic !== undefined && topicNameProblem(responseTopic) !== undefined) {
    return problem("bad header reply-to", `${replyTo} is no destination that one can send to.`);
  }
  const correlationData = correlationOf(frame);
  if (correlationData !== undefined && "message" in correlationData) return correlationData;
  if (
    userProperties === undefined &&
    contentType === undefined &&
    responseTopic === undefined &&
    correlationData === undefined
  ) {
    return undefined;
  }
  return {
    ...(contentType === undefined ? undefined : { contentType }),
    ...(responseTopic === undefined ? undefined : { responseTopic }),
    ...(correlationData === undefined ? undefined : { correlationData }),
    ...(userProperties === undefined ? undefined : { userProperties }),
  };
}

const HEXADECIMAL = /^(?:[0-9a-fA-F]{2})*$/;

/** Correlation data is bytes: those that are no text come and go as `correlation-id-hex`. */
function correlationOf(frame: Frame): Uint8Array | undefined | Problem {
  const hexadecimal = frame.text(Header["correlation-id-hex"]);
  if (hexadecimal === undefined) {
    const id = frame.text(Header["correlation-id"]);
    return id === undefined ? undefined : utf8(id);
  }
  if (!HEXADECIMAL.test(hexadecimal)) return problem("bad header correlation-id-hex", "It is hexadecimal.");
  return Buffer.from(hexadecimal, "hex");
}

function correlationHeader(data: Uint8Array): HeaderLine {
  const readable = text(data);
  if (readable === undefined || readable.includes("\0")) {
    return ["correlation-id-hex", Buffer.from(data).toString("hex")];
  }
  return ["correlation-id", readable];
}

const NO_HEADERS: readonly HeaderLine[] = [];

/** Destination and headers of a MESSAGE; what is the session's own (ids, qos, retain) is not among them. */
export function contentOf(delivery: Delivery, destinations: Destinations, style: Style): Content {
  const { message } = delivery;
  const destination = destinations.format(delivery.topic, style);
  const properties = message.properties;
  if (properties === undefined && message.expiresAt === NEVER) return { destination, headers: NO_HEADERS };
  const headers: HeaderLine[] = [];
  const { contentType, payloadFormat, responseTopic, correlationData, userProperties } = properties ?? {};
  if (contentType !== undefined) headers.push(["content-type", contentType]);
  else if (payloadFormat === 1) headers.push(["content-type", "text/plain"]);
  if (message.expiresAt !== NEVER) headers.push(["expires", String(Math.floor(message.expiresAt))]);
  if (responseTopic !== undefined) headers.push(["reply-to", destinations.format(responseTopic, style)]);
  if (correlationData !== undefined) headers.push(correlationHeader(correlationData));
  for (const property of userProperties ?? []) {
    if (property[0] !== "" && !isReservedInMessage(property[0])) headers.push(property);
  }
  return { destination, headers };
}
