import { encodingSlot, type Message } from "#core/bus/message.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { VERSIONS, type Version } from "../frames.ts";
import { escapeText, needsEscape } from "./escapes.ts";

/** Frames up to this size are written into one buffer that is used again and again. */
const SCRATCH_SIZE = 64 * 1024;
/** A string shorter than this is copied letter by letter: cheaper than a call into `Buffer`. */
const SHORT_TEXT = 48;
const LF = 0x0a;
const COLON = 0x3a;

const scratch = Buffer.allocUnsafeSlow(SCRATCH_SIZE);
let out = scratch;
let at = 0;

/** Begins a frame of at most `room` bytes. */
function begin(room: number): void {
  out = room <= SCRATCH_SIZE ? scratch : Buffer.allocUnsafeSlow(room);
  at = 0;
}

/** No `Buffer`: its `slice` would not be a copy, and others rely on that. */
const finish = (): Uint8Array => new Uint8Array(out.buffer, 0, at);

function putBytes(bytes: Uint8Array): void {
  out.set(bytes, at);
  at += bytes.length;
}

/** Text of which it is known that it needs no escaping. */
function putPlain(text: string): void {
  const length = text.length;
  if (length < SHORT_TEXT) {
    const start = at;
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) {
        at = start + out.write(text, start, "utf8");
        return;
      }
      out[at++] = code;
    }
    return;
  }
  at += out.write(text, at, "utf8");
}

const putText = (text: string, version: Version): void =>
  putPlain(needsEscape(text) ? escapeText(text, version) : text);

function putNumber(value: number): void {
  if (value < 10) out[at++] = 0x30 + value;
  else putPlain(String(value));
}

function putHeader(name: string, value: string, version: Version): void {
  // STOMP 1.0 cannot say such a name; half of it would pass for another header.
  if (version === "1.0" && needsEscape(name)) return;
  putText(name, version);
  out[at++] = COLON;
  putText(value, version);
  out[at++] = LF;
}

/** Bytes that a text may need: three octets a letter at worst, and twice that when it is escaped. */
const roomFor = (text: string): number => 6 * text.length;

const ascii = (text: string): Uint8Array => Buffer.from(text, "latin1");

/** STOMP 1.2 Augmented BNF allows an end of line behind a frame. As brokers have always sent one, clients read it. */
export const FRAME_END = ascii("\0\n");
/** What a frame without a body ends with. */
const EMPTY_END = ascii("\n\0\n");

/** A header of a frame that this gateway writes. */
export type HeaderLine = readonly [name: string, value: string];

/** CONNECTED; its headers are not escaped (STOMP 1.2 Value Encoding), so they must hold nothing that would be. */
export function encodeConnected(headers: readonly HeaderLine[]): Uint8Array {
  const lines = headers.map(([name, value]) => `${name}:${value}\n`).join("");
  return Buffer.from(`CONNECTED\n${lines}\n\0\n`);
}

const RECEIPT = ascii("RECEIPT\nreceipt-id:");
/** RECEIPT for a receipt as it stood on the wire: its escapes are this version's already. */
export function encodeReceipt(receipt: Uint8Array): Uint8Array {
  begin(RECEIPT.length + receipt.length + 8);
  putBytes(RECEIPT);
  putBytes(receipt);
  out[at++] = LF;
  putBytes(EMPTY_END);
  return finish();
}

const RECEIPT_ID = ascii("receipt-id:");
/** ERROR with what went wrong in short, as headers say more, and in long (STOMP 1.2 ERROR). */
export function encodeError(
  version: Version,
  message: string,
  detail: string,
  receipt: Uint8Array | undefined,
  headers: readonly HeaderLine[] = [],
): Uint8Array {
  const body = Buffer.from(detail);
  let room = 256 + body.length + roomFor(message) + (receipt?.length ?? 0);
  for (const [name, value] of headers) room += roomFor(name) + roomFor(value) + 2;
  begin(room);
  putPlain("ERROR\n");
  putHeader("message", message, version);
  if (receipt !== undefined) {
    putBytes(RECEIPT_ID);
    putBytes(receipt);
    out[at++] = LF;
  }
  for (const [name, value] of headers) putHeader(name, value, version);
  if (body.length > 0) putPlain("content-type:text/plain\n");
  putPlain(`content-length:${body.length}\n\n`);
  putBytes(body);
  putBytes(FRAME_END);
  return finish();
}

/** What a MESSAGE says of the message itself: the same for all who know its topic by the same name. */
export interface Content {
  readonly destination: string;
  readonly headers: readonly HeaderLine[];
}

