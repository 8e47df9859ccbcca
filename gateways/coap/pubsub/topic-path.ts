import type { CoapMessage } from "../stack/message.ts";
import { Option, type OptionValue, option } from "../stack/options.ts";

/**
 * The topic in a path: what follows the first `skip` segments, joined by slashes. Clients should have decoded
 * percent signs before they made options of the path; those that did not are helped when `decode` is on, and a
 * percent sign that begins no escape stands for itself. Undefined when it is not UTF-8.
 */
export function topicOf(message: CoapMessage, skip: number, decode: boolean): string | undefined {
  const joined = message.joinedPath(skip);
  if (joined === undefined || !decode || !joined.includes("%")) return joined;
  try {
    return decodeURIComponent(joined);
  } catch {
    return joined;
  }
}

/** Location-Path options that name the topic of a notification (RFC 7252 §5.10.7). */
export function locationOf(prefix: string, topic: string): OptionValue[] | undefined {
  const segments = topic.split("/");
  // A segment is an option of 255 bytes at most (RFC 7252 §5.10); such a topic cannot be named.
  if (segments.some((segment) => segment.length > 85 && Buffer.byteLength(segment) > 255)) return undefined;
  return [prefix, ...segments].map((segment) => option(Option.LocationPath, segment));
}
