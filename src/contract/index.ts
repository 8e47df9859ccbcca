/**
 * What a gateway that comes from outside is written against: `import ... from "isthmus-iot/gateway"`. The types of the
 * contract, and the few values that most gateways need. See docs/plug-ins.md.
 */
export { Message, type MessageOptions, type MessageProperties, type QoS } from "../bus/message.ts";
export { type TopicProblem, topicFilterProblem, topicNameProblem } from "../bus/topic.ts";
export { type Alarm, type Alarms, CallbackAlarm } from "../lib/alarm.ts";
export { lossyText, text, utf8 } from "../lib/bytes.ts";
export { countSetting, durationSetting, type SettingOptions, sizeSetting } from "../lib/setting.ts";
export {
  after,
  between,
  type Duration,
  days,
  earliest,
  FOREVER,
  hours,
  type Instant,
  inSeconds,
  milliseconds,
  minutes,
  NEVER,
  seconds,
  ZERO,
} from "../lib/time.ts";
export { asLevel, fillTopic, fitsOneLevel, type TopicValues } from "../lib/topic-map.ts";
export type * from "./answers.ts";
export type * from "./channel.ts";
export type * from "./client.ts";
export * from "./delivery.ts";
export * from "./dissection.ts";
export type * from "./endpoint.ts";
export type * from "./gateway.ts";
export type * from "./note.ts";
export type * from "./operations.ts";
export type * from "./peer.ts";
export * from "./plug-in.ts";
export type * from "./refused.ts";
