import type { MessageProperties } from "../bus/message.ts";
import { type Duration, FOREVER, seconds } from "../lib/time.ts";
import type { Properties } from "./properties.ts";

/** Message Expiry Interval; without one a message does not expire (MQTT 5 §3.3.2.3.3). */
export const messageExpiry = ({ messageExpiryInterval }: Readonly<Properties>): Duration =>
  messageExpiryInterval === undefined ? FOREVER : seconds(messageExpiryInterval);

/** What a message keeps of its packet's properties; the others concern one hop only. */
export function messageProperties(properties: Readonly<Properties>): MessageProperties | undefined {
  const { payloadFormat, contentType, responseTopic, correlationData, userProperties } = properties;
  if (
    payloadFormat === undefined &&
    contentType === undefined &&
    responseTopic === undefined &&
    correlationData === undefined &&
    userProperties === undefined
  ) {
    return undefined;
  }
  return {
    ...(payloadFormat === undefined ? {} : { payloadFormat }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(correlationData === undefined ? {} : { correlationData }),
    ...(userProperties === undefined ? {} : { userProperties }),
  };
}
