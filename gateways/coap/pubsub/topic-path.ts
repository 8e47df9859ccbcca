import type { CoapMessage } from "../stack/message/message.ts";
import { Option, type OptionValue, option } from "../stack/message/options.ts";

const SLASH = 0x2f;
/** With its options a notification must still have room for a value in the smallest message of all. */
const NAMED_MAX = 400;

/**
 * The topic in a path: what follows the first `skip` segments, joined by slashes. A segment is what it is (RFC 7252
 * §5.10.1, §6.4): percent signs were decoded when the options were made, and a level of a topic has no slash. `lenient`
 * is for clients whose manuals told them to encode the slashes of a topic, or that do not decode: there slashes part
 * levels and escapes are decoded once more. Undefined when it is no topic.
 */
export function topicOf(message: CoapMessage, skip: number, lenient: boolean): string | undefined {
  const joined = message.joinedPath(skip);
  if (joined === undefined || (!lenient && hasSlash(message, skip))) return undefined;
  if (!lenient || !joined.includes("%")) return joined;
  try {
    return decodeURIComponent(joined);
  } catch {
    return joined;
  }
}

function hasSlash(message: CoapMessage, skip: number): boolean {
  for (let index = 0, segment = 0; index < message.optionCount; index++) {
    if (message.numberAt(index) !== Option.UriPath || segment++ < skip) continue;
    const start = message.startAt(index);
    const end = start + message.lengthAt(index);
    for (let at = start; at < end; at++) if (message.bytes[at] === SLASH) return true;
  }
  return false;
}

/** Location-Path options that name the topic of a notification (RFC 7252 §5.10.7). */
export function locationOf(prefix: string, topic: string): OptionValue[] | undefined {
  const segments = topic.split("/");
  // A segment is an option of 255 bytes at most (RFC 7252 §5.10), and a message has an end: such a topic cannot be named.
  if (Buffer.byteLength(topic) > NAMED_MAX) return undefined;
  if (segments.some((segment) => segment.length > 85 && Buffer.byteLength(segment) > 255)) return undefined;
  return [prefix, ...segments].map((segment) => option(Option.LocationPath, segment));
}
