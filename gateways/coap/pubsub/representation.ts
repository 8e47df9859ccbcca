import { encodingSlot, type Message, type MessageProperties } from "#core/bus/message.ts";
import { sameBytes, utf8 } from "#core/lib/bytes.ts";
import { type Instant, inSeconds, NEVER, SECONDS_MAX } from "#core/lib/time.ts";
import { entityTag } from "../stack/blockwise/reply.ts";
import { Response } from "../stack/message/codes.ts";
import { ContentFormat, contentFormat, mediaType } from "../stack/message/content-formats.ts";
import type { CoapMessage } from "../stack/message/message.ts";
import { Option, type OptionValue, option } from "../stack/message/options.ts";
import type { CoapResponse } from "../stack/site.ts";

/** The CoAP content format of a message: its MQTT 5 content type, else text where it is declared to be. */
export function formatOf(properties: MessageProperties | undefined): number | undefined {
  if (properties === undefined) return undefined;
  if (properties.contentType !== undefined) return contentFormat(properties.contentType);
  return properties.payloadFormat === 1 ? ContentFormat.Text : undefined;
}

/** The properties that a Content-Format stands for; `unknown` when no media type has this number. */
export function propertiesOf(
  format: number | undefined,
  userProperties: readonly (readonly [string, string])[] | undefined,
): MessageProperties | undefined | "unknown" {
  if (format === undefined) return userProperties === undefined ? undefined : { userProperties };
  const known = FORMATS.get(format) ?? learn(format);
  if (known === undefined) return "unknown";
  return userProperties === undefined ? known : { ...known, userProperties };
}

/** One object a format, however many messages carry it. */
const FORMATS = new Map<number, MessageProperties>();

function learn(format: number): MessageProperties | undefined {
  const contentType = mediaType(format);
  if (contentType === undefined) return undefined;
  const properties: MessageProperties =
    format === ContentFormat.Text ? { contentType, payloadFormat: 1 } : { contentType };
  FORMATS.set(format, properties);
  return properties;
}

/** Whole seconds that a message is still good for; undefined when it does not expire. */
function maxAge(message: Message, now: Instant): number | undefined {
  if (message.expiresAt === NEVER) return undefined;
  return Math.min(Math.max(0, inSeconds((message.expiresAt - now) as never)), SECONDS_MAX);
}

/** User properties in all, so that a notification still has room for its value in the smallest message of all. */
const USER_PROPERTIES_LENGTH = 400;

function userPropertyOptions(properties: MessageProperties | undefined): OptionValue[] {
  const options: OptionValue[] = [];
  let left = USER_PROPERTIES_LENGTH;
  for (const [name, value] of properties?.userProperties ?? []) {
    const part = `up.${name}=${value}`;
    const length = Buffer.byteLength(part);
    if (length > 255 || length > left) continue;
    left -= length;
    options.push(option(Option.LocationQuery, part));
  }
  return options;
}

const slot = encodingSlot();

/** Options that every CoAP form of a message has; made once, and used for each of its observers. */
function commonOptions(message: Message): readonly OptionValue[] {
  message.encodings ??= [];
  const known = message.encodings[slot] as readonly OptionValue[] | undefined;
  if (known !== undefined) return known;
  const format = formatOf(message.properties);
  const options = userPropertyOptions(message.properties);
  if (format !== undefined) options.push(option(Option.ContentFormat, format));
  message.encodings[slot] = options;
  return options;
}

/** A message as a notification; `location` names its topic where the observer cannot know it. */
export function notificationOf(
  message: Message,
  location: readonly OptionValue[] | undefined,
  now: Instant,
): CoapResponse {
  const age = maxAge(message, now);
  const common = commonOptions(message);
  if (age === undefined && location === undefined) {
    return { code: Response.Content, options: common, payload: message.payload };
  }
  const options = [...common, ...(location ?? [])];
  if (age !== undefined) options.push(option(Option.MaxAge, age));
  return { code: Response.Content, options, payload: message.payload };
}

/** A retained message as the answer to a GET: with ETag, and 2.03 where the client has it already. */
export function readResponse(message: Message, request: CoapMessage, now: Instant): CoapResponse {
  const accept = request.uint(Option.Accept);
  const format = formatOf(message.properties);
  if (accept !== undefined && !isOfFormat(message.properties, accept)) {
    const found = format ?? message.properties?.contentType;
    return { code: Response.NotAcceptable, payload: utf8(`the value has Content-Format ${found}`) };
  }
  const notification = notificationOf(message, undefined, now);
  const etag = etagOf(message);
  const options = [...(notification.options ?? []), option(Option.ETag, etag)];
  if (hasEtag(request, Option.ETag, etag)) return { code: Response.Valid, options: validOptions(options) };
  return { ...notification, options };
}

/** Two values are one only in the same format. */
export const etagOf = ({ payload, properties }: Message): Uint8Array =>
  entityTag(payload, properties?.contentType ?? (properties?.payloadFormat === 1 ? "text" : ""));

/** If-Match and If-None-Match look at the retained value (RFC 7252 §5.10.8). */
export function preconditionHolds(request: CoapMessage, value: Message | undefined): boolean {
  if (request.has(Option.IfNoneMatch) && value !== undefined) return false;
  if (!request.has(Option.IfMatch)) return true;
  return value !== undefined && hasEtag(request, Option.IfMatch, etagOf(value), true);
}

/** Whether the value may be given to who accepts this format: a value of which none is known may (RFC 7252 §5.10.4). */
export function isOfFormat(properties: MessageProperties | undefined, accept: number): boolean {
  const format = formatOf(properties);
  if (format !== undefined) return format === accept;
  // A content type that has no number is not the one that was asked for.
  return properties?.contentType === undefined;
}

/** 2.03 repeats ETag and Max-Age only (RFC 7252 §5.9.1.3). */
const validOptions = (options: readonly OptionValue[]): OptionValue[] =>
  options.filter(({ number }) => number === Option.ETag || number === Option.MaxAge);

/** Whether one of a request's ETag or If-Match options is this tag; an empty If-Match is any (RFC 7252 §5.10.8.1). */
function hasEtag(request: CoapMessage, number: number, etag: Uint8Array, orEmpty = false): boolean {
  for (let index = 0; index < request.optionCount; index++) {
    if (request.numberAt(index) !== number) continue;
    if ((orEmpty && request.lengthAt(index) === 0) || sameBytes(request.valueAt(index), etag)) return true;
  }
  return false;
}
