/** Requests that were sent to a multicast group or a broadcast address (RFC 7252 §8). */

import { packBlock, readBlock, SZX_MAX } from "../blockwise/block.ts";
import { entityTag, Reply } from "../blockwise/reply.ts";
import type { Listener } from "../listener.ts";
import { type CoapMessage, Type } from "../message/message.ts";
import { Option } from "../message/options.ts";
import { copy } from "../message/writer.ts";
import type { WellKnownCore } from "./well-known.ts";

const reply = new Reply();

/**
 * What answers it; undefined for nothing: a request that is confirmable (§8.1), and all but a GET of
 * `/.well-known/core` that finds something. `most`: octets of the answer at most. What is too long comes as its first
 * block, and the others are fetched from here alone (RFC 7959 §2.8).
 */
export function groupAnswer(
  { writer, szxMax }: Listener,
  wellKnown: WellKnownCore,
  message: CoapMessage,
  messageId: number,
  most: number,
): Uint8Array | undefined {
  if (message.type !== Type.NON) return undefined;
  const response = wellKnown.groupResponse(message, message.code);
  if (response === undefined) return undefined;
  const { payload = NONE } = response;
  const wanted = readBlock(message, Option.Block2);
  if (wanted !== undefined && wanted.number > 0) return undefined;
  const encode = (): Uint8Array => {
    reply.write(writer);
    const { bytes, tokenStart, tokenLength } = message;
    return writer.datagram(Type.NON, response.code, messageId, bytes, tokenStart, tokenLength, reply.payload);
  };
  reply.reset().whole(response);
  if (wanted === undefined) {
    const bytes = encode();
    if (bytes.length <= most) return copy(bytes);
  }
  for (let szx = Math.min(wanted?.szx ?? SZX_MAX, szxMax, SZX_MAX); szx >= 0; szx--) {
    reply.payload = payload.subarray(0, 16 << szx);
    const more = reply.payload.length < payload.length;
    reply.block2 = packBlock(0, more, szx);
    reply.size2 = more ? payload.length : -1;
    reply.etag = more ? entityTag(payload) : undefined;
    const bytes = encode();
    if (bytes.length <= most) return copy(bytes);
  }
  return undefined;
}

const NONE = new Uint8Array(0);
