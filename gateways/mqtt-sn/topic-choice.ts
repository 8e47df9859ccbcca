/** Under which id a message goes to a client (MQTT-SN 1.2 §6.10). */
import type { Downstream } from "./downstream.ts";
import * as p from "./packets.ts";
import { shortTopicId } from "./topics.ts";

/**
 * The predefined id where the client has subscribed by it or knows no other, else the one that it was told, else the
 * short name; undefined where it has to be told one first.
 */
export function idFor(
  { setup, client, topics, predefinedInUse }: Downstream,
  topic: string,
): { readonly type: p.TopicIdType; readonly id: number } | undefined {
  const assigned = topics.idOf(topic);
  const known = assigned !== 0 && topics.isKnown(assigned) ? assigned : 0;
  const predefined = setup.predefined.idOf(topic, client.id);
  if (predefined !== 0 && (known === 0 || predefinedInUse?.has(predefined) === true)) {
    return { type: p.PREDEFINED, id: predefined };
  }
  if (known !== 0) return { type: p.NORMAL, id: known };
  const short = shortTopicId(topic);
  return short === 0 ? undefined : { type: p.SHORT, id: short };
}