/** How a subscription wants its messages; one object a subscription, compared by identity. */
export interface Envelope {
  readonly version: Version;
  /** Subscribers with equal keys see the same destination and headers. */
  readonly dialect: object;
  /** `subscription:<id>` with its end of line, escaped; empty when the client gave no id (STOMP 1.0). */
  readonly head: Uint8Array;
  /** First part of `message-id` and `ack`: unique in this process. */
  readonly idPrefix: Uint8Array;
  /** Whether a header `ack` is due (STOMP 1.2 MESSAGE). */
  readonly acks: boolean;
  /** Called only when nobody has encoded the message in the same dialect and version before. */
  readonly describe: (delivery: Delivery) => Content;
}

const MESSAGE = ascii("MESSAGE\n");
const MESSAGE_ID = ascii("message-id:");
const ACK = ascii("ack:");
const QOS = [ascii("qos:0\n"), ascii("qos:1\n"), ascii("qos:2\n")];
const RETAIN = ascii("retain:true\n");
const REDELIVERED = ascii("redelivered:true\n");
const DESTINATION = ascii("destination:");
const CONTENT_LENGTH = ascii("content-length:");

/** A body this large is sent by itself and not copied. */
export const LARGE_BODY = 8 * 1024;

/** Destination, headers and content-length of one message, kept with it for its other subscribers. */
interface Kept {
  readonly dialect: object;
  readonly topic: string;
  readonly bytes: Uint8Array;
}
/** Stands in the slot once a message has been encoded, so that only a second subscriber makes a copy. */
const ONCE = "once";
const SLOTS = new Map<Version, number>(VERSIONS.map((version) => [version, encodingSlot()]));

/** MESSAGE up to its body. */
function putMessageHead(delivery: Delivery, envelope: Envelope, sequence: number, bodyRoom: number): void {
  const { message } = delivery;
  const slot = SLOTS.get(envelope.version) as number;
  message.encodings ??= [];
  const kept = message.encodings[slot] as Kept | typeof ONCE | undefined;
  const own = 160 + envelope.head.length + 2 * envelope.idPrefix.length;
  if (
    kept !== undefined &&
    kept !== ONCE &&
    kept.dialect === envelope.dialect &&
    kept.topic === delivery.topic
  ) {
    begin(own + kept.bytes.length + bodyRoom);
    putOwnHeaders(delivery, envelope, sequence);
    putBytes(kept.bytes);
    return;
  }
  const content = envelope.describe(delivery);
  let room = own + roomFor(content.destination) + 64;
  for (const [name, value] of content.headers) room += roomFor(name) + roomFor(value) + 2;
  begin(room + bodyRoom);
  putOwnHeaders(delivery, envelope, sequence);
  const start = at;
  putContent(content, message, envelope.version);
  if (kept === undefined) message.encodings[slot] = ONCE;
  else {
    const bytes = new Uint8Array(out.subarray(start, at));
    message.encodings[slot] = { dialect: envelope.dialect, topic: delivery.topic, bytes };
  }
}

function putOwnHeaders(delivery: Delivery, envelope: Envelope, sequence: number): void {
  putBytes(MESSAGE);
  putBytes(envelope.head);
  putBytes(MESSAGE_ID);
  putBytes(envelope.idPrefix);
  putNumber(sequence);
  out[at++] = LF;
  if (envelope.acks) {
    putBytes(ACK);
    putBytes(envelope.idPrefix);
    putNumber(sequence);
    out[at++] = LF;
  }
  putBytes(QOS[delivery.qos] as Uint8Array);
  if (delivery.retain) putBytes(RETAIN);
  if (delivery.duplicate || delivery.message.redelivered) putBytes(REDELIVERED);
}

function putContent(content: Content, message: Message, version: Version): void {
  putBytes(DESTINATION);
  putText(content.destination, version);
  out[at++] = LF;
  for (const [name, value] of content.headers) putHeader(name, value, version);
  putBytes(CONTENT_LENGTH);
  putNumber(message.payload.length);
  out[at++] = LF;
  out[at++] = LF;
}

/** A whole MESSAGE; the bytes are good until the next frame is encoded. */
export function encodeMessage(delivery: Delivery, envelope: Envelope, sequence: number): Uint8Array {
  const { payload } = delivery.message;
  putMessageHead(delivery, envelope, sequence, payload.length + FRAME_END.length);
  putBytes(payload);
  out[at++] = 0;
  out[at++] = LF;
  return finish();
}

/** MESSAGE up to its body, for bodies that are sent by themselves. */
export function encodeMessageHead(delivery: Delivery, envelope: Envelope, sequence: number): Uint8Array {
  putMessageHead(delivery, envelope, sequence, 0);
  return finish();
}

export const EOL_BYTE: Uint8Array = Uint8Array.of(LF);

/** `subscription:<id>` and its end of line, for `Envelope.head`. */
export function encodeSubscriptionHeader(id: string, version: Version): Uint8Array {
  return Buffer.from(`subscription:${escapeText(id, version)}\n`);
}
