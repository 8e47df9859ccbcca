/**
 * Octets of the TCP protocol. A packet begins with its type (high four bits) and flags (low four bits). CONNECT, CONNACK
 * and DATATRANS go on with the length of their payload in two octets, and the payload; the others are one octet long.
 */
import { text, utf8 } from "#core/lib/bytes.ts";
import { type DecodeError, decodeError, ok, type Result } from "#core/lib/result.ts";
import type { Framing } from "./framing.ts";
import { type AckCode, type Connect, FrameType, PAYLOAD_MAX, type Packet } from "./packets.ts";

const HEADER = 1;
/** The header octet and the length of the payload. */
const LONG_HEADER = 3;

const typeOf = (octet: number): number => octet >> 4;
const flagsOf = (octet: number): number => octet & 0x0f;
const uint16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

/** Where a packet of the protocol ends. */
export const packetFraming: Framing = {
  lengthOf(bytes, at, end) {
    switch (typeOf(bytes[at] ?? 0)) {
      case FrameType.PING:
      case FrameType.PONG:
      case FrameType.DISCONNECT:
        return HEADER;
      case FrameType.CONNECT:
      case FrameType.CONNACK:
      case FrameType.DATATRANS:
        return end - at < LONG_HEADER ? undefined : LONG_HEADER + uint16(bytes, at + HEADER);
      default:
        return decodeError("Packet Structure", 0, `frame type ${typeOf(bytes[at] ?? 0)} is reserved`);
    }
  },
};

/** `frame`: the octets of one packet, as `packetFraming` found them. */
export function decode(frame: Uint8Array): Result<Packet, DecodeError> {
  const header = frame[0] ?? 0;
  const type = typeOf(header);
  switch (type) {
    case FrameType.CONNECT:
      return decodeConnect(frame);
    case FrameType.CONNACK: {
      const message = text(frame.subarray(LONG_HEADER));
      if (message === undefined) return decodeError("CONNACK", LONG_HEADER, "the message is not UTF-8");
      return ok({ type, code: flagsOf(header), message });
    }
    case FrameType.DATATRANS:
      // The flags hold a QoS that is always 0 and reserved bits: there is no acknowledgement that another could ask for.
      return ok({ type, payload: frame.subarray(LONG_HEADER) });
    case FrameType.PING:
    case FrameType.PONG:
    case FrameType.DISCONNECT:
      return ok({ type });
    default:
      return decodeError("Packet Structure", 0, `frame type ${type} is reserved`);
  }
}

/**
 * The manual's text gives the version as 1, so a header of 0x11, and both its examples have 0x10. Devices follow either,
 * so a version of 0 is read as 1. User name and password may be left out, the password alone too.
 */
function decodeConnect(frame: Uint8Array): Result<Connect, DecodeError> {
  const version = flagsOf(frame[0] ?? 0) || 1;
  if (frame.length < LONG_HEADER + 1) return decodeError("CONNECT", frame.length, "the keepalive is missing");
  const fields: Uint8Array[] = [];
  let at = LONG_HEADER + 1;
  while (at < frame.length) {
    if (fields.length === 3) return decodeError("CONNECT", at, "octets follow the password");
    const start = at + 2;
    const end = start + uint16(frame, at);
    if (start > frame.length || end > frame.length) return decodeError("CONNECT", at, "a string is cut off");
    fields.push(frame.subarray(start, end));
    at = end;
  }
  const [clientId, username, password] = fields;
  if (clientId === undefined || clientId.length === 0) {
    return decodeError("CONNECT", LONG_HEADER + 1, "the client id is missing");
  }
  const id = text(clientId);
  const name = username === undefined ? undefined : text(username);
  if (id === undefined || (username !== undefined && name === undefined)) {
    return decodeError("CONNECT", LONG_HEADER + 1, "client id and user name are UTF-8");
  }
  return ok({
    type: FrameType.CONNECT,
    version,
    keepAlive: frame[LONG_HEADER] ?? 0,
    clientId: id,
    username: name,
    password,
  });
}

export const PONG = Uint8Array.of(FrameType.PONG << 4);

/** `message`: at most 65,535 octets of UTF-8. */
export const encodeConnack = (code: AckCode, message: string): Uint8Array =>
  withPayload((FrameType.CONNACK << 4) | code, utf8(message));

/** Undefined when the payload is longer than a packet can be. */
export const encodeData = (payload: Uint8Array): Uint8Array | undefined =>
  payload.length > PAYLOAD_MAX ? undefined : withPayload(FrameType.DATATRANS << 4, payload);

function withPayload(header: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(LONG_HEADER + payload.length);
  bytes[0] = header;
  bytes[1] = payload.length >> 8;
  bytes[2] = payload.length & 0xff;
  bytes.set(payload, LONG_HEADER);
  return bytes;
}
